//! What became of every place of a row, and why, for the details and the failed rows.

use std::collections::HashMap;
use std::io::{self, Write};

use uuid::Uuid;

use crate::db::csv_issue::CsvIssue;
use crate::db::image::{ImageState, ImageStatus};
use crate::db::product::ProductResult;
use halftone_sheet::{Detail, OutputRow, Writer};

/// What a place is whose URL or row was refused: it never had an image.
const REJECTED: &str = "REJECTED";
/// Said of a place or row that was refused for a problem that was counted but not kept.
const NOT_KEPT: &str = "This was refused when the CSV was read. The file has more problems than are kept, so the reason is \
                        not known. Correct the others and upload the file again to see it.";
const CANCELED: &str = "The request was canceled before this image was done.";
const EXPIRED: &str = "The output has expired and was removed. Run the request again to get a new one.";
/// Most characters of a URL or other text that a row's reason quotes.
const MAX_QUOTED_CHARS: usize = 200;
/// A row's reason names further failures until it has this many bytes; the others are counted. Far below what a cell may
/// have, so that the file can be uploaded again.
const MAX_REASON_BYTES: usize = 4_000;

/// A row with the state of its images and the reasons for what was refused of it.
pub struct Examined<'a> {
    row: &'a ProductResult,
    /// The image of each place, where it has one that was asked for.
    images: Vec<Option<&'a ImageState>>,
    refusals: &'a [CsvIssue],
}

impl<'a> Examined<'a> {
    pub fn new(row: &'a ProductResult, images: &'a HashMap<Uuid, ImageState>, refusals: &'a [CsvIssue]) -> Self {
        let images = row.image_ids.iter().map(|id| images.get(&(*id)?)).collect();
        Self { row, images, refusals }
    }

    /// A line for each place; one without a place for a row that has none.
    pub fn write_details(
        &self,
        sheet: &mut Writer<impl Write>,
        output_row: OutputRow<'_>,
        output_urls: &[Option<&str>],
    ) -> io::Result<()> {
        if self.row.input_urls.is_empty() {
            let (code, reason) = self.refusal(None);
            let detail = Detail { status: REJECTED, code: &code, reason: &reason, ..Detail::default() };
            return sheet.detail_row(output_row, &detail);
        }
        for (place, (url, output_url)) in self.row.input_urls.iter().zip(output_urls).enumerate() {
            let detail = Detail {
                position: Some(place as u64 + 1),
                input_url: url,
                output_url: output_url.unwrap_or_default(),
                ..Detail::default()
            };
            match self.images[place] {
                Some(state) => write_image(sheet, output_row, detail, state)?,
                None => {
                    let (code, reason) = self.refusal(Some(url));
                    let detail = Detail { status: REJECTED, code: &code, reason: &reason, ..detail };
                    sheet.detail_row(output_row, &detail)?;
                }
            }
        }
        Ok(())
    }

    /// Why the row needs attention, all reasons in one text; `None` when nothing of it was refused, failed or canceled.
    pub fn reason(&self) -> Option<String> {
        let mut reasons = Vec::new();
        let refused = !self.row.accepted || self.row.image_ids.contains(&None);
        for issue in self.refusals {
            reasons.push(match &issue.value {
                Some(value) => format!("{value}: {}", issue.message),
                None => issue.message.clone(),
            });
        }
        if refused && reasons.is_empty() {
            reasons.push(NOT_KEPT.to_owned());
        }
        for (url, state) in self.row.input_urls.iter().zip(&self.images) {
            if let Some(reason) = state.and_then(failure) {
                let reason = format!("{}: {reason}", clip(url));
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        (!reasons.is_empty()).then(|| join(&reasons))
    }

    /// The code and the reason for which a place, or the row as a whole, was refused.
    fn refusal(&self, url: Option<&str>) -> (String, String) {
        let is_about = |issue: &&CsvIssue| url.is_some() && issue.value.as_deref() == url.map(clip);
        let mut issues: Vec<&CsvIssue> = self.refusals.iter().filter(is_about).collect();
        if issues.is_empty() {
            let is_about_a_url =
                |issue: &CsvIssue| self.row.input_urls.iter().any(|url| issue.value.as_deref() == Some(clip(url)));
            issues = self.refusals.iter().filter(|issue| !is_about_a_url(issue)).collect();
        }
        match issues.first() {
            // A good URL between bad ones, in a row where nothing else is wrong.
            None if !self.refusals.is_empty() => {
                let messages: Vec<String> = self.refusals.iter().map(|issue| issue.message.clone()).collect();
                (self.refusals[0].code.clone(), join(&messages))
            }
            None => (String::new(), NOT_KEPT.to_owned()),
            Some(first) => {
                let messages: Vec<String> = issues.iter().map(|issue| issue.message.clone()).collect();
                (first.code.clone(), join(&messages))
            }
        }
    }
}

fn write_image(
    sheet: &mut Writer<impl Write>,
    output_row: OutputRow<'_>,
    detail: Detail<'_>,
    state: &ImageState,
) -> io::Result<()> {
    let image = &state.image;
    let score = image.receipt.as_ref().and_then(|receipt| receipt["score"].as_f64());
    let detail = Detail {
        status: state.status.as_str(),
        outcome: image.outcome.map_or("", |outcome| outcome.as_str()),
        code: image.error_code.map_or("", |code| code.as_str()),
        reason: failure(state).or_else(|| expired(state)).unwrap_or_default(),
        http_status: image.http_status.map(i64::from),
        attempts: Some(i64::from(state.failed_attempts.unwrap_or(image.attempt_count))),
        bytes_before: image.source_bytes,
        bytes_after: image.output_bytes,
        score,
        warnings: &image.warnings.join(" "),
        change: image.change.map_or("", |change| change.as_str()),
        ..detail
    };
    sheet.detail_row(output_row, &detail)
}

/// Why an image has no output and will have none.
fn failure(state: &ImageState) -> Option<&str> {
    match state.status {
        ImageStatus::Failed => Some(state.image.error_message.as_deref().unwrap_or_default()),
        ImageStatus::Canceled => Some(CANCELED),
        ImageStatus::Pending | ImageStatus::Processing | ImageStatus::Retrying | ImageStatus::Succeeded => None,
    }
}

/// Why an image that succeeded has no output any more.
fn expired(state: &ImageState) -> Option<&'static str> {
    (state.status == ImageStatus::Succeeded && state.image.output_key.is_none()).then_some(EXPIRED)
}

/// One text of as many reasons as fit.
fn join(reasons: &[String]) -> String {
    let mut text = String::new();
    for (index, reason) in reasons.iter().enumerate() {
        if index > 0 && text.len() + reason.len() > MAX_REASON_BYTES {
            text.push_str(&format!(" And {} more.", reasons.len() - index));
            break;
        }
        if index > 0 {
            text.push(' ');
        }
        text.push_str(reason);
    }
    text
}

/// The first 200 characters, as an issue quotes them.
fn clip(text: &str) -> &str {
    text.char_indices().nth(MAX_QUOTED_CHARS).map_or(text, |(end, _)| &text[..end])
}
