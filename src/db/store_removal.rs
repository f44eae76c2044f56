//! Which requests' objects are to be removed from the store, and when: those that no row names, or soon will not.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// A removal that is begun is begun again if it is not finished after this time.
const BEGUN: &str = "is_begun = true, due_at = now() + interval '10 minutes'";

/// Has the objects of a request removed after this time, unless [`cancel`] is called before. Called again, it sets the time
/// anew.
pub async fn schedule(conn: &mut Connection, request_id: Uuid, after: Duration) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO store_removals (request_id, due_at) VALUES ($1, now() + make_interval(secs => $2))
         ON CONFLICT (request_id) DO UPDATE SET due_at = excluded.due_at",
    )
    .bind::<SqlUuid, _>(request_id)
    .bind::<Double, _>(after.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps the objects of a request, if this transaction is committed. Returns false when their removal has begun.
pub async fn cancel(conn: &mut Connection, request_id: Uuid) -> QueryResult<bool> {
    let canceled = diesel::sql_query("DELETE FROM store_removals WHERE request_id = $1 AND NOT is_begun")
        .bind::<SqlUuid, _>(request_id)
        .execute(conn)
        .await?;
    Ok(canceled == 1)
}

/// Begins the removal of one request's objects now. Returns false when it was canceled: its request is stored after all.
pub async fn begin(conn: &mut Connection, request_id: Uuid) -> QueryResult<bool> {
    let begun = diesel::sql_query(format!("UPDATE store_removals SET {BEGUN} WHERE request_id = $1"))
        .bind::<SqlUuid, _>(request_id)
        .execute(conn)
        .await?;
    Ok(begun == 1)
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = SqlUuid)]
    request_id: Uuid,
}

/// Begins removals that are due, at most `limit`. A transaction that is about to cancel one keeps it from being among them.
pub async fn begin_due(conn: &mut Connection, limit: i64) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Due> = diesel::sql_query(format!(
        "WITH due AS MATERIALIZED (
            SELECT request_id FROM store_removals WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
         )
         UPDATE store_removals SET {BEGUN} FROM due WHERE store_removals.request_id = due.request_id
         RETURNING store_removals.request_id"
    ))
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.request_id).collect())
}

/// Forgets a removal that is done.
pub async fn finish(conn: &mut Connection, request_id: Uuid) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM store_removals WHERE request_id = $1 AND is_begun")
        .bind::<SqlUuid, _>(request_id)
        .execute(conn)
        .await?;
    Ok(())
}
