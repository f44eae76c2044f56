//! What the queue can carry: `cargo run --profile dist --example queue`. On a PostgreSQL of its own, with fsync, whose files
//! go away with it; on the server at `DATABASE_URL` when that is given as an argument, in a database that holds nothing.
//!
//! It prints how many jobs a second pass through a claim and a finish at several batch sizes, how many rows a second are
//! enqueued, and how long an enqueued job waits until it runs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use halftone::db::{self, Connection, Pool};
use halftone::events::{self, Events};
use halftone::queue::claim::{Room, Turns};
use halftone::queue::heartbeat::Heartbeat;
use halftone::queue::jobs::{self, Group, NewJobs};
use halftone::queue::worker::Worker;
use halftone::queue::{Claim, Job, JobRunner, Limits, Outcome};
use local_postgres::{LocalPostgres, Options};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const KIND: &str = "benchmark";
const PICKUPS: usize = 500;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse().with_context(|| text));
    let (requests, images) = (number(20)?, number(5_000)?);
    if let Some(url) = arguments.next() {
        return run(&url, requests, images).await;
    }
    let directory = tempfile::tempdir()?;
    let place = directory.path().to_owned();
    let local = tokio::task::spawn_blocking(move || LocalPostgres::start(&place, Options::default())).await??;
    let done = run(&local.url("postgres"), requests, images).await;
    tokio::task::spawn_blocking(|| local.stop()).await??;
    done
}

async fn run(url: &str, requests: usize, images: usize) -> anyhow::Result<()> {
    db::migrate(url).await?;
    let pool = db::pool(url, 8)?;
    let conn = &mut *db::connect(&pool).await?;
    enqueue(conn, requests, images).await?;
    let began = Instant::now();
    jobs::counts(conn, &[]).await?;
    println!("all counted: {:.0} ms", began.elapsed().as_secs_f64() * 1_000.0);
    for batch in [1, 16, 64] {
        claim_and_finish(conn, batch).await?;
    }
    let closed = Room { jobs: 64, per_host: 64, hosts: HashMap::from([(host(0), 0)]), suspects: true };
    claim_beside_a_closed_host(conn, &closed).await?;
    diesel_async::SimpleAsyncConnection::batch_execute(conn, "TRUNCATE jobs").await?;
    pick_up(url, &pool).await
}

fn host(n: usize) -> String {
    format!("https://host-{n}.example")
}

/// The jobs of the requests, each with ten hosts.
async fn enqueue(conn: &mut Connection, requests: usize, images: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    for _ in 0..requests {
        let group = Group { tenant_id: Uuid::nil(), id: Uuid::now_v7() };
        conn.transaction(async |conn| {
            for first in (0..images).step_by(1_000) {
                let rows = (images - first).min(1_000);
                let ids: Vec<Uuid> = (0..rows).map(|_| Uuid::now_v7()).collect();
                let hosts: Vec<String> = (0..rows).map(|n| host(n % 10)).collect();
                let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
                insert(conn, group, first as i64, &ids, &hosts).await?;
            }
            diesel::QueryResult::Ok(())
        })
        .await?;
    }
    println!("enqueue: {:.0} rows/s", (requests * images) as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

async fn insert(
    conn: &mut Connection,
    group: Group,
    first: i64,
    ids: &[Uuid],
    hosts: &[&str],
) -> diesel::QueryResult<usize> {
    NewJobs { kind: KIND, group, first, ids, hosts, after: Duration::ZERO }.insert(conn).await
}

/// One connection, one batch after the other.
async fn claim_and_finish(conn: &mut Connection, batch: usize) -> anyhow::Result<()> {
    let room = Room { jobs: batch, per_host: batch, hosts: HashMap::new(), suspects: true };
    let mut turns = Turns::default();
    let (mut count, mut claiming) = (0, Duration::ZERO);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let before = Instant::now();
        let claims = turns.claim(conn, Uuid::from_u128(1), KIND, &room).await?.claims;
        claiming += before.elapsed();
        anyhow::ensure!(!claims.is_empty(), "the jobs have run out");
        count += jobs::finish(conn, &claims).await?.len();
    }
    let seconds = began.elapsed().as_secs_f64();
    let claims = count as f64 / batch as f64;
    println!(
        "claim and finish in batches of {batch}: {:.0} jobs/s, {:.2} ms per claim",
        count as f64 / seconds,
        claiming.as_secs_f64() * 1_000.0 / claims
    );
    Ok(())
}

/// The first host of every request, which has a tenth of the jobs, takes nothing.
async fn claim_beside_a_closed_host(conn: &mut Connection, room: &Room) -> anyhow::Result<()> {
    let mut turns = Turns::default();
    let began = Instant::now();
    for _ in 0..50 {
        let claims = turns.claim(conn, Uuid::from_u128(1), KIND, room).await?.claims;
        anyhow::ensure!(claims.len() == 64 && claims.iter().all(|claim| claim.host != host(0)), "a closed host");
        jobs::release(conn, &claims).await?;
    }
    println!("claim of 64 beside a closed host, and its release: {:.2} ms", began.elapsed().as_secs_f64() * 20.0);
    Ok(())
}

struct Noop {
    pool: Pool,
    ran: mpsc::UnboundedSender<Instant>,
}

impl Job for Noop {
    const KIND: &'static str = KIND;

    fn limits(&self) -> Limits {
        Limits { jobs: 16, per_host: 16, hosts: HashMap::new() }
    }

    async fn run(&self, claim: Claim, _: CancellationToken) -> anyhow::Result<Outcome> {
        let _ = self.ran.send(Instant::now());
        jobs::finish(&mut *db::connect(&self.pool).await?, &[claim]).await?;
        Ok(Outcome::Recorded)
    }
}

/// From before the transaction that enqueues to the first line of the job.
async fn pick_up(url: &str, pool: &Pool) -> anyhow::Result<()> {
    let (id, timeout, stop) = (Uuid::now_v7(), Duration::from_secs(15), CancellationToken::new());
    let heartbeat = Heartbeat::start(url, id, timeout).await?;
    let events = Events::default();
    let mut tasks = tokio::task::JoinSet::new();
    let worker = Worker {
        id,
        pool: pool.clone(),
        wake: events.jobs(),
        stop: stop.clone(),
        drain: timeout,
        timeout,
        alive: heartbeat.alive(),
        risk_directory: std::env::temp_dir(),
    };
    let (ran, mut runs) = mpsc::unbounded_channel();
    tasks.spawn(JobRunner::new(worker, Noop { pool: pool.clone(), ran }).run());
    let listening = url.to_owned();
    tasks.spawn(async move { events.listen(&listening).await });
    let conn = &mut *db::connect(pool).await?;
    let mut waits = Vec::with_capacity(PICKUPS);
    for _ in 0..PICKUPS {
        let began = Instant::now();
        conn.transaction(async |conn| {
            let host = host(0);
            let group = Group { tenant_id: Uuid::nil(), id: Uuid::now_v7() };
            insert(conn, group, 0, &[Uuid::now_v7()], &[&host]).await?;
            events::announce_jobs(conn, KIND).await
        })
        .await?;
        let ran = runs.recv().await.context("the runner has ended")?;
        waits.push((ran - began).as_secs_f64() * 1_000.0);
    }
    waits.sort_by(f64::total_cmp);
    let [half, nearly_all] = [PICKUPS / 2, PICKUPS * 99 / 100].map(|place| waits[place]);
    println!("pick-up: {half:.1} ms in half of the cases, {nearly_all:.1} ms at most in 99 of 100");
    stop.cancel();
    tasks.shutdown().await;
    Ok(())
}
