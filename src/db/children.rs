//! The lists of many parents, read together: whatever the number of parents, a page costs one statement, or two for images.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::csv_issue::CsvIssue;
use super::image::{FailureGroup, Image, ImageFilter, ImageState, STATUS};
use super::page::Page;
use super::product::Product;
use super::viewer::Viewer;

/// Rows by the id of their parent, each list in its order.
pub type Children<T> = HashMap<Uuid, Vec<T>>;

/// Failure groups that are listed of one request.
const MAX_FAILURE_GROUPS: i64 = 100;

fn by_parent<T>(rows: impl IntoIterator<Item = (Uuid, T)>) -> Children<T> {
    let mut children = Children::new();
    for (parent, row) in rows {
        children.entry(parent).or_insert_with(Vec::new).push(row);
    }
    children
}

/// The bounds of a page and the order in which its rows are looked for; keys are never negative.
fn window(page: &Page<i32>) -> (i32, i32, &'static str) {
    let order = if page.backwards { "DESC" } else { "ASC" };
    (page.after.unwrap_or(-1), page.before.unwrap_or(i32::MAX), order)
}

/// A page of the accepted rows of each request, in the order of the CSV.
pub async fn products(conn: &mut Connection, request_ids: &[Uuid], page: &Page<i32>) -> QueryResult<Children<Product>> {
    let (after, before, order) = window(page);
    let rows: Vec<Product> = diesel::sql_query(format!(
        "SELECT child.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM products WHERE request_id = wanted.id AND accepted AND row_number > $2 AND row_number < $3
             ORDER BY row_number {order} LIMIT $4
         ) AS child ORDER BY child.row_number"
    ))
    .bind::<Array<SqlUuid>, _>(request_ids)
    .bind::<Integer, _>(after)
    .bind::<Integer, _>(before)
    .bind::<BigInt, _>(page.limit)
    .load(conn)
    .await?;
    Ok(by_parent(rows.into_iter().map(|row| (row.request_id, row))))
}

#[derive(QueryableByName)]
struct ProductOfImage {
    #[diesel(sql_type = SqlUuid)]
    parent_id: Uuid,
    #[diesel(embed)]
    product: Product,
}

/// A page of the rows that name each image, in the order of the CSV.
pub async fn products_of_images(
    conn: &mut Connection,
    image_ids: &[Uuid],
    page: &Page<i32>,
) -> QueryResult<Children<Product>> {
    let (after, before, order) = window(page);
    let rows: Vec<ProductOfImage> = diesel::sql_query(format!(
        "SELECT wanted.id AS parent_id, child.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM products WHERE image_ids @> ARRAY[wanted.id] AND row_number > $2 AND row_number < $3
             ORDER BY row_number {order} LIMIT $4
         ) AS child ORDER BY child.row_number"
    ))
    .bind::<Array<SqlUuid>, _>(image_ids)
    .bind::<Integer, _>(after)
    .bind::<Integer, _>(before)
    .bind::<BigInt, _>(page.limit)
    .load(conn)
    .await?;
    Ok(by_parent(rows.into_iter().map(|row| (row.parent_id, row.product))))
}

/// A page of the problems of each request's CSV, in the order of the file.
pub async fn csv_issues(
    conn: &mut Connection,
    request_ids: &[Uuid],
    page: &Page<i32>,
) -> QueryResult<Children<CsvIssue>> {
    let (after, before, order) = window(page);
    let rows: Vec<CsvIssue> = diesel::sql_query(format!(
        "SELECT child.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM csv_issues WHERE request_id = wanted.id AND position > $2 AND position < $3
             ORDER BY position {order} LIMIT $4
         ) AS child ORDER BY child.position"
    ))
    .bind::<Array<SqlUuid>, _>(request_ids)
    .bind::<Integer, _>(after)
    .bind::<Integer, _>(before)
    .bind::<BigInt, _>(page.limit)
    .load(conn)
    .await?;
    Ok(by_parent(rows.into_iter().map(|row| (row.request_id, row))))
}

#[derive(QueryableByName)]
struct ImageId {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The conditions of a filter. Each is left out by the planner where its parameter, from `$first` on, is null.
fn matches(filter: &ImageFilter, first: usize) -> String {
    let [statuses, codes, outcomes, met] = [first, first + 1, first + 2, first + 3];
    // Lets the planner use an index on `status`, which it cannot see through the CASE.
    let is_final = filter.statuses.as_ref().is_some_and(|statuses| statuses.iter().all(|status| status.is_final()));
    let own_status = if is_final { format!("AND images.status = ANY(${statuses})") } else { String::new() };
    format!(
        "(${statuses}::text[] IS NULL OR {STATUS} = ANY(${statuses})) {own_status}
         AND (${codes}::text[] IS NULL OR (images.status = 'FAILED' AND images.error_code = ANY(${codes})))
         AND (${outcomes}::text[] IS NULL OR images.outcome = ANY(${outcomes}))
         AND (${met}::bool IS NULL OR (images.receipt->>'target_met')::bool = ${met})"
    )
}

macro_rules! bind_filter {
    ($query:expr, $filter:expr) => {{
        let words = |words: Option<Vec<&'static str>>| words;
        $query
            .bind::<Nullable<Array<Text>>, _>(words(
                $filter.statuses.as_ref().map(|all| all.iter().map(|one| one.as_str()).collect()),
            ))
            .bind::<Nullable<Array<Text>>, _>(words(
                $filter.error_codes.as_ref().map(|all| all.iter().map(|one| one.as_str()).collect()),
            ))
            .bind::<Nullable<Array<Text>>, _>(words(
                $filter.outcomes.as_ref().map(|all| all.iter().map(|one| one.as_str()).collect()),
            ))
            .bind::<Nullable<Bool>, _>($filter.target_met)
    }};
}

/// A page of the images of each request, in the order of the CSV.
pub async fn images(
    conn: &mut Connection,
    request_ids: &[Uuid],
    filter: &ImageFilter,
    page: &Page<i32>,
) -> QueryResult<Children<ImageState>> {
    let (mut after, before, order) = window(page);
    let mut skip = page.skip;
    if *filter == ImageFilter::default() && !page.backwards {
        // Positions have no gaps: the place in the whole list is known without counting up to it.
        after = after.saturating_add(i32::try_from(skip).unwrap_or(i32::MAX));
        skip = 0;
    }
    let matches = matches(filter, 6);
    let query = diesel::sql_query(format!(
        "SELECT child.id FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
            SELECT images.id FROM images LEFT JOIN job_states ON job_states.id = images.id
             WHERE images.request_id = wanted.id AND position > $2 AND position < $3 AND {matches}
             ORDER BY position {order} LIMIT $4 OFFSET $5
         ) AS child"
    ))
    .bind::<Array<SqlUuid>, _>(request_ids)
    .bind::<Integer, _>(after)
    .bind::<Integer, _>(before)
    .bind::<BigInt, _>(page.limit)
    .bind::<BigInt, _>(skip);
    let ids: Vec<ImageId> = bind_filter!(query, filter).load(conn).await?;
    let ids: Vec<Uuid> = ids.into_iter().map(|row| row.id).collect();
    let mut images = Image::load(conn, Viewer::Operator, &ids).await?;
    images.sort_unstable_by_key(|state| state.image.position);
    Ok(by_parent(images.into_iter().map(|state| (state.image.request_id, state))))
}

/// How many of something each parent has.
#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = SqlUuid)]
    parent_id: Uuid,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn counts(rows: Vec<Count>) -> HashMap<Uuid, i64> {
    rows.into_iter().map(|row| (row.parent_id, row.count)).collect()
}

/// How many images of each request a list with this filter has.
pub async fn count_images(
    conn: &mut Connection,
    request_ids: &[Uuid],
    filter: &ImageFilter,
) -> QueryResult<HashMap<Uuid, i64>> {
    let matches = matches(filter, 2);
    let query = diesel::sql_query(format!(
        "SELECT images.request_id AS parent_id, count(*) AS count
           FROM images LEFT JOIN job_states ON job_states.id = images.id
          WHERE images.request_id = ANY($1) AND {matches} GROUP BY 1"
    ))
    .bind::<Array<SqlUuid>, _>(request_ids);
    Ok(counts(bind_filter!(query, filter).load(conn).await?))
}

/// How many rows name each image.
pub async fn count_products_of_images(conn: &mut Connection, image_ids: &[Uuid]) -> QueryResult<HashMap<Uuid, i64>> {
    let query = diesel::sql_query(
        "SELECT wanted.id AS parent_id,
                (SELECT count(*) FROM products WHERE image_ids @> ARRAY[wanted.id]) AS count
           FROM unnest($1) AS wanted (id)",
    );
    Ok(counts(query.bind::<Array<SqlUuid>, _>(image_ids).load(conn).await?))
}

/// How many problems of each request's CSV are kept.
pub async fn count_csv_issues(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<HashMap<Uuid, i64>> {
    let query = diesel::sql_query(
        "SELECT request_id AS parent_id, count(*) AS count FROM csv_issues WHERE request_id = ANY($1) GROUP BY 1",
    );
    Ok(counts(query.bind::<Array<SqlUuid>, _>(request_ids).load(conn).await?))
}

#[derive(QueryableByName)]
struct FailureGroupOfRequest {
    #[diesel(sql_type = SqlUuid)]
    parent_id: Uuid,
    #[diesel(embed)]
    group: FailureGroup,
}

/// The failed images of each request by cause and host, the most frequent first.
pub async fn failure_groups(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<Children<FailureGroup>> {
    let rows: Vec<FailureGroupOfRequest> = diesel::sql_query(
        "SELECT wanted.id AS parent_id, child.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
            SELECT error_code AS code, lower(substring(input_url FROM '^[a-zA-Z]+://(?:[^/?#@]*@)?([^/?#:]+)')) AS host,
                   count(*)::int AS count, (array_agg(images.id ORDER BY position))[1] AS example_id
              FROM images WHERE request_id = wanted.id AND status = 'FAILED'
             GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $2
         ) AS child ORDER BY child.count DESC, child.code, child.host",
    )
    .bind::<Array<SqlUuid>, _>(request_ids)
    .bind::<BigInt, _>(MAX_FAILURE_GROUPS)
    .load(conn)
    .await?;
    Ok(by_parent(rows.into_iter().map(|row| (row.parent_id, row.group))))
}
