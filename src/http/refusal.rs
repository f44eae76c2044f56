//! What the endpoint itself refuses: a status, a stable code, a sentence.
//! Every refusal is a well-formed GraphQL answer: `{"errors":[{"message","extensions":{"code"}}]}`.

use std::borrow::Cow;

use async_graphql::{ErrorExtensionValues, Response as Answer, ServerError};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::media::Media;
use crate::access::quota::Exceeded;
use crate::graphql::error::RATE_LIMITED;

/// A request that is refused before its operation runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Cow<'static, str>,
    /// How soon to come back, in seconds, where that is known.
    pub retry_after: Option<u64>,
}

/// The code of a fault of ours; the sentence that goes with it says nothing about the cause.
pub const INTERNAL: &str = "INTERNAL";

/// How soon to come back, in seconds, when something the server needs is away.
pub const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// A fault of ours; the cause belongs in the log.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            INTERNAL,
            "Something went wrong on the server; the log has the details.",
        )
    }

    /// Something the server needs is away for now: the database, room on the disk, a free place. Sent with `Retry-After`.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, crate::graphql::error::UNAVAILABLE, message)
    }

    /// The caller's key may not do more of this now.
    pub fn rate_limited(exceeded: Exceeded) -> Self {
        let retry_after = Some(exceeded.retry_after_seconds());
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMITED, exceeded.message) }
    }

    pub fn too_large(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
    }

    /// The multipart request is not what the specification describes.
    pub fn bad_upload(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_UPLOAD", message)
    }

    /// A file of a multipart request is larger than this.
    pub fn file_too_large(limit: u64) -> Self {
        let mebibytes = limit as f64 / 1_048_576.0;
        Self::too_large(
            "FILE_TOO_LARGE",
            format!("The file is larger than the limit of {limit} bytes ({mebibytes:.1} MiB)."),
        )
    }

    pub fn into_server_error(self) -> ServerError {
        let mut error = ServerError::new(self.message, None);
        let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
        extensions.set("code", self.code);
        if let Some(seconds) = self.retry_after {
            extensions.set("retryAfter", seconds);
        }
        error
    }

    /// The refusal in the media type the client asked for.
    pub(super) fn respond(self, media: Media) -> Response {
        let status = self.status;
        let mut body = serde_json::json!({
            "errors": [{ "message": self.message, "extensions": { "code": self.code } }],
        });
        if let Some(seconds) = self.retry_after {
            body["errors"][0]["extensions"]["retryAfter"] = seconds.into();
        }
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media.content_type());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.extend(self.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond(Media::Json)
    }
}

impl From<Refusal> for Answer {
    fn from(error: Refusal) -> Self {
        Answer::from_errors(vec![error.into_server_error()])
    }
}
