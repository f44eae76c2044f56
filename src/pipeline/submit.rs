//! A CSV becomes a request: read once to check it, read again to store it, in one transaction.
//!
//! When [`submit`] returns, the request is durable, and so is every job that will bring it to its end.

use std::collections::HashMap;
use std::fs::File;
use std::time::Duration;

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::leftovers;
use super::process::ProcessImage;
use super::read_csv::{self, Batch, check_unchanged, fingerprint, read_batches};
use super::source::{self, Source};
use crate::app::App;
use crate::db::csv_issue::CsvIssue;
use crate::db::idempotency::{self, Claimed};
use crate::db::image::Image;
use crate::db::product::Product;
use crate::db::request::{NewProcessingRequest, ProcessingRequest};
use crate::db::run::Run;
use crate::db::viewer::Viewer;
use crate::db::{self, Connection, remembered_file, store_removal};
use crate::links::Links;
use crate::queue::Job as _;
use crate::queue::jobs::{Group, NewJobs};
use crate::{events, fetch, trace};
use halftone_compress::Settings;
use halftone_sheet::{self as sheet, Hints, Report};

/// Images of an earlier request read by one statement.
const IMAGES_PER_PAGE: i64 = 10_000;
/// Batches that may wait for the database.
const BATCHES_AHEAD: usize = 2;

/// What a caller sends.
pub struct Submission {
    /// The tenant whose request it becomes.
    pub tenant_id: Uuid,
    /// The CSV, wherever its cursor stands.
    pub file: File,
    pub filename: Option<String>,
    /// What the caller says of the file.
    pub hints: Hints,
    pub label: Option<String>,
    pub settings: Settings,
    pub webhook_url: Option<String>,
    /// Refuse the file when any row or URL is refused.
    pub reject_invalid_rows: bool,
    pub idempotency_key: Option<String>,
    /// An earlier request of the tenant to compare with.
    pub based_on: Option<Uuid>,
    /// Download and compress everything, whatever was done before.
    pub is_fresh: bool,
    pub remembered_as: Option<RememberedAs>,
    /// How many images of the tenant may be waiting or in progress with those of this upload.
    pub max_queued: Option<u64>,
    /// The addresses that its webhook names.
    pub links: Links,
}

/// By what the request is found again when the same file is run; see [`remembered_file`].
pub struct RememberedAs {
    pub path: String,
    pub hash: Vec<u8>,
}

/// What became of a submission.
pub enum Submitted {
    /// The request is durable.
    Accepted(ProcessingRequest),
    /// The same submission was made before with this idempotency key: its request.
    Replayed(ProcessingRequest),
    /// The idempotency key was used for another submission.
    IdempotencyConflict,
    /// The CSV cannot be processed, for the reasons in the report.
    Rejected(Report),
    /// It could, but some of it is refused, and the caller wanted all or nothing.
    RefusedInvalidRows(Report),
    /// There is no request to compare with.
    BaseNotFound,
    /// The request to compare with has not ended.
    BaseNotEnded(ProcessingRequest),
    /// So many images of the tenant are waiting or in progress that it may add no more.
    QueueFull { queued: u64 },
}

/// The request that an upload is compared with.
struct Base {
    id: Uuid,
    /// Its images by the fingerprints of their URLs, without those that the upload has.
    images: HashMap<u128, Uuid>,
}

impl Base {
    async fn read(conn: &mut Connection, tenant_id: Uuid, id: Uuid) -> Result<Self, StoreError> {
        match ProcessingRequest::find(conn, Viewer::Tenant(tenant_id), id).await? {
            None => return Err(StoreError::BaseNotFound),
            Some(request) if !request.status.is_final() => return Err(StoreError::BaseNotEnded(Box::new(request))),
            Some(_) => {}
        }
        let mut images = HashMap::new();
        let mut after = -1;
        loop {
            let page = Run::images_after(conn, id, after, IMAGES_PER_PAGE).await?;
            let Some(last) = page.last() else { return Ok(Self { id, images }) };
            after = last.position;
            images.extend(page.into_iter().map(|image| (fingerprint(&image.input_url), image.id)));
        }
    }
}

/// Checks and stores a submission.
pub async fn submit(app: &App, submission: Submission) -> anyhow::Result<Submitted> {
    let limits = app.config.sheet.clone();
    let checked = {
        let (file, limits, hints) = (submission.file, limits.clone(), submission.hints.clone());
        spawn_blocking(move || read_csv::check(file, &limits, &hints)).await.context("read the CSV")??
    };
    let report = &checked.report;
    if report.rejected {
        return Ok(Submitted::Rejected(checked.report));
    }
    if submission.reject_invalid_rows && report.error_count > 0 {
        let rejected_row_count = report.row_count;
        let report = Report { accepted_row_count: 0, rejected_row_count, image_count: 0, ..checked.report };
        return Ok(Submitted::RefusedInvalidRows(report));
    }

    let id = Uuid::now_v7();
    let settings = serde_json::to_value(&submission.settings)?;
    let input = (
        hex::encode(checked.hash),
        &settings,
        submission.reject_invalid_rows,
        &submission.webhook_url,
        &submission.label,
        &submission.hints,
        &submission.based_on,
    );
    let input_hash = Sha256::digest(serde_json::to_vec(&input)?);
    let new = NewProcessingRequest {
        id,
        tenant_id: submission.tenant_id,
        filename: submission.filename,
        label: submission.label,
        settings,
        webhook_url: submission.webhook_url,
        public_url: submission.links.public_url().to_owned(),
        csv_byte_size: to_db(report.byte_size)?,
        csv_encoding: report.encoding.clone(),
        csv_delimiter: report.delimiter.to_string(),
        csv_row_count: to_db(report.row_count)?,
        csv_accepted_row_count: to_db(report.accepted_row_count)?,
        csv_rejected_row_count: to_db(report.rejected_row_count)?,
        csv_issue_count: to_db(report.issue_count)?,
        csv_error_count: to_db(report.error_count)?,
        csv_extra_columns: report.extra_columns.clone(),
        csv_source: serde_json::to_value(Source {
            key: Some(source::key(id)),
            container: report.container,
            hints: submission.hints.clone(),
            columns: report.columns.clone(),
        })?,
        total: to_db(checked.distinct_urls)?,
        traceparent: trace::current().map(|trace| trace.to_string()),
    };
    let issues = csv_issues(id, report)?;

    // First, so that what is accepted has its file.
    leftovers::put_source(app, id, checked.file.try_clone()?).await?;
    let hints = submission.hints;
    let (batches, incoming) = mpsc::channel(BATCHES_AHEAD);
    let reading = spawn_blocking(move || read_batches(checked.file, &limits, &hints, &batches));
    let mut conn = db::connect(&app.pool).await?;
    let key = submission.idempotency_key.as_deref();
    let key = key.map(|key| (key, &input_hash[..]));
    let stored = conn.transaction(async |conn| {
        store(conn, &new, &issues, key, submission.based_on, submission.is_fresh, submission.max_queued, incoming)
            .await?;
        if let Some(RememberedAs { path, hash }) = &submission.remembered_as {
            remembered_file::remember(conn, path, hash, id).await?;
        }
        // Before the commit: a file that cannot be read to its end again must not become a request without its last rows.
        let again = reading.await.context("read the CSV again").flatten();
        again.and_then(|again| check_unchanged(report, &again)).map_err(StoreError::Changed)
    });
    let stored = stored.await;
    if stored.is_err() {
        leftovers::discard(app, id).await;
    }
    let claimed = match stored {
        Ok(()) => Claimed::New,
        Err(StoreError::Claimed(claimed)) => claimed,
        Err(StoreError::Database(error)) => return Err(error).context("store the request"),
        Err(StoreError::Changed(error)) => return Err(error),
        Err(StoreError::BaseNotFound) => return Ok(Submitted::BaseNotFound),
        Err(StoreError::BaseNotEnded(request)) => return Ok(Submitted::BaseNotEnded(*request)),
        Err(StoreError::QueueFull { queued }) => return Ok(Submitted::QueueFull { queued }),
        Err(StoreError::Removed) => anyhow::bail!("the file of an upload was removed before its request was stored"),
    };
    let find = async |conn: &mut Connection, id| {
        ProcessingRequest::find(conn, Viewer::Operator, id).await?.with_context(|| format!("request {id} is gone"))
    };
    Ok(match claimed {
        Claimed::New => Submitted::Accepted(find(&mut conn, id).await?),
        Claimed::Replayed(earlier) => Submitted::Replayed(find(&mut conn, earlier).await?),
        Claimed::Reused => Submitted::IdempotencyConflict,
    })
}

enum StoreError {
    Database(diesel::result::Error),
    /// The idempotency key belongs to another request.
    Claimed(Claimed),
    /// The second reading did not find what the first one had.
    Changed(anyhow::Error),
    /// There is no request to compare with, or it was deleted meanwhile.
    BaseNotFound,
    BaseNotEnded(Box<ProcessingRequest>),
    QueueFull {
        queued: u64,
    },
    /// The upload took so long that it was given up.
    Removed,
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

async fn store(
    conn: &mut Connection,
    new: &NewProcessingRequest,
    issues: &[CsvIssue],
    key: Option<(&str, &[u8])>,
    based_on: Option<Uuid>,
    is_fresh: bool,
    max_queued: Option<u64>,
    mut incoming: mpsc::Receiver<Batch>,
) -> Result<(), StoreError> {
    if !store_removal::cancel(conn, new.id).await? {
        return Err(StoreError::Removed);
    }
    ProcessingRequest::insert(conn, new, is_fresh).await?;
    if let Some((key, input_hash)) = key {
        match idempotency::claim(conn, (new.tenant_id, key), new.id, input_hash).await? {
            Claimed::New => {}
            claimed => return Err(StoreError::Claimed(claimed)),
        }
    }
    if let Some(most) = max_queued {
        let queued = ProcessingRequest::queued_images(conn, new.tenant_id).await?.unsigned_abs();
        if queued > most {
            return Err(StoreError::QueueFull { queued: queued.saturating_sub(u64::from(new.total.unsigned_abs())) });
        }
    }
    let mut base = match based_on {
        Some(id) => Some(Base::read(conn, new.tenant_id, id).await?),
        None => None,
    };
    CsvIssue::insert(conn, issues).await?;
    let group = Group { tenant_id: new.tenant_id, id: new.id };
    let mut stored = 0;
    let mut added = 0;
    while let Some(batch) = incoming.recv().await {
        let urls: Vec<&str> = batch.image_urls.iter().map(String::as_str).collect();
        Product::insert(conn, new.id, &batch.products).await?;
        let earlier = base.as_mut().map(|base| {
            let earlier = urls.iter().map(|url| base.images.remove(&fingerprint(url)));
            earlier.inspect(|image| added += i32::from(image.is_none())).collect::<Vec<_>>()
        });
        Image::insert(conn, new.id, stored, &batch.image_ids, &urls, earlier.as_deref()).await?;
        let hosts: Vec<String> = urls.iter().map(|url| fetch::host_key(url)).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let (kind, first, after) = (ProcessImage::KIND, i64::from(stored), Duration::ZERO);
        NewJobs { kind, group, first, ids: &batch.image_ids, hosts: &hosts, after }.insert(conn).await?;
        stored += i32::try_from(urls.len()).unwrap_or(i32::MAX);
    }
    if let Some(base) = base {
        // Rows go after their request was deleted, so all of them were there if it is not.
        if ProcessingRequest::find(conn, Viewer::Tenant(new.tenant_id), base.id).await?.is_none() {
            return Err(StoreError::BaseNotFound);
        }
        Run::compare(conn, new.id, base.id, added, i32::try_from(base.images.len()).unwrap_or(i32::MAX)).await?;
    }
    events::announce_jobs(conn, ProcessImage::KIND).await?;
    events::announce_request(conn, new.id).await?;
    Ok(())
}

fn csv_issues(request_id: Uuid, report: &Report) -> anyhow::Result<Vec<CsvIssue>> {
    let issue = |(position, issue): (i32, &sheet::Issue)| {
        Ok(CsvIssue {
            request_id,
            position,
            severity: wire_name(issue.severity)?,
            code: wire_name(issue.code)?,
            message: issue.message.clone(),
            line: to_db(issue.line)?,
            row_number: issue.row.map(to_db).transpose()?,
            column_name: issue.column.clone(),
            value: issue.value.clone(),
        })
    };
    (0..).zip(&report.issues).map(issue).collect()
}

/// An enum as the API and the database call it.
fn wire_name(value: impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::from_value(serde_json::to_value(value)?)?)
}

/// A count as the database keeps it.
fn to_db<N: TryInto<I>, I>(number: N) -> anyhow::Result<I>
where
    N::Error: std::error::Error + Send + Sync + 'static,
{
    number.try_into().context("a count is out of range")
}
