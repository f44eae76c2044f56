//! When a delivery is tried again.
//! The schedule is data; jitter only ever delays, and a receiver's `Retry-After` can only put an attempt off.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// The delays before each attempt, the first included: the example schedule of Standard Webhooks, ending after about three days.
pub const DEFAULT_SCHEDULE: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// A delay is lengthened by up to this part of itself, so that deliveries that failed together do not come back together.
const JITTER: f64 = 0.2;

/// The delay before the attempt that follows `made` attempts, counted from the last one's end. `None`: no further attempt.
///
/// `retry_after` is what the last answer asked for; the longer of the two holds.
pub fn retry_delay(schedule: &[Duration], made: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let planned = *schedule.get(usize::try_from(made).ok()?)?;
    let planned = planned.mul_f64(1.0 + rand::random_range(0.0..JITTER));
    Some(planned.max(retry_after.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_followed_with_a_fifth_of_jitter_at_most() {
        for _ in 0..200 {
            for (made, planned) in DEFAULT_SCHEDULE.iter().enumerate() {
                let delay = retry_delay(&DEFAULT_SCHEDULE, made as u32, None).expect("an attempt is left");
                assert!(*planned <= delay && delay <= planned.mul_f64(1.2), "{made}: {delay:?}");
            }
        }
        assert_eq!(retry_delay(&DEFAULT_SCHEDULE, 0, None), Some(Duration::ZERO));
    }

    #[test]
    fn jitter_spreads_deliveries() {
        let delays: std::collections::HashSet<_> = (0..20).map(|_| retry_delay(&DEFAULT_SCHEDULE, 3, None)).collect();
        assert!(delays.len() > 10, "{delays:?}");
    }

    #[test]
    fn it_ends_after_the_last_attempt() {
        assert_eq!(retry_delay(&DEFAULT_SCHEDULE, 10, Some(Duration::from_secs(1))), None);
        assert_eq!(retry_delay(&DEFAULT_SCHEDULE, u32::MAX, None), None);
        assert_eq!(retry_delay(&[], 0, None), None);
    }

    #[test]
    fn retry_after_puts_off_but_never_hurries() {
        let hour = Duration::from_secs(HOUR);
        assert_eq!(retry_delay(&DEFAULT_SCHEDULE, 1, Some(hour)), Some(hour));
        assert!(retry_delay(&DEFAULT_SCHEDULE, 4, Some(Duration::from_secs(1))) >= Some(2 * hour));
    }
}
