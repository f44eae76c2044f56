//! The body of an answer into memory: bounded in bytes, in time and in slowness, all while it arrives.
//! Never holds more than the limit, whatever `Content-Length` says or does not say.

use std::time::Duration;

use reqwest::Response;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::time_budget::TimeBudget;
use super::{Error, Limits, Stage, encoding};
use crate::budget::{Budget, Reservation};

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
    let codings = encoding::codings(response.headers());
    let too_many = || Error::TooManyBytes { limit: limits.max_bytes };
    let expected = response.content_length();
    if expected.is_some_and(|length| length > limits.max_bytes) {
        return Err(too_many());
    }
    let decoding = if codings.is_empty() { 0 } else { limits.max_bytes.saturating_add(encoding::DECODER_BYTES) };
    let arriving = expected.unwrap_or(limits.max_bytes);
    let mut reservation = budget.reserve(arriving.saturating_add(decoding)).await;
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
        append(&mut bytes, &chunk, limits.max_bytes).map_err(|TooLarge| too_many())?;
    }
    if expected.is_some_and(|length| length != bytes.len() as u64) {
        return Err(Error::ConnectionLost { source: None });
    }
    bytes.shrink_to_fit();
    if !codings.is_empty() {
        bytes = decode(bytes, codings, limits.max_bytes).await?;
    }
    reservation.shrink(bytes.len() as u64);
    Ok((bytes, reservation))
}

/// Reads a small body that is no image and returns it; gives up on anything else, which closes the connection.
pub(super) async fn drain(mut response: Response, time: &mut TimeBudget) -> Vec<u8> {
    let mut bytes = Vec::new();
    if response.content_length().is_some_and(|length| length <= DRAIN_BYTES) {
        let drained = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                bytes.extend_from_slice(&chunk);
            }
        };
        // The result is known already; a late body only costs the connection.
        let _ = time.run(Stage::Body, DRAIN_TIMEOUT, drained).await;
    }
    bytes
}

/// Undoes the encodings of a body, on a thread where it may take its time.
async fn decode(bytes: Vec<u8>, codings: Vec<encoding::Coding>, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let decoded = spawn_blocking(move || encoding::decode(bytes, &codings, max_bytes));
    match decoded.await {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(encoding::Failure::TooLarge)) => Err(Error::TooManyBytes { limit: max_bytes }),
        Ok(Err(encoding::Failure::Broken(coding, error))) => {
            Err(Error::ContentEncoding { encoding: coding.name(), source: error.into() })
        }
        Err(panicked) => Err(Error::ContentEncoding { encoding: "unknown", source: panicked.into() }),
    }
}

/// Bytes so far buy this much time at the minimum rate.
fn earned(bytes: usize, bytes_per_second: u64) -> Duration {
    match bytes_per_second {
        // No minimum: patience without end, the total timeout still holds.
        0 => Duration::MAX,
        rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
    }
}

/// A body that would grow beyond its limit.
pub(super) struct TooLarge;

/// Appends to a body, and never holds memory for more than `max_bytes`, which are reserved.
pub(super) fn append(bytes: &mut Vec<u8>, chunk: &[u8], max_bytes: u64) -> Result<(), TooLarge> {
    let length = bytes.len() + chunk.len();
    if length as u64 > max_bytes {
        return Err(TooLarge);
    }
    if length > bytes.capacity() {
        let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let capacity = (bytes.capacity() * 2).max(FIRST_CAPACITY).min(most).max(length);
        bytes.reserve_exact(capacity - bytes.len());
    }
    bytes.extend_from_slice(chunk);
    Ok(())
}
