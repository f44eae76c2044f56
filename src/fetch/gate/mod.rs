//! How many downloads one host gets at once: starts small, grows while the host copes, halves when it does not.
//! Nobody waits longer than `max_wait`, and nobody at all once many do. Idle hosts are forgotten: memory follows the hosts in use, not those ever seen.
//!
//! The window follows TCP's (RFC 5681): slow start (+1 per success, so it doubles each round) until the first setback, then
//! +1 per full window; a setback halves it, once for all requests that were under way together. A `Retry-After` is waited
//! out. A host that lets many requests in a row go unanswered is down: for a while its fetches fail at once, so that
//! one dead host does not tie up everybody who could fetch from another.
//!
//! Several workers share a host: each keeps to its part of the largest window, and to the pauses that any of them met with
//! (see [`Share`]).

mod host;
mod recent;
mod share;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use host::Host;
pub(in crate::fetch) use host::{Closed, Slot};
pub use share::{Report, Share};

/// An idle host is remembered this long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Idle hosts are looked for when a new one comes, at most this often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// A host that no request went to for this long is not reported as being in use.
const IN_USE: Duration = Duration::from_secs(5);

/// Above this many hosts every idle one is forgotten at once, whatever it asked for.
const MAX_HOSTS: usize = 4096;

/// No wait is longer, whatever is configured, so that the end of each can be computed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The gates of all hosts.
#[derive(Debug)]
pub(super) struct Gates {
    max_per_host: usize,
    max_wait: Duration,
    hosts: Mutex<Hosts>,
}

#[derive(Debug)]
struct Hosts {
    by_origin: HashMap<String, Arc<Host>>,
    swept: Instant,
}

impl Gates {
    /// `max_wait`: the longest anybody waits for a slot and for a host's pause, together.
    pub(super) fn new(max_per_host: usize, max_wait: Duration) -> Gates {
        let hosts = Hosts { by_origin: HashMap::new(), swept: Instant::now() };
        Gates { max_per_host: max_per_host.max(1), max_wait: max_wait.min(LONGEST_WAIT), hosts: Mutex::new(hosts) }
    }

    /// Waits for a slot of the host at `origin` (scheme, host and port), and for the end of its pause.
    pub(super) async fn enter(&self, origin: &str) -> Result<Slot, Closed> {
        self.host(origin).enter(self.max_wait).await
    }

    /// The hosts whose window, which is how many requests each may have under way, is not the first. 0: it is paused or
    /// down.
    pub(super) fn windows(&self) -> Vec<(String, usize)> {
        let hosts = lock(&self.hosts);
        let windows = hosts.by_origin.iter().map(|(origin, host)| (origin, host.open_window()));
        let known = windows.filter(|(_, window)| *window != self.first_window());
        known.map(|(origin, window)| (origin.clone(), window)).collect()
    }

    /// The window of a host that is not known yet.
    pub(super) fn first_window(&self) -> usize {
        host::START.min(self.max_per_host)
    }

    /// What the other workers should know of the hosts in use.
    pub(super) fn report(&self) -> Vec<Report> {
        let now = Instant::now();
        let hosts = lock(&self.hosts);
        hosts.by_origin.iter().filter_map(|(origin, host)| host.report(origin, now, IN_USE)).collect()
    }

    /// Keeps to what all workers together know.
    pub(super) fn adopt(&self, shares: &[Share]) {
        let now = Instant::now();
        for share in shares {
            self.host(&share.origin).adopt(share, now);
        }
    }

    fn host(&self, origin: &str) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        if let Some(host) = hosts.by_origin.get(origin) {
            return Arc::clone(host);
        }
        hosts.sweep();
        let host = Arc::new(Host::new(self.max_per_host));
        hosts.by_origin.insert(origin.to_owned(), Arc::clone(&host));
        host
    }
}

impl Hosts {
    fn sweep(&mut self) {
        let now = Instant::now();
        let full = self.by_origin.len() >= MAX_HOSTS;
        if !full && now - self.swept < SWEEP_INTERVAL {
            return;
        }
        self.swept = now;
        self.by_origin.retain(|_, host| {
            // Handed out only under the lock of the map, so a count of one is nobody's.
            if Arc::strong_count(host) > 1 {
                return true;
            }
            !full && host.is_worth_remembering(now, REMEMBERED)
        });
    }
}

/// A panic while the lock was held left counters, not broken promises: go on with them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
