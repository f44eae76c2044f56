//! Waiting for what others do. Every wait has an end: what never comes fails its test and holds up no other.

use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// The longest any wait of a test may take: far beyond what it should, so that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How long after one look the next follows.
const INTERVAL: Duration = Duration::from_millis(10);

/// What the future becomes, which must be soon enough.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Looks again and again until there is something to see.
pub async fn found<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    in_time(what, async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            sleep(INTERVAL).await;
        }
    })
    .await
}

/// Looks again and again until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    found(what, async || is_so().await.then_some(())).await;
}
