//! How many downloads run at once, from all hosts together, and how hosts share the places.
//!
//! A place is taken after the host's gate has let the download in, so nothing that waits for a host holds one. A host that
//! is slow may take as many as it is given, so the last few places are kept for hosts that have hardly any.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// One in so many places is kept for hosts with few downloads.
const KEPT: usize = 8;
/// So many downloads of a host are few.
const FEW: usize = 2;

/// The places. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Downloads {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Semaphore,
    kept: Semaphore,
    by_host: Mutex<HashMap<String, usize>>,
    /// Notified when a download ends: a host may have few again.
    ended: Notify,
}

/// A place, given back on drop.
#[derive(Debug)]
pub(super) struct Download<'a> {
    inner: &'a Inner,
    host: String,
    _permit: SemaphorePermit<'a>,
}

impl Downloads {
    /// `places`: how many downloads may run at once.
    pub(super) fn new(places: usize) -> Self {
        let kept = places / KEPT;
        let shared = Semaphore::new((places - kept).max(1));
        Self {
            inner: Arc::new(Inner {
                shared,
                kept: Semaphore::new(kept),
                by_host: Mutex::default(),
                ended: Notify::new(),
            }),
        }
    }

    /// Waits for a place for a download from `host`.
    pub(super) async fn start(&self, host: &str) -> Download<'_> {
        let inner = &*self.inner;
        let mut shared = std::pin::pin!(inner.shared.acquire());
        let permit = loop {
            // Before the count, so that no end is missed after it.
            let ended = inner.ended.notified();
            let has_few = inner.count(host) < FEW;
            tokio::select! {
                biased;
                permit = &mut shared => break permit,
                permit = inner.kept.acquire(), if has_few => break permit,
                () = ended, if !has_few => {}
            }
        };
        let Ok(permit) = permit else { unreachable!("the semaphores are never closed") };
        *inner.by_host().entry(host.to_owned()).or_default() += 1;
        Download { inner, host: host.to_owned(), _permit: permit }
    }
}

impl Inner {
    fn by_host(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, host: &str) -> usize {
        self.by_host().get(host).copied().unwrap_or(0)
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        let mut by_host = self.inner.by_host();
        if let Some(count) = by_host.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                by_host.remove(&self.host);
            }
        }
        drop(by_host);
        self.inner.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_host_that_takes_all_it_can_leaves_places_for_others() {
        let downloads = Downloads::new(64);
        let slow: Vec<_> = std::iter::from_fn(|| downloads.start("slow").now_or_never()).collect();
        assert_eq!(slow.len(), 56);
        let mut quick: Vec<_> = std::iter::from_fn(|| downloads.start("quick").now_or_never()).collect();
        assert_eq!(quick.len(), 2);
        assert!(downloads.start("another").now_or_never().is_some());
        // One that waits has its place as soon as its own host has few again, while the slow ones go on.
        let mut third = Box::pin(downloads.start("quick"));
        assert!((&mut third).now_or_never().is_none());
        quick.pop();
        quick.push((&mut third).now_or_never().expect("there is a place"));
        drop(third);
        drop((slow, quick));
        assert!(downloads.inner.by_host().is_empty());
        assert_eq!(downloads.inner.shared.available_permits() + downloads.inner.kept.available_permits(), 64);
    }

    #[tokio::test]
    async fn a_single_place_is_for_everybody() {
        let downloads = Downloads::new(1);
        let first = downloads.start("a").now_or_never().expect("it is free");
        assert!(downloads.start("b").now_or_never().is_none());
        drop(first);
        assert!(downloads.start("b").now_or_never().is_some());
    }
}
