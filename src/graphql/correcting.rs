//! Correcting the URLs of images that have no output.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject, Upload};

use super::csv::{CsvColumnsInput, CsvReport};
use super::error::{UserError, UserErrorCode, internal};
use super::mutation::{csv_rejected, uploaded};
use super::request::ProcessingRequest;
use super::scalars::uuid;
use super::steering::no_request;
use super::viewer::viewer;
use crate::app::App;
use crate::pipeline::correct::{self, Applied, Corrected};

/// An image and its new URL.
#[derive(InputObject)]
pub struct ReplaceImageUrlInput {
    /// The image; its request must have ended.
    id: ID,
    /// The URL to download it from, for every row that contains this image.
    url: String,
}

/// Result of `replaceImageUrl`.
#[derive(SimpleObject)]
pub struct ReplaceImageUrlPayload {
    /// The request of the image; null when there is none.
    processing_request: Option<ProcessingRequest>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// A corrected file.
#[derive(InputObject)]
pub struct ReplaceImageUrlsInput {
    /// The request; it must have ended.
    request_id: ID,
    /// Its FAILED_ROWS_CSV with corrected URLs, as a file of a multipart request. Rows are matched by serial number and
    /// name, URLs by their position in the row. Rows may be left out; an unchanged URL has no effect.
    file: Upload,
    /// What each column contains, if its name does not make that clear.
    columns: Option<CsvColumnsInput>,
}

/// Something in a corrected file that was not applied.
#[derive(SimpleObject)]
pub struct SkippedCorrection {
    /// The number of the line on which its row begins, as a text editor shows it.
    line: i32,
    /// Why it was not applied, in a sentence.
    message: String,
}

/// Result of `replaceImageUrls`.
#[derive(SimpleObject)]
pub struct ReplaceImageUrlsPayload {
    /// The request; null if it does not exist.
    processing_request: Option<ProcessingRequest>,
    /// Number of images that are processed again with new URLs.
    image_count: i32,
    /// How the file was read, if it was rejected.
    csv: Option<CsvReport>,
    /// What was not applied; at most 100 entries.
    skipped: Vec<SkippedCorrection>,
    /// Number of corrections that were not applied.
    skipped_count: i32,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct Correcting;

#[Object]
impl Correcting {
    /// Change the URL of an image, in every row that contains it. Only this image is processed again, in the next run of
    /// the request. If it had an output, the new output has another address.
    async fn replace_image_url(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which image, and its new URL.")] input: ReplaceImageUrlInput,
    ) -> Result<ReplaceImageUrlPayload> {
        let app = ctx.data_unchecked::<App>();
        let refused = |error| ReplaceImageUrlPayload { processing_request: None, user_errors: vec![error] };
        let invalid = sheet_fault(app, &input.url);
        if let Some(message) = invalid {
            return Ok(refused(UserError::new(UserErrorCode::InvalidUrl, &["input", "url"], message)));
        }
        let corrected = match uuid(&input.id) {
            Some(id) => correct::replace_url(app, viewer(ctx), id, &input.url).await.map_err(internal)?,
            None => Corrected::NotFound,
        };
        Ok(match outcome(corrected, "id") {
            Some((request, _, error)) => {
                ReplaceImageUrlPayload { processing_request: Some(request), user_errors: error.into_iter().collect() }
            }
            None => {
                let message = format!("There is no image with the id {:?}.", input.id.as_str());
                refused(UserError::new(UserErrorCode::NotFound, &["input", "id"], message))
            }
        })
    }

    /// Apply a corrected FAILED_ROWS_CSV in place. Only images whose URL changes are processed again, in the next run
    /// of the request; the output CSV shows the new URLs.
    async fn replace_image_urls(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which request, and the file.")] input: ReplaceImageUrlsInput,
    ) -> Result<ReplaceImageUrlsPayload> {
        let app = ctx.data_unchecked::<App>();
        let refused = |csv, error| ReplaceImageUrlsPayload {
            processing_request: None,
            image_count: 0,
            csv,
            skipped: Vec::new(),
            skipped_count: 0,
            user_errors: vec![error],
        };
        let file = uploaded(ctx, input.file)?.content;
        let Some(id) = uuid(&input.request_id) else {
            return Ok(refused(None, no_request("requestId", &input.request_id)));
        };
        let _place = app.submissions.acquire().await?;
        let hints = input.columns.unwrap_or_default().into();
        let (corrected, skips) =
            match correct::replace_urls(app, viewer(ctx), id, file, hints).await.map_err(internal)? {
                Applied::Read(corrected, skips) => (corrected, skips),
                Applied::Rejected(report) => {
                    let error = csv_rejected("The file was rejected", &report, &["input", "file"]);
                    return Ok(refused(Some(CsvReport::of_file(report)), error));
                }
            };
        let Some((request, image_count, error)) = outcome(*corrected, "requestId") else {
            return Ok(refused(None, no_request("requestId", &input.request_id)));
        };
        let int = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
        Ok(ReplaceImageUrlsPayload {
            processing_request: Some(request),
            image_count,
            csv: None,
            skipped_count: int(skips.count as u64),
            skipped: (skips.named.into_iter())
                .map(|skipped| SkippedCorrection { line: int(skipped.line), message: skipped.message })
                .collect(),
            user_errors: error.into_iter().collect(),
        })
    }
}

/// What is wrong with the URL of an image, as far as its text shows it.
fn sheet_fault(app: &App, url: &str) -> Option<String> {
    halftone_sheet::check_url(url, app.config.sheet.max_url_bytes).err()
}

/// The request, how many of its images are done again, and what is wrong; `None` when there is no such thing.
fn outcome(corrected: Corrected, field: &str) -> Option<(ProcessingRequest, i32, Option<UserError>)> {
    let error = |code, field: &str, message: String| Some(UserError::new(code, &["input", field], message));
    Some(match corrected {
        Corrected::Begun(request, count) => (request.into(), count, None),
        Corrected::WrongStatus(request) => {
            let message = format!(
                "The request is {}; URLs can be corrected once it has ended. Wait for it, or cancel it.",
                request.status
            );
            (request.into(), 0, error(UserErrorCode::WrongStatus, field, message))
        }
        Corrected::NothingChanges(request) => {
            let message = "The file does not change the URL of any image; `skipped` says why.".to_owned();
            (request.into(), 0, error(UserErrorCode::CsvRejected, "file", message))
        }
        Corrected::NotFound => return None,
    })
}
