//! A processing request as a client sees it.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};

use super::csv::CsvReport;
use super::error::internal;
use super::host::Host;
use super::image::{FailureGroup, Image, ImageFilter};
use super::loaders::{Loaders, ProgressOf};
use super::paging::{Args, Paged, page_cost, paginate};
use super::product::Product;
use super::progress::{Progress, Savings};
use super::result_file::{ResultFile, ResultKind};
use super::scalars::Url;
use super::settings::CompressionSettings;
use super::webhook::WebhookDelivery;
use crate::app::App;
use crate::db::request::{ProcessingRequest as Row, RequestStatus};
use crate::db::{self, host, image, product, request, webhook};
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

    /// The image hosts of the request with the most images, at most 100.
    #[graphql(complexity = super::paging::list_cost(100, child_complexity))]
    async fn hosts(&self, ctx: &Context<'_>) -> Result<Vec<Host>> {
        let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
        let hosts = host::of_request(&mut conn, self.0.id, 100).await.map_err(internal)?;
        Ok(hosts.into_iter().map(Host::from).collect())
    }

    /// The output CSV's signed link; null until the request is final. `result` serves it earlier.
    async fn output_csv_url(&self, ctx: &Context<'_>) -> Option<Url> {
        let app = ctx.data_unchecked::<App>();
        self.0.status.is_final().then(|| Url(app.links.result(self.0.id, export::ResultKind::OutputCsv.file()).url))
    }

    /// A result file; while the request is running, a consistent snapshot.
    async fn result(&self, #[graphql(default_with = "ResultKind::OutputCsv")] kind: ResultKind) -> ResultFile<'_> {
        ResultFile { request: &self.0, kind }
    }

    async fn webhook_url(&self) -> Option<Url> {
        self.0.webhook_url.clone().map(Url)
    }

    /// The delivery of the webhook; null until the request is final, and when no webhook was asked for.
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
