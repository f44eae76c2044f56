//! A process that runs jobs: a lane per kind claims and runs them, one task looks after waiting and lost ones.
//!
//! When told to stop, a lane claims nothing more, lets what it runs come to its end, and gives back what did not.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::jobs::{self, Claim};
use crate::db::{self, Pool};

/// How often a lane looks for jobs that nobody announced.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often jobs whose next attempt is due are made ready.
const PROMOTE_INTERVAL: Duration = Duration::from_millis(500);
/// How often the jobs of dead workers are looked for.
const RESCUE_INTERVAL: Duration = Duration::from_secs(2);
/// How often a lane compares what it holds with what the database says it holds; at once when the database failed it.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a lane rests after the database failed it.
const DATABASE_REST: Duration = Duration::from_secs(1);
/// When a job that failed without saying how is tried again.
const UNEXPLAINED_RETRY: Duration = Duration::from_secs(5);

/// One kind of work.
pub trait Job: Send + Sync + 'static {
    /// What the database calls it. Never changes once shipped.
    const KIND: &'static str;

    /// Runs one claim to its end: finishes, retries or releases it in the transaction that records what came of it.
    ///
    /// `stop` is cancelled when the process is to end: work that can be given back then should be. An error, or a panic,
    /// means that nothing was recorded; the claim is retried.
    fn run(&self, claim: Claim, stop: CancellationToken) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What the lanes of one process share.
#[derive(Clone)]
pub struct Worker {
    pub id: Uuid,
    pub pool: Pool,
    /// Changes when jobs may have become ready.
    pub wake: watch::Receiver<()>,
    /// Cancelled when the process is to end.
    pub stop: CancellationToken,
    /// How long the process may still run jobs after that.
    pub drain: Duration,
    /// How old a worker's heartbeat is when it counts as dead.
    pub timeout: Duration,
}

/// Runs the jobs of one kind.
pub struct Lane<J> {
    worker: Worker,
    job: Arc<J>,
    /// Jobs held at once.
    concurrency: usize,
    running: JoinSet<anyhow::Result<()>>,
    claims: HashMap<Id, Claim>,
    reconcile_at: Instant,
}

impl<J: Job> Lane<J> {
    /// A lane that holds at most `concurrency` jobs at once.
    pub fn new(worker: Worker, job: J, concurrency: usize) -> Self {
        Self {
            worker,
            job: Arc::new(job),
            concurrency,
            running: JoinSet::new(),
            claims: HashMap::new(),
            reconcile_at: Instant::now(),
        }
    }

    /// Runs jobs until the worker is stopped and everything held has ended or been given back.
    pub async fn run(mut self) {
        let stop = self.worker.stop.clone();
        while !stop.is_cancelled() {
            // A few places must be free: claiming one job at a time would cost a round trip each.
            let free = self.concurrency - self.running.len();
            let mut dry = true;
            if free >= self.concurrency.div_ceil(4) {
                self.worker.wake.mark_unchanged();
                match self.claim(free).await {
                    Ok(claimed) => dry = claimed < free,
                    Err(error) => {
                        // It may have been made all the same.
                        self.reconcile_at = Instant::now();
                        warn!(kind = J::KIND, "cannot claim jobs: {error:#}");
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = tokio::time::sleep(DATABASE_REST) => {}
                        }
                        continue;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.running.join_next_with_id() => self.ended(ended).await,
                () = tokio::time::sleep_until(self.reconcile_at) => self.reconcile().await,
                _ = self.worker.wake.changed(), if dry => {}
                () = tokio::time::sleep(POLL_INTERVAL), if dry => {}
            }
        }
        self.drain().await;
    }

    /// Claims and starts at most `free` jobs. Returns how many.
    async fn claim(&mut self, free: usize) -> anyhow::Result<usize> {
        let suspect_runs = self.claims.values().any(|claim| claim.crashes >= jobs::SUSPECT_AFTER_CRASHES);
        let mut conn = db::connect(&self.worker.pool).await?;
        let mut claims = Vec::new();
        if !suspect_runs {
            claims = jobs::claim_suspect(&mut conn, self.worker.id, J::KIND).await?;
        }
        let free_of_suspects = (free - claims.len()) as i64;
        claims.extend(jobs::claim(&mut conn, self.worker.id, J::KIND, free_of_suspects).await?);
        drop(conn);
        let claimed = claims.len();
        for claim in claims {
            let (job, stop) = (self.job.clone(), self.worker.stop.clone());
            let of_task = claim.clone();
            let task = self.running.spawn(async move { job.run(of_task, stop).await });
            self.claims.insert(task.id(), claim);
        }
        Ok(claimed)
    }

    async fn ended(&mut self, ended: Result<(Id, anyhow::Result<()>), JoinError>) {
        let (id, error) = match ended {
            Ok((id, Ok(()))) => {
                self.claims.remove(&id);
                return;
            }
            Ok((id, Err(error))) => (id, error),
            Err(panic) => (panic.id(), anyhow::Error::new(panic)),
        };
        let Some(claim) = self.claims.remove(&id) else { return };
        error!(kind = J::KIND, job.id = %claim.id, "job failed, will be retried: {error:#}");
        if let Err(error) = self.retry(&claim, &format!("{error:#}")).await {
            warn!(kind = J::KIND, job.id = %claim.id, "cannot give the job back yet: {error:#}");
            self.reconcile_at = Instant::now();
        }
    }

    /// Gives back what the database says is held here and is not.
    async fn reconcile(&mut self) {
        let known: Vec<i64> = self.claims.values().map(|claim| claim.lease).collect();
        let disowned = async {
            let mut conn = db::connect(&self.worker.pool).await?;
            anyhow::Ok(jobs::disown(&mut conn, self.worker.id, J::KIND, &known).await?)
        };
        self.reconcile_at = Instant::now() + RECONCILE_INTERVAL;
        match disowned.await {
            Ok(0) => {}
            Ok(jobs) => warn!(kind = J::KIND, jobs, "gave back jobs whose claim was lost on its way here"),
            Err(error) => {
                warn!(kind = J::KIND, "cannot compare the jobs held: {error:#}");
                self.reconcile_at = Instant::now() + DATABASE_REST;
            }
        }
    }

    async fn retry(&self, claim: &Claim, error: &str) -> anyhow::Result<()> {
        let mut conn = db::connect(&self.worker.pool).await?;
        jobs::retry(&mut conn, claim, UNEXPLAINED_RETRY, error).await.context("retry the job")?;
        Ok(())
    }

    /// Lets running jobs end, at most until the drain time is over, and gives the others back.
    async fn drain(mut self) {
        let deadline = Instant::now() + self.worker.drain;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.running.join_next_with_id()).await {
            self.ended(ended).await;
        }
        self.running.shutdown().await;
        let left: Vec<Claim> = self.claims.into_values().collect();
        if left.is_empty() {
            return;
        }
        info!(kind = J::KIND, jobs = left.len(), "giving unfinished jobs back");
        let released = async {
            let mut conn = db::connect(&self.worker.pool).await?;
            anyhow::Ok(jobs::release(&mut conn, &left).await?)
        };
        if let Err(error) = released.await {
            warn!(kind = J::KIND, "cannot give jobs back, they will be rescued: {error:#}");
        }
    }
}

impl Worker {
    /// Makes due jobs ready and rescues those of dead workers, until the worker is stopped.
    pub async fn maintain(&self) {
        let mut promote = tokio::time::interval(PROMOTE_INTERVAL);
        let mut rescue = tokio::time::interval(RESCUE_INTERVAL);
        promote.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rescue.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = self.stop.cancelled() => return,
                _ = promote.tick() => self.promote().await,
                _ = rescue.tick() => self.rescue().await,
            };
            if let Err(error) = done {
                warn!("cannot look after waiting jobs: {error:#}");
            }
        }
    }

    async fn promote(&self) -> anyhow::Result<()> {
        jobs::promote(&mut *db::connect(&self.pool).await?).await?;
        Ok(())
    }

    async fn rescue(&self) -> anyhow::Result<()> {
        let mut conn = db::connect(&self.pool).await?;
        let rescued = jobs::rescue(&mut conn, self.timeout).await?;
        jobs::forget_dead(&mut conn).await?;
        if rescued > 0 {
            warn!(jobs = rescued, "rescued jobs of a worker that died");
        }
        Ok(())
    }

    /// Says that the worker is gone. Call it when its lanes have ended.
    pub async fn sign_off(&self) -> anyhow::Result<()> {
        jobs::sign_off(&mut *db::connect(&self.pool).await?, self.id).await?;
        Ok(())
    }
}
