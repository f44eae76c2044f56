//! The statements on `workers`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Double, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::Connection;

#[derive(QueryableByName)]
struct Dead {
    #[diesel(sql_type = SqlUuid)]
    worker_id: Uuid,
}

/// The workers that hold jobs and are dead: unknown, or silent for longer than `timeout`.
///
/// While the database is away or stands still everybody is silent, which proves nothing. So only a worker whose own
/// heartbeats have been stored without a gap for half the timeout is answered, and none learns of itself.
pub async fn dead(conn: &mut Connection, me: Uuid, timeout: Duration) -> QueryResult<Vec<Uuid>> {
    let rows: Vec<Dead> = diesel::sql_query(
        "SELECT DISTINCT jobs.worker_id FROM jobs
          WHERE state = 'RUNNING' AND worker_id <> $1
            AND NOT EXISTS (SELECT FROM workers WHERE workers.id = jobs.worker_id
                               AND heartbeat_at >= now() - make_interval(secs => $2))
            AND EXISTS (SELECT FROM workers WHERE workers.id = $1
                           AND heartbeat_at >= now() - make_interval(secs => $2 / 2)
                           AND steady_since <= now() - make_interval(secs => $2 / 2))",
    )
    .bind::<SqlUuid, _>(me)
    .bind::<Double, _>(timeout.as_secs_f64())
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.worker_id).collect())
}

/// A worker as others see it.
#[derive(Debug, Clone, QueryableByName)]
pub struct WorkerState {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub hostname: String,
    #[diesel(sql_type = Integer)]
    pub pid: i32,
    #[diesel(sql_type = Timestamptz)]
    pub started_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub heartbeat_at: DateTime<Utc>,
    /// Whether its last heartbeat is younger than the timeout.
    #[diesel(sql_type = Bool)]
    pub is_alive: bool,
    /// Jobs it holds.
    #[diesel(sql_type = BigInt)]
    pub running: i64,
}

/// At most `limit` workers, those that live first.
pub async fn states(conn: &mut Connection, timeout: Duration, limit: i64) -> QueryResult<Vec<WorkerState>> {
    diesel::sql_query(
        "SELECT id, hostname, pid, started_at, heartbeat_at,
                heartbeat_at >= now() - make_interval(secs => $1) AS is_alive,
                (SELECT count(*) FROM jobs WHERE worker_id = workers.id AND state = 'RUNNING') AS running
           FROM workers ORDER BY is_alive DESC, started_at, id LIMIT $2",
    )
    .bind::<Double, _>(timeout.as_secs_f64())
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await
}

/// Removes a worker that has stopped in order.
pub async fn sign_off(conn: &mut Connection, worker_id: Uuid) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM workers WHERE id = $1").bind::<SqlUuid, _>(worker_id).execute(conn).await?;
    Ok(())
}

/// Forgets workers that fell silent more than a day ago and hold nothing.
pub async fn forget_dead(conn: &mut Connection) -> QueryResult<usize> {
    diesel::sql_query(
        "DELETE FROM workers w WHERE heartbeat_at < now() - interval '1 day'
            AND NOT EXISTS (SELECT FROM jobs WHERE worker_id = w.id AND state = 'RUNNING')",
    )
    .execute(conn)
    .await
}
