//! Changing: uploading and checking a CSV, canceling a request.

use async_graphql::{Context, Enum, ID, InputObject, MergedObject, Object, Result, SimpleObject, Upload, UploadValue};

use super::correcting::Correcting;
use super::csv::{CsvColumnsInput, CsvReport};
use super::error::{UserError, UserErrorCode, bad_input, internal, rate_limited};
use super::request::ProcessingRequest;
use super::rerunning::Rerunning;
use super::scalars::uuid;
use super::settings::{self, CompressionInput, OutputInput};
use super::steering::{Steering, no_request};
use super::viewer::{caller, links, viewer};
use super::webhook::check_url;
use crate::access::quota::Exceeded;
use crate::app::App;
use crate::pipeline::cancel::{Canceled, cancel};
use crate::pipeline::read_csv;
use crate::pipeline::submit::{Submission, Submitted, submit};
use halftone_compress::InvalidSetting;
use halftone_sheet::{Report, Severity};

/// Longest label and idempotency key, in characters.
const MAX_LABEL_CHARACTERS: usize = 200;

/// What to do with rows that cannot be processed.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalidRow {
    /// Report the row and process the others.
    SkipRow,
    /// Reject the file.
    RejectFile,
}

/// Input of `uploadCsv`.
#[derive(InputObject)]
pub struct UploadCsvInput {
    /// The CSV, as a file of a multipart request.
    file: Upload,
    /// What each column contains, if its name does not make that clear.
    columns: Option<CsvColumnsInput>,
    /// The compression goal; default `quality: 50`.
    compression: Option<CompressionInput>,
    /// Format, size and metadata of the outputs.
    output: Option<OutputInput>,
    /// A URL that is called once when the request has ended, and again after every later run.
    webhook_url: Option<String>,
    /// The caller's own name for the request, to find it again.
    label: Option<String>,
    /// What to do with rows that cannot be processed.
    #[graphql(default_with = "OnInvalidRow::SkipRow")]
    on_invalid_row: OnInvalidRow,
    /// Must not be empty. The same key with the same input within 24 hours returns the first request.
    idempotency_key: Option<String>,
    /// An earlier request to compare with, image URL by image URL; it must have ended. `changes` then says what was added,
    /// removed and changed since.
    based_on: Option<ID>,
}

/// Input of `checkCsv`.
#[derive(InputObject)]
pub struct CheckCsvInput {
    /// The CSV or workbook, as a file of a multipart request.
    file: Upload,
    /// What each column contains, if its name does not make that clear.
    columns: Option<CsvColumnsInput>,
    /// What `uploadCsv` would do with rows that cannot be processed.
    #[graphql(default_with = "OnInvalidRow::SkipRow")]
    on_invalid_row: OnInvalidRow,
}

/// Input of `cancelProcessingRequest`.
#[derive(InputObject)]
pub struct CancelProcessingRequestInput {
    /// ID of the request.
    id: ID,
}

/// Result of `uploadCsv`.
#[derive(SimpleObject)]
pub struct UploadCsvPayload {
    /// The request; null if it does not exist or was not created.
    processing_request: Option<ProcessingRequest>,
    /// How the file was read, even if it was rejected.
    csv: Option<CsvReport>,
    /// True if an earlier request with the same idempotency key was returned.
    replayed: bool,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// Result of `checkCsv`.
#[derive(SimpleObject)]
pub struct CheckCsvPayload {
    /// Whether `uploadCsv` would accept the file with this `onInvalidRow`.
    would_be_accepted: bool,
    /// How the file was read.
    csv: CsvReport,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// Result of `cancelProcessingRequest`.
#[derive(SimpleObject)]
pub struct CancelProcessingRequestPayload {
    /// The request; null if it does not exist.
    processing_request: Option<ProcessingRequest>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// The operations that change something.
#[derive(MergedObject, Default)]
pub struct Mutation(Submitting, Steering, Correcting, Rerunning);

#[derive(Default)]
pub struct Submitting;

#[Object]
impl Submitting {
    /// Upload a CSV. Returns as soon as the request is durable; processing is asynchronous.
    async fn upload_csv(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file and what to do with it.")] input: UploadCsvInput,
    ) -> Result<UploadCsvPayload> {
        let app = ctx.data_unchecked::<App>();
        let file = uploaded(ctx, input.file)?;
        let mut user_errors = Vec::new();
        let settings = settings::read(input.compression, input.output).unwrap_or_else(|problems| {
            user_errors.extend(problems.into_iter().map(settings_error));
            Default::default()
        });
        if let Some(url) = &input.webhook_url {
            user_errors.extend(check_url(app, &["input", "webhookUrl"], url));
        }
        for (name, text) in [("label", &input.label), ("idempotencyKey", &input.idempotency_key)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > MAX_LABEL_CHARACTERS || text.contains('\0')) {
                let message = format!("{name} can have at most {MAX_LABEL_CHARACTERS} characters, none of them NUL.");
                user_errors.push(UserError::new(UserErrorCode::InvalidSettings, &["input", name], message));
            }
        }
        if input.idempotency_key.as_deref() == Some("") {
            let message = "idempotencyKey is empty; leave it out, or give each upload a key of its own.";
            user_errors.push(UserError::new(UserErrorCode::InvalidSettings, &["input", "idempotencyKey"], message));
        }
        let based_on = input.based_on.as_ref().and_then(uuid);
        if let (Some(id), None) = (&input.based_on, based_on) {
            user_errors.push(no_request("basedOn", id));
        }
        if !user_errors.is_empty() {
            return Ok(UploadCsvPayload { processing_request: None, csv: None, replayed: false, user_errors });
        }
        let submission = Submission {
            tenant_id: caller(ctx).tenant.id,
            file: file.content,
            filename: Some(file.filename.replace('\0', "")).filter(|name| !name.is_empty()),
            hints: input.columns.unwrap_or_default().into(),
            label: input.label,
            settings,
            webhook_url: input.webhook_url,
            reject_invalid_rows: input.on_invalid_row == OnInvalidRow::RejectFile,
            idempotency_key: input.idempotency_key,
            based_on,
            is_fresh: false,
            remembered_as: None,
            max_queued: app.config.quotas.max_queued_images,
            links: links(ctx),
        };
        let accepted = |request, replayed| UploadCsvPayload {
            csv: Some(CsvReport::of_request(&request)),
            processing_request: Some(ProcessingRequest::from(request)),
            replayed,
            user_errors: Vec::new(),
        };
        let _place = app.submissions.acquire().await?;
        let refused =
            |csv, error| UploadCsvPayload { processing_request: None, csv, replayed: false, user_errors: vec![error] };
        Ok(match submit(app, submission).await.map_err(internal)? {
            Submitted::Accepted(request) => accepted(request, false),
            Submitted::Replayed(request) => accepted(request, true),
            Submitted::IdempotencyConflict => refused(
                None,
                UserError::new(
                    UserErrorCode::IdempotencyKeyReused,
                    &["input", "idempotencyKey"],
                    "This idempotency key was used for another upload; choose a new one.",
                ),
            ),
            Submitted::QueueFull { queued } => {
                let most = app.config.quotas.max_queued_images.unwrap_or_default();
                return Err(rate_limited(&Exceeded::until_something_ends(format!(
                    "{queued} images are unfinished, and this upload would exceed the limit of {most}; upload it again when \
                     some have finished."
                ))));
            }
            Submitted::BaseNotFound => refused(None, no_request("basedOn", &input.based_on.unwrap_or_default())),
            Submitted::BaseNotEnded(request) => {
                let message =
                    format!("The request is {}; an upload can be compared with it once it has ended.", request.status);
                refused(None, UserError::new(UserErrorCode::WrongStatus, &["input", "basedOn"], message))
            }
            Submitted::Rejected(report) => {
                let error = csv_rejected("The CSV was rejected", &report, &["input", "file"]);
                refused(Some(CsvReport::of_file(report)), error)
            }
            Submitted::RefusedInvalidRows(report) => {
                let error = csv_rejected(
                    "The CSV was rejected because `onInvalidRow` is REJECT_FILE",
                    &report,
                    &["input", "file"],
                );
                refused(Some(CsvReport::of_file(report)), error)
            }
        })
    }

    /// Read and check a CSV. Nothing is stored or downloaded.
    async fn check_csv(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file, and how to read it.")] input: Option<CheckCsvInput>,
        #[graphql(desc = "As `input.file`.", deprecation = "Use `input`.")] file: Option<Upload>,
        #[graphql(desc = "As `input.columns`.", deprecation = "Use `input`.")] columns: Option<CsvColumnsInput>,
        #[graphql(desc = "As `input.onInvalidRow`.", deprecation = "Use `input`.")] on_invalid_row: Option<
            OnInvalidRow,
        >,
    ) -> Result<CheckCsvPayload> {
        let app = ctx.data_unchecked::<App>();
        let (path, input): (&[&str], _) = match (input, file) {
            (Some(input), None) => (&["input", "file"], input),
            (None, Some(file)) => {
                let on_invalid_row = on_invalid_row.unwrap_or(OnInvalidRow::SkipRow);
                (&["file"], CheckCsvInput { file, columns, on_invalid_row })
            }
            (None, None) => return Err(bad_input("Give `input`, with the file to check.")),
            (Some(_), Some(_)) => return Err(bad_input("Give `input` or `file`, not both.")),
        };
        let hints = input.columns.unwrap_or_default().into();
        let file = uploaded(ctx, input.file)?.content;
        let _place = app.submissions.acquire().await?;
        let report = read_csv::check_only(app, file, hints).await.map_err(internal)?;
        let refused = if report.rejected {
            Some(csv_rejected("The CSV would be rejected", &report, path))
        } else if input.on_invalid_row == OnInvalidRow::RejectFile && report.error_count > 0 {
            Some(csv_rejected("The CSV would be rejected because `onInvalidRow` is REJECT_FILE", &report, path))
        } else {
            None
        };
        Ok(CheckCsvPayload {
            would_be_accepted: refused.is_none(),
            csv: CsvReport::of_file(report),
            user_errors: refused.into_iter().collect(),
        })
    }

    /// Stop a request. Images in progress are finished; the rest are canceled.
    async fn cancel_processing_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request.")] input: Option<CancelProcessingRequestInput>,
        #[graphql(desc = "As `input.id`.", deprecation = "Use `input`.")] id: Option<ID>,
    ) -> Result<CancelProcessingRequestPayload> {
        let (path, id): (&[&str], _) = match (input, id) {
            (Some(input), None) => (&["input", "id"], input.id),
            (None, Some(id)) => (&["id"], id),
            (None, None) => return Err(bad_input("Give `input`, with the `id` of the request.")),
            (Some(_), Some(_)) => return Err(bad_input("Give `input` or `id`, not both.")),
        };
        let refused = |request, code, message: String| CancelProcessingRequestPayload {
            processing_request: request,
            user_errors: vec![UserError::new(code, path, message)],
        };
        let canceled = match uuid(&id) {
            Some(id) => cancel(ctx.data_unchecked::<App>(), viewer(ctx), id).await.map_err(internal)?,
            None => Canceled::NotFound,
        };
        Ok(match canceled {
            Canceled::Stopped(request) => CancelProcessingRequestPayload {
                processing_request: Some(ProcessingRequest::from(request)),
                user_errors: Vec::new(),
            },
            Canceled::WrongStatus(request) => {
                let message = if request.status.is_final() {
                    format!("The request is {}; there is nothing left to cancel.", request.status)
                } else {
                    "The request is already being canceled.".to_owned()
                };
                refused(Some(ProcessingRequest::from(request)), UserErrorCode::WrongStatus, message)
            }
            Canceled::NotFound => {
                refused(None, UserErrorCode::NotFound, format!("There is no request with the id {:?}.", id.as_str()))
            }
        })
    }
}

/// The file behind an `Upload`. The index it carries may be anything a client wrote into its variables.
pub(super) fn uploaded(ctx: &Context<'_>, upload: Upload) -> Result<UploadValue> {
    let file = ctx.query_env.uploads.get(upload.0);
    let file =
        file.ok_or_else(|| bad_input("`file` is not a part of this request; send it as multipart/form-data."))?;
    file.try_clone().map_err(internal)
}

/// A bad setting, with its path in the input.
pub(super) fn settings_error(InvalidSetting { name, message }: InvalidSetting) -> UserError {
    let group = match name {
        "quality" | "relativeQuality" | "targetRatio" | "maxBytes" | "minScore" | "lossless" => "compression",
        _ => "output",
    };
    UserError::new(UserErrorCode::InvalidSettings, &["input", group, name], message)
}

/// Says what was found in a CSV and where, or how much.
pub(super) fn csv_rejected(what: &str, report: &Report, field: &[&str]) -> UserError {
    let errors = report.error_count;
    let message = match report.issues.iter().find(|issue| issue.severity == Severity::Error) {
        Some(issue) if errors == 1 => format!("{what}. Line {}: {}", issue.line, issue.message),
        Some(issue) => format!("{what}: {errors} errors were found in it, the first on line {}.", issue.line),
        None => format!("{what}: {errors} errors were found in it."),
    };
    UserError::new(UserErrorCode::CsvRejected, field, message)
}
