//! Outputs that serve another image too.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Jsonb, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::ending::OUTPUT_JSON;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
    #[diesel(sql_type = Jsonb)]
    output: serde_json::Value,
}

/// An [`Output`](super::ending::Output) with this `content_key`.
pub async fn by_content(conn: &mut Connection, key: Uuid) -> QueryResult<Option<serde_json::Value>> {
    Ok(find(conn, "content_key = wanted.key", &[key]).await?.remove(&key))
}

/// The latest [`Output`](super::ending::Output) with each of these `url_key`s, where there is one.
pub async fn by_urls(conn: &mut Connection, keys: &[Uuid]) -> QueryResult<HashMap<Uuid, serde_json::Value>> {
    find(conn, "url_key = wanted.key ORDER BY images.finished_at DESC", keys).await
}

async fn find(conn: &mut Connection, which: &str, keys: &[Uuid]) -> QueryResult<HashMap<Uuid, serde_json::Value>> {
    let found = diesel::sql_query(format!(
        "SELECT wanted.key, found.output FROM unnest($1) AS wanted (key) CROSS JOIN LATERAL (
            SELECT {OUTPUT_JSON} AS output FROM images JOIN processing_requests ON processing_requests.id = request_id
             WHERE deleted_at IS NULL AND output_key IS NOT NULL AND {which} LIMIT 1
         ) AS found"
    ));
    let found: Vec<Found> = found.bind::<Array<SqlUuid>, _>(keys).load(conn).await?;
    Ok(found.into_iter().map(|found| (found.key, found.output)).collect())
}
