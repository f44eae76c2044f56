//! Why an attempt at an image failed: the word of the API, a sentence, and what follows.

use std::time::Duration;

use tracing::warn;
use uuid::Uuid;

use crate::db::ending::Error;
use crate::db::image::ImageErrorCode;
use crate::fetch;
use halftone_compress as compress;

/// A failed attempt.
pub(super) struct Failure {
    pub error: Error,
    pub next: Next,
}

/// What follows a failed attempt.
pub(super) enum Next {
    /// Nothing: it would fail again.
    Nothing,
    /// Another attempt, if one is left; not before the image's host said.
    Retry { not_before: Option<Duration> },
    /// This was none: too many downloads from the host were waiting, or it had asked for a pause.
    Postpone { not_before: Option<Duration> },
}

impl Failure {
    pub fn new(code: ImageErrorCode, message: String) -> Self {
        let next = if code.is_retryable() { Next::Retry { not_before: None } } else { Next::Nothing };
        Self { error: Error { error_code: code, error_message: message, http_status: None }, next }
    }

    pub fn of_fetch(error: &fetch::Error) -> Self {
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
        Self {
            error: Error {
                error_code: code,
                error_message: error.to_string(),
                http_status: error.http_status().map(i32::from),
            },
            next: match error {
                fetch::Error::HostBusy { .. } | fetch::Error::HostPaused { .. } | fetch::Error::HostDown { .. } => {
                    Next::Postpone { not_before: error.retry_after() }
                }
                error if error.is_transient() => Next::Retry { not_before: error.retry_after() },
                _ => Next::Nothing,
            },
        }
    }

    pub fn of_compress(error: &compress::Error) -> Self {
        Self::new(error.code().into(), error.to_string())
    }

    /// A fault of this program that has to do with this image.
    pub fn internal(image_id: Uuid, error: &anyhow::Error) -> Self {
        warn!(image.id = %image_id, "cannot process an image: {error:#}");
        Self { error: internal_error(), next: Next::Retry { not_before: None } }
    }
}

pub(super) fn internal_error() -> Error {
    let message = "Something went wrong inside Halftone; its log has the details.".to_owned();
    Error { error_code: ImageErrorCode::Internal, error_message: message, http_status: None }
}
