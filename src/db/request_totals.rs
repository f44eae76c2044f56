//! Totals over the requests of a list, by status and by label.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::Connection;
use super::request::{RequestFilter, RequestStatus};
use super::viewer::Viewer;

/// What a number of requests add up to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    pub requests: i64,
    pub images: i64,
    pub succeeded: i64,
    pub failed: i64,
    pub input_bytes: i64,
    pub output_bytes: i64,
}

/// The requests of a list.
#[derive(Debug, Clone, Default)]
pub struct RequestTotals {
    pub all: Sum,
    pub by_status: Vec<(RequestStatus, Sum)>,
    /// The labels with the most requests.
    pub by_label: Vec<(String, Sum)>,
}

/// A row of the sums: of all (0), of a status (1) or of a label (2).
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    what: i32,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    images: i64,
    #[diesel(sql_type = BigInt)]
    succeeded: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    input_bytes: i64,
    #[diesel(sql_type = BigInt)]
    output_bytes: i64,
}

impl RequestTotals {
    /// Sums up the requests that match, with at most `labels` labels, in one statement: its numbers add up.
    pub async fn read(conn: &mut Connection, viewer: Viewer, filter: &RequestFilter, labels: i64) -> QueryResult<Self> {
        let statuses = filter.statuses.as_ref().map(|all| all.iter().map(|status| status.as_str()).collect::<Vec<_>>());
        let rows: Vec<Row> = diesel::sql_query(
            "SELECT CASE WHEN grouping(status) = 0 THEN 1 WHEN grouping(label) = 0 THEN 2 ELSE 0 END AS what,
                    coalesce(status, label) AS name, count(*) AS requests,
                    coalesce(sum(total), 0)::bigint AS images, coalesce(sum(succeeded), 0)::bigint AS succeeded,
                    coalesce(sum(failed), 0)::bigint AS failed,
                    coalesce(sum(input_bytes), 0)::bigint AS input_bytes,
                    coalesce(sum(output_bytes), 0)::bigint AS output_bytes
               FROM processing_requests
              WHERE deleted_at IS NULL AND ($1::text[] IS NULL OR status = ANY($1)) AND ($2::text IS NULL OR label = $2)
                AND ($3::text IS NULL OR filename ILIKE $3 OR label ILIKE $3)
                AND ($5::uuid IS NULL OR tenant_id = $5)
              GROUP BY GROUPING SETS ((), (status), (label))
             HAVING grouping(label) = 1 OR label IS NOT NULL
              ORDER BY what, requests DESC, name LIMIT $4",
        )
        .bind::<Nullable<Array<Text>>, _>(statuses)
        .bind::<Nullable<Text>, _>(&filter.label)
        .bind::<Nullable<Text>, _>(filter.pattern())
        // One for all of them, and one for each status.
        .bind::<BigInt, _>(1 + RequestStatus::COUNT as i64 + labels)
        .bind::<Nullable<SqlUuid>, _>(viewer.tenant())
        .load(conn)
        .await?;
        let mut totals = Self::default();
        for Row { what, name, requests, images, succeeded, failed, input_bytes, output_bytes } in rows {
            let sum = Sum { requests, images, succeeded, failed, input_bytes, output_bytes };
            match (what, name) {
                (0, _) => totals.all = sum,
                (1, Some(name)) => totals.by_status.extend(RequestStatus::from_word(&name).map(|status| (status, sum))),
                (2, Some(name)) => totals.by_label.push((name, sum)),
                _ => {}
            }
        }
        totals.by_label.truncate(usize::try_from(labels).unwrap_or(0));
        Ok(totals)
    }
}
