//! Products: the rows of a CSV, each with its images place by place.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::{product_images, products};

/// A row of `products`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = products, check_for_backend(diesel::pg::Pg))]
pub struct Product {
    pub id: Uuid,
    pub request_id: Uuid,
    pub row_number: i32,
    pub accepted: bool,
    pub serial_number: Option<String>,
    pub name: String,
    pub input_urls: Vec<String>,
    pub extra: Vec<String>,
}

/// A row that is being submitted.
#[derive(Debug, serde::Serialize)]
pub struct NewProduct {
    pub id: Uuid,
    pub row_number: i32,
    pub accepted: bool,
    pub serial_number: Option<String>,
    pub name: String,
    pub input_urls: Vec<String>,
    pub extra: Vec<String>,
}

/// Which image stands at which place of a row's URLs, both counted from 0.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    pub product_id: Uuid,
    pub position: i32,
    pub image_id: Uuid,
}

/// A row with what became of the images at its places, for the result files.
#[derive(Debug, Clone, QueryableByName)]
pub struct ProductResult {
    #[diesel(sql_type = Integer)]
    pub row_number: i32,
    #[diesel(sql_type = Bool)]
    pub accepted: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub serial_number: Option<String>,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Array<Text>)]
    pub input_urls: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    pub extra: Vec<String>,
    /// The places that have an image; a place whose URL was refused is not among them.
    #[diesel(sql_type = Array<Integer>)]
    pub positions: Vec<i32>,
    #[diesel(sql_type = Array<SqlUuid>)]
    pub image_ids: Vec<Uuid>,
    /// Where each of those images' output is stored; `None` where it has none.
    #[diesel(sql_type = Array<Nullable<Text>>)]
    pub output_keys: Vec<Option<String>>,
}

impl Product {
    /// Stores a batch of rows of a new request.
    pub async fn insert(conn: &mut Connection, request_id: Uuid, rows: &[NewProduct]) -> QueryResult<()> {
        // One JSON value carries the batch: `unnest` cannot carry arrays of different lengths.
        let rows =
            serde_json::to_value(rows).map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
        diesel::sql_query(
            "INSERT INTO products (id, request_id, row_number, accepted, serial_number, name, input_urls, extra)
             SELECT id, $1, row_number, accepted, serial_number, name, input_urls, extra
               FROM jsonb_to_recordset($2) AS new(id uuid, row_number int, accepted boolean, serial_number text, name text,
                                                  input_urls text[], extra text[])",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Jsonb, _>(rows)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Stores which image stands where.
    pub async fn place_images(conn: &mut Connection, placements: &[Placement]) -> QueryResult<()> {
        let product_ids: Vec<Uuid> = placements.iter().map(|placement| placement.product_id).collect();
        let positions: Vec<i32> = placements.iter().map(|placement| placement.position).collect();
        let image_ids: Vec<Uuid> = placements.iter().map(|placement| placement.image_id).collect();
        diesel::sql_query(
            "INSERT INTO product_images (product_id, position, image_id) SELECT * FROM unnest($1, $2, $3)",
        )
        .bind::<Array<SqlUuid>, _>(product_ids)
        .bind::<Array<Integer>, _>(positions)
        .bind::<Array<SqlUuid>, _>(image_ids)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// The accepted rows with these ids, in no particular order.
    pub async fn load(conn: &mut Connection, ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        let rows = products::table.filter(products::id.eq_any(ids).and(products::accepted));
        rows.select(Self::as_select()).load(conn).await
    }

    /// A page of a request's accepted rows in the order of the CSV. Keys are row numbers.
    pub async fn page(conn: &mut Connection, request_id: Uuid, page: &Page<i32>) -> QueryResult<Vec<Self>> {
        use products::row_number;
        let accepted = products::table.filter(products::request_id.eq(request_id).and(products::accepted));
        let mut rows = accepted.select(Self::as_select()).limit(page.limit).into_boxed();
        if let Some(after) = page.after {
            rows = rows.filter(row_number.gt(after));
        }
        if let Some(before) = page.before {
            rows = rows.filter(row_number.lt(before));
        }
        let rows = if page.backwards { rows.order(row_number.desc()) } else { rows.order(row_number.asc()) };
        Ok(page.in_order(rows.load(conn).await?))
    }

    /// A page of the rows in which an image stands, in the order of the CSV. Keys are row numbers.
    pub async fn page_of_image(
        conn: &mut Connection,
        image_id: Uuid,
        after: Option<i32>,
        limit: i64,
    ) -> QueryResult<Vec<Self>> {
        let places =
            product_images::table.filter(product_images::image_id.eq(image_id)).select(product_images::product_id);
        products::table
            .filter(products::id.eq_any(places).and(products::row_number.gt(after.unwrap_or(-1))))
            .order(products::row_number)
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Which images stand at which places of these rows, in the order of the places.
    pub async fn placements(conn: &mut Connection, product_ids: &[Uuid]) -> QueryResult<Vec<Placement>> {
        let rows: Vec<(Uuid, i32, Uuid)> = product_images::table
            .filter(product_images::product_id.eq_any(product_ids))
            .order((product_images::product_id, product_images::position))
            .select((product_images::product_id, product_images::position, product_images::image_id))
            .load(conn)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(product_id, position, image_id)| Placement { product_id, position, image_id })
            .collect())
    }

    /// The next `limit` rows of a request behind `after_row`, rejected ones included, with what became of their images.
    pub async fn results(
        conn: &mut Connection,
        request_id: Uuid,
        after_row: i32,
        limit: i64,
    ) -> QueryResult<Vec<ProductResult>> {
        diesel::sql_query(
            "SELECT p.row_number, p.accepted, p.serial_number, p.name, p.input_urls, p.extra,
                    coalesce(placed.positions, '{}') AS positions, coalesce(placed.image_ids, '{}') AS image_ids,
                    coalesce(placed.output_keys, '{}') AS output_keys
               FROM (SELECT * FROM products WHERE request_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3) p
               LEFT JOIN LATERAL (
                    SELECT array_agg(pi.position ORDER BY pi.position) AS positions,
                           array_agg(i.id ORDER BY pi.position) AS image_ids,
                           array_agg(i.output_key ORDER BY pi.position) AS output_keys
                      FROM product_images pi JOIN images i ON i.id = pi.image_id
                     WHERE pi.product_id = p.id
               ) placed ON true
              ORDER BY p.row_number",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Integer, _>(after_row)
        .bind::<BigInt, _>(limit)
        .load(conn)
        .await
    }
}
