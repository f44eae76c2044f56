//! A multipart body on its way to the parser: bounded, and still there to be drained afterwards.
//! The parser never holds more than [`READ_AHEAD_BYTES`] and one piece that nobody has consumed.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::Mutex;

use crate::http::graphql::{
    body::{self, Patience},
    options::UploadLimits,
};
use crate::http::refusal::Refusal;

/// The most that may be read ahead of the part being consumed: a head that does not end stops here.
const READ_AHEAD_BYTES: u64 = 256 * 1024;

pub(super) struct Source(Arc<Shared>);

struct Shared {
    pieces: Mutex<BodyDataStream>,
    limits: UploadLimits,
    patience: Patience,
    /// Bytes of the whole body.
    whole: u64,
    arrived: AtomicU64,
    consumed: AtomicU64,
    /// Why we ended the body.
    failure: OnceLock<Refusal>,
}

impl Source {
    pub(super) fn new(body: Body, whole: u64, limits: &UploadLimits) -> Self {
        Self(Arc::new(Shared {
            pieces: Mutex::new(body.into_data_stream()),
            limits: limits.clone(),
            patience: Patience::of(limits),
            whole,
            arrived: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            failure: OnceLock::new(),
        }))
    }

    /// Yields one piece per poll. The parser buffers everything that is ready before it parses, so the stream returns
    /// `Pending` after each piece.
    pub(super) fn pieces(&self) -> impl Stream<Item = Result<Bytes, Refusal>> + Send + use<> {
        let read = stream::unfold(self.0.clone(), |shared| async move {
            let piece = shared.next().await.transpose()?;
            if let Err(error) = &piece {
                let _ = shared.failure.set(error.clone());
            }
            Some((piece, shared))
        });
        let mut read = Box::pin(read);
        let mut pause = false;
        stream::poll_fn(move |context| {
            if std::mem::take(&mut pause) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let piece = read.poll_next_unpin(context);
            pause = matches!(piece, Poll::Ready(Some(Ok(_))));
            piece
        })
    }

    /// Notes that a piece of a part has left the parser.
    pub(super) fn consumed(&self, piece: &Bytes) {
        self.0.consumed.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }

    /// What the parser says, or our own reason for ending the body if that is why it failed.
    pub(super) fn explain<T>(&self, read: multer::Result<T>) -> Result<T, Refusal> {
        read.map_err(|error| match self.0.failure.get() {
            Some(ours) => ours.clone(),
            None => Refusal::bad_upload(format!("The multipart body cannot be read: {error}.")),
        })
    }

    /// Throws the rest away, within bounds.
    pub(super) async fn drain(&self) {
        body::drain(&mut *self.0.pieces.lock().await).await;
    }
}

impl Shared {
    async fn next(&self) -> Result<Option<Bytes>, Refusal> {
        let piece = body::next(&mut *self.pieces.lock().await, self.patience).await?;
        let size = piece.as_ref().map_or(0, Bytes::len) as u64;
        let arrived = self.arrived.fetch_add(size, Ordering::Relaxed) + size;
        if arrived > self.whole {
            return Err(Refusal::file_too_large(self.limits.file_bytes));
        }
        if arrived - self.consumed.load(Ordering::Relaxed) > READ_AHEAD_BYTES + size {
            return Err(Refusal::bad_upload("The headers of a part do not end."));
        }
        Ok(piece)
    }
}
