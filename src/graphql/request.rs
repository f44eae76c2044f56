//! A processing request as a client sees it, with its progress and savings.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};

use super::csv::CsvReport;
use super::error::internal;
use super::image::{FailureGroup, Image, ImageFilter};
use super::loaders::{Loaders, ProgressOf};
use super::paging::{Args, Paged, page_cost, paginate};
use super::product::Product;
use super::scalars::{UnsignedInt53, Url};
use super::settings::CompressionSettings;
use super::webhook::WebhookDelivery;
use crate::app::App;
use crate::db::request::{ProcessingRequest as Row, RequestStatus};
use crate::db::{self, image, product, request, webhook};
use crate::pipeline::export;

/// Where a request is in its life. The last four are final.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "RequestStatus")]
pub enum ProcessingRequestStatus {
    /// Accepted and durable; nothing has started.
    Pending,
    Processing,
    /// Every image has an output.
    Completed,
    /// Finished; at least one image or row has no output, each with its reason.
    CompletedWithErrors,
    /// Finished; no image has an output.
    Failed,
    /// Stopped by a caller; finished images are kept.
    Canceled,
}

/// Which requests a list shows.
#[derive(InputObject, Default)]
pub struct ProcessingRequestFilter {
    /// Only requests in one of these.
    pub status: Option<Vec<ProcessingRequestStatus>>,
    /// Only requests with exactly this label.
    pub label: Option<String>,
}

impl ProcessingRequestFilter {
    pub fn into_rows(self) -> request::RequestFilter {
        request::RequestFilter {
            statuses: self.status.map(|statuses| statuses.into_iter().map(RequestStatus::from).collect()),
            label: self.label,
        }
    }
}

pub struct ProcessingRequest(pub Row);

/// One uploaded CSV and everything that came of it.
#[Object]
impl ProcessingRequest {
    /// The request ID: in the CSV's links, in the webhook, in the logs.
    pub(super) async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn filename(&self) -> Option<&str> {
        self.0.filename.as_deref()
    }

    /// The caller's own name for it.
    async fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }

    async fn status(&self) -> ProcessingRequestStatus {
        self.0.status.into()
    }

    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }

    async fn settings(&self) -> Result<CompressionSettings> {
        CompressionSettings::read(&self.0.settings)
    }

    /// How the CSV was read.
    async fn csv(&self) -> CsvReport {
        CsvReport::of_request(&self.0)
    }

    async fn progress(&self, ctx: &Context<'_>) -> Result<Progress> {
        let progress = ctx.data_unchecked::<Loaders>().requests.load_one(ProgressOf(self.0.id)).await;
        match progress.map_err(|error| internal(anyhow::anyhow!("{error:#}")))? {
            Some(progress) => Ok(Progress(progress.seen_with(&self.0))),
            None => Err(internal(anyhow::anyhow!("request {} is gone", self.0.id))),
        }
    }

    async fn savings(&self) -> Savings<'_> {
        Savings(&self.0)
    }

    /// The accepted rows, in the order of the CSV.
    #[graphql(complexity = page_cost(first, last, child_complexity))]
    async fn products(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Paged<i32, Product>> {
        let pool = &ctx.data_unchecked::<App>().pool;
        let load = async |page| {
            let mut conn = db::connect(pool).await.map_err(internal)?;
            product::Product::page(&mut conn, self.0.id, &page).await.map_err(internal)
        };
        paginate(Args { first, after, last, before }, load, |row| row.row_number, Product).await
    }

    /// The distinct images, in the order in which the CSV first names them.
    #[graphql(complexity = page_cost(first, last, child_complexity))]
    async fn images(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<ImageFilter>,
    ) -> Result<Paged<i32, Image>> {
        let pool = &ctx.data_unchecked::<App>().pool;
        let filter = filter.unwrap_or_default().into_rows();
        let load = async |page| {
            let mut conn = db::connect(pool).await.map_err(internal)?;
            image::Image::page(&mut conn, self.0.id, &filter, &page).await.map_err(internal)
        };
        paginate(Args { first, after, last, before }, load, |row| row.image.position, Image).await
    }

    /// Failures grouped the way people fix them: by code, then host; the most frequent first, at most 100.
    #[graphql(complexity = super::paging::list_cost(100, child_complexity))]
    async fn failure_groups(&self, ctx: &Context<'_>) -> Result<Vec<FailureGroup>> {
        let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
        let groups = image::Image::failure_groups(&mut conn, self.0.id).await.map_err(internal)?;
        Ok(groups.into_iter().map(FailureGroup).collect())
    }

    /// The output CSV's signed link; null until the request is final. `result` serves it earlier.
    async fn output_csv_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let app = ctx.data_unchecked::<App>();
        self.0
            .status
            .is_final()
            .then(|| Url(app.result_url(&app.config.public_url, self.0.id, export::ResultKind::OutputCsv.file()).0))
    }

    /// A result file; while the request is running, a consistent snapshot.
    async fn result(&self, #[graphql(default_with = "ResultKind::OutputCsv")] kind: ResultKind) -> ResultFile<'_> {
        ResultFile { request: &self.0, kind }
    }

    async fn webhook_url(&self) -> Option<Url> {
        self.0.webhook_url.clone().map(Url)
    }

    /// What became of the webhook; null until the request is final, and when none was asked for.
    async fn webhook_delivery(&self, ctx: &Context<'_>) -> Option<Result<WebhookDelivery>> {
        let load = async {
            let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await?;
            anyhow::Ok(webhook::WebhookDelivery::of_request(&mut conn, self.0.id).await?)
        };
        match load.await {
            Ok(delivery) => delivery.map(|delivery| Ok(WebhookDelivery(delivery))),
            Err(error) => Some(Err(internal(error))),
        }
    }
}

pub struct Progress(pub request::Progress);

/// Always adds up: total = pending + processing + retrying + succeeded + failed + canceled.
#[Object]
impl Progress {
    async fn total(&self) -> i32 {
        self.0.total
    }

    async fn pending(&self) -> i32 {
        self.0.pending()
    }

    async fn processing(&self) -> i32 {
        self.0.processing
    }

    async fn retrying(&self) -> i32 {
        self.0.retrying
    }

    async fn succeeded(&self) -> i32 {
        self.0.succeeded
    }

    async fn failed(&self) -> i32 {
        self.0.failed
    }

    async fn canceled(&self) -> i32 {
        self.0.canceled
    }

    /// 0–100; never goes back; 100 only when final.
    async fn percent(&self) -> f64 {
        self.0.percent()
    }

    /// Over the last seconds; null when there is too little evidence.
    async fn images_per_second(&self) -> Option<f64> {
        self.0.images_per_second
    }

    async fn estimated_seconds_remaining(&self) -> Option<i32> {
        let left = f64::from(self.0.total - self.0.ended());
        self.0.images_per_second.map(|pace| (left / pace).ceil() as i32)
    }

    /// Grows with every change; drop a snapshot whose revision is lower.
    async fn revision(&self) -> UnsignedInt53 {
        self.0.revision.into()
    }
}

pub struct Savings<'a>(&'a Row);

/// Over succeeded images.
#[Object]
impl Savings<'_> {
    async fn input_bytes(&self) -> UnsignedInt53 {
        self.0.input_bytes.into()
    }

    async fn output_bytes(&self) -> UnsignedInt53 {
        self.0.output_bytes.into()
    }

    async fn saved_bytes(&self) -> f64 {
        (self.0.input_bytes - self.0.output_bytes) as f64
    }

    /// 1 − output ÷ input; 0 when there is no input.
    async fn saved_ratio(&self) -> f64 {
        self.0.saved_ratio()
    }

    async fn compressed(&self) -> i32 {
        self.0.succeeded - self.0.kept_original
    }

    async fn kept_original(&self) -> i32 {
        self.0.kept_original
    }

    async fn target_missed(&self) -> i32 {
        self.0.target_missed
    }
}

/// The files a request can be downloaded as.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "export::ResultKind")]
#[expect(clippy::enum_variant_names, reason = "the contract's names; other results need not be CSV")]
pub enum ResultKind {
    /// S. No, Product Name, Input Image Urls, Output Image Urls, then the carried-through columns.
    OutputCsv,
    /// A line for each image URL of each row: status, outcome, code, reason, HTTP status, bytes, score, URLs.
    DetailCsv,
    /// Only the rows that need attention, in the input's shape plus Reason: correct them and upload the file again.
    FailedRowsCsv,
}

pub struct ResultFile<'a> {
    request: &'a Row,
    kind: ResultKind,
}

/// A file to download.
#[Object]
impl ResultFile<'_> {
    async fn kind(&self) -> ResultKind {
        self.kind
    }

    /// Signed; valid until expiresAt. With `&bom=1` behind it the file begins with a byte order mark, for Excel.
    async fn url(&self, ctx: &Context<'_>) -> Url {
        let app = ctx.data_unchecked::<App>();
        let kind = export::ResultKind::from(self.kind);
        Url(app.result_url(&app.config.public_url, self.request.id, kind.file()).0)
    }

    async fn expires_at(&self, ctx: &Context<'_>) -> DateTime<Utc> {
        ctx.data_unchecked::<App>().links.expires_at(Utc::now())
    }

    async fn filename(&self) -> String {
        export::ResultKind::from(self.kind).filename(self.request)
    }

    /// True while the request is running: a consistent snapshot.
    async fn is_partial(&self) -> bool {
        !self.request.status.is_final()
    }
}
