//! How many images a worker should hold: no more than it can begin to compress within seconds.
//!
//! Images that are held are kept from other workers and other requests, so those that would wait long are better left in
//! the queue. How long they would wait follows from how long the last ones took.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is held should have begun within this time.
const HORIZON: Duration = Duration::from_secs(2);
/// What an image is taken for before the first is done.
const FIRST_GUESS: Duration = Duration::from_millis(20);
/// How much the last image counts in the average.
const WEIGHT: f64 = 0.125;

/// The images of one process and how long each of their steps takes.
#[derive(Debug)]
pub(super) struct Pace {
    cores: usize,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: usize,
    downloading: usize,
    waiting: usize,
    /// Averages, in seconds.
    download: f64,
    compression: f64,
}

/// Which count an image adds to; see [`Pace::enter`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Held,
    Downloading,
    WaitingForCore,
}

/// An image at a step, until it is dropped.
pub(super) struct At<'a> {
    pace: &'a Pace,
    step: Step,
}

impl Pace {
    /// For a process that compresses as many images at once as `cores`, and may hold `most`.
    pub fn new(cores: usize, most: usize) -> Self {
        let first = FIRST_GUESS.as_secs_f64();
        let state = State { held: 0, downloading: 0, waiting: 0, download: first, compression: first };
        Self { cores: cores.max(1), most, state: Mutex::new(state) }
    }

    /// How many images may be held now.
    pub fn limit(&self) -> usize {
        let state = self.state();
        let horizon = HORIZON.as_secs_f64();
        let startable = (self.cores as f64 * horizon / state.compression).max(2.0 * self.cores as f64);
        // Of the downloads, those that will be there within the time.
        let arriving = state.downloading as f64 * (horizon / state.download).min(1.0);
        let more = (startable - state.waiting as f64 - arriving).max(0.0);
        self.most.min(state.held + more as usize)
    }

    /// Notes that an image is at this step.
    pub fn enter(&self, step: Step) -> At<'_> {
        *self.state().count(step) += 1;
        At { pace: self, step }
    }

    pub fn downloaded(&self, took: Duration) {
        let mut state = self.state();
        state.download += WEIGHT * (took.as_secs_f64() - state.download);
    }

    pub fn compressed(&self, took: Duration) {
        let mut state = self.state();
        state.compression += WEIGHT * (took.as_secs_f64() - state.compression);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, step: Step) -> &mut usize {
        match step {
            Step::Held => &mut self.held,
            Step::Downloading => &mut self.downloading,
            Step::WaitingForCore => &mut self.waiting,
        }
    }
}

impl Drop for At<'_> {
    fn drop(&mut self) {
        *self.pace.state().count(self.step) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(compression: Duration, download: Duration) -> Pace {
        let pace = Pace::new(2, 128);
        for _ in 0..100 {
            pace.compressed(compression);
            pace.downloaded(download);
        }
        pace
    }

    #[test]
    fn quick_images_fill_every_place() {
        assert_eq!(measured(Duration::from_millis(3), Duration::from_millis(200)).limit(), 128);
    }

    #[test]
    fn two_cores_hold_four_images_that_take_twenty_seconds_each() {
        let pace = measured(Duration::from_secs(20), Duration::from_millis(50));
        assert_eq!(pace.limit(), 4);
        let _held: Vec<At> = (0..4).map(|_| pace.enter(Step::Held)).collect();
        let downloading: Vec<At> = (0..4).map(|_| pace.enter(Step::Downloading)).collect();
        assert_eq!(pace.limit(), 4, "those that are downloading will need the cores");
        drop(downloading);
        let _waiting: Vec<At> = (0..2).map(|_| pace.enter(Step::WaitingForCore)).collect();
        assert_eq!(pace.limit(), 6, "two of the four are being compressed");
    }

    #[test]
    fn downloads_from_a_slow_host_do_not_keep_the_cores_idle() {
        let pace = measured(Duration::from_millis(100), Duration::from_secs(10));
        let _held: Vec<At> = (0..64).map(|_| pace.enter(Step::Held)).collect();
        let _downloading: Vec<At> = (0..64).map(|_| pace.enter(Step::Downloading)).collect();
        assert!(pace.limit() > 80, "{}", pace.limit());
    }
}
