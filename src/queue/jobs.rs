//! The statements on `jobs` and `workers`.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::Connection;

/// Jobs that were running at this many crashes are suspects: they are run one at a time, so that the next crash points at
/// its cause. The index `jobs_suspects` and the claims name the number too.
pub const SUSPECT_AFTER_CRASHES: i32 = 2;

/// The channel on which a kind's name says that jobs of it became ready.
pub const CHANNEL: &str = "halftone_jobs";

/// A job this process holds, until the lease is lost.
#[derive(Debug, Clone, QueryableByName)]
pub struct Claim {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub group_id: Uuid,
    /// Never given to anyone else, before or after.
    #[diesel(sql_type = BigInt)]
    pub lease: i64,
    /// Attempts that failed before this one.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    /// Times a process died while it held this job.
    #[diesel(sql_type = Integer)]
    pub crashes: i32,
    /// Seconds since it was enqueued.
    #[diesel(sql_type = Double)]
    age_seconds: f64,
}

impl Claim {
    /// How long ago the job was enqueued, when it was claimed.
    pub fn age(&self) -> Duration {
        Duration::try_from_secs_f64(self.age_seconds).unwrap_or_default()
    }
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

fn ids(rows: Vec<Id>) -> Vec<Uuid> {
    rows.into_iter().map(|row| row.id).collect()
}

fn leases(claims: &[Claim]) -> (Vec<Uuid>, Vec<i64>) {
    claims.iter().map(|claim| (claim.id, claim.lease)).unzip()
}

/// Adds a job for each id. The k-th of them, counted from `first`, ranks k × `spacing` behind the time of its enqueueing,
/// so that a group of a million jobs lets a group of three through.
pub async fn enqueue(
    conn: &mut Connection,
    kind: &str,
    group_id: Uuid,
    ids: &[Uuid],
    first: i64,
    spacing: Duration,
) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO jobs (id, kind, group_id, rank)
         SELECT id, $1, $2, now() + make_interval(secs => $3 * ($4 + place - 1))
           FROM unnest($5) WITH ORDINALITY AS new(id, place)",
    )
    .bind::<Text, _>(kind)
    .bind::<SqlUuid, _>(group_id)
    .bind::<Double, _>(spacing.as_secs_f64())
    .bind::<BigInt, _>(first)
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(conn)
    .await?;
    Ok(())
}

/// Wakes workers that wait for jobs of this kind, when the transaction commits.
pub async fn announce(conn: &mut Connection, kind: &str) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_notify($1, $2)").bind::<Text, _>(CHANNEL).bind::<Text, _>(kind).execute(conn).await?;
    Ok(())
}

/// Claims at most `limit` ready jobs of a kind, the lowest rank first, suspects left out.
pub async fn claim(conn: &mut Connection, worker_id: Uuid, kind: &str, limit: i64) -> QueryResult<Vec<Claim>> {
    claim_where(conn, "crashes < 2", worker_id, kind, limit).await
}

/// Claims a ready suspect of a kind (see [`SUSPECT_AFTER_CRASHES`]), if there is one.
pub async fn claim_suspect(conn: &mut Connection, worker_id: Uuid, kind: &str) -> QueryResult<Vec<Claim>> {
    claim_where(conn, "crashes >= 2", worker_id, kind, 1).await
}

/// `condition` is written out rather than bound: the partial indexes are only used for a constant.
async fn claim_where(
    conn: &mut Connection,
    condition: &str,
    worker_id: Uuid,
    kind: &str,
    limit: i64,
) -> QueryResult<Vec<Claim>> {
    diesel::sql_query(format!(
        "WITH next AS (
            SELECT id FROM jobs
             WHERE kind = $1 AND state = 'READY' AND {condition}
             ORDER BY rank LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'RUNNING', worker_id = $3, lease = nextval('job_leases')
           FROM next WHERE jobs.id = next.id
         RETURNING jobs.id, jobs.group_id, jobs.lease, jobs.attempts, jobs.crashes,
                   extract(epoch FROM now() - jobs.enqueued_at)::float8 AS age_seconds"
    ))
    .bind::<Text, _>(kind)
    .bind::<BigInt, _>(limit)
    .bind::<SqlUuid, _>(worker_id)
    .load(conn)
    .await
}

/// Deletes the jobs of these claims. Returns the ids of those whose lease still held; nothing may be recorded for the others.
pub async fn finish(conn: &mut Connection, claims: &[Claim]) -> QueryResult<Vec<Uuid>> {
    let (job_ids, job_leases) = leases(claims);
    let finished = diesel::sql_query(
        "DELETE FROM jobs USING unnest($1, $2) AS held(id, lease)
          WHERE jobs.id = held.id AND jobs.lease = held.lease AND jobs.state = 'RUNNING'
         RETURNING jobs.id",
    )
    .bind::<Array<SqlUuid>, _>(job_ids)
    .bind::<Array<BigInt>, _>(job_leases)
    .load(conn)
    .await?;
    Ok(ids(finished))
}

/// This attempt failed; the next is due `after` from now. Returns whether the lease still held.
pub async fn retry(conn: &mut Connection, claim: &Claim, after: Duration, error: &str) -> QueryResult<bool> {
    let moved = diesel::sql_query(
        "UPDATE jobs SET state = 'WAITING', worker_id = NULL, attempts = attempts + 1, last_error = $1,
                run_at = now() + make_interval(secs => $2), lease = nextval('job_leases')
          WHERE id = $3 AND lease = $4 AND state = 'RUNNING'",
    )
    .bind::<Text, _>(error.replace('\0', ""))
    .bind::<Double, _>(after.as_secs_f64())
    .bind::<SqlUuid, _>(claim.id)
    .bind::<BigInt, _>(claim.lease)
    .execute(conn)
    .await?;
    Ok(moved > 0)
}

/// This attempt did not come about; the next is due `after` from now. No attempt is counted. Returns whether the lease
/// still held.
pub async fn postpone(conn: &mut Connection, claim: &Claim, after: Duration) -> QueryResult<bool> {
    let moved = diesel::sql_query(
        "UPDATE jobs SET state = 'WAITING', worker_id = NULL, run_at = now() + make_interval(secs => $1),
                lease = nextval('job_leases')
          WHERE id = $2 AND lease = $3 AND state = 'RUNNING'",
    )
    .bind::<Double, _>(after.as_secs_f64())
    .bind::<SqlUuid, _>(claim.id)
    .bind::<BigInt, _>(claim.lease)
    .execute(conn)
    .await?;
    Ok(moved > 0)
}

/// Gives claims back as if they had never been made: no attempt is counted.
pub async fn release(conn: &mut Connection, claims: &[Claim]) -> QueryResult<usize> {
    let (job_ids, job_leases) = leases(claims);
    diesel::sql_query(
        "UPDATE jobs SET state = 'READY', worker_id = NULL, lease = nextval('job_leases')
           FROM unnest($1, $2) AS held(id, lease)
          WHERE jobs.id = held.id AND jobs.lease = held.lease AND jobs.state = 'RUNNING'",
    )
    .bind::<Array<SqlUuid>, _>(job_ids)
    .bind::<Array<BigInt>, _>(job_leases)
    .execute(conn)
    .await
}

/// Makes the jobs of a kind ready that this worker is said to hold, but under none of the leases it knows of: the answer
/// to a claim, or to giving one back, was lost on the way. Returns how many.
pub async fn disown(conn: &mut Connection, worker_id: Uuid, kind: &str, known: &[i64]) -> QueryResult<usize> {
    diesel::sql_query(
        "UPDATE jobs SET state = 'READY', worker_id = NULL, lease = nextval('job_leases')
          WHERE worker_id = $1 AND kind = $2 AND state = 'RUNNING' AND lease <> ALL($3)",
    )
    .bind::<SqlUuid, _>(worker_id)
    .bind::<Text, _>(kind)
    .bind::<Array<BigInt>, _>(known)
    .execute(conn)
    .await
}

/// Deletes at most `limit` of a group's jobs that nobody is running. Returns their ids.
pub async fn discard_group(conn: &mut Connection, group_id: Uuid, limit: i64) -> QueryResult<Vec<Uuid>> {
    let discarded = diesel::sql_query(
        "DELETE FROM jobs WHERE id IN (
            SELECT id FROM jobs WHERE group_id = $1 AND state <> 'RUNNING' LIMIT $2 FOR UPDATE)
         RETURNING id",
    )
    .bind::<SqlUuid, _>(group_id)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(ids(discarded))
}

/// Makes jobs ready whose next attempt is due. Returns how many.
pub async fn promote(conn: &mut Connection) -> QueryResult<usize> {
    diesel::sql_query(
        "UPDATE jobs SET state = 'READY'
          WHERE id IN (SELECT id FROM jobs WHERE state = 'WAITING' AND run_at <= now()
                        ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
    )
    .execute(conn)
    .await
}

/// Makes the jobs of dead workers ready again and counts the crash. Returns how many.
///
/// A worker is dead when it is unknown or its last heartbeat is older than `timeout`. After a start of the database
/// server everybody first gets the time to report: until then a silent worker proves nothing.
pub async fn rescue(conn: &mut Connection, timeout: Duration) -> QueryResult<usize> {
    diesel::sql_query(
        "WITH lost AS (
            SELECT jobs.id FROM jobs
             WHERE state = 'RUNNING' AND pg_postmaster_start_time() < now() - make_interval(secs => $1 / 2)
               AND NOT EXISTS (SELECT FROM workers w WHERE w.id = jobs.worker_id
                                  AND w.heartbeat_at >= now() - make_interval(secs => $1))
             LIMIT 1000 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'READY', worker_id = NULL, crashes = crashes + 1, lease = nextval('job_leases')
           FROM lost WHERE jobs.id = lost.id",
    )
    .bind::<Double, _>(timeout.as_secs_f64())
    .execute(conn)
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
