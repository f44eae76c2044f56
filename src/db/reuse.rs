//! Outputs that serve another image too.

use diesel::prelude::*;
use diesel::sql_types::{Jsonb, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::ending::OUTPUT_JSON;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Jsonb)]
    output: serde_json::Value,
}

/// An [`Output`](super::ending::Output) with this `content_key`.
pub async fn by_content(conn: &mut Connection, key: Uuid) -> QueryResult<Option<serde_json::Value>> {
    find(conn, "content_key = $1", key).await
}

/// The latest [`Output`](super::ending::Output) with this `url_key`.
pub async fn by_url(conn: &mut Connection, key: Uuid) -> QueryResult<Option<serde_json::Value>> {
    find(conn, "url_key = $1 ORDER BY images.finished_at DESC", key).await
}

async fn find(conn: &mut Connection, which: &str, key: Uuid) -> QueryResult<Option<serde_json::Value>> {
    let found = diesel::sql_query(format!(
        "SELECT {OUTPUT_JSON} AS output FROM images JOIN processing_requests ON processing_requests.id = request_id
          WHERE deleted_at IS NULL AND output_key IS NOT NULL AND {which} LIMIT 1"
    ));
    let found = found.bind::<SqlUuid, _>(key).get_result::<Found>(conn).await.optional()?;
    Ok(found.map(|found| found.output))
}
