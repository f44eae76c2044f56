//! When a runner may go on after a fault of its own process, and how much of it at first.
//!
//! A fault that is over and one that a little less load would avoid look the same. So a runner begins again with one job,
//! doubles that while jobs are recorded, up to half of what it ran when it last met a fault, and goes on from there one by
//! one: the way TCP meets the capacity of a path.

use std::time::Duration;

use tokio::time::Instant;

/// How long a pause is: doubles up to the second value until a job is recorded.
const LENGTH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The runner claims nothing until the pause is over, and at first only a few jobs after it.
pub(super) struct Pause {
    until: Instant,
    next: Duration,
    /// Jobs that may run at once.
    jobs: usize,
    /// The number of jobs up to which it doubles.
    doubles_to: usize,
    /// Jobs recorded since it grew last, above that.
    recorded: usize,
}

impl Pause {
    /// After a fault that was met while so many jobs ran, and after an earlier pause that is not over yet. Returns nothing
    /// when the earlier pause covers it: the job was already running when that began.
    pub(super) fn after(earlier: Option<&Self>, running: usize, now: Instant) -> Option<(Self, Duration)> {
        let length = match earlier {
            Some(earlier) if now < earlier.until => return None,
            Some(earlier) => earlier.next,
            None => LENGTH.0,
        };
        // A job that runs alone says nothing of how many might run.
        let doubles_to = match earlier {
            Some(earlier) if running <= 1 => earlier.doubles_to,
            _ => (running / 2).max(1),
        };
        let next = (length * 2).min(LENGTH.1);
        Some((Self { until: now + length, next, jobs: 1, doubles_to, recorded: 0 }, length))
    }

    /// How many jobs may run now; 0: none.
    pub(super) fn jobs(&self, now: Instant) -> usize {
        if now < self.until { 0 } else { self.jobs }
    }

    /// A job was recorded: after the pause, that means that the fault is over for now.
    pub(super) fn recorded(&mut self, now: Instant) {
        if self.jobs(now) == 0 {
            return;
        }
        self.next = LENGTH.0;
        self.recorded += 1;
        if self.jobs < self.doubles_to || self.recorded >= self.jobs {
            self.jobs += 1;
            self.recorded = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_job_is_recorded() {
        let now = Instant::now();
        let (mut pause, mut length) = Pause::after(None, 64, now).unwrap();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let just_before = pause.until - Duration::from_millis(1);
            assert_eq!((length.as_secs(), pause.jobs(just_before)), (expected, 0));
            assert!(Pause::after(Some(&pause), 64, just_before).is_none(), "it covers what was already running");
            assert_eq!(pause.jobs(pause.until), 1);
            (pause, length) = Pause::after(Some(&pause), 1, pause.until).unwrap();
        }
        let over = pause.until;
        pause.recorded(over);
        assert_eq!(Pause::after(Some(&pause), 2, over).unwrap().1.as_secs(), 1);
    }

    fn record(pause: &mut Pause, jobs: usize) -> usize {
        let over = pause.until;
        (0..jobs).for_each(|_| pause.recorded(over));
        pause.jobs(over)
    }

    #[test]
    fn work_grows_quickly_to_half_of_what_failed_and_slowly_from_there() {
        let now = Instant::now();
        let (mut pause, _) = Pause::after(None, 20, now).unwrap();
        pause.recorded(now);
        assert_eq!(record(&mut pause, 9), 10, "what was recorded during the pause says nothing");
        assert_eq!(record(&mut pause, 9), 10);
        assert_eq!(record(&mut pause, 1), 11);
        // The next fault at the same place: half of it again, also when the first job alone still fails.
        let (pause, _) = Pause::after(Some(&pause), 12, pause.until).unwrap();
        let (mut pause, _) = Pause::after(Some(&pause), 1, pause.until).unwrap();
        assert_eq!(record(&mut pause, 5), 6);
        assert_eq!(record(&mut pause, 6 + 7 + 8), 9);
    }
}
