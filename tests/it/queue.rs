//! The promises of the queue, statement by statement, on a real database.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use halftone::db::{self, Pool};
use halftone::queue::Claim;
use halftone::queue::claim::{Room, Turns};
use halftone::queue::jobs::{self, Group, NewJobs, Requeue};
use halftone::queue::pauses;
use uuid::Uuid;

use crate::support::database;

const KIND: &str = "process_image";
const ME: Uuid = Uuid::from_u128(1);

async fn pool() -> (String, Pool) {
    let url = database::fresh().await;
    let pool = db::pool(&url, 4).unwrap();
    (url, pool)
}

fn group(n: u128) -> Uuid {
    Uuid::from_u128(n << 64)
}

/// Adds `count` jobs to a group; the k-th is named so that its position can be read from its id.
async fn enqueue(conn: &mut db::Connection, group_number: u128, host: &str, first: u128, count: u128) {
    enqueue_of(conn, 0, group_number, host, first, count).await;
}

/// The same for a group of a tenant.
async fn enqueue_of(conn: &mut db::Connection, tenant: u128, group_number: u128, host: &str, first: u128, count: u128) {
    let ids: Vec<Uuid> = (first..first + count).map(|k| Uuid::from_u128(group_number << 64 | k)).collect();
    let hosts = vec![host; ids.len()];
    let group = Group { tenant_id: Uuid::from_u128(tenant), id: group(group_number) };
    let first = first as i64;
    NewJobs { kind: KIND, group, first, ids: &ids, hosts: &hosts, after: Duration::ZERO }.insert(conn).await.unwrap();
}

fn room(jobs: usize) -> Room {
    Room { jobs, per_host: 1_000, hosts: HashMap::new(), suspects: true }
}

async fn claim(conn: &mut db::Connection, turns: &mut Turns, room: &Room) -> Vec<Claim> {
    turns.claim(conn, ME, KIND, room).await.unwrap().claims
}

fn by_group(claims: &[Claim]) -> BTreeMap<Uuid, Vec<u64>> {
    let mut groups: BTreeMap<Uuid, Vec<u64>> = BTreeMap::new();
    for claim in claims {
        groups.entry(claim.group_id).or_default().push(claim.id.as_u128() as u64);
    }
    groups.values_mut().for_each(|places| places.sort_unstable());
    groups
}

#[tokio::test]
async fn groups_take_turns_however_many_jobs_each_has() {
    let (_, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "a", 0, 1_000).await;
    enqueue(conn, 2, "a", 0, 3).await;
    enqueue(conn, 3, "b", 0, 50).await;
    let mut turns = Turns::default();
    let first = by_group(&claim(conn, &mut turns, &room(9)).await);
    let expected = BTreeMap::from([(group(1), vec![0, 1, 2]), (group(2), vec![0, 1, 2]), (group(3), vec![0, 1, 2])]);
    assert_eq!(first, expected, "the lowest positions of each");
    let second = by_group(&claim(conn, &mut turns, &room(8)).await);
    assert_eq!(second, BTreeMap::from([(group(1), vec![3, 4, 5, 6]), (group(3), vec![3, 4, 5, 6])]));
    // With room for one job only, the turn goes around.
    let mut singles = Vec::new();
    for _ in 0..4 {
        singles.extend(claim(conn, &mut turns, &room(1)).await.iter().map(|claim| claim.group_id));
    }
    singles.sort_unstable();
    assert_eq!(singles, [group(1), group(1), group(3), group(3)]);
    // What one has left is not wasted on the share of others.
    let rest = claim(conn, &mut turns, &room(100)).await;
    assert_eq!(rest.len(), 100);
}

#[tokio::test]
async fn tenants_take_turns_however_many_groups_each_has() {
    let (_url, pool) = pool().await;
    let conn = &mut *db::connect(&pool).await.unwrap();
    for number in 1..=50 {
        enqueue_of(conn, 1, number, "a", 0, 10).await;
    }
    enqueue_of(conn, 2, 100, "a", 0, 40).await;
    enqueue_of(conn, 3, 101, "a", 0, 2).await;
    let mut turns = Turns::default();
    let claimed = by_group(&claim(conn, &mut turns, &room(18)).await);
    // Six of each, and what the third has not, by the others.
    let of = |numbers: std::ops::RangeInclusive<u128>| -> usize {
        numbers.filter_map(|number| claimed.get(&group(number))).map(Vec::len).sum()
    };
    assert_eq!((of(1..=50), of(100..=100), of(101..=101)), (8, 8, 2), "{claimed:?}");
    assert!((1..=6).all(|number| claimed.contains_key(&group(number))), "{claimed:?}");
    // The next claim goes on with the groups that follow: the first two have had another job.
    let claimed = by_group(&claim(conn, &mut turns, &room(16)).await);
    let second = (3..=10).map(|number| (group(number), vec![u64::from(number <= 6)]));
    assert_eq!(claimed, second.chain([(group(100), (8..16).collect())]).collect());
    // Groups that are paused are passed by, and take nobody's turn.
    pauses::pause(conn, group(100)).await.unwrap();
    let claimed = by_group(&claim(conn, &mut turns, &room(4)).await);
    assert_eq!(claimed.values().map(Vec::len).sum::<usize>(), 4, "{claimed:?}");
    assert!(!claimed.contains_key(&group(100)), "{claimed:?}");
}

#[tokio::test]
async fn a_host_with_room_for_one_job_has_it_for_each_in_turn() {
    let (_url, pool) = pool().await;
    let conn = &mut *db::connect(&pool).await.unwrap();
    for (tenant, number) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
        enqueue_of(conn, tenant, number, "a", 0, 120).await;
    }
    let mut turns = Turns::default();
    let mut claimed = [0; 4];
    // However many groups a claim visits.
    for jobs in [3, 2, 2, 4, 2, 2, 1, 8].repeat(15) {
        let claims = claim(conn, &mut turns, &Room { per_host: 1, ..room(jobs) }).await;
        assert_eq!(claims.len(), 1);
        claimed[usize::try_from(claims[0].group_id.as_u128() >> 64).unwrap() - 1] += 1;
    }
    assert_eq!((claimed[0] + claimed[1], claimed[2] + claimed[3]), (60, 60), "{claimed:?}");
    assert!(claimed.iter().all(|claimed| *claimed >= 10), "{claimed:?}");
}

#[tokio::test]
async fn hosts_that_take_nothing_are_left_out_and_the_others_are_not_held_up() {
    let (_, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "slow", 0, 500).await;
    enqueue(conn, 1, "quick", 500, 5).await;
    enqueue(conn, 2, "slow", 0, 500).await;
    let closed = Room { hosts: HashMap::from([("slow".to_owned(), 0)]), ..room(64) };
    let mut turns = Turns::default();
    let claims = claim(conn, &mut turns, &closed).await;
    assert_eq!(by_group(&claims), BTreeMap::from([(group(1), (500..505).collect())]));
    assert!(claim(conn, &mut turns, &closed).await.is_empty());

    // A host that takes a few gets these, over all groups together.
    let few = Room { hosts: HashMap::from([("slow".to_owned(), 6)]), ..room(64) };
    let claims = claim(conn, &mut turns, &few).await;
    assert_eq!(by_group(&claims), BTreeMap::from([(group(1), vec![0, 1, 2]), (group(2), vec![0, 1, 2])]));
    let unknown = Room { per_host: 4, ..room(64) };
    assert_eq!(claim(conn, &mut turns, &unknown).await.len(), 4);
}

#[tokio::test]
async fn a_claim_that_leaves_jobs_of_hosts_with_room_says_so() {
    let (url, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    // Jobs of the hosts a, b, … of one group, and of a second group.
    let shapes: [(&[u128], &[u128]); 6] = [
        (&[1, 40], &[]),
        (&[40, 1, 1], &[]),
        (&[5, 5, 5, 5], &[]),
        (&[30], &[1]),
        (&[1, 2, 30], &[7, 7]),
        (&[2; 26], &[]),
    ];
    for (number, (one, other)) in (0..).zip(shapes) {
        for jobs in [1, 2, 3, 10, 16] {
            for (group, hosts) in [(2 * number + 1, one), (2 * number + 2, other)] {
                let mut first = 0;
                for (host, count) in ["a", "b", "c", "d", "e", "f"].iter().cycle().zip(hosts) {
                    enqueue(conn, group, host, first, *count).await;
                    first += count;
                }
            }
            let mut turns = Turns::default();
            loop {
                let claimed = turns.claim(conn, ME, KIND, &room(jobs)).await.unwrap();
                jobs::finish(conn, &claimed.claims).await.unwrap();
                if claimed.claims.len() < jobs && !claimed.has_more {
                    break;
                }
            }
            let left = database::number(&url, "SELECT count(*) FROM jobs").await;
            assert_eq!(left, 0, "{one:?} and {other:?}, claimed {jobs} at a time");
        }
    }
}

#[tokio::test]
async fn a_job_that_is_put_back_goes_behind_those_that_are_ready() {
    let (_, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "a", 0, 4).await;
    let mut turns = Turns::default();
    let first = claim(conn, &mut turns, &room(1)).await;
    assert_eq!((first[0].id.as_u128() as u64, first[0].is_reclaimed), (0, false));
    let back = Requeue { claim: &first[0], after: Duration::ZERO, is_attempt: false, reason: None };
    assert_eq!(jobs::requeue(conn, &[back]).await.unwrap(), [first[0].lease]);
    assert_eq!(jobs::promote(conn).await.unwrap(), 1);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(claim(conn, &mut turns, &room(1)).await);
    }
    assert_eq!(order.iter().map(|claim| claim.id.as_u128() as u64).collect::<Vec<_>>(), [1, 2, 3, 0]);
    assert!(order[3].is_reclaimed && order[3].attempts == 0);
}

#[tokio::test]
async fn nothing_is_changed_under_a_lease_that_is_lost() {
    let (url, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "a", 0, 2).await;
    let mut turns = Turns::default();
    let lost = claim(conn, &mut turns, &room(2)).await;
    // The worker is unknown, which is as good as dead.
    assert_eq!(jobs::rescue(conn, ME, Duration::from_secs(1), &[]).await.unwrap(), 2);
    let held = claim(conn, &mut turns, &room(2)).await;
    assert_eq!(held.len(), 2);
    let again = |claim| Requeue { claim, after: Duration::ZERO, is_attempt: true, reason: Some("late".into()) };
    assert!(jobs::requeue(conn, &[again(&lost[0])]).await.unwrap().is_empty());
    assert_eq!(jobs::release(conn, &lost).await.unwrap(), 0);
    assert!(jobs::finish(conn, &lost).await.unwrap().is_empty());
    let untouched = "SELECT count(*) FROM jobs WHERE state = 'RUNNING' AND attempts = 0 AND crashes = 0";
    assert_eq!(database::number(&url, untouched).await, 2);
    assert_eq!(jobs::finish(conn, &held).await.unwrap().len(), 2);
}

#[tokio::test]
async fn claims_nobody_knows_of_are_released_and_those_known_are_kept() {
    let (url, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "a", 0, 3).await;
    let known = claim(conn, &mut Turns::default(), &room(1)).await;
    claim(conn, &mut Turns::default(), &room(2)).await;
    assert_eq!(jobs::release_unknown_claims(conn, ME, KIND, &[known[0].lease]).await.unwrap(), 2);
    assert_eq!(database::number(&url, "SELECT count(*) FROM jobs WHERE state = 'RUNNING'").await, 1);
}

#[tokio::test]
async fn a_crash_counts_only_against_what_can_have_caused_it() {
    let (url, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "a", 0, 10).await;
    let mut turns = Turns::default();
    let of = async |what: &str, n: u128| {
        let id = Uuid::from_u128(1 << 64 | n);
        database::number(&url, &format!("SELECT {what}::bigint FROM jobs WHERE id = '{id}'")).await
    };
    let id = |n: u128| Uuid::from_u128(1 << 64 | n);
    let timeout = Duration::from_secs(1);
    // Eight were being worked on: each of them may have done it, and is given less company.
    let suspects: Vec<Uuid> = (0..8).map(id).collect();
    assert_eq!(claim(conn, &mut turns, &room(10)).await.len(), 10);
    jobs::rescue(conn, ME, timeout, &suspects).await.unwrap();
    assert_eq!((of("company", 3).await, of("coalesce(company, 0)", 9).await, of("crashes", 3).await), (2, 0, 0));
    // Without suspects, the others are claimed.
    assert_eq!(claim(conn, &mut turns, &Room { suspects: false, ..room(10) }).await.len(), 2);
    assert_eq!(claim(conn, &mut turns, &room(10)).await.len(), 8);
    jobs::rescue(conn, ME, timeout, &[id(3), id(4)]).await.unwrap();
    assert_eq!((of("company", 3).await, of("company", 5).await, of("crashes", 3).await), (1, 2, 0));
    // Alone, it was this one.
    for expected in [1, 2] {
        claim(conn, &mut turns, &room(10)).await;
        jobs::rescue(conn, ME, timeout, &[id(3)]).await.unwrap();
        assert_eq!((of("crashes", 3).await, of("crashes", 4).await), (expected, 0));
    }
}

#[tokio::test]
async fn discarding_a_group_takes_its_idle_jobs_of_one_kind_up_to_the_limit() {
    let (url, pool) = pool().await;
    let conn = &mut *pool.get().await.unwrap();
    enqueue(conn, 1, "a", 0, 10).await;
    enqueue(conn, 2, "a", 0, 1).await;
    let other = NewJobs {
        kind: "deliver_webhook",
        group: Group { tenant_id: Uuid::nil(), id: group(1) },
        first: 0,
        ids: &[Uuid::from_u128(7)],
        hosts: &["b"],
        after: Duration::ZERO,
    };
    // A job that is there already is not added once more.
    for added in [1, 0] {
        assert_eq!(other.insert_missing(conn).await.unwrap(), added);
    }
    claim(conn, &mut Turns::default(), &Room { hosts: HashMap::from([("a".to_owned(), 2)]), ..room(2) }).await;
    let mut discarded = 0;
    for expected in [4, 4, 0] {
        let ids = jobs::discard_group(conn, KIND, group(1), 4).await.unwrap();
        discarded += ids.len();
        assert!(ids.len() >= expected.min(1), "{expected}");
    }
    let left = database::number(&url, &format!("SELECT count(*) FROM jobs WHERE group_id = '{}'", group(1))).await;
    assert_eq!(discarded as i64 + left, 11);
    assert_eq!(database::number(&url, "SELECT count(*) FROM jobs WHERE kind = 'deliver_webhook'").await, 1);
}
