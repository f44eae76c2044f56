//! One image: fetch, compress, store, settle. Safe to run twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::settle::{Ending, Settler};
use crate::app::App;
use crate::db;
use crate::db::image::{Assignment, Image, ImageErrorCode, ImageOutcome};
use crate::db::request::{self, ProcessingRequest};
use crate::db::settle::{Error, Output};
use crate::fetch;
use crate::queue::{Claim, Job, jobs};
use halftone_compress::{self as compress, Compressed, Format, Outcome, Settings};

/// An image during which a process died this often is not tried again: it may be what kills them.
const MAX_CRASHES: i32 = 3;
/// How long after it was enqueued an image can be put off without an attempt being counted.
const MAX_POSTPONED: Duration = Duration::from_secs(24 * 3600);
/// Longest wait before another attempt, unless the host asked for more.
const MAX_BACKOFF: Duration = Duration::from_secs(24 * 3600);
/// Factor between the waits before two attempts.
const BACKOFF: u32 = 3;

/// The job that brings one image to its end.
pub struct ProcessImage {
    app: App,
    settler: Settler,
    /// Images that may be downloaded at once.
    downloads: Semaphore,
    /// Images that may be compressed at once.
    cores: Arc<Semaphore>,
    /// KiB of memory for decoding.
    memory: Arc<Semaphore>,
    memory_kib: u32,
}

impl ProcessImage {
    /// The job with its share of the machine: as many cores and as much memory as the configuration gives.
    pub fn new(app: App, settler: Settler) -> Self {
        let memory_kib = u32::try_from(app.config.decode_memory / 1024).unwrap_or(u32::MAX);
        Self {
            downloads: Semaphore::new(app.config.downloads),
            cores: Arc::new(Semaphore::new(app.config.workers)),
            memory: Arc::new(Semaphore::new(memory_kib as usize)),
            memory_kib,
            app,
            settler,
        }
    }
}

impl Job for ProcessImage {
    const KIND: &'static str = "process_image";

    async fn run(&self, claim: Claim, stop: CancellationToken) -> anyhow::Result<()> {
        let mut conn = db::connect(&self.app.worker_pool).await?;
        let Some(assignment) = Image::assignment(&mut conn, claim.id).await? else {
            jobs::finish(&mut conn, &[claim]).await?;
            return Ok(());
        };
        if !assignment.started && ProcessingRequest::start(&mut conn, assignment.request_id).await? {
            request::announce(&mut conn, assignment.request_id).await?;
        }
        drop(conn);

        let ending = if assignment.cancel_requested {
            Ending::Canceled
        } else if claim.attempts >= i32::try_from(self.app.config.max_attempts).unwrap_or(i32::MAX) {
            // Its last attempt ended without a word, by a fault of this program.
            Ending::Failed(internal_error())
        } else if claim.crashes >= MAX_CRASHES {
            let message = "The program died several times while it worked on this image; it was left alone.";
            Ending::Failed(Failure::new(ImageErrorCode::WorkerCrashed, message.to_owned()).error)
        } else {
            match self.process(&assignment, &stop).await {
                Some(Ok(output)) => Ending::Succeeded(Box::new(output)),
                Some(Err(failure)) => self.failed(&claim, failure),
                None => {
                    jobs::release(&mut *db::connect(&self.app.worker_pool).await?, &[claim]).await?;
                    return Ok(());
                }
            }
        };
        self.settler.settle(claim, ending).await
    }
}

/// Why an attempt failed, and what follows.
struct Failure {
    error: Error,
    next: Next,
}

/// What follows a failed attempt.
enum Next {
    /// Nothing: it would fail again.
    Nothing,
    /// Another attempt, if one is left; not before the image's host said.
    Retry { not_before: Option<Duration> },
    /// This was none: the host's queue on our side was too long, or it asked for a pause.
    Postpone { not_before: Option<Duration> },
}

impl Failure {
    fn new(code: ImageErrorCode, message: String) -> Self {
        let next = if code.is_retryable() { Next::Retry { not_before: None } } else { Next::Nothing };
        Self { error: Error { error_code: code, error_message: message, http_status: None }, next }
    }
}

impl ProcessImage {
    /// Fetches, compresses and stores the image; `None` when told to stop before its compression began.
    async fn process(&self, assignment: &Assignment, stop: &CancellationToken) -> Option<Result<Output, Failure>> {
        let image_id = assignment.image_id;
        let fetching = async {
            let _permit = self.downloads.acquire().await;
            self.app.fetcher.get(&assignment.input_url).await
        };
        let fetched = match stop.run_until_cancelled(fetching).await? {
            Ok(fetched) => fetched,
            Err(error) => {
                debug!(image.id = %image_id, "cannot fetch: {error:#}");
                return Some(Err(fetch_failure(&error)));
            }
        };
        let settings: Settings = match serde_json::from_value(assignment.settings.clone()) {
            Ok(settings) => settings,
            Err(error) => return Some(Err(internal(image_id, &error.into()))),
        };
        let needed = compress::memory_needed(&fetched.bytes, &settings).div_ceil(1024);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX).min(self.memory_kib);
        let admitted = async {
            // Memory before a core: an image that waits for memory must not keep one from working.
            let memory = self.memory.clone().acquire_many_owned(needed).await;
            (memory, self.cores.clone().acquire_owned().await)
        };
        let permits = stop.run_until_cancelled(admitted).await?;

        let limits = self.app.config.compress;
        let input_url = assignment.input_url.clone();
        let request_id = assignment.request_id;
        let compressed = spawn_blocking(move || {
            let _permits = permits;
            let source = &fetched.bytes;
            let mut compressed = compress::compress(source, &settings, &limits)?;
            compressed.warnings.extend_from_slice(&fetched.warnings);
            Ok::<_, compress::Error>(describe(source, compressed, |format| {
                format!("{request_id}/{image_id}/{}", file_name(&input_url, format))
            }))
        });
        let (output, bytes) = match compressed.await.context("compress") {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Some(Err(compress_failure(&error))),
            Err(error) => return Some(Err(internal(image_id, &error))),
        };
        if let Err(error) = self.app.store.put(&output.output_key, bytes).await {
            warn!(image.id = %image_id, "cannot store an output: {error:#}");
            let message = "The compressed image could not be stored.".to_owned();
            return Some(Err(Failure::new(ImageErrorCode::StorageFailure, message)));
        }
        Some(Ok(output))
    }

    /// What a failure means: another attempt, if it may pass and there is one left.
    fn failed(&self, claim: &Claim, failure: Failure) -> Ending {
        let made = u32::try_from(claim.attempts).unwrap_or(0) + 1;
        let delay = self.app.config.retry_delay;
        // A little later than the host said: others were told the same.
        let asked = |asked: Duration| asked + delay.mul_f64(rand::random_range(0.0..0.25));
        match failure.next {
            // A host that never lets an image through must not keep its request from ending.
            Next::Postpone { not_before } if claim.age() < MAX_POSTPONED => {
                Ending::Postponed { after: not_before.map_or(delay, asked) }
            }
            Next::Postpone { not_before } | Next::Retry { not_before } if made < self.app.config.max_attempts => {
                let backoff = delay.saturating_mul(BACKOFF.saturating_pow(made - 1)).min(MAX_BACKOFF);
                let backoff = backoff.mul_f64(rand::random_range(0.75..1.25));
                Ending::Retry { after: not_before.map_or(backoff, asked), reason: failure.error.error_message }
            }
            Next::Postpone { .. } | Next::Retry { .. } | Next::Nothing => Ending::Failed(failure.error),
        }
    }
}

/// What is recorded of a compressed image, and its bytes.
fn describe(source: &Bytes, compressed: Compressed<'_>, key: impl FnOnce(Format) -> String) -> (Output, Bytes) {
    let bytes = match compressed.bytes {
        std::borrow::Cow::Borrowed(_) => source.clone(),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let (from, to) = (compressed.source, compressed.output);
    let output = Output {
        outcome: match compressed.outcome {
            Outcome::Compressed => ImageOutcome::Compressed,
            Outcome::KeptOriginal => ImageOutcome::KeptOriginal,
        },
        warnings: compressed.warnings,
        source_format: from.format.name().to_owned(),
        source_bytes: source.len() as i64,
        source_width: from.width as i32,
        source_height: from.height as i32,
        source_sha256: hex::encode(Sha256::digest(source)),
        output_format: to.format.name().to_owned(),
        output_bytes: bytes.len() as i64,
        output_width: to.width as i32,
        output_height: to.height as i32,
        output_sha256: hex::encode(Sha256::digest(&bytes)),
        output_key: key(to.format),
        receipt: serde_json::json!(compressed.receipt),
    };
    (output, bytes)
}

fn fetch_failure(error: &fetch::Error) -> Failure {
    let code = match error {
        fetch::Error::InvalidUrl { .. } | fetch::Error::BlockedAddress { .. } => ImageErrorCode::BlockedAddress,
        fetch::Error::DnsFailure { .. } => ImageErrorCode::DnsFailure,
        fetch::Error::ConnectFailure { .. } | fetch::Error::HostDown { .. } => ImageErrorCode::ConnectFailure,
        fetch::Error::TlsFailure { .. } => ImageErrorCode::TlsFailure,
        fetch::Error::Timeout { .. } | fetch::Error::HostBusy { .. } => ImageErrorCode::Timeout,
        fetch::Error::ConnectionLost { .. } => ImageErrorCode::ConnectionLost,
        fetch::Error::TooManyRedirects { .. } => ImageErrorCode::TooManyRedirects,
        fetch::Error::TooManyBytes { .. } => ImageErrorCode::TooManyBytes,
        fetch::Error::BadAnswer { .. } => ImageErrorCode::BadAnswer,
        fetch::Error::ContentEncoding { .. } => ImageErrorCode::CorruptImage,
        fetch::Error::Http { status: 404 | 410, .. } => ImageErrorCode::HttpNotFound,
        fetch::Error::Http { status: 401 | 403, .. } => ImageErrorCode::HttpForbidden,
        fetch::Error::Http { status: 429, .. } | fetch::Error::HostPaused { .. } => ImageErrorCode::HttpThrottled,
        fetch::Error::Http { status: 500.., .. } => ImageErrorCode::HttpServerError,
        fetch::Error::Http { .. } => ImageErrorCode::HttpClientError,
    };
    Failure {
        error: Error {
            error_code: code,
            error_message: error.to_string(),
            http_status: error.http_status().map(i32::from),
        },
        next: match error {
            fetch::Error::HostBusy { .. } | fetch::Error::HostPaused { .. } => {
                Next::Postpone { not_before: error.retry_after() }
            }
            error if error.is_transient() => Next::Retry { not_before: error.retry_after() },
            _ => Next::Nothing,
        },
    }
}

fn compress_failure(error: &compress::Error) -> Failure {
    Failure::new(error.code().into(), error.to_string())
}

fn internal(image_id: uuid::Uuid, error: &anyhow::Error) -> Failure {
    warn!(image.id = %image_id, "cannot process an image: {error:#}");
    Failure { error: internal_error(), next: Next::Retry { not_before: None } }
}

fn internal_error() -> Error {
    let message = "Something went wrong inside Halftone; its log has the details.".to_owned();
    Error { error_code: ImageErrorCode::Internal, error_message: message, http_status: None }
}

/// The output's name after the last part of the URL's path.
fn file_name(input_url: &str, format: Format) -> String {
    let path = url::Url::parse(input_url).map(|url| url.path().to_owned()).unwrap_or_default();
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    compress::output_name(&percent_encoding::percent_decode_str(last).decode_utf8_lossy(), format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_named_after_its_source() {
        for (url, format, name) in [
            ("https://www.example.com/image1.jpg", Format::Jpeg, "compressed_image1.jpg"),
            ("https://www.example.com/a/b/Photo.JPEG?w=100", Format::Jpeg, "compressed_Photo.jpeg"),
            ("https://www.example.com/image.php", Format::Png, "compressed_image.png"),
            ("https://www.example.com/", Format::Webp, "compressed_image.webp"),
            ("https://www.example.com/tasse%20bl%C3%A5.png", Format::Png, "compressed_tasse-blå.png"),
            ("https://www.example.com/..%2f..%2fetc", Format::Png, "compressed_..-..-etc.png"),
            ("https://www.example.com/.hidden", Format::Png, "compressed_.hidden.png"),
        ] {
            assert_eq!(file_name(url, format), name, "{url}");
        }
    }
}
