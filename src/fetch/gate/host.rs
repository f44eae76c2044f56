//! One host: its window of requests, its pauses, and whether it is down.
//! A [`Slot`] gives itself back when it is dropped, so a cancelled fetch loses nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::lock;
use super::recent::Recent;
use super::share::{Report, Share};

/// Downloads at once from a host not known yet.
pub(super) const START: usize = 8;

/// As many fetches wait for a slot before others are turned away at once, or twice the window if that is more.
const MIN_WAITING: usize = 2 * START;

/// So many requests in a row without any answer, and the host is down.
const DOWN_AFTER: usize = 8;

/// How long a host counts as down before it is tried again: doubles up to the second value while it stays so.
const DOWN_FOR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// What is known of one host.
#[derive(Debug)]
pub(super) struct Host {
    /// The largest window of all workers together.
    most: usize,
    free: Arc<Semaphore>,
    /// Fetches that wait for a slot or for the end of a pause.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Slots that exist, free and taken, less the `debt`.
    window: usize,
    /// The largest window of this worker: its share of what all workers may have.
    share: usize,
    /// Workers that contact this host, as far as is known; 0 before the first exchange with the others.
    workers: usize,
    /// Slots that vanish when they are given back, because they were taken when the window halved.
    debt: usize,
    /// The most requests there were at once since the window halved.
    peak: usize,
    slow_start: bool,
    /// Successes since the window last grew; counted after slow start.
    successes: usize,
    /// Counts halvings; a slot of an earlier round says nothing about the window of this one.
    round: u64,
    paused: Option<Pause>,
    /// Requests in a row that got no answer.
    unanswered: usize,
    down_until: Option<Instant>,
    /// The next time it is down, it is for so long.
    down_for: Duration,
    /// What the other workers learned.
    elsewhere: Elsewhere,
    /// Whether the host answered since the last report.
    answered: bool,
    recent: Recent,
    used: Instant,
}

/// The pauses that other workers met with.
#[derive(Debug, Default)]
struct Elsewhere {
    paused: Option<Pause>,
    down_until: Option<Instant>,
}

/// A host's `Retry-After`.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    /// The status it came with.
    status: u16,
}

/// Why a fetch is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fetch) enum Closed {
    /// The host asked, with `status`, for a pause that has longer `left` than is waited for here.
    Asked { status: u16, left: Duration },
    /// The host has not answered for a while and is tried again when `left` has passed.
    Down { left: Duration },
    /// No slot came free within `max_wait`, or too many others wait for one.
    Busy,
}

/// Leave to send one request. Dropped without an outcome it says nothing about the host.
#[derive(Debug)]
pub(in crate::fetch) struct Slot {
    host: Arc<Host>,
    permit: Option<OwnedSemaphorePermit>,
    round: u64,
    started: Instant,
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Host {
    /// A host not known yet, to be given `most` requests at once at the most.
    pub(super) fn new(most: usize) -> Host {
        let window = START.min(most);
        let state = State {
            window,
            share: most,
            workers: 0,
            debt: 0,
            peak: 0,
            slow_start: true,
            successes: 0,
            round: 0,
            paused: None,
            unanswered: 0,
            down_until: None,
            down_for: DOWN_FOR.0,
            elsewhere: Elsewhere::default(),
            answered: false,
            recent: Recent::default(),
            used: Instant::now(),
        };
        let free = Arc::new(Semaphore::new(window));
        Host { most, free, waiting: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// Waits for a slot and for the end of a pause, for `max_wait` together; if many wait already, not at all.
    pub(super) async fn enter(self: Arc<Host>, max_wait: Duration) -> Result<Slot, Closed> {
        let deadline = Instant::now() + max_wait;
        let waiting = self.queue()?;
        self.open(deadline).await?;
        let permit = match timeout_at(deadline, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => unreachable!("a gate's semaphore is never closed"),
            Err(_) => return Err(Closed::Busy),
        };
        drop(waiting);
        // A slot from here on: it gives the permit back as its host wants it.
        let mut slot = Slot { host: self, permit: Some(permit), round: 0, started: Instant::now() };
        // Things may have changed while this request queued.
        slot.host.open(deadline).await?;
        slot.round = slot.host.begin();
        slot.started = Instant::now();
        Ok(slot)
    }

    /// A place among those that wait.
    fn queue(&self) -> Result<Waiting<'_>, Closed> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let most = (2 * self.state().window).max(MIN_WAITING);
        if before >= most && self.free.available_permits() == 0 { Err(Closed::Busy) } else { Ok(waiting) }
    }

    /// What the other workers should know of this host; `None` when it is not in use.
    pub(super) fn report(&self, origin: &str, now: Instant, in_use: Duration) -> Option<Report> {
        let mut state = self.state();
        let in_flight = (state.window + state.debt).saturating_sub(self.free.available_permits());
        let left = |until: Option<Instant>| until.filter(|until| *until > now).map(|until| until - now);
        let paused = state.paused.and_then(|pause| Some((left(Some(pause.until))?, pause.status)));
        let down = left(state.down_until);
        let is_in_use = in_flight > 0 || now.saturating_duration_since(state.used) < in_use;
        if !is_in_use && paused.is_none() && down.is_none() {
            // The next use begins like the first, also where there was no share.
            state.workers = 0;
            state.share = self.most;
            return None;
        }
        let answered = std::mem::take(&mut state.answered);
        let median = state.recent.median();
        Some(Report { origin: origin.to_owned(), window: state.window, in_flight, paused, down, answered, median })
    }

    /// Keeps to this worker's share of the host, and to what the other workers learned of it.
    pub(super) fn adopt(&self, share: &Share, now: Instant) {
        let mut state = self.state();
        state.elsewhere.paused = share.paused.map(|(left, status)| Pause { until: now + left, status });
        state.elsewhere.down_until = share.down.map(|left| now + left);
        if share.workers == 0 {
            return;
        }
        state.share = self.most / share.workers + usize::from(share.rank < self.most % share.workers);
        let fair = match state.workers {
            // One that joins takes its part of the window the others have found.
            0 if share.others_window > 0 => share.others_window / share.workers,
            0 => state.window,
            // Those that were there make room for it.
            before => state.window * before / share.workers.max(before),
        };
        state.workers = share.workers;
        let window = fair.min(state.share).clamp(1, state.window);
        state.shrink(window, &self.free);
    }

    /// Whether something is known that would be missed: it was used within `remembered`, is paused or down.
    pub(super) fn is_worth_remembering(&self, now: Instant, remembered: Duration) -> bool {
        let state = self.state();
        state.is_closed(now) || now.saturating_duration_since(state.used) < remembered
    }

    /// The window; 0 while the host is paused or down, or has no share for this worker.
    pub(super) fn open_window(&self) -> usize {
        let state = self.state();
        let is_closed = state.is_closed(Instant::now()) || state.share == 0;
        if is_closed { 0 } else { state.window }
    }

    /// Notes a request about to be sent; its round.
    fn begin(&self) -> u64 {
        let mut state = self.state();
        let taken = (state.window + state.debt).saturating_sub(self.free.available_permits());
        state.peak = state.peak.max(taken.min(state.window));
        state.round
    }

    /// Free slots, the window, and the debt.
    #[cfg(test)]
    pub(super) fn accounts(&self) -> (usize, usize, usize) {
        let state = self.state();
        (self.free.available_permits(), state.window, state.debt)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits until the host is not paused, if that is before `deadline`.
    async fn open(&self, deadline: Instant) -> Result<(), Closed> {
        loop {
            let (paused, down_until, share) = {
                let state = self.state();
                (state.paused(), state.down_until(), state.share)
            };
            if share == 0 {
                // There are more workers than the host may have requests.
                return Err(Closed::Busy);
            }
            let now = Instant::now();
            if let Some(until) = down_until.filter(|until| *until > now) {
                return Err(Closed::Down { left: until - now });
            }
            let Some(Pause { until, status }) = paused.filter(|pause| pause.until > now) else {
                return Ok(());
            };
            if until > deadline {
                return Err(Closed::Asked { status, left: until - now });
            }
            sleep_until(until).await;
        }
    }
}

impl State {
    /// The pause that lasts longest.
    fn paused(&self) -> Option<Pause> {
        [self.paused, self.elsewhere.paused].into_iter().flatten().max_by_key(|pause| pause.until)
    }

    fn down_until(&self) -> Option<Instant> {
        self.down_until.max(self.elsewhere.down_until)
    }

    /// Whether the host is paused or down.
    fn is_closed(&self, now: Instant) -> bool {
        self.paused().map(|pause| pause.until).max(self.down_until()).is_some_and(|until| until > now)
    }

    fn answered(&mut self) {
        self.unanswered = 0;
        self.answered = true;
        self.down_until = None;
        self.elsewhere.down_until = None;
        self.down_for = DOWN_FOR.0;
    }

    /// Halves the window, unless the request of this `round` was under way when it was halved already.
    fn halve(&mut self, round: u64, free: &Semaphore) {
        if round != self.round {
            return;
        }
        self.shrink((self.window / 2).max(1), free);
        self.peak = 0;
        self.slow_start = false;
        self.successes = 0;
        self.round += 1;
    }

    /// Makes the window as small as `window`, if it is larger.
    fn shrink(&mut self, window: usize, free: &Semaphore) {
        let less = self.window.saturating_sub(window);
        self.window -= less;
        self.debt += less - free.forget_permits(less);
    }
}

impl Slot {
    /// The request succeeded, after the time since it was let in.
    pub(in crate::fetch) fn succeeded(&self) {
        self.host.state().recent.add(self.started.elapsed());
    }

    /// The host answered, whatever it said: it copes.
    pub(in crate::fetch) fn coped(self) {
        let mut state = self.host.state();
        state.answered();
        // A window twice as wide as what was ever used of it says nothing about the host (RFC 7661).
        if self.round != state.round || state.window >= state.peak * 2 {
            return;
        }
        state.successes += 1;
        let due = state.slow_start || state.successes >= state.window;
        if due && state.window < state.share {
            state.successes = 0;
            state.window += 1;
            if state.debt > 0 {
                state.debt -= 1;
            } else {
                self.host.free.add_permits(1);
            }
        }
    }

    /// The host answered that it is overloaded, or was too slow with the rest of its answer.
    pub(in crate::fetch) fn overloaded(self) {
        let mut state = self.host.state();
        state.answered();
        state.halve(self.round, &self.host.free);
    }

    /// The host did not answer: no connection, or nothing came over it.
    pub(in crate::fetch) fn unanswered(self) {
        let mut state = self.host.state();
        state.halve(self.round, &self.host.free);
        state.unanswered += 1;
        let now = Instant::now();
        // Those still under way when it went down do not keep it down.
        if state.unanswered >= DOWN_AFTER && state.down_until.is_none_or(|until| until <= now) {
            state.down_until = Some(now + state.down_for);
            state.down_for = (state.down_for * 2).min(DOWN_FOR.1);
        }
    }

    /// The host asked, with `status`, not to be contacted for `wait`.
    pub(in crate::fetch) fn pause(&self, status: u16, wait: Duration) {
        let mut state = self.host.state();
        let until = Instant::now() + wait;
        if state.paused.is_none_or(|pause| pause.until < until) {
            state.paused = Some(Pause { until, status });
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let mut state = self.host.state();
        state.used = Instant::now();
        if state.debt > 0 {
            state.debt -= 1;
            permit.forget();
        }
    }
}
