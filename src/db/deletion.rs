//! Requests that are deleted: hidden at once, their rows removed in batches that hold nobody up.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Hides a request from everyone, without its idempotency key. The caller holds its lock. Returns false when it has not ended,
/// or is deleted already.
pub async fn hide(conn: &mut Connection, request_id: Uuid) -> QueryResult<bool> {
    let hidden = diesel::sql_query(
        "UPDATE processing_requests SET deleted_at = now(), revision = revision + 1
          WHERE id = $1 AND finished_at IS NOT NULL AND deleted_at IS NULL",
    );
    if hidden.bind::<SqlUuid, _>(request_id).execute(conn).await? == 0 {
        return Ok(false);
    }
    let delete = diesel::sql_query("DELETE FROM idempotency_keys WHERE request_id = $1");
    delete.bind::<SqlUuid, _>(request_id).execute(conn).await?;
    Ok(true)
}

/// At most `limit` requests that ended longer ago than this.
pub async fn outlived(conn: &mut Connection, kept: Duration, limit: i64) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Id> = diesel::sql_query(
        "SELECT id FROM processing_requests
          WHERE finished_at < now() - make_interval(secs => $1) AND deleted_at IS NULL ORDER BY finished_at LIMIT $2",
    )
    .bind::<Double, _>(kept.as_secs_f64())
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// At most `limit` requests that are deleted and still have rows.
pub async fn hidden(conn: &mut Connection, limit: i64) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Id> = diesel::sql_query(
        "SELECT id FROM processing_requests WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT $1",
    )
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Removes at most `limit` rows that a deleted request has, of one kind after the other. Returns how many; 0: none is left.
pub async fn remove_rows(conn: &mut Connection, request_id: Uuid, limit: i64) -> QueryResult<usize> {
    for table in ["products", "images", "csv_issues"] {
        let removed = diesel::sql_query(format!(
            "DELETE FROM {table} USING (
                SELECT ctid AS place FROM {table} WHERE request_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
             ) AS batch WHERE {table}.ctid = batch.place"
        ))
        .bind::<SqlUuid, _>(request_id)
        .bind::<BigInt, _>(limit)
        .execute(conn)
        .await?;
        if removed > 0 {
            return Ok(removed);
        }
    }
    Ok(0)
}

/// Removes the row of a deleted request. Returns whether it was there.
pub async fn remove(conn: &mut Connection, request_id: Uuid) -> QueryResult<bool> {
    let removed = diesel::sql_query("DELETE FROM processing_requests WHERE id = $1 AND deleted_at IS NOT NULL")
        .bind::<SqlUuid, _>(request_id)
        .execute(conn)
        .await?;
    Ok(removed > 0)
}
