//! An image as a client sees it: what it was, what it became, or why it did not.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::error::{bad_input, internal};
use super::format::ImageFormat;
use super::loaders::{ImageById, Loaders, RequestById};
use super::paging::{Args, Paged, page_cost, paginate};
use super::product::Product;
use super::request::ProcessingRequest;
use super::scalars::{UnsignedInt53, Url};
use crate::app::App;
use crate::db::image::{self, ImageState};
use crate::db::{self, product};
use halftone_compress as compress;

/// Where an image is in its life. The last three are final.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageStatus")]
pub enum ImageStatus {
    Pending,
    Processing,
    /// Failed in a way that may pass; see nextAttemptAt.
    Retrying,
    Succeeded,
    Failed,
    Canceled,
}

/// How an image succeeded.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageOutcome")]
pub enum ImageOutcome {
    Compressed,
    /// The source was already as small as the settings allow; the output is the source.
    KeptOriginal,
}

/// Why an image has no output.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageErrorCode")]
pub enum ImageErrorCode {
    BlockedAddress,
    DnsFailure,
    ConnectFailure,
    TlsFailure,
    Timeout,
    ConnectionLost,
    /// The host's response is not valid HTTP.
    BadAnswer,
    TooManyRedirects,
    HttpNotFound,
    HttpForbidden,
    HttpThrottled,
    HttpClientError,
    HttpServerError,
    TooManyBytes,
    /// The image has too many pixels, or would need more memory than this server has.
    TooManyPixels,
    /// Compressing the image took too long.
    TooSlow,
    /// The URL answered with a web page, often a share link or a login.
    HtmlPage,
    NotAnImage,
    UnsupportedFormat,
    CorruptImage,
    CompressionFailure,
    StorageFailure,
    WorkerCrashed,
    Internal,
}

/// Which images a list shows.
#[derive(InputObject, Default)]
pub struct ImageFilter {
    /// Only images in one of these.
    pub status: Option<Vec<ImageStatus>>,
    /// Only images that failed for one of these.
    pub error_code: Option<Vec<ImageErrorCode>>,
}

impl ImageFilter {
    pub fn into_rows(self) -> image::ImageFilter {
        image::ImageFilter {
            statuses: self.status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            error_codes: self.error_code.map(|codes| codes.into_iter().map(Into::into).collect()),
        }
    }
}

/// Why an image has no output.
#[derive(SimpleObject)]
pub struct ImageError {
    code: ImageErrorCode,
    /// One sentence a catalogue editor can act on.
    message: String,
    http_status: Option<i32>,
    /// Trying again later, with nothing changed, may help.
    retryable: bool,
}

/// Measured facts about one file.
#[derive(SimpleObject)]
pub struct ImageFile {
    format: ImageFormat,
    byte_size: UnsignedInt53,
    width: i32,
    height: i32,
    sha256: String,
    /// Output only.
    url: Option<Url>,
}

impl ImageFile {
    /// The file that was downloaded, when it is known.
    fn source(row: &image::Image) -> Option<Self> {
        Some(Self {
            format: ImageFormat::stored(row.source_format.as_deref()?)?,
            byte_size: row.source_bytes?.into(),
            width: row.source_width?,
            height: row.source_height?,
            sha256: hex::encode(row.source_sha256.as_deref()?),
            url: None,
        })
    }

    /// The file that was stored, when there is one, at this address.
    fn output(row: &image::Image, url: String) -> Option<Self> {
        Some(Self {
            format: ImageFormat::stored(row.output_format.as_deref()?)?,
            byte_size: row.output_bytes?.into(),
            width: row.output_width?,
            height: row.output_height?,
            sha256: hex::encode(row.output_sha256.as_deref()?),
            url: Some(Url(url)),
        })
    }
}

/// What was tried, measured and decided.
#[derive(SimpleObject)]
pub struct CompressionReceipt {
    /// Encoder quality used; null for lossless and kept originals.
    quality: Option<i32>,
    /// SSIMULACRA2 of output against source: 90 visually lossless, 70 high, 50 medium. Null where it was not measured.
    score: Option<f64>,
    target_met: bool,
    encodes_tried: i32,
    decision: String,
}

pub struct Image(pub ImageState);

/// One distinct image URL of a request.
#[Object]
impl Image {
    pub(super) async fn id(&self) -> ID {
        self.0.image.id.into()
    }

    async fn request(&self, ctx: &Context<'_>) -> Result<ProcessingRequest> {
        let id = self.0.image.request_id;
        let request = ctx.data_unchecked::<Loaders>().requests.load_one(RequestById(id)).await;
        let request = request.map_err(|error| internal(anyhow::anyhow!("{error:#}")))?;
        request.map(ProcessingRequest).ok_or_else(|| internal(anyhow::anyhow!("request {id} is gone")))
    }

    /// The rows that name it, in the order of the CSV.
    #[graphql(complexity = page_cost(first, None, child_complexity))]
    async fn products(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Paged<i32, Product>> {
        let pool = &ctx.data_unchecked::<App>().pool;
        let load = async |page: db::page::Page<i32>| {
            let mut conn = db::connect(pool).await.map_err(internal)?;
            product::Product::page_of_image(&mut conn, self.0.image.id, page.after, page.limit).await.map_err(internal)
        };
        paginate(Args { first, after, last: None, before: None }, load, |row| row.row_number, Product).await
    }

    async fn input_url(&self) -> &str {
        &self.0.image.input_url
    }

    async fn status(&self) -> ImageStatus {
        self.0.status.into()
    }

    async fn outcome(&self) -> Option<ImageOutcome> {
        self.0.image.outcome.map(Into::into)
    }

    async fn error(&self) -> Option<ImageError> {
        let code = self.0.image.error_code?;
        Some(ImageError {
            code: code.into(),
            message: self.0.image.error_message.clone().unwrap_or_default(),
            http_status: self.0.image.http_status,
            retryable: code.is_retryable(),
        })
    }

    async fn warnings(&self) -> &[String] {
        &self.0.image.warnings
    }

    /// The file that was downloaded.
    async fn source(&self) -> Option<ImageFile> {
        ImageFile::source(&self.0.image)
    }

    /// The file that was stored.
    async fn output(&self, ctx: &Context<'_>) -> Option<ImageFile> {
        let row = &self.0.image;
        let url = ctx.data_unchecked::<App>().links.image(row.id, row.output_key.as_deref()?);
        ImageFile::output(row, url)
    }

    /// A small rendition of the output, for lists: WebP, at most 320 pixels wide and high. Null while there is no output,
    /// and for an AVIF or a GIF.
    async fn thumbnail_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let row = &self.0.image;
        let has_one = row
            .output_format
            .as_deref()
            .and_then(ImageFormat::stored)
            .is_some_and(|format| !matches!(format, ImageFormat::Avif | ImageFormat::Gif));
        has_one.then(|| Url(ctx.data_unchecked::<App>().links.thumbnail(row.id)))
    }

    /// The source, to be shown beside the output: this server fetches it from its host anew, and sends it only while it is
    /// the file that was compressed. Signed, and valid as long as the links of result files. Null while there is no output.
    async fn source_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let row = &self.0.image;
        row.output_key.as_ref().map(|_| Url(ctx.data_unchecked::<App>().links.source(row.id).url))
    }

    async fn receipt(&self) -> Option<Result<CompressionReceipt>> {
        let receipt = self.0.image.receipt.clone()?;
        Some(match serde_json::from_value::<compress::Receipt>(receipt) {
            Ok(receipt) => Ok(CompressionReceipt {
                quality: receipt.quality.map(i32::from),
                score: receipt.score,
                target_met: receipt.target_met,
                encodes_tried: i32::try_from(receipt.encodes_tried).unwrap_or(i32::MAX),
                decision: receipt.decision,
            }),
            Err(error) => Err(internal(error)),
        })
    }

    async fn attempt_count(&self) -> i32 {
        self.0.failed_attempts.unwrap_or(self.0.image.attempt_count)
    }

    async fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        self.0.next_attempt_at
    }

    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.image.finished_at
    }
}

pub struct FailureGroup(pub image::FailureGroup);

/// Failed images with the same cause and host.
#[Object]
impl FailureGroup {
    async fn code(&self) -> ImageErrorCode {
        self.0.code.into()
    }

    async fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    async fn count(&self) -> i32 {
        self.0.count
    }

    async fn retryable(&self) -> bool {
        self.0.code.is_retryable()
    }

    async fn example(&self, ctx: &Context<'_>) -> Result<Image> {
        let image = ctx.data_unchecked::<Loaders>().requests.load_one(ImageById(self.0.example_id)).await;
        let image = image.map_err(|error| internal(anyhow::anyhow!("{error:#}")))?;
        image.map(Image).ok_or_else(|| bad_input("The request has been removed."))
    }
}
