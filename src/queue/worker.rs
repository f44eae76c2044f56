//! A process that runs jobs, and the task that looks after waiting and lost ones.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::heartbeat::Alive;
use super::{jobs, risk, workers};
use crate::db::{self, Pool};

/// How often jobs whose next attempt is due are made ready.
const PROMOTE_INTERVAL: Duration = Duration::from_millis(500);
/// How often the jobs of dead workers are looked for.
const RESCUE_INTERVAL: Duration = Duration::from_secs(2);

/// What the runners of one process share.
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
    /// When this worker's heartbeat was last stored.
    pub alive: Alive,
    /// Where workers note what they are working on; see [`risk`].
    pub risk_directory: PathBuf,
}

impl Worker {
    /// Whether everybody else surely knows that this worker lives.
    pub fn is_alive(&self) -> bool {
        self.alive.silence() < self.timeout / 2
    }

    /// Makes due jobs ready and rescues those of dead workers, until the worker is stopped.
    pub async fn maintain(&self) {
        let mut promote = tokio::time::interval(PROMOTE_INTERVAL);
        let mut rescue = tokio::time::interval(RESCUE_INTERVAL);
        promote.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rescue.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = async {
                tokio::select! {
                    _ = promote.tick() => self.promote().await,
                    _ = rescue.tick() => self.rescue().await,
                }
            };
            match self.stop.run_until_cancelled(step).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => warn!("cannot look after waiting jobs: {error:#}"),
            }
        }
    }

    async fn promote(&self) -> anyhow::Result<()> {
        jobs::promote(&mut *db::connect(&self.pool).await?).await?;
        Ok(())
    }

    async fn rescue(&self) -> anyhow::Result<()> {
        let mut conn = db::connect(&self.pool).await?;
        for id in workers::dead(&mut conn, self.id, self.timeout).await? {
            let suspects = risk::suspects(&self.risk_directory, id);
            let rescued = jobs::rescue(&mut conn, id, self.timeout, &suspects).await?;
            risk::forget(&self.risk_directory, id);
            if rescued > 0 {
                warn!(jobs = rescued, suspects = suspects.len(), worker.id = %id, "rescued the jobs of a worker that died");
            }
        }
        workers::forget_dead(&mut conn).await?;
        Ok(())
    }

    /// Says that the worker is gone. Call it when its runners have ended.
    pub async fn sign_off(&self) -> anyhow::Result<()> {
        workers::sign_off(&mut *db::connect(&self.pool).await?, self.id).await?;
        Ok(())
    }
}
