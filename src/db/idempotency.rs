//! Keys callers choose so that an upload sent twice makes one request.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// How often a claim asks whether another upload with the same key has ended.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// What became of a claim on a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The key was free, or older than a day: it now belongs to the new request.
    New,
    /// The same input was sent with this key before; this is its request.
    Replayed(Uuid),
    /// The key was used with other input.
    Reused,
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = SqlUuid)]
    request_id: Uuid,
    #[diesel(sql_type = Binary)]
    input_hash: Vec<u8>,
}

/// Claims `key` of a tenant for `request_id`, whose whole input (file and settings) hashes to `input_hash`.
///
/// Call it in the transaction that inserts the request, after it: a second claim on the same key waits for the first
/// transaction to end and then sees its request. On anything but [`Claimed::New`] the caller must roll back.
pub async fn claim(
    conn: &mut Connection,
    (tenant_id, key): (Uuid, &str),
    request_id: Uuid,
    input_hash: &[u8],
) -> QueryResult<Claimed> {
    wait_for_others(conn, tenant_id, key).await?;
    let holder: Holder = diesel::sql_query(
        "INSERT INTO idempotency_keys AS held (key, request_id, input_hash, tenant_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, key) DO UPDATE SET
            request_id = CASE WHEN held.created_at < now() - interval '24 hours' THEN excluded.request_id ELSE held.request_id END,
            input_hash = CASE WHEN held.created_at < now() - interval '24 hours' THEN excluded.input_hash ELSE held.input_hash END,
            created_at = CASE WHEN held.created_at < now() - interval '24 hours' THEN now() ELSE held.created_at END
         RETURNING request_id, input_hash",
    )
    .bind::<Text, _>(key)
    .bind::<SqlUuid, _>(request_id)
    .bind::<Binary, _>(input_hash)
    .bind::<SqlUuid, _>(tenant_id)
    .get_result(conn)
    .await?;
    Ok(if holder.request_id == request_id {
        Claimed::New
    } else if holder.input_hash == input_hash {
        Claimed::Replayed(holder.request_id)
    } else {
        Claimed::Reused
    })
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Bool)]
    is_locked: bool,
}

/// Waits until no other transaction has claimed this key without having ended. An upload takes longer than a statement may
/// wait, so this asks again and again.
async fn wait_for_others(conn: &mut Connection, tenant_id: Uuid, key: &str) -> QueryResult<()> {
    loop {
        let locked: Locked = diesel::sql_query(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency key ' || $2 || ' ' || $1, 0)) AS is_locked",
        )
        .bind::<Text, _>(key)
        .bind::<Text, _>(tenant_id.to_string())
        .get_result(conn)
        .await?;
        if locked.is_locked {
            return Ok(());
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

/// Forgets keys that are older than a day, at most `limit`. Returns how many.
pub async fn forget_expired(conn: &mut Connection, limit: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "WITH expired AS MATERIALIZED (
            SELECT tenant_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
             ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED
         )
         DELETE FROM idempotency_keys USING expired WHERE idempotency_keys.tenant_id = expired.tenant_id AND idempotency_keys.key = expired.key",
    )
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await
}
