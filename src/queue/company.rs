//! Suspects run apart: jobs that a process was working on when it died, of which one may be the cause.
//!
//! Each has a bound of how many suspects may run together, itself included, and none runs beside other jobs. The phases
//! alternate, so that neither suspects nor the others wait for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The jobs of one runner.
#[derive(Debug)]
pub(super) struct Company {
    /// How long other jobs may begin after a phase of suspects, before the next one is prepared.
    between: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    others: usize,
    suspects: usize,
    waiting_suspects: usize,
    /// The least bound of the suspects that run.
    bound: usize,
    /// Until then, suspects that wait keep nobody from beginning.
    others_until: Instant,
}

/// Leave to run, until it is dropped.
pub(super) struct Running<'a> {
    company: &'a Company,
    is_suspect: bool,
}

/// Counts a suspect as waiting, until it is dropped.
struct Waiting<'a>(&'a Company);

impl Company {
    pub(super) fn new(between: Duration) -> Self {
        let state =
            State { others: 0, suspects: 0, waiting_suspects: 0, bound: usize::MAX, others_until: Instant::now() };
        Self { between, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits until a job may run: a suspect that tolerates `bound`, or another one.
    pub(super) async fn enter(&self, bound: Option<usize>) -> Running<'_> {
        let _waiting = bound.map(|_| {
            self.state().waiting_suspects += 1;
            Waiting(self)
        });
        loop {
            // Before the look, so that no change after it is missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            let look_again = {
                let mut state = self.state();
                if state.admits(bound, now) {
                    return Running { company: self, is_suspect: bound.is_some() };
                }
                state.others_until.max(now + Duration::from_millis(1))
            };
            let is_waiting_for_others = bound.is_some() && look_again > now;
            if is_waiting_for_others {
                let _ = timeout_at(look_again, changed).await;
            } else {
                changed.await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts the job as running, if it may.
    fn admits(&mut self, bound: Option<usize>, now: Instant) -> bool {
        match bound {
            Some(bound) => {
                let least = if self.suspects == 0 { bound } else { self.bound.min(bound) };
                let may = self.others == 0 && self.suspects < least;
                if may {
                    self.suspects += 1;
                    self.bound = least;
                }
                may
            }
            None => {
                let may = self.suspects == 0 && (self.waiting_suspects == 0 || now < self.others_until);
                self.others += usize::from(may);
                may
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.company.state();
        if self.is_suspect {
            state.suspects -= 1;
            if state.suspects == 0 {
                state.others_until = Instant::now() + self.company.between;
            }
        } else {
            state.others -= 1;
        }
        drop(state);
        self.company.changed.notify_waiters();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting_suspects -= 1;
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn suspects_run_with_as_many_as_each_tolerates_and_beside_no_others() {
        let company = Company::new(Duration::ZERO);
        let other = company.enter(None).now_or_never().expect("nobody is there");
        let mut suspect = Box::pin(company.enter(Some(2)));
        assert!(suspect.as_mut().now_or_never().is_none(), "another one is running");
        assert!(company.enter(None).now_or_never().is_none(), "a suspect waits");
        drop(other);
        let first = suspect.await;
        let second = company.enter(Some(4)).now_or_never().expect("two may run");
        assert!(company.enter(Some(4)).now_or_never().is_none(), "the first tolerates two");
        assert!(company.enter(None).now_or_never().is_none());
        drop((first, second));
        let alone = company.enter(Some(1)).now_or_never().expect("it is alone");
        assert!(company.enter(Some(4)).now_or_never().is_none());
        drop(alone);
        assert!(company.enter(None).now_or_never().is_some());
    }

    #[tokio::test]
    async fn others_have_their_time_after_suspects() {
        let company = Company::new(Duration::from_secs(3_600));
        drop(company.enter(Some(1)).await);
        let first = company.enter(None).await;
        let mut suspect = Box::pin(company.enter(Some(1)));
        assert!(suspect.as_mut().now_or_never().is_none());
        let second = company.enter(None).now_or_never().expect("it is the time of the others");
        drop((first, second));
        drop(suspect.await);
    }

    #[tokio::test]
    async fn a_job_that_stops_waiting_holds_nobody_up() {
        let company = Company::new(Duration::ZERO);
        let other = company.enter(None).await;
        assert!(company.enter(Some(1)).now_or_never().is_none());
        drop(company.enter(None).now_or_never().expect("no suspect waits any more"));
        drop(other);
    }
}
