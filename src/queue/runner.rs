//! Runs the jobs of one kind: claims them, runs each as a task, and gives back what cannot be run.
//!
//! A fault of this process's own, such as a full disk or a database that is away, costs a job nothing: it is given back,
//! and nothing more is claimed for a while. When told to stop, a runner claims nothing more, lets what it runs come to
//! its end, and gives back what did not.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::claim::{Claim, Claimed, Room, ShutOut, Turns};
use super::company::Company;
use super::jobs::{self, Requeue};
use super::pause::Pause;
use super::worker::Worker;
use crate::db;

/// How often a runner looks for jobs that nobody announced.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often a runner compares what it holds with what the database says it holds; at once when the database failed it.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a runner rests after the database failed it.
const DATABASE_REST: Duration = Duration::from_secs(1);
/// When a job that panicked is tried again.
const PANIC_RETRY: Duration = Duration::from_secs(5);
/// How long other jobs may begin between two phases of suspects.
const BETWEEN_SUSPECTS: Duration = Duration::from_secs(5);
/// Suspects held, after which no more are claimed.
const MAX_SUSPECTS: usize = 16;
/// Claims in a row that may find only groups whose hosts take nothing, before the runner waits.
const MAX_EMPTY_CLAIMS: usize = 64;

/// What came of running a job.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result is recorded, and in the same transaction the job was finished or put back.
    Recorded,
    /// There is nothing to do any more: the job is to be deleted.
    Gone,
    /// The process is to end: the job is to be given back as if it had never been claimed.
    GivenBack,
}

/// How many jobs a runner may hold now.
#[derive(Debug)]
pub struct Limits {
    /// All together.
    pub jobs: usize,
    /// Of a host that is not in `hosts`.
    pub per_host: usize,
    /// Of these hosts; 0: the host takes nothing at the moment.
    pub hosts: HashMap<String, usize>,
}

/// One kind of work.
pub trait Job: Send + Sync + 'static {
    /// What the database calls it. Never changes once shipped.
    const KIND: &'static str;

    /// How many jobs may be held at the moment.
    fn limits(&self) -> Limits;

    /// Runs one claim to its end.
    ///
    /// `stop` is cancelled when the process is to end: work that can be given back then should be.
    ///
    /// # Errors
    /// A fault of this process, not of the job, after which nothing was recorded. The job is given back and the runner
    /// pauses. A panic counts as a failed attempt.
    fn run(&self, claim: Claim, stop: CancellationToken) -> impl Future<Output = anyhow::Result<Outcome>> + Send;
}

/// Runs the jobs of one kind.
pub struct JobRunner<J> {
    worker: Worker,
    job: Arc<J>,
    company: Arc<Company>,
    running: JoinSet<anyhow::Result<Outcome>>,
    held: HashMap<Id, Held>,
    turns: Turns,
    shut_out: ShutOut,
    empty_claims: usize,
    reconcile_at: Instant,
    pause: Option<Pause>,
}

/// A job that this runner holds.
struct Held {
    claim: Claim,
    /// Cancelled when the process is to end, or when the lease was lost.
    stop: CancellationToken,
    /// Cancelled when its task has ended.
    ended: CancellationToken,
}

/// How many places are worth a claim: all that are free, or none while they are few. Claiming one job at a time would cost
/// two statements each.
fn free_places(limit: usize, held: usize) -> usize {
    let free = limit.saturating_sub(held);
    if free < limit / 4 { 0 } else { free }
}

impl<J: Job> JobRunner<J> {
    pub fn new(worker: Worker, job: J) -> Self {
        Self {
            worker,
            job: Arc::new(job),
            company: Arc::new(Company::new(BETWEEN_SUSPECTS)),
            running: JoinSet::new(),
            held: HashMap::new(),
            turns: Turns::default(),
            shut_out: ShutOut::default(),
            empty_claims: 0,
            reconcile_at: Instant::now(),
            pause: None,
        }
    }

    /// Runs jobs until the worker is stopped and everything held has ended or been given back.
    pub async fn run(mut self) {
        let stop = self.worker.stop.clone();
        // Whether the last claim left nothing but what its room shut out.
        let mut is_dry = false;
        while !stop.is_cancelled() {
            let room = self.room().filter(|room| !is_dry || self.shut_out.has_opened(room));
            let has_room = room.is_some();
            if let Some(room) = room {
                self.worker.wake.mark_unchanged();
                // The claim of a runner that stops in the middle is found and given back at the end.
                match stop.run_until_cancelled(self.claim(&room)).await {
                    None => break,
                    Some(Ok(found_all)) => is_dry = found_all,
                    Some(Err(error)) => {
                        // The claim may have succeeded even though its answer was lost.
                        self.reconcile_at = Instant::now();
                        warn!(kind = J::KIND, "cannot claim jobs: {error:#}");
                        stop.run_until_cancelled(tokio::time::sleep(DATABASE_REST)).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.running.join_next_with_id() => self.ended(ended).await,
                () = tokio::time::sleep_until(self.reconcile_at) => self.reconcile().await,
                _ = self.worker.wake.changed(), if is_dry || !has_room => is_dry = false,
                () = tokio::time::sleep(POLL_INTERVAL), if is_dry || !has_room => is_dry = false,
                () = std::future::ready(()), if !is_dry && has_room => {}
            }
        }
        self.drain().await;
    }

    /// What may be claimed now; `None`: nothing.
    fn room(&self) -> Option<Room> {
        if !self.worker.is_alive() {
            // Others may believe that this process is dead and do its jobs: it must not take more of them.
            return None;
        }
        let mut limits = self.job.limits();
        if let Some(pause) = &self.pause {
            limits.jobs = limits.jobs.min(pause.jobs(Instant::now()));
        }
        let free = free_places(limits.jobs, self.running.len());
        if free == 0 {
            return None;
        }
        let mut held: HashMap<&str, usize> = HashMap::new();
        for Held { claim, .. } in self.held.values() {
            *held.entry(&claim.host).or_default() += 1;
        }
        let mut hosts = limits.hosts;
        for (host, held) in held {
            let room = hosts.entry(host.to_owned()).or_insert(limits.per_host);
            *room = free_places(*room, held);
        }
        // They wait for each other: too many would keep the places from the rest.
        let suspects = self.held.values().filter(|held| held.claim.company().is_some()).count() < MAX_SUSPECTS;
        Some(Room { jobs: free, per_host: limits.per_host, hosts, suspects })
    }

    /// Claims and starts jobs. Returns whether there is nothing left to claim for now.
    async fn claim(&mut self, room: &Room) -> anyhow::Result<bool> {
        let mut conn = db::connect(&self.worker.pool).await?;
        let Claimed { claims, has_more } = self.turns.claim(&mut conn, self.worker.id, J::KIND, room).await?;
        drop(conn);
        let claimed = claims.len();
        self.shut_out = ShutOut::after(room, &claims);
        for claim in claims {
            let (job, company) = (self.job.clone(), self.company.clone());
            let (stop, ended) = (self.worker.stop.child_token(), CancellationToken::new());
            let earlier = self.end_earlier(&claim);
            let held = Held { claim: claim.clone(), stop: stop.clone(), ended: ended.clone() };
            let task = self.running.spawn(async move {
                let _ended = ended.drop_guard();
                for earlier in earlier {
                    earlier.cancelled().await;
                }
                match stop.run_until_cancelled(company.enter(claim.company())).await {
                    Some(_running) => job.run(claim, stop.clone()).await,
                    None => Ok(Outcome::GivenBack),
                }
            });
            self.held.insert(task.id(), held);
        }
        if claimed > 0 {
            self.empty_claims = 0;
        } else {
            self.empty_claims += 1;
        }
        Ok(match claimed {
            0 => !has_more || self.empty_claims.is_multiple_of(MAX_EMPTY_CLAIMS),
            some => some < room.jobs && !has_more,
        })
    }

    /// A worker that was given up can claim a job again that it still runs. Tells it to stop; the new attempt waits for these
    /// ends, so that nothing of it is stored after the job has ended.
    fn end_earlier(&self, claim: &Claim) -> Vec<CancellationToken> {
        let earlier = self.held.values().filter(|held| held.claim.id == claim.id);
        earlier.inspect(|held| held.stop.cancel()).map(|held| held.ended.clone()).collect()
    }

    async fn ended(&mut self, ended: Result<(Id, anyhow::Result<Outcome>), JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(panic) => (panic.id(), Err(panic)),
        };
        let Some(Held { claim, .. }) = self.held.remove(&id) else { return };
        let given_back = match outcome {
            Ok(Ok(Outcome::Recorded)) => {
                self.recorded();
                return;
            }
            Ok(Ok(Outcome::Gone)) => self.finish(claim).await,
            Ok(Ok(Outcome::GivenBack)) => self.release(&[claim]).await,
            Ok(Err(fault)) => {
                self.pause_for(&fault);
                // Behind the others: if only this job meets the fault, they are not held up.
                self.requeue(&claim, Duration::ZERO, None).await
            }
            Err(panic) => {
                error!(kind = J::KIND, job.id = %claim.id, "a job panicked, it will be retried: {panic}");
                self.requeue(&claim, PANIC_RETRY, Some("The job panicked.")).await
            }
        };
        if let Err(error) = given_back {
            warn!(kind = J::KIND, "cannot give a job back yet: {error:#}");
            self.reconcile_at = Instant::now() + DATABASE_REST;
        }
    }

    fn pause_for(&mut self, fault: &anyhow::Error) {
        let running = self.running.len() + 1;
        let Some((pause, length)) = Pause::after(self.pause.as_ref(), running, Instant::now()) else { return };
        error!(
            kind = J::KIND,
            pause_ms = length.as_millis() as u64,
            "pausing because of a fault of this process: {fault:#}"
        );
        self.pause = Some(pause);
    }

    fn recorded(&mut self) {
        if let Some(pause) = &mut self.pause {
            let now = Instant::now();
            pause.recorded(now);
            if pause.jobs(now) >= self.job.limits().jobs {
                self.pause = None;
            }
        }
    }

    /// Gives back what the database says is held here and is not.
    async fn reconcile(&mut self) {
        let known: Vec<i64> = self.held.values().map(|held| held.claim.lease).collect();
        let released = async {
            let mut conn = db::connect(&self.worker.pool).await?;
            anyhow::Ok(jobs::release_unknown_claims(&mut conn, self.worker.id, J::KIND, &known).await?)
        };
        self.reconcile_at = Instant::now() + RECONCILE_INTERVAL;
        match released.await {
            Ok(0) => {}
            Ok(jobs) => warn!(kind = J::KIND, jobs, "gave back jobs whose claim was lost on its way here"),
            Err(error) => {
                warn!(kind = J::KIND, "cannot compare the jobs held: {error:#}");
                self.reconcile_at = Instant::now() + DATABASE_REST;
            }
        }
    }

    async fn finish(&self, claim: Claim) -> anyhow::Result<()> {
        jobs::finish(&mut *db::connect(&self.worker.pool).await?, &[claim]).await.context("delete the job")?;
        Ok(())
    }

    async fn release(&self, claims: &[Claim]) -> anyhow::Result<()> {
        jobs::release(&mut *db::connect(&self.worker.pool).await?, claims).await.context("release the job")?;
        Ok(())
    }

    async fn requeue(&self, claim: &Claim, after: Duration, failure: Option<&str>) -> anyhow::Result<()> {
        let mut conn = db::connect(&self.worker.pool).await?;
        let requeued = Requeue { claim, after, is_attempt: failure.is_some(), reason: failure.map(Into::into) };
        jobs::requeue(&mut conn, &[requeued]).await.context("put the job back")?;
        Ok(())
    }

    /// Lets running jobs end, at most until the drain time is over, and gives the others back.
    async fn drain(mut self) {
        let deadline = Instant::now() + self.worker.drain;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.running.join_next_with_id()).await {
            self.ended(ended).await;
        }
        self.running.shutdown().await;
        let left = self.held.len();
        if left > 0 {
            info!(kind = J::KIND, jobs = left, "giving unfinished jobs back");
        }
        let released = async {
            let mut conn = db::connect(&self.worker.pool).await?;
            // All of them, also those whose claim was cut off.
            anyhow::Ok(jobs::release_unknown_claims(&mut conn, self.worker.id, J::KIND, &[]).await?)
        };
        if let Err(error) = released.await {
            warn!(kind = J::KIND, "cannot give jobs back, they will be rescued: {error:#}");
        }
    }
}
