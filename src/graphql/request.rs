//! A processing request as a client sees it.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};

use super::csv::CsvReport;
use super::error::{bad_input, internal};
use super::failure::FailureGroup;
use super::host::Host;
use super::image::{Image, ImageFilter};
use super::loaders::{
    DeliveriesOf, FailureGroupsOf, HostsOf, ImageCountOf, ImagesOf, ProductsOf, ProgressOf, RunsOf, load,
};
use super::paging::{Args, Paged, Total, page_cost, paginate};
use super::product::Product;
use super::progress::{Progress, Savings};
use super::rerunning::Changes;
use super::result_file::{ResultFile, ResultFormat, ResultKind};
use super::run::Run;
use super::scalars::{DateTime, Url};
use super::settings::CompressionSettings;
use super::viewer::links;
use super::webhook::WebhookDelivery;
use crate::app::App;
use crate::db::request::{ProcessingRequest as Row, RequestStatus};
use crate::db::run;
use crate::db::{progress, request};
use crate::pipeline::export;

/// The state of a request. `COMPLETED`, `COMPLETED_WITH_ERRORS`, `FAILED` and `CANCELED` are final until another run
/// begins.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "RequestStatus")]
pub enum ProcessingRequestStatus {
    /// Accepted and durable; nothing has started.
    Pending,
    /// At least one image has been started, or another run has begun.
    Processing,
    /// Every image has an output.
    Completed,
    /// Finished; at least one image or row has no output, and each of these has a reason.
    CompletedWithErrors,
    /// Finished; no image has an output.
    Failed,
    /// Stopped by a caller; finished images are kept.
    Canceled,
}

/// Which requests a list contains.
#[derive(InputObject, Default)]
pub struct ProcessingRequestFilter {
    /// Only requests with one of these statuses.
    pub status: Option<Vec<ProcessingRequestStatus>>,
    /// Only requests with exactly this label.
    pub label: Option<String>,
    /// Only requests whose file name or label contains this text, ignoring case.
    pub search: Option<String>,
}

impl ProcessingRequestFilter {
    pub fn into_rows(self) -> Result<request::RequestFilter> {
        for (name, text) in [("label", &self.label), ("search", &self.search)] {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return Err(bad_input(format!("`filter.{name}` contains a NUL character; no label has one.")));
            }
        }
        Ok(request::RequestFilter {
            statuses: self.status.map(|statuses| statuses.into_iter().map(RequestStatus::from).collect()),
            label: self.label,
            search: self.search,
        })
    }
}

/// A request, with its progress where that was read with it.
pub struct ProcessingRequest {
    pub row: Row,
    pub progress: Option<progress::Progress>,
}

impl From<Row> for ProcessingRequest {
    fn from(row: Row) -> Self {
        Self { row, progress: None }
    }
}

impl ProcessingRequest {
    async fn current_run(&self, ctx: &Context<'_>) -> Result<run::Run> {
        let runs = load(ctx, RunsOf(self.row.id)).await?.unwrap_or_default();
        let current = runs.into_iter().rev().find(|run| run.number <= self.row.run);
        current.ok_or_else(|| internal(anyhow::anyhow!("request {} is gone", self.row.id)))
    }
}

/// One uploaded CSV and all its products, images and results.
#[Object]
impl ProcessingRequest {
    /// The request ID, as used in links to result files, webhooks and logs.
    pub(super) async fn id(&self) -> ID {
        self.row.id.into()
    }

    /// The name of the uploaded file, as the client gave it.
    async fn filename(&self) -> Option<&str> {
        self.row.filename.as_deref()
    }

    /// The caller's own name for the request.
    async fn label(&self) -> Option<&str> {
        self.row.label.as_deref()
    }

    /// The request's current state.
    async fn status(&self) -> ProcessingRequestStatus {
        self.row.status.into()
    }

    /// When the upload was accepted.
    async fn created_at(&self) -> DateTime {
        DateTime(self.row.created_at)
    }

    /// When the first image was started; null until then.
    async fn started_at(&self) -> Option<DateTime> {
        self.row.started_at.map(DateTime)
    }

    /// When the last image of the last run finished; null until then.
    async fn finished_at(&self) -> Option<DateTime> {
        self.row.finished_at.map(DateTime)
    }

    /// When cancellation of the last run was requested; null if it was not. Images in progress may still finish after
    /// that.
    async fn cancel_requested_at(&self) -> Option<DateTime> {
        self.row.cancel_requested_at.map(DateTime)
    }

    /// When the request was paused; null unless it is paused.
    async fn paused_at(&self) -> Option<DateTime> {
        self.row.paused_at.map(DateTime)
    }

    /// When it will be deleted with everything that belongs to it, unless another run begins; null while it is running, and if
    /// requests are kept for ever.
    async fn expires_at(&self, ctx: &Context<'_>) -> Option<DateTime> {
        let kept = ctx.data_unchecked::<App>().config.general.keep_requests?;
        self.row.kept_until(kept).map(DateTime)
    }

    /// When its outputs will be removed, unless another run begins; null while it is running, and if outputs are kept for ever.
    /// The records of the images stay until `expiresAt`.
    async fn outputs_expire_at(&self, ctx: &Context<'_>) -> Option<DateTime> {
        let kept = ctx.data_unchecked::<App>().config.general.outputs_kept()?;
        self.row.kept_until(kept).map(DateTime)
    }

    /// The settings in force, with the defaults filled in.
    async fn settings(&self) -> Result<CompressionSettings> {
        CompressionSettings::read(&self.row.settings)
    }

    /// How the CSV was read.
    async fn csv(&self) -> CsvReport {
        CsvReport::of_request(&self.row)
    }

    /// Progress over all images of the request.
    async fn progress(&self, ctx: &Context<'_>) -> Result<Progress> {
        if let Some(progress) = &self.progress {
            return Ok(Progress(progress.clone()));
        }
        match load(ctx, ProgressOf(self.row.id)).await? {
            Some(progress) => Ok(Progress(progress.seen_with(&self.row))),
            None => Err(internal(anyhow::anyhow!("request {} is gone", self.row.id))),
        }
    }

    /// Bytes saved so far.
    async fn savings(&self) -> Savings {
        Savings(self.row.savings())
    }

    /// The accepted rows, in CSV order.
    #[graphql(complexity = page_cost(first, last, child_complexity))]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of items from the start; 20 by default, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of items from the end instead; at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
    ) -> Result<Paged<i32, Product>> {
        let id = self.row.id;
        let rows = async |page| Ok(load(ctx, ProductsOf(id, page)).await?.unwrap_or_default());
        let total = Total::Known(self.row.csv_accepted_row_count.into());
        paginate(Args { first, after, last, before, offset: None }, total, rows, |row| row.row_number, Product).await
    }

    /// The distinct images, in the order in which they first appear in the CSV.
    #[graphql(complexity = page_cost(first, last, child_complexity))]
    async fn images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of items from the start; 20 by default, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of items from the end instead; at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which images; all by default.")] filter: Option<ImageFilter>,
        #[graphql(desc = "Number of items to skip at the start. Cannot be combined with `last`.")] offset: Option<i32>,
    ) -> Result<Paged<i32, Image>> {
        let id = self.row.id;
        let total = match &filter {
            None => Total::Known(self.row.total.into()),
            Some(filter) => Total::Images(ImageCountOf(id, filter.clone().into_rows())),
        };
        let filter = filter.unwrap_or_default().into_rows();
        let rows = async |page| Ok(load(ctx, ImagesOf(id, (filter, page))).await?.unwrap_or_default());
        paginate(Args { first, after, last, before, offset }, total, rows, |row| row.image.position, Image).await
    }

    /// Failed images grouped by code and host, the largest groups first; at most 100.
    #[graphql(complexity = super::paging::list_cost(100, child_complexity))]
    async fn failure_groups(&self, ctx: &Context<'_>) -> Result<Vec<FailureGroup>> {
        let groups = load(ctx, FailureGroupsOf(self.row.id)).await?.unwrap_or_default();
        Ok(groups.into_iter().map(FailureGroup).collect())
    }

    /// The image hosts of the request with the most images, at most 100.
    #[graphql(complexity = super::paging::list_cost(100, child_complexity))]
    async fn hosts(&self, ctx: &Context<'_>) -> Result<Vec<Host>> {
        let hosts = load(ctx, HostsOf(self.row.id)).await?.unwrap_or_default();
        Ok(hosts.into_iter().map(Host::from).collect())
    }

    /// A signed link to the output CSV; null until the request is final. For an earlier snapshot use `result`.
    async fn output_csv_url(&self, ctx: &Context<'_>) -> Option<Url> {
        self.row
            .status
            .is_final()
            .then(|| Url(links(ctx).result(self.row.id, export::ResultKind::OutputCsv.file()).url))
    }

    /// A result file; while the request is running, a consistent snapshot.
    async fn result(
        &self,
        #[graphql(default_with = "ResultKind::OutputCsv", desc = "The kind of file.")] kind: ResultKind,
        #[graphql(
            desc = "The format to write: by default CSV, or .xlsx for the updated file of an uploaded workbook."
        )]
        format: Option<ResultFormat>,
    ) -> ResultFile<'_> {
        ResultFile { request: &self.row, kind, format }
    }

    /// The URL that is called when the request has ended.
    async fn webhook_url(&self) -> Option<Url> {
        self.row.webhook_url.clone().map(Url)
    }

    /// The delivery that announces the end of the last run; null until the request is final, and if no webhook was
    /// requested.
    async fn webhook_delivery(&self, ctx: &Context<'_>) -> Option<Result<WebhookDelivery>> {
        let deliveries = load(ctx, DeliveriesOf(self.row.id)).await;
        deliveries.map(|deliveries| WebhookDelivery::of_run(deliveries, self.row.run)).transpose()
    }

    /// The current run, or the last one if none is in progress. The upload is run 1.
    async fn run(&self, ctx: &Context<'_>) -> Result<Run> {
        self.current_run(ctx).await.map(Run)
    }

    /// How the images of the current run compare with their state before it; null in the first run, unless the upload
    /// is based on another request.
    async fn changes(&self, ctx: &Context<'_>) -> Result<Option<Changes>> {
        Ok(self.current_run(ctx).await?.changes().map(Into::into))
    }

    /// The runs in order; only the last 100 if there are more.
    #[graphql(complexity = super::paging::list_cost(100, child_complexity))]
    async fn runs(&self, ctx: &Context<'_>) -> Result<Vec<Run>> {
        Ok(load(ctx, RunsOf(self.row.id)).await?.unwrap_or_default().into_iter().map(Run).collect())
    }
}
