//! The statements on `workers`.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Double, Uuid as SqlUuid};
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
