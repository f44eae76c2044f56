//! A run of a request as a client sees it.

use async_graphql::{Context, Enum, ID, Object, Result};

use super::error::internal;
use super::loaders::{DeliveriesOf, ProgressOf, load};
use super::progress::{Progress, Savings};
use super::request::ProcessingRequestStatus;
use super::rerunning::Changes;
use super::scalars::DateTime;
use super::webhook::WebhookDelivery;
use crate::db::run;

/// Why a run began.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "run::RunReason")]
pub enum RunReason {
    /// The CSV was uploaded; always the first run.
    Upload,
    /// Failed or canceled images were tried again.
    Retry,
    /// Image URLs were corrected.
    Correction,
    /// All images were requested from their hosts again.
    Rerun,
}

pub struct Run(pub run::Run);

/// One pass over images of a request. The upload is run 1, over all of them; a retry, a correction or a rerun begins
/// the next run, over the images concerned.
#[Object]
impl Run {
    /// 1 for the upload.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// Why the run began.
    async fn reason(&self) -> RunReason {
        self.0.reason.into()
    }

    /// The request's status when the run ended; null until then.
    async fn status(&self) -> Option<ProcessingRequestStatus> {
        self.0.status.map(Into::into)
    }

    /// The request that its upload is based on, which may have been deleted since; null for all but the first run.
    async fn based_on_id(&self) -> Option<ID> {
        self.0.based_on.map(ID::from)
    }

    /// When the run began.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When its last image finished; null until then.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }

    /// Progress over the images of this run only.
    async fn progress(&self, ctx: &Context<'_>) -> Result<Progress> {
        match load(ctx, ProgressOf(self.0.request_id)).await? {
            Some(progress) => Ok(Progress(progress.of_run(&self.0))),
            None => Err(internal(anyhow::anyhow!("request {} is gone", self.0.request_id))),
        }
    }

    /// Bytes saved by the images that finished in this run.
    async fn savings(&self) -> Savings {
        Savings(self.0.savings())
    }

    /// How its images compare with their state before it; null for a first run whose upload is not based on another
    /// request. The counts increase until it has ended.
    async fn changes(&self) -> Option<Changes> {
        self.0.changes().map(Into::into)
    }

    /// The delivery that announces its end; null until then, if no webhook was requested, and for all but the last 100 runs.
    async fn webhook_delivery(&self, ctx: &Context<'_>) -> Option<Result<WebhookDelivery>> {
        let deliveries = load(ctx, DeliveriesOf(self.0.request_id)).await;
        let of_run = |deliveries: Option<Vec<_>>| WebhookDelivery::of_run(deliveries, self.0.number);
        deliveries.map(of_run).transpose()
    }
}
