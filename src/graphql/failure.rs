//! Why images failed, one by one and in groups.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::error::bad_input;
use super::image::Image;
use super::loaders::{ImageById, load};
use super::viewer::viewer;
use crate::db::ending::Error;
use crate::db::image;

/// Why an image has no output.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageErrorCode")]
pub enum ImageErrorCode {
    /// The address may not be contacted because it is not public.
    BlockedAddress,
    /// The host name was not found.
    DnsFailure,
    /// The host did not accept a connection.
    ConnectFailure,
    /// No secure connection could be made, often because of a certificate.
    TlsFailure,
    /// The host took too long.
    Timeout,
    /// The connection was lost.
    ConnectionLost,
    /// The host's response is not valid HTTP.
    BadAnswer,
    /// The URL redirects too many times.
    TooManyRedirects,
    /// The host returned 404 or 410.
    HttpNotFound,
    /// The host returned 401 or 403.
    HttpForbidden,
    /// The host returned 429, or asked for a pause.
    HttpThrottled,
    /// The host returned another 4xx status.
    HttpClientError,
    /// The host returned a 5xx status.
    HttpServerError,
    /// The file is larger than allowed.
    TooManyBytes,
    /// The image has too many pixels, or would need more memory than this server has.
    TooManyPixels,
    /// Compressing the image took too long.
    TooSlow,
    /// The URL returns a web page, often a share link or a login page.
    HtmlPage,
    /// The file is not an image.
    NotAnImage,
    /// The image has a format that cannot be read.
    UnsupportedFormat,
    /// The image is damaged.
    CorruptImage,
    /// The image could not be compressed with these settings.
    CompressionFailure,
    /// The output could not be stored.
    StorageFailure,
    /// Processing crashed on this image several times.
    WorkerCrashed,
    /// Something went wrong inside Halftone.
    Internal,
}

/// Why an image has no output, or none yet.
#[derive(SimpleObject)]
pub struct ImageError {
    /// What went wrong, for programs.
    code: ImageErrorCode,
    /// What went wrong and what to do, in one sentence.
    message: String,
    /// The HTTP status that the host returned, if that was the cause.
    http_status: Option<i32>,
    /// Whether trying again later may succeed with nothing else changed.
    retryable: bool,
}

impl From<Error> for ImageError {
    fn from(error: Error) -> Self {
        Self {
            code: error.error_code.into(),
            message: error.error_message,
            http_status: error.http_status,
            retryable: error.error_code.is_retryable(),
        }
    }
}

pub struct FailureGroup(pub image::FailureGroup);

/// Failed images with the same cause and host.
#[Object]
impl FailureGroup {
    /// The cause they share.
    async fn code(&self) -> ImageErrorCode {
        self.0.code.into()
    }

    /// The host they share; null if the URL has none.
    async fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// Number of images in the group.
    async fn count(&self) -> i32 {
        self.0.count
    }

    /// Whether trying again later may succeed with nothing else changed.
    async fn retryable(&self) -> bool {
        self.0.code.is_retryable()
    }

    /// The group's first image in the CSV.
    async fn example(&self, ctx: &Context<'_>) -> Result<Image> {
        let image = load(ctx, ImageById(self.0.example_id, viewer(ctx))).await?;
        image.map(Image).ok_or_else(|| bad_input("The request has been removed."))
    }
}
