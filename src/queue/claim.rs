//! Which jobs are claimed: groups take turns, and within a group the hosts that take something now.
//!
//! A group is one participant however many jobs it has, so a group of a million jobs holds up a group of three by one
//! turn. A claim costs one index probe for each group and host that it visits.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::Connection;

/// Groups visited by one claim.
const MAX_GROUPS: usize = 64;

/// A job this process holds, until the lease is lost.
#[derive(Debug, Clone, QueryableByName)]
pub struct Claim {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub group_id: Uuid,
    #[diesel(sql_type = Text)]
    pub host: String,
    /// Never given to anyone else, before or after.
    #[diesel(sql_type = BigInt)]
    pub lease: i64,
    /// Attempts that failed before this one.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    /// Times a process died while it worked on this job and no other.
    #[diesel(sql_type = Integer)]
    pub crashes: i32,
    #[diesel(sql_type = Nullable<Integer>)]
    company: Option<i32>,
    /// Whether it was claimed before: an earlier holder may have left something behind.
    #[diesel(sql_type = Bool)]
    pub is_reclaimed: bool,
    #[diesel(sql_type = Double)]
    seconds_since_first_claim: f64,
}

impl Claim {
    /// With how many suspects it may run together, itself included; `None`: it is no suspect.
    pub(super) fn company(&self) -> Option<usize> {
        self.company.and_then(|company| usize::try_from(company).ok())
    }

    /// How long ago the job was first claimed, when it was claimed now.
    pub fn tried_for(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds_since_first_claim).unwrap_or_default()
    }
}

/// What a claim may take.
#[derive(Debug)]
pub struct Room {
    /// All together.
    pub jobs: usize,
    /// Of a host that is not in `hosts`.
    pub per_host: usize,
    /// Of these hosts; 0: none.
    pub hosts: HashMap<String, usize>,
    /// Whether suspects may be among them; see [`super::company`].
    pub suspects: bool,
}

impl Room {
    fn at(&self, host: &str) -> usize {
        self.hosts.get(host).copied().unwrap_or(self.per_host)
    }
}

/// What a claim could not take for want of room.
#[derive(Debug, Default)]
pub struct ShutOut {
    hosts: Vec<String>,
    suspects: bool,
}

impl ShutOut {
    /// What is shut out once these jobs were claimed into this room.
    pub fn after(room: &Room, claims: &[Claim]) -> Self {
        let mut claimed: HashMap<&str, usize> = room.hosts.keys().map(|host| (host.as_str(), 0)).collect();
        for claim in claims {
            *claimed.entry(&claim.host).or_default() += 1;
        }
        let full = claimed.into_iter().filter(|(host, claimed)| *claimed >= room.at(host));
        Self { hosts: full.map(|(host, _)| host.to_owned()).collect(), suspects: !room.suspects }
    }

    /// Whether some of it can be claimed now.
    pub fn has_opened(&self, room: &Room) -> bool {
        (self.suspects && room.suspects) || self.hosts.iter().any(|host| room.at(host) > 0)
    }
}

/// Whose turn it is, at one runner.
#[derive(Debug, Default)]
pub struct Turns {
    last: Uuid,
}

#[derive(QueryableByName)]
struct Group {
    #[diesel(sql_type = SqlUuid)]
    group_id: Uuid,
    #[diesel(sql_type = Bool)]
    is_paused: bool,
}

/// What a claim found.
pub struct Claimed {
    pub claims: Vec<Claim>,
    /// Whether there may be more to claim in this room: groups that were not visited, or had more than their share.
    pub has_more: bool,
}

impl Turns {
    /// Claims ready jobs of a kind for a worker.
    pub async fn claim(
        &mut self,
        conn: &mut Connection,
        worker_id: Uuid,
        kind: &str,
        room: &Room,
    ) -> QueryResult<Claimed> {
        let limit = MAX_GROUPS.min(room.jobs);
        let groups = ready_groups(conn, kind, self.last, limit).await?;
        let Some(last) = groups.last() else {
            return Ok(Claimed { claims: Vec::new(), has_more: false });
        };
        // The next claim begins with the group after the last one visited, or with the second when all were.
        let has_more_groups = groups.len() == limit;
        self.last = if has_more_groups { last.group_id } else { groups[0].group_id };
        let open: Vec<Uuid> = groups.iter().filter(|group| !group.is_paused).map(|group| group.group_id).collect();
        if open.is_empty() {
            return Ok(Claimed { claims: Vec::new(), has_more: has_more_groups });
        }
        // Twice its share, for when others have less than theirs.
        let quota = (2 * room.jobs.div_ceil(open.len())).min(room.jobs);
        let claims = claim(conn, worker_id, kind, &open, quota, room).await?;
        let is_cut = claims.len() >= quota;
        Ok(Claimed { claims, has_more: has_more_groups || is_cut })
    }
}

/// At most `limit` groups that have ready jobs of a kind, paused ones included, from the one that follows `after` on, and
/// around.
async fn ready_groups(conn: &mut Connection, kind: &str, after: Uuid, limit: usize) -> QueryResult<Vec<Group>> {
    diesel::sql_query(
        "WITH RECURSIVE behind (group_id, n) AS (
            (SELECT group_id, 1 FROM jobs WHERE kind = $1 AND state = 'READY' AND group_id > $2
              ORDER BY group_id LIMIT 1)
            UNION ALL
            SELECT next.group_id, n + 1
              FROM behind, LATERAL (SELECT group_id FROM jobs
                                     WHERE kind = $1 AND state = 'READY' AND group_id > behind.group_id
                                     ORDER BY group_id LIMIT 1) next
             WHERE n < $3
         ), ahead (group_id, n) AS (
            (SELECT group_id, 1 FROM jobs WHERE kind = $1 AND state = 'READY' AND group_id <= $2
              ORDER BY group_id LIMIT 1)
            UNION ALL
            SELECT next.group_id, n + 1
              FROM ahead, LATERAL (SELECT group_id FROM jobs
                                    WHERE kind = $1 AND state = 'READY' AND group_id > ahead.group_id AND group_id <= $2
                                    ORDER BY group_id LIMIT 1) next
             WHERE n < $3 - (SELECT count(*) FROM behind)
         )
         SELECT group_id, EXISTS (SELECT FROM paused_groups WHERE paused_groups.group_id = turns.group_id) AS is_paused
           FROM (SELECT group_id, 1 AS lap, n FROM behind UNION ALL SELECT group_id, 2, n FROM ahead) turns
          ORDER BY lap, n LIMIT $3",
    )
    .bind::<Text, _>(kind)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit as i64)
    .load(conn)
    .await
}

/// Claims from these groups, at most `quota` of each, one job of each after the other; within a group one of each host after the other.
async fn claim(
    conn: &mut Connection,
    worker_id: Uuid,
    kind: &str,
    groups: &[Uuid],
    quota: usize,
    room: &Room,
) -> QueryResult<Vec<Claim>> {
    let (hosts, rooms): (Vec<&str>, Vec<i64>) =
        room.hosts.iter().map(|(host, room)| (host.as_str(), *room as i64)).unzip();
    diesel::sql_query(
        "WITH limits AS MATERIALIZED (
            SELECT host, room FROM unnest($5, $6) AS limits(host, room)
         ), candidates AS MATERIALIZED (
            SELECT turns.turn, job.id, job.host, job.room,
                   row_number() OVER (PARTITION BY turns.turn ORDER BY job.place, job.host) AS place
              FROM unnest($2) WITH ORDINALITY AS turns(group_id, turn)
             CROSS JOIN LATERAL (
                WITH RECURSIVE hosts (host, n) AS (
                    (SELECT host, 1 FROM jobs WHERE kind = $1 AND state = 'READY' AND group_id = turns.group_id
                      ORDER BY host LIMIT 1)
                    UNION ALL
                    SELECT next.host, n + 1
                      FROM hosts, LATERAL (SELECT host FROM jobs
                                            WHERE kind = $1 AND state = 'READY' AND group_id = turns.group_id
                                              AND jobs.host > hosts.host
                                            ORDER BY host LIMIT 1) next
                     WHERE n < 1000
                ), open AS (
                    SELECT hosts.host, coalesce(limits.room, $4) AS room
                      FROM hosts LEFT JOIN limits USING (host)
                     WHERE coalesce(limits.room, $4) > 0
                     ORDER BY n LIMIT $7
                )
                SELECT ready.id, open.host, open.room,
                       row_number() OVER (PARTITION BY open.host ORDER BY ready.rank) AS place
                  FROM open, LATERAL (SELECT id, rank FROM jobs
                                       WHERE kind = $1 AND state = 'READY' AND group_id = turns.group_id
                                         AND jobs.host = open.host AND ($9 OR company IS NULL)
                                       ORDER BY rank LIMIT least(open.room, $7) FOR UPDATE SKIP LOCKED) ready
                 ORDER BY place, open.host LIMIT $7
             ) job
         ), fitting AS (
            SELECT id, place, turn, room,
                   row_number() OVER (PARTITION BY host ORDER BY place, turn) AS place_at_host
              FROM candidates
         ), next AS (
            SELECT id FROM fitting WHERE place_at_host <= room ORDER BY place, turn LIMIT $8
         )
         UPDATE jobs SET state = 'RUNNING', worker_id = $3, lease = nextval('job_leases'),
                first_claimed_at = coalesce(before.first_claimed_at, now())
           FROM next JOIN jobs before USING (id)
          WHERE jobs.id = next.id
         RETURNING jobs.id, jobs.group_id, jobs.host, jobs.lease, jobs.attempts, jobs.crashes,
                   jobs.company,
                   before.first_claimed_at IS NOT NULL AS is_reclaimed,
                   extract(epoch FROM now() - jobs.first_claimed_at)::float8 AS seconds_since_first_claim",
    )
    .bind::<Text, _>(kind)
    .bind::<Array<SqlUuid>, _>(groups)
    .bind::<SqlUuid, _>(worker_id)
    .bind::<BigInt, _>(room.per_host as i64)
    .bind::<Array<Text>, _>(hosts)
    .bind::<Array<BigInt>, _>(rooms)
    .bind::<BigInt, _>(quota as i64)
    .bind::<BigInt, _>(room.jobs as i64)
    .bind::<Bool, _>(room.suspects)
    .load(conn)
    .await
}
