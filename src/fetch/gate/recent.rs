//! How long a host takes: the median of its last requests.

use std::time::Duration;

/// Requests that count.
const LAST: usize = 31;

/// The durations of the last requests.
#[derive(Debug, Default)]
pub(super) struct Recent {
    last: Vec<Duration>,
    next: usize,
}

impl Recent {
    pub(super) fn add(&mut self, took: Duration) {
        match self.last.get_mut(self.next) {
            Some(oldest) => *oldest = took,
            None => self.last.push(took),
        }
        self.next = (self.next + 1) % LAST;
    }

    /// `None` before the first request.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_last_requests() {
        let mut recent = Recent::default();
        assert_eq!(recent.median(), None);
        for seconds in [1, 100, 2] {
            recent.add(Duration::from_secs(seconds));
        }
        assert_eq!(recent.median(), Some(Duration::from_secs(2)));
        (0..LAST).for_each(|_| recent.add(Duration::from_secs(7)));
        assert_eq!((recent.median(), recent.last.len()), (Some(Duration::from_secs(7)), LAST));
    }
}
