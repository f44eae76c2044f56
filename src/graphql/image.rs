//! An image as a client sees it: what it was, what it became, or why it did not.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, Result, SimpleObject};

use uuid::Uuid;

use super::error::internal;
use super::failure::{ImageError, ImageErrorCode};
use super::format::ImageFormat;
use super::loaders::{ProductCountOf, ProductsOfImage, RequestById, load};
use super::paging::{Args, Paged, Total, page_cost, paginate};
use super::product::Product;
use super::request::ProcessingRequest;
use super::scalars::{DateTime, UnsignedInt53, Url};
use super::viewer::{links, viewer};
use crate::app::App;
use crate::db::ending::Error;
use crate::db::image::{self, ImageState};
use crate::pipeline::waiting;
use halftone_compress as compress;

/// The state of an image. `SUCCEEDED`, `FAILED` and `CANCELED` are final.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageStatus")]
pub enum ImageStatus {
    /// Waiting for its first attempt.
    Pending,
    /// Being downloaded or compressed.
    Processing,
    /// Waiting for another attempt after a temporary failure; see `nextAttemptAt`.
    Retrying,
    /// It has an output.
    Succeeded,
    /// It has no output; `error` says why.
    Failed,
    /// It was not processed: its request was canceled.
    Canceled,
}

/// How an image succeeded.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageOutcome")]
pub enum ImageOutcome {
    /// The output is smaller than the source, or in the requested format.
    Compressed,
    /// The source was already as small as the settings allow; the output is the source.
    KeptOriginal,
    /// The source has not changed since an earlier run of the request; the output stayed the same.
    Unchanged,
    /// The same source was already compressed with the same settings for another image; the output is shared.
    Reused,
}

/// How an image compares with its state before the run, or in the request that the upload is based on.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "image::ImageChange")]
pub enum ImageChange {
    /// The request that the upload is based on does not contain its URL.
    Added,
    /// Its source file has changed.
    Changed,
    /// Its source file has not changed.
    Unchanged,
    /// It had an output and has now failed.
    NewlyBroken,
    /// It had failed and now has an output.
    Mended,
}

/// Which images a list contains.
#[derive(InputObject, Default, Clone)]
pub struct ImageFilter {
    /// Only images with one of these statuses.
    pub status: Option<Vec<ImageStatus>>,
    /// Only images that failed with one of these codes.
    pub error_code: Option<Vec<ImageErrorCode>>,
    /// Only images that succeeded in one of these ways.
    pub outcome: Option<Vec<ImageOutcome>>,
    /// Only images with an output that reached the compression goal (`true`), or missed it (`false`).
    pub target_met: Option<bool>,
}

impl ImageFilter {
    pub fn into_rows(self) -> image::ImageFilter {
        image::ImageFilter {
            statuses: self.status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            error_codes: self.error_code.map(|codes| codes.into_iter().map(Into::into).collect()),
            outcomes: self.outcome.map(|outcomes| outcomes.into_iter().map(Into::into).collect()),
            target_met: self.target_met,
        }
    }
}

/// Measured properties of one image file.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ImageFile {
    /// The format of the file.
    format: ImageFormat,
    /// Its size in bytes.
    byte_size: UnsignedInt53,
    /// Its width in pixels.
    width: i32,
    /// Its height in pixels.
    height: i32,
    /// The SHA-256 of its bytes, in hexadecimal.
    sha256: String,
    /// The address of the file; outputs only. Null once it has expired.
    url: Option<Url>,
    /// The request whose output it is.
    #[graphql(skip)]
    output_of: Option<Uuid>,
}

#[ComplexObject]
impl ImageFile {
    /// When the file will be removed, unless another run of its request begins; outputs only. Null while the request is
    /// running, and if outputs are kept for ever.
    async fn expires_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let kept = ctx.data_unchecked::<App>().config.general.outputs_kept();
        let (Some(kept), Some(id)) = (kept, self.output_of) else { return Ok(None) };
        let request = load(ctx, RequestById(id, viewer(ctx))).await?;
        Ok(request.and_then(|request| request.kept_until(kept)).map(DateTime))
    }
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
            output_of: None,
        })
    }

    /// The file that was stored, when there was one, at this address.
    fn output(row: &image::Image, url: Option<String>) -> Option<Self> {
        Some(Self {
            format: ImageFormat::stored(row.output_format.as_deref()?)?,
            byte_size: row.output_bytes?.into(),
            width: row.output_width?,
            height: row.output_height?,
            sha256: hex::encode(row.output_sha256.as_deref()?),
            url: url.map(Url),
            output_of: Some(row.request_id),
        })
    }
}

/// How the output was made.
#[derive(SimpleObject)]
pub struct CompressionReceipt {
    /// Encoder quality used; null for lossless outputs and kept originals.
    quality: Option<i32>,
    /// SSIMULACRA2 score of the output: 90 is visually lossless, 70 high, 50 medium. Null if it was not measured.
    score: Option<f64>,
    /// Whether the compression goal was reached.
    target_met: bool,
    /// Number of encodes needed to find the result.
    encodes_tried: i32,
    /// What was done and why, in a sentence or two.
    decision: String,
    /// With `format: AUTO`: what the output would have been in other formats, at the same score.
    alternatives: Vec<AlternativeFile>,
}

/// What the output would have been in another format.
#[derive(SimpleObject)]
pub struct AlternativeFile {
    /// Its format.
    format: ImageFormat,
    /// Its size in bytes.
    byte_size: UnsignedInt53,
}

pub struct Image(pub ImageState);

/// One distinct image URL of a request.
#[Object]
impl Image {
    /// The image's ID.
    pub(super) async fn id(&self) -> ID {
        self.0.image.id.into()
    }

    /// The request it belongs to.
    async fn request(&self, ctx: &Context<'_>) -> Result<ProcessingRequest> {
        let id = self.0.image.request_id;
        let request = load(ctx, RequestById(id, viewer(ctx))).await?;
        request.map(ProcessingRequest::from).ok_or_else(|| internal(anyhow::anyhow!("request {id} is gone")))
    }

    /// The rows that contain it, in the order of the CSV.
    #[graphql(complexity = page_cost(first, None, child_complexity))]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of items from the start; 20 by default, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
    ) -> Result<Paged<i32, Product>> {
        let id = self.0.image.id;
        let rows = async |page| Ok(load(ctx, ProductsOfImage(id, page)).await?.unwrap_or_default());
        let total = Total::ProductsOfImage(ProductCountOf(id));
        paginate(
            Args { first, after, last: None, before: None, offset: None },
            total,
            rows,
            |row| row.row_number,
            Product,
        )
        .await
    }

    /// The URL it is downloaded from, as given in the CSV or as corrected since.
    async fn input_url(&self) -> &str {
        &self.0.image.input_url
    }

    /// Earlier values of `inputUrl`, before corrections, oldest first; at most the last 20.
    async fn former_input_urls(&self) -> &[String] {
        &self.0.image.former_urls
    }

    /// The image's current state.
    async fn status(&self) -> ImageStatus {
        self.0.status.into()
    }

    /// How it succeeded; null if it has not.
    async fn outcome(&self) -> Option<ImageOutcome> {
        self.0.image.outcome.map(Into::into)
    }

    /// How it compares with its state before the run, or in the request that the upload is based on. Null if there is
    /// nothing to compare with, until the image has finished, and if it failed both times.
    async fn change(&self) -> Option<ImageChange> {
        self.0.image.change.map(Into::into)
    }

    /// Why it failed. While it is waiting: why its last attempt failed, or that its host is paused or down; see
    /// `nextAttemptAt`. Null otherwise.
    async fn error(&self) -> Option<ImageError> {
        let image = &self.0.image;
        let error = match image.error_code {
            Some(error_code) => Error {
                error_code,
                error_message: image.error_message.clone().unwrap_or_default(),
                http_status: image.http_status,
            },
            None => waiting::reason(&self.0)?,
        };
        Some(error.into())
    }

    /// Differences that a viewer might notice in the output, in sentences.
    async fn warnings(&self) -> &[String] {
        &self.0.image.warnings
    }

    /// The file that was downloaded.
    async fn source(&self) -> Option<ImageFile> {
        ImageFile::source(&self.0.image)
    }

    /// The stored file. Once it has expired, it is still listed here, but without a URL.
    async fn output(&self, ctx: &Context<'_>) -> Option<ImageFile> {
        let row = &self.0.image;
        let links = links(ctx);
        ImageFile::output(row, row.output_key.as_deref().map(|key| links.image(row.id, row.output_number, key)))
    }

    /// A small rendition of the output, for lists: WebP, at most 320 pixels wide and high. Null while there is no output,
    /// and for an AVIF or a GIF.
    async fn thumbnail_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let row = &self.0.image;
        let format = row.output_format.as_deref().and_then(ImageFormat::stored);
        let has_one = row.output_key.is_some()
            && format.is_some_and(|format| !matches!(format, ImageFormat::Avif | ImageFormat::Gif));
        has_one.then(|| Url(links(ctx).thumbnail(row.id, row.output_number)))
    }

    /// The source, to show next to the output. This server fetches it again from its host, and serves it only if it is
    /// still the file that was compressed. The URL is signed, and valid as long as links to result files. Null while there
    /// is no output.
    async fn source_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let row = &self.0.image;
        row.output_key.as_ref().map(|_| Url(links(ctx).source(row.id).url))
    }

    /// How the output was made; null until there is one.
    async fn receipt(&self) -> Option<Result<CompressionReceipt>> {
        let receipt = self.0.image.receipt.clone()?;
        Some(match serde_json::from_value::<compress::Receipt>(receipt) {
            Ok(receipt) => Ok(CompressionReceipt {
                quality: receipt.quality.map(i32::from),
                score: receipt.score,
                target_met: receipt.target_met,
                encodes_tried: i32::try_from(receipt.encodes_tried).unwrap_or(i32::MAX),
                decision: receipt.decision,
                alternatives: receipt
                    .alternatives
                    .into_iter()
                    .map(|other| AlternativeFile { format: other.format.into(), byte_size: UnsignedInt53(other.bytes) })
                    .collect(),
            }),
            Err(error) => Err(internal(error)),
        })
    }

    /// Attempts made so far.
    async fn attempt_count(&self) -> i32 {
        self.0.failed_attempts.unwrap_or(self.0.image.attempt_count)
    }

    /// When the next attempt is due, or when its host's pause ends; null unless it is waiting for one of these.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        waiting::until(&self.0).map(DateTime)
    }

    /// When it finished; null until then.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.image.finished_at.map(DateTime)
    }
}
