//! What each key may do in a minute, and at once. Every process counts for itself.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What starting a subscription counts as, in the complexity of queries: what it will send is not known then.
const SUBSCRIPTION_COMPLEXITY: u32 = 100;
/// How soon to come back when something has to end first, nobody knows when.
const UNTIL_SOMETHING_ENDS: Duration = Duration::from_secs(30);

/// What a key may do; what is `None` has no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance {
    pub uploads_per_minute: Option<NonZeroU32>,
    pub complexity_per_minute: Option<NonZeroU32>,
    pub subscriptions: Option<usize>,
}

/// What is left of it.
#[derive(Debug, Default)]
pub struct Quota {
    uploads: Option<DefaultDirectRateLimiter>,
    complexity: Option<DefaultDirectRateLimiter>,
    subscriptions: Option<Arc<Semaphore>>,
}

/// There is nothing left for now.
#[derive(Debug)]
pub struct Exceeded {
    pub message: String,
    pub retry_after: Duration,
}

impl Exceeded {
    /// Something has to end before there is room.
    pub fn until_something_ends(message: String) -> Self {
        Self { message, retry_after: UNTIL_SOMETHING_ENDS }
    }

    /// `Retry-After`: whole seconds, and not too early.
    pub fn retry_after_seconds(&self) -> u64 {
        self.retry_after.as_secs() + 1
    }
}

/// Held as long as a subscription runs.
pub type Subscribed = Option<OwnedSemaphorePermit>;

impl Quota {
    pub fn new(allowance: Allowance) -> Self {
        let per_minute =
            |most: Option<NonZeroU32>| most.map(|most| RateLimiter::direct(governor::Quota::per_minute(most)));
        Self {
            uploads: per_minute(allowance.uploads_per_minute),
            complexity: per_minute(allowance.complexity_per_minute),
            subscriptions: allowance.subscriptions.map(|most| Arc::new(Semaphore::new(most))),
        }
    }

    /// Takes an upload.
    pub fn upload(&self) -> Result<(), Exceeded> {
        take(self.uploads.as_ref(), 1, "uploads")
    }

    /// Takes a query or mutation of this complexity.
    pub fn operation(&self, complexity: usize) -> Result<(), Exceeded> {
        take(self.complexity.as_ref(), u32::try_from(complexity).unwrap_or(u32::MAX), "queries")
    }

    /// Takes a place for a subscription.
    pub fn subscribe(&self) -> Result<Subscribed, Exceeded> {
        let place = match &self.subscriptions {
            None => None,
            Some(places) => Some(places.clone().try_acquire_owned().map_err(|_| {
                Exceeded::until_something_ends(
                    "This key has reached its limit of open subscriptions; end one, or try again later.".to_owned(),
                )
            })?),
        };
        take(self.complexity.as_ref(), SUBSCRIPTION_COMPLEXITY, "queries")?;
        Ok(place)
    }
}

fn take(limiter: Option<&DefaultDirectRateLimiter>, count: u32, what: &str) -> Result<(), Exceeded> {
    let (Some(limiter), Some(count)) = (limiter, NonZeroU32::new(count)) else { return Ok(()) };
    let retry_after = match limiter.check_n(count) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(not_until)) => not_until.wait_time_from(DefaultClock::default().now()),
        // More at once than there is in a minute, which the settings rule out.
        Err(_) => Duration::from_secs(60),
    };
    let seconds = retry_after.as_secs() + 1;
    let message = format!("This key has used up its {what} for now; try again in {seconds} s.");
    Err(Exceeded { message, retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_with_time_and_what_ends_at_once() {
        let quota = Quota::new(Allowance {
            uploads_per_minute: NonZeroU32::new(2),
            complexity_per_minute: NonZeroU32::new(1_000),
            subscriptions: Some(1),
        });
        assert!(quota.upload().is_ok() && quota.upload().is_ok());
        let exceeded = quota.upload().unwrap_err();
        assert!((1..=30).contains(&exceeded.retry_after_seconds()), "{exceeded:?}");
        assert!(quota.operation(800).is_ok() && quota.operation(500).is_err());
        let first = quota.subscribe().unwrap();
        assert!(quota.subscribe().is_err());
        drop(first);
        assert!(quota.subscribe().is_ok());
        assert!(quota.operation(5_000).is_err());
        let free = Quota::default();
        assert!((0..100).all(|_| free.upload().is_ok() && free.operation(1_000).is_ok() && free.subscribe().is_ok()));
    }
}
