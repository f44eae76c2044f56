//! The time a host may take, as opposed to the time we keep it waiting.
//! It is spent only inside [`TimeBudget::run`], so waiting for our own gate or memory never times a fetch out.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Error, Stage};

/// The time of one fetch, all its hops together.
pub(super) struct TimeBudget {
    total: Duration,
    spent: Duration,
}

impl TimeBudget {
    pub(super) fn new(total: Duration) -> TimeBudget {
        TimeBudget { total, spent: Duration::ZERO }
    }

    /// Runs `work` for at most `limit`, and for no longer than is left of the total.
    ///
    /// [`Error::Timeout`] names `stage` when its own limit ran out, and [`Stage::Total`] when the total did.
    pub(super) async fn run<T>(
        &mut self,
        stage: Stage,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let left = self.total.saturating_sub(self.spent);
        let started = Instant::now();
        let done = timeout(limit.min(left), work).await;
        self.spent += started.elapsed();
        done.map_err(|_| match limit < left {
            true => Error::Timeout { during: stage, after: limit },
            false => Error::Timeout { during: Stage::Total, after: self.total },
        })
    }
}
