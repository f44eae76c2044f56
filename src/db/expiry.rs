//! Outputs that are kept no longer, a few images at a time, and the objects that are left of them.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// That a request has outputs which have been kept for $1 seconds since it ended.
const IS_OUTLIVED: &str = "finished_at < now() - make_interval(secs => $1) AND deleted_at IS NULL
    AND (outputs_expired_at IS NULL OR outputs_expired_at < finished_at)";

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// At most `limit` requests that ended longer ago than this and have outputs.
pub async fn outlived(conn: &mut Connection, kept: Duration, limit: i64) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Id> = diesel::sql_query(format!(
        "SELECT id FROM processing_requests WHERE {IS_OUTLIVED} ORDER BY finished_at LIMIT $2"
    ))
    .bind::<Double, _>(kept.as_secs_f64())
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Locks a request for the transaction. Returns whether it is still one of [`outlived`]: it may run again.
pub async fn lock(conn: &mut Connection, request_id: Uuid, kept: Duration) -> QueryResult<bool> {
    let locked = diesel::sql_query(format!(
        "SELECT id FROM processing_requests WHERE {IS_OUTLIVED} AND id = $2 FOR NO KEY UPDATE"
    ));
    let locked = locked.bind::<Double, _>(kept.as_secs_f64()).bind::<SqlUuid, _>(request_id);
    Ok(locked.get_result::<Id>(conn).await.optional()?.is_some())
}

/// Takes the outputs of the next `limit` images behind the position `after`, former ones included, and notes their objects
/// for removal. The caller holds the lock of the request, which has ended. Returns the last position; `None`: there are no
/// more images.
pub async fn expire(conn: &mut Connection, request_id: Uuid, after: i32, limit: i64) -> QueryResult<Option<i32>> {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = Nullable<Integer>)]
        position: Option<i32>,
    }
    let last: Last = diesel::sql_query(
        "WITH batch AS MATERIALIZED (
            SELECT id, position, output_key FROM images
             WHERE request_id = $1 AND position > $2 ORDER BY position LIMIT $3
         ), former AS (
            DELETE FROM former_outputs USING batch WHERE image_id = batch.id RETURNING image_id, output->>'output_key' AS key
         ), outputs AS (
            SELECT image_id, key FROM former
            UNION SELECT id, output_key FROM batch WHERE output_key IS NOT NULL
         ), expired AS (
            UPDATE images SET output_key = NULL, expired_outputs = output_number, content_key = NULL, url_key = NULL
             WHERE id IN (SELECT image_id FROM outputs)
         ), noted AS (
            INSERT INTO expired_objects (key) SELECT DISTINCT key FROM outputs ON CONFLICT DO NOTHING
         )
         SELECT max(position) AS position FROM batch",
    )
    .bind::<SqlUuid, _>(request_id)
    .bind::<Integer, _>(after)
    .bind::<BigInt, _>(limit)
    .get_result(conn)
    .await?;
    Ok(last.position)
}

/// Notes that all outputs of a request have expired.
pub async fn finish(conn: &mut Connection, request_id: Uuid) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE processing_requests SET outputs_expired_at = now(), revision = revision + 1 WHERE id = $1",
    )
    .bind::<SqlUuid, _>(request_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes an object for removal, with all that is in its directory.
pub async fn note_object(conn: &mut Connection, key: &str) -> QueryResult<()> {
    let note = diesel::sql_query("INSERT INTO expired_objects (key) VALUES ($1) ON CONFLICT DO NOTHING");
    note.bind::<Text, _>(key).execute(conn).await?;
    Ok(())
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// The next `limit` objects that are to be removed, in the order of their keys.
pub async fn objects(conn: &mut Connection, after: &str, limit: i64) -> QueryResult<Vec<String>> {
    let rows: Vec<Key> = diesel::sql_query("SELECT key FROM expired_objects WHERE key > $1 ORDER BY key LIMIT $2")
        .bind::<Text, _>(after)
        .bind::<BigInt, _>(limit)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// Forgets objects that were removed.
pub async fn forget_objects(conn: &mut Connection, keys: &[String]) -> QueryResult<()> {
    let forget = diesel::sql_query("DELETE FROM expired_objects WHERE key = ANY($1)");
    forget.bind::<Array<Text>, _>(keys).execute(conn).await?;
    Ok(())
}

/// Whether the output of an image with this number has expired.
pub async fn has_expired(conn: &mut Connection, image_id: Uuid, number: i32) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Expired {
        #[diesel(sql_type = Bool)]
        expired: bool,
    }
    let expired: Expired = diesel::sql_query(
        "SELECT EXISTS (
            SELECT FROM images JOIN processing_requests ON processing_requests.id = request_id
             WHERE images.id = $1 AND expired_outputs >= $2 AND deleted_at IS NULL
         ) AS expired",
    )
    .bind::<SqlUuid, _>(image_id)
    .bind::<Integer, _>(number)
    .get_result(conn)
    .await?;
    Ok(expired.expired)
}
