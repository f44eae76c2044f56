//! Which jobs are claimed: tenants take turns, within a tenant its groups, and within a group the hosts that take something
//! now.
//!
//! A tenant is one participant however many groups it has, and a group however many jobs: a group of a million jobs holds up
//! a group of three by one turn. A claim costs an index probe or two for each tenant, group and host that it visits.

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
    /// Among the jobs of its tenant in this claim.
    #[diesel(sql_type = BigInt)]
    place: i64,
    /// Whether its claim may have left jobs behind, of groups that it visited and hosts that have room.
    #[diesel(sql_type = Bool)]
    is_cut: bool,
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
    last_tenant: Uuid,
    /// By tenant, of those that lately had ready jobs.
    last_groups: HashMap<Uuid, Uuid>,
}

#[derive(QueryableByName)]
struct Group {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    group_id: Uuid,
    #[diesel(sql_type = Bool)]
    is_paused: bool,
}

/// A group that jobs are claimed from.
struct Visit {
    tenant_id: Uuid,
    group_id: Uuid,
    /// The turn of its tenant.
    turn: i64,
    /// Jobs that it may give.
    quota: usize,
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
        let groups = ready_groups(conn, kind, self, limit).await?;
        let tenants: Vec<&[Group]> = groups.chunk_by(|a, b| a.tenant_id == b.tenant_id).collect();
        // One more than its share shows that there are more.
        let share = limit.div_ceil(tenants.len().max(1));
        let has_more_groups = tenants.len() == limit || tenants.iter().any(|groups| groups.len() > share);
        let visits = visits(&tenants, share, room.jobs);
        let claims = match visits.is_empty() {
            true => Vec::new(),
            false => claim(conn, worker_id, kind, &visits, room).await?,
        };
        self.pass(&tenants, share, limit, claims.is_empty());
        self.serve(&visits, &claims);
        let is_cut = claims.iter().any(|claim| claim.is_cut);
        Ok(Claimed { claims, has_more: has_more_groups || is_cut })
    }

    /// Goes past groups that may have given nothing, so that those after them are visited too.
    fn pass(&mut self, tenants: &[&[Group]], share: usize, limit: usize, is_empty: bool) {
        if tenants.len() < limit {
            self.last_groups.retain(|id, _| tenants.iter().any(|groups| groups[0].tenant_id == *id));
        } else if is_empty {
            self.last_tenant = tenants[limit - 1][0].tenant_id;
        }
        for groups in tenants.iter().filter(|groups| groups.len() > share) {
            // It may only have been the turn of another tenant. Always to go past all of them would pass by the same ones for ever.
            let passed = if is_empty { share } else { rand::random_range(0..=share) };
            if passed > 0 {
                self.last_groups.insert(groups[0].tenant_id, groups[passed - 1].group_id);
            }
        }
    }

    /// Has the next claim begin after the tenant that was given the last of these jobs, and in each tenant after the group that was:
    /// a host that has room for a single job does not always have it for the same.
    fn serve(&mut self, visits: &[Visit], claims: &[Claim]) {
        let visits: HashMap<Uuid, &Visit> = visits.iter().map(|visit| (visit.group_id, visit)).collect();
        let mut served: Vec<(i64, &Visit)> =
            claims.iter().filter_map(|claim| Some((claim.place, *visits.get(&claim.group_id)?))).collect();
        served.sort_unstable_by_key(|(place, visit)| (*place, visit.turn));
        for (_, visit) in served {
            self.last_tenant = visit.tenant_id;
            self.last_groups.insert(visit.tenant_id, visit.group_id);
        }
    }
}

/// The first `share` groups of each tenant that are not paused, each with twice its part of so many jobs, for when others have less
/// than theirs.
fn visits(tenants: &[&[Group]], share: usize, jobs: usize) -> Vec<Visit> {
    let open = tenants.iter().map(|groups| groups.iter().take(share).filter(|group| !group.is_paused).collect());
    let open: Vec<Vec<&Group>> = open.filter(|groups: &Vec<&Group>| !groups.is_empty()).collect();
    let of_tenant = jobs.div_ceil(open.len().max(1));
    let visits = (1..).zip(&open).flat_map(|(turn, groups)| {
        let quota = (2 * of_tenant.div_ceil(groups.len())).min(jobs);
        let visit = move |group: &&Group| Visit { tenant_id: group.tenant_id, group_id: group.group_id, turn, quota };
        groups.iter().map(visit)
    });
    visits.collect()
}

/// At most `limit` tenants that have ready jobs of a kind, and of each one group more than its part of as many groups, paused ones
/// included. Both begin after those where the last claim ended, and go around.
async fn ready_groups(conn: &mut Connection, kind: &str, turns: &Turns, limit: usize) -> QueryResult<Vec<Group>> {
    let (tenants, last_groups): (Vec<Uuid>, Vec<Uuid>) = turns.last_groups.iter().unzip();
    // Groups are compared together with their tenant, so that only the index of both can give the order that is asked for.
    diesel::sql_query(
        "WITH RECURSIVE tenants (tenant_id, lap, turn) AS (
            SELECT $2, 0, 0::bigint
            UNION ALL
            SELECT next.tenant_id, next.lap, turn + 1
              FROM tenants, LATERAL (
                (SELECT tenant_id, tenants.lap FROM jobs
                  WHERE kind = $1 AND state = 'READY' AND jobs.tenant_id > tenants.tenant_id
                  ORDER BY tenant_id LIMIT 1)
                UNION ALL
                (SELECT tenant_id, 1 FROM jobs
                  WHERE kind = $1 AND state = 'READY' AND tenants.lap = 0
                  ORDER BY tenant_id LIMIT 1)
                ORDER BY lap LIMIT 1
             ) next
             WHERE turn < $3 AND (next.lap = 0 OR next.tenant_id <= $2)
         )
         SELECT tenant_id, turns.group_id,
                EXISTS (SELECT FROM paused_groups WHERE paused_groups.group_id = turns.group_id) AS is_paused
           FROM tenants LEFT JOIN unnest($4, $5) AS ended (tenant_id, at_group) USING (tenant_id)
          CROSS JOIN LATERAL (
            WITH RECURSIVE groups (group_id, lap, n) AS (
                SELECT coalesce(ended.at_group, $6), 0, 0::bigint
                UNION ALL
                SELECT next.group_id, next.lap, n + 1
                  FROM groups, LATERAL (
                    SELECT group_id, lap
                      FROM ((SELECT tenant_id, group_id, groups.lap FROM jobs
                              WHERE kind = $1 AND state = 'READY'
                                AND (jobs.tenant_id, jobs.group_id) > (tenants.tenant_id, groups.group_id)
                              ORDER BY tenant_id, group_id LIMIT 1)
                            UNION ALL
                            (SELECT tenant_id, group_id, 1 FROM jobs
                              WHERE kind = $1 AND state = 'READY' AND groups.lap = 0
                                AND (jobs.tenant_id, jobs.group_id) > (tenants.tenant_id, $6)
                              ORDER BY tenant_id, group_id LIMIT 1)) found
                     WHERE found.tenant_id = tenants.tenant_id
                     ORDER BY lap LIMIT 1
                 ) next
                 WHERE n <= ceil($3 / (SELECT count(*) - 1 FROM tenants)::float8)
                   AND (next.lap = 0 OR next.group_id <= coalesce(ended.at_group, $6))
            )
            SELECT group_id, n FROM groups WHERE n > 0
         ) turns
          WHERE turn > 0
          ORDER BY turn, n",
    )
    .bind::<Text, _>(kind)
    .bind::<SqlUuid, _>(turns.last_tenant)
    .bind::<BigInt, _>(limit as i64)
    .bind::<Array<SqlUuid>, _>(tenants)
    .bind::<Array<SqlUuid>, _>(last_groups)
    .bind::<SqlUuid, _>(Uuid::nil())
    .load(conn)
    .await
}

/// Claims from these groups, one job of each tenant after the other; within a tenant one of each group, and within a group one of each
/// host. A host gives no more than its part of what its group may give: each job that is looked at is locked, which costs a write.
async fn claim(
    conn: &mut Connection,
    worker_id: Uuid,
    kind: &str,
    visits: &[Visit],
    room: &Room,
) -> QueryResult<Vec<Claim>> {
    let groups: Vec<Uuid> = visits.iter().map(|visit| visit.group_id).collect();
    let (turns, quotas): (Vec<i64>, Vec<i64>) = visits.iter().map(|visit| (visit.turn, visit.quota as i64)).unzip();
    let (hosts, rooms): (Vec<&str>, Vec<i64>) =
        room.hosts.iter().map(|(host, room)| (host.as_str(), *room as i64)).unzip();
    diesel::sql_query(
        "WITH limits AS MATERIALIZED (
            SELECT host, room FROM unnest($5, $6) AS limits(host, room)
         ), candidates AS MATERIALIZED (
            SELECT visits.turn, visits.n, job.id, job.first_claimed_at, job.host, job.room,
                   row_number() OVER of_visit AS place,
                   (job.place = job.share AND job.share < job.room) OR row_number() OVER of_visit = visits.quota AS is_cut
              FROM unnest($2, $7, $10) WITH ORDINALITY AS visits(group_id, quota, turn, n)
             CROSS JOIN LATERAL (
                WITH RECURSIVE hosts (host, n) AS (
                    (SELECT host, 1 FROM jobs WHERE kind = $1 AND state = 'READY' AND group_id = visits.group_id
                      ORDER BY host LIMIT 1)
                    UNION ALL
                    SELECT next.host, n + 1
                      FROM hosts, LATERAL (SELECT host FROM jobs
                                            WHERE kind = $1 AND state = 'READY' AND group_id = visits.group_id
                                              AND jobs.host > hosts.host
                                            ORDER BY host LIMIT 1) next
                     WHERE n < 1000
                ), open AS (
                    SELECT host, room, least(room, ceil(visits.quota::float8 / count(*) OVER ())::bigint) AS share
                      FROM (SELECT hosts.host, coalesce(limits.room, $4) AS room
                              FROM hosts LEFT JOIN limits USING (host)
                             WHERE coalesce(limits.room, $4) > 0
                             LIMIT visits.quota) first
                )
                SELECT ready.id, ready.first_claimed_at, open.host, open.room, open.share,
                       row_number() OVER (PARTITION BY open.host ORDER BY ready.rank) AS place
                  FROM open, LATERAL (SELECT id, first_claimed_at, rank FROM jobs
                                       WHERE kind = $1 AND state = 'READY' AND group_id = visits.group_id
                                         AND jobs.host = open.host AND ($9 OR company IS NULL)
                                       ORDER BY rank LIMIT open.share FOR UPDATE SKIP LOCKED) ready
                 ORDER BY place, open.host LIMIT visits.quota
             ) job
            WINDOW of_visit AS (PARTITION BY visits.n ORDER BY job.place, job.host)
         ), of_tenants AS (
            SELECT turn, id, first_claimed_at, host, room,
                   row_number() OVER (PARTITION BY turn ORDER BY place, n) AS place
              FROM candidates
         ), fitting AS (
            SELECT id, first_claimed_at, place, turn, room,
                   row_number() OVER (PARTITION BY host ORDER BY place, turn) AS place_at_host
              FROM of_tenants
         ), next AS (
            SELECT id, first_claimed_at, place FROM fitting WHERE place_at_host <= room ORDER BY place, turn LIMIT $8
         )
         UPDATE jobs SET state = 'RUNNING', worker_id = $3, lease = nextval('job_leases'),
                first_claimed_at = coalesce(next.first_claimed_at, now())
           FROM next
          WHERE jobs.id = next.id
         RETURNING jobs.id, jobs.group_id, jobs.host, jobs.lease, jobs.attempts, jobs.crashes,
                   jobs.company, next.place,
                   next.first_claimed_at IS NOT NULL AS is_reclaimed,
                   extract(epoch FROM now() - jobs.first_claimed_at)::float8 AS seconds_since_first_claim,
                   (SELECT bool_or(is_cut) FROM candidates) AS is_cut",
    )
    .bind::<Text, _>(kind)
    .bind::<Array<SqlUuid>, _>(groups)
    .bind::<SqlUuid, _>(worker_id)
    .bind::<BigInt, _>(room.per_host as i64)
    .bind::<Array<Text>, _>(hosts)
    .bind::<Array<BigInt>, _>(rooms)
    .bind::<Array<BigInt>, _>(quotas)
    .bind::<BigInt, _>(room.jobs as i64)
    .bind::<Bool, _>(room.suspects)
    .bind::<Array<BigInt>, _>(turns)
    .load(conn)
    .await
}
