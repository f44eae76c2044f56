//! Reads a request's body within a number of bytes and a patience.
//! Never holds more than the limit; a refused body is still drained a little, so that the client
//! reads our answer instead of seeing its connection reset.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use tokio::time::{Instant, timeout, timeout_at};

use super::options::UploadLimits;
use crate::http::refusal::Refusal;

/// How much of a refused body is thrown away before answering, and for how long.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// How long to wait for a body, from its making on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    idle: Duration,
    until: Instant,
}

impl Patience {
    pub(super) fn of(limits: &UploadLimits) -> Self {
        Self { idle: limits.idle, until: Instant::now() + limits.total }
    }
}

/// The whole body.
///
/// # Errors
/// 413 over `limit` bytes, 408 when patience runs out, 400 when the client breaks off.
pub(super) async fn read(body: Body, limit: usize, patience: Patience) -> Result<Bytes, Refusal> {
    let announced = body.size_hint().lower();
    let mut pieces = body.into_data_stream();
    let too_large =
        || Refusal::too_large("BODY_TOO_LARGE", format!("The request is larger than the limit of {limit} bytes."));
    let mut whole = BytesMut::new();
    let mut fits = announced <= limit as u64;
    while fits && let Some(piece) = next(&mut pieces, patience).await? {
        fits = whole.len() + piece.len() <= limit;
        if fits {
            whole.extend_from_slice(&piece);
        }
    }
    if !fits {
        drop(whole);
        drain(pieces).await;
        return Err(too_large());
    }
    Ok(whole.freeze())
}

/// The next piece, `None` at the end.
///
/// # Errors
/// 408 when patience runs out first, 400 when the client breaks off.
pub(super) async fn next<S>(pieces: &mut S, patience: Patience) -> Result<Option<Bytes>, Refusal>
where
    S: Stream<Item = Result<Bytes, axum::Error>> + Unpin,
{
    let latest = patience.until.min(Instant::now() + patience.idle);
    match timeout_at(latest, pieces.next()).await {
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The request arrived too slowly.")),
        Ok(Some(Err(_))) => Err(Refusal::bad_request("The request was cut off before it was complete.")),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(None) => Ok(None),
    }
}

/// Lets a client whose request is refused unread finish sending, within bounds. One that waits for
/// `100 Continue` has sent nothing yet and now never will.
pub(super) async fn drain_and_refuse(body: Body, headers: &HeaderMap) {
    if !headers.contains_key(header::EXPECT) {
        drain(body.into_data_stream()).await;
    }
}

/// Throws the rest of a body away, within bounds.
pub(super) async fn drain<S>(mut pieces: S)
where
    S: Stream<Item = Result<Bytes, axum::Error>> + Unpin,
{
    let mut left = DRAIN_BYTES;
    let _ = timeout(DRAIN_TIME, async {
        while let Some(Ok(piece)) = pieces.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return;
            }
        }
    })
    .await;
}
