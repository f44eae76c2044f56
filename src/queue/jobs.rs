//! The statements on `jobs` that are not claims.

use std::borrow::Cow;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::claim::Claim;
use crate::db::Connection;

/// Jobs that take turns with those of other groups.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Whose they are: the groups of a tenant share its turns.
    pub tenant_id: Uuid,
    pub id: Uuid,
}

/// A job that is put back, to be claimed again later.
#[derive(Debug)]
pub struct Requeue<'a> {
    pub claim: &'a Claim,
    pub after: Duration,
    /// Whether an attempt was made.
    pub is_attempt: bool,
    /// Why it is put back; `None` leaves what was said before.
    pub reason: Option<Cow<'a, str>>,
}

/// How many jobs of a kind are in a state.
#[derive(Debug, Clone, QueryableByName)]
pub struct JobCount {
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    /// How long the one that became ready first has been waiting, in seconds, of those that a worker may claim; `None` if
    /// there are none.
    #[diesel(sql_type = Nullable<Double>)]
    pub oldest_ready: Option<f64>,
}

/// The jobs by kind and state; those of `closed_hosts` and of paused groups cannot be claimed. Reads the whole table.
pub async fn counts(conn: &mut Connection, closed_hosts: &[String]) -> QueryResult<Vec<JobCount>> {
    diesel::sql_query(
        "SELECT kind, state, count(*) AS count,
                extract(epoch FROM now() - min(least(run_at, now())) FILTER (WHERE state = 'READY' AND host <> ALL ($1)
                    AND group_id NOT IN (SELECT group_id FROM paused_groups)))::float8 AS oldest_ready
           FROM jobs GROUP BY kind, state ORDER BY kind, state",
    )
    .bind::<Array<Text>, _>(closed_hosts)
    .load(conn)
    .await
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

/// A row for each of these jobs.
const INSERT: &str = "INSERT INTO jobs (id, kind, tenant_id, group_id, host, rank, state, run_at)
     SELECT id, $1, $7, $2, host, $3 + place - 1, CASE WHEN $6 > 0 THEN 'WAITING' ELSE 'READY' END,
            now() + make_interval(secs => $6)
       FROM unnest($4, $5) WITH ORDINALITY AS new(id, host, place)";

/// Jobs of one kind and group that are added together.
#[derive(Debug, Clone, Copy)]
pub struct NewJobs<'a> {
    pub kind: &'static str,
    pub group: Group,
    /// The position of the first of them in the group.
    pub first: i64,
    pub ids: &'a [Uuid],
    /// `hosts[i]` is the host that `ids[i]` will contact.
    pub hosts: &'a [&'a str],
    /// How long it is until they are due.
    pub after: Duration,
}

impl NewJobs<'_> {
    /// Adds a job for each id, of which none may have one yet.
    pub async fn insert(self, conn: &mut Connection) -> QueryResult<usize> {
        self.execute(conn, INSERT).await
    }

    /// Adds a job for each id that has none yet. Returns how many were added. Each costs a third more than by [`Self::insert`].
    pub async fn insert_missing(self, conn: &mut Connection) -> QueryResult<usize> {
        self.execute(conn, &format!("{INSERT} ON CONFLICT (id) DO NOTHING")).await
    }

    async fn execute(self, conn: &mut Connection, sql: &str) -> QueryResult<usize> {
        diesel::sql_query(sql)
            .bind::<Text, _>(self.kind)
            .bind::<SqlUuid, _>(self.group.id)
            .bind::<BigInt, _>(self.first)
            .bind::<Array<SqlUuid>, _>(self.ids)
            .bind::<Array<Text>, _>(self.hosts)
            .bind::<Double, _>(self.after.as_secs_f64())
            .bind::<SqlUuid, _>(self.group.tenant_id)
            .execute(conn)
            .await
    }
}

/// Has a job that waits for its time run at once.
pub async fn hasten(conn: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::sql_query("UPDATE jobs SET state = 'READY', run_at = now() WHERE id = $1 AND state = 'WAITING'")
        .bind::<SqlUuid, _>(id)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct Lease {
    #[diesel(sql_type = BigInt)]
    lease: i64,
}

/// Deletes the jobs of these claims. Returns the leases that still held; nothing may be recorded for the other claims, not even
/// if they are of the same job.
pub async fn finish(conn: &mut Connection, claims: &[Claim]) -> QueryResult<Vec<i64>> {
    let (job_ids, job_leases) = leases(claims);
    let finished: Vec<Lease> = diesel::sql_query(
        "DELETE FROM jobs USING unnest($1, $2) AS held(id, lease)
          WHERE jobs.id = held.id AND jobs.lease = held.lease AND jobs.state = 'RUNNING'
         RETURNING held.lease",
    )
    .bind::<Array<SqlUuid>, _>(job_ids)
    .bind::<Array<BigInt>, _>(job_leases)
    .load(conn)
    .await?;
    Ok(finished.into_iter().map(|held| held.lease).collect())
}

/// Puts jobs back behind those of their group and host that are ready. Returns the leases that still held, as [`finish`] does.
pub async fn requeue(conn: &mut Connection, requeued: &[Requeue<'_>]) -> QueryResult<Vec<i64>> {
    let (job_ids, job_leases): (Vec<Uuid>, Vec<i64>) =
        requeued.iter().map(|job| (job.claim.id, job.claim.lease)).unzip();
    let after: Vec<f64> = requeued.iter().map(|job| job.after.as_secs_f64()).collect();
    let attempts: Vec<bool> = requeued.iter().map(|job| job.is_attempt).collect();
    let reasons: Vec<Option<String>> =
        requeued.iter().map(|job| Some(job.reason.as_ref()?.replace('\0', ""))).collect();
    let moved: Vec<Lease> = diesel::sql_query(
        "UPDATE jobs SET state = 'WAITING', worker_id = NULL, lease = nextval('job_leases'),
                attempts = attempts + held.is_attempt::int, last_error = coalesce(held.reason, last_error),
                run_at = now() + make_interval(secs => held.after)
           FROM unnest($1, $2, $3, $4, $5) AS held(id, lease, after, is_attempt, reason)
          WHERE jobs.id = held.id AND jobs.lease = held.lease AND jobs.state = 'RUNNING'
         RETURNING held.lease",
    )
    .bind::<Array<SqlUuid>, _>(job_ids)
    .bind::<Array<BigInt>, _>(job_leases)
    .bind::<Array<Double>, _>(after)
    .bind::<Array<Bool>, _>(attempts)
    .bind::<Array<Nullable<Text>>, _>(reasons)
    .load(conn)
    .await?;
    Ok(moved.into_iter().map(|held| held.lease).collect())
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
pub async fn release_unknown_claims(
    conn: &mut Connection,
    worker_id: Uuid,
    kind: &str,
    known: &[i64],
) -> QueryResult<usize> {
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

/// Deletes at most `limit` of a group's jobs of a kind that nobody is running. Returns their ids.
pub async fn discard_group(conn: &mut Connection, kind: &str, group_id: Uuid, limit: i64) -> QueryResult<Vec<Uuid>> {
    let discarded = diesel::sql_query(
        "WITH idle AS MATERIALIZED (
            SELECT id FROM jobs WHERE group_id = $1 AND kind = $2 AND state <> 'RUNNING' LIMIT $3 FOR UPDATE
         )
         DELETE FROM jobs USING idle WHERE jobs.id = idle.id RETURNING jobs.id",
    )
    .bind::<SqlUuid, _>(group_id)
    .bind::<Text, _>(kind)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(ids(discarded))
}

/// Deletes those of these jobs that nobody is running.
pub async fn discard(conn: &mut Connection, ids: &[Uuid]) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM jobs WHERE id = ANY($1) AND state <> 'RUNNING'")
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes jobs ready whose next attempt is due, behind those that are ready already. Returns how many.
pub async fn promote(conn: &mut Connection) -> QueryResult<usize> {
    diesel::sql_query(
        "WITH due AS MATERIALIZED (
            SELECT id FROM jobs WHERE state = 'WAITING' AND run_at <= now()
             ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'READY', rank = (extract(epoch FROM run_at) * 1000)::bigint
           FROM due WHERE jobs.id = due.id",
    )
    .execute(conn)
    .await
}

/// A suspect may run beside a quarter of those that it was a suspect with.
const COMPANY_DIVISOR: i32 = 4;

/// Makes the jobs of a dead worker ready again (see [`super::workers::dead`]). Those that it was working on when it died,
/// `suspects`, are told apart: they run in smaller and smaller company, and a crash is counted for one that was alone.
pub async fn rescue(
    conn: &mut Connection,
    worker_id: Uuid,
    timeout: Duration,
    suspects: &[Uuid],
) -> QueryResult<usize> {
    diesel::sql_query(
        "WITH lost AS MATERIALIZED (
            SELECT id FROM jobs
             WHERE worker_id = $1 AND state = 'RUNNING'
               AND NOT EXISTS (SELECT FROM workers WHERE workers.id = $1
                                  AND heartbeat_at >= now() - make_interval(secs => $2))
               FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'READY', worker_id = NULL, lease = nextval('job_leases'),
                crashes = crashes + CASE WHEN jobs.id = ANY($3) AND cardinality($3) = 1 THEN 1 ELSE 0 END,
                company = CASE WHEN jobs.id = ANY($3) THEN least(company, greatest(1, cardinality($3) / $4)) ELSE company END
           FROM lost WHERE jobs.id = lost.id",
    )
    .bind::<SqlUuid, _>(worker_id)
    .bind::<Double, _>(timeout.as_secs_f64())
    .bind::<Array<SqlUuid>, _>(suspects)
    .bind::<Integer, _>(COMPANY_DIVISOR)
    .execute(conn)
    .await
}
