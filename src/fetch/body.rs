//! The body of an answer into memory: bounded in bytes, in time and in slowness, all while it arrives.
//! Never holds more than the limit, whatever `Content-Length` says or does not say.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;
use tokio::time::Instant;

use super::budget::{Budget, Reservation};
use super::time_budget::TimeBudget;
use super::{Error, Limits, Stage};

/// Smallest first allocation when the length is unknown.
const FIRST_CAPACITY: usize = 64 * 1024;

/// Bodies up to this size are read to the end although nobody wants them, so that the connection can be used again.
const DRAIN_BYTES: u64 = 16 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads the body. The budget is asked first, once, outside the time budget: that wait is not
/// the host's.
pub(super) async fn read(
    mut response: Response,
    limits: &Limits,
    budget: &Budget,
    time: &mut TimeBudget,
) -> Result<(Vec<u8>, Reservation), Error> {
    check_encoding(&response)?;
    let too_many = || Error::TooManyBytes { limit: limits.max_bytes };
    let expected = response.content_length();
    if expected.is_some_and(|length| length > limits.max_bytes) {
        return Err(too_many());
    }
    let mut reservation = budget.reserve(expected.unwrap_or(limits.max_bytes)).await;
    let mut bytes = Vec::new();
    if let Some(length) = expected {
        bytes.reserve_exact(usize::try_from(length).map_err(|_| too_many())?);
    }

    let started = Instant::now();
    loop {
        // The moment the average rate falls below the minimum if nothing more arrives.
        let allowed = limits.rate_grace.saturating_add(earned(bytes.len(), limits.min_bytes_per_second));
        let patience = allowed.saturating_sub(started.elapsed());
        let chunk = time.run(Stage::Body, patience, response.chunk()).await;
        let chunk = match chunk {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                let source = Some(error.without_url().into());
                return Err(Error::ConnectionLost { source });
            }
            Err(Error::Timeout { during: Stage::Body, .. }) => {
                return Err(Error::Timeout { during: Stage::Body, after: started.elapsed() });
            }
            Err(expired) => return Err(expired),
        };
        let length = bytes.len() + chunk.len();
        if length as u64 > limits.max_bytes {
            return Err(too_many());
        }
        if length > bytes.capacity() {
            grow(&mut bytes, length, limits.max_bytes);
        }
        bytes.extend_from_slice(&chunk);
    }
    if expected.is_some_and(|length| length != bytes.len() as u64) {
        return Err(Error::ConnectionLost { source: None });
    }
    bytes.shrink_to_fit();
    reservation.shrink(bytes.len() as u64);
    Ok((bytes, reservation))
}

/// Reads a small body nobody wants; gives up on anything else, which closes the connection.
pub(super) async fn drain(mut response: Response, time: &mut TimeBudget) {
    if response.content_length().is_some_and(|length| length <= DRAIN_BYTES) {
        let drained = async { while let Ok(Some(_)) = response.chunk().await {} };
        // The result is known already; a late body only costs the connection.
        let _ = time.run(Stage::Body, DRAIN_TIMEOUT, drained).await;
    }
}

/// Encoded bodies are refused, not decoded: a few KiB of gzip can stand for gigabytes.
fn check_encoding(response: &Response) -> Result<(), Error> {
    for value in response.headers().get_all(CONTENT_ENCODING) {
        let encoding = String::from_utf8_lossy(value.as_bytes());
        let encoding = encoding.trim();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(Error::ContentEncoding { encoding: encoding.chars().take(32).collect() });
        }
    }
    Ok(())
}

/// Bytes so far buy this much time at the minimum rate.
fn earned(bytes: usize, bytes_per_second: u64) -> Duration {
    match bytes_per_second {
        // No minimum: patience without end, the total timeout still holds.
        0 => Duration::MAX,
        rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
    }
}

/// Makes room for `needed` bytes, doubling, but never for more than the limit that is reserved.
fn grow(bytes: &mut Vec<u8>, needed: usize, max_bytes: u64) {
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let capacity = (bytes.capacity() * 2).max(FIRST_CAPACITY).min(most).max(needed);
    bytes.reserve_exact(capacity - bytes.len());
}
