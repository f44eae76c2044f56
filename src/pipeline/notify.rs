//! Telling a webhook that a request has ended. The delivery and its job are stored in the transaction that ends the request;
//! every attempt sends the same id and body, and is logged.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::export::ResultKind;
use crate::app::App;
use crate::db::request::ProcessingRequest;
use crate::db::webhook::{WebhookAttempt, WebhookDelivery, WebhookDeliveryStatus};
use crate::db::{self, Connection};
use crate::queue::{Claim, Job, jobs};
use crate::webhook::{self, Verdict};

/// The type of the one event there is.
const EVENT: &str = "processing_request.finished";

/// Stores the delivery of a request that has just ended, when it asked for one, with the job that sends it.
pub async fn enqueue(app: &App, conn: &mut Connection, request: &ProcessingRequest) -> anyhow::Result<()> {
    let Some(url) = &request.webhook_url else { return Ok(()) };
    let id = Uuid::now_v7();
    WebhookDelivery::insert(conn, id, request.id, url, &body(app, request)).await?;
    jobs::enqueue(conn, DeliverWebhook::KIND, request.id, &[id], 0, Duration::ZERO).await?;
    jobs::announce(conn, DeliverWebhook::KIND).await?;
    Ok(())
}

fn body(app: &App, request: &ProcessingRequest) -> String {
    let link = app.links.result_at(&request.public_url, request.id, ResultKind::OutputCsv.file());
    let saved_bytes = request.input_bytes - request.output_bytes;
    json!({
        "type": EVENT,
        "timestamp": request.finished_at,
        "data": {
            "id": request.id,
            "label": request.label,
            "filename": request.filename,
            "status": request.status,
            "images": {
                "total": request.total,
                "succeeded": request.succeeded,
                "failed": request.failed,
                "canceled": request.canceled,
            },
            "savings": {
                "inputBytes": request.input_bytes,
                "outputBytes": request.output_bytes,
                "savedBytes": saved_bytes,
                "savedRatio": request.saved_ratio(),
            },
            "outputCsvUrl": link.url,
            "outputCsvUrlExpiresAt": link.expires_at,
        },
    })
    .to_string()
}

/// The job that makes one attempt at a delivery.
pub struct DeliverWebhook {
    pub app: App,
}

impl Job for DeliverWebhook {
    const KIND: &'static str = "deliver_webhook";

    async fn run(&self, claim: Claim, stop: CancellationToken) -> anyhow::Result<()> {
        let app = &self.app;
        let mut conn = db::connect(&app.worker_pool).await?;
        let Some(delivery) = WebhookDelivery::find(&mut conn, claim.id).await? else {
            jobs::finish(&mut conn, &[claim]).await?;
            return Ok(());
        };
        drop(conn);

        let message =
            webhook::Delivery { id: delivery.id, url: delivery.url.clone(), body: delivery.body.clone().into() };
        let sending = webhook::send(&app.client, &message, &app.webhook_secret, SystemTime::now(), webhook::TIMEOUT);
        let Some(attempt) = stop.run_until_cancelled(sending).await else {
            jobs::release(&mut *db::connect(&app.worker_pool).await?, &[claim]).await?;
            return Ok(());
        };
        let (status, again) = match attempt.verdict() {
            Verdict::Delivered => (WebhookDeliveryStatus::Delivered, None),
            Verdict::Gone => (WebhookDeliveryStatus::Refused, None),
            Verdict::Retry => {
                let made = u32::try_from(claim.attempts).unwrap_or(0) + 1;
                let delay = webhook::retry_delay(&app.config.webhook_schedule, made, attempt.retry_after);
                (delay.map_or(WebhookDeliveryStatus::Exhausted, |_| WebhookDeliveryStatus::Retrying), delay)
            }
        };
        match status {
            WebhookDeliveryStatus::Delivered => info!(delivery.id = %delivery.id, "webhook delivered"),
            _ => warn!(
                delivery.id = %delivery.id, http.status = attempt.http_status, status = %status,
                "webhook not delivered: {}", attempt.error.as_deref().unwrap_or("the receiver did not accept it")
            ),
        }

        let mut conn = db::connect(&app.worker_pool).await?;
        conn.transaction(async |conn| {
            let held = match again {
                Some(after) => jobs::retry(conn, &claim, after, attempt.error.as_deref().unwrap_or_default()).await?,
                None => !jobs::finish(conn, std::slice::from_ref(&claim)).await?.is_empty(),
            };
            let duration_ms = i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX);
            let http_status = attempt.http_status.map(i32::from);
            WebhookAttempt::log(conn, delivery.id, duration_ms, http_status, attempt.error.as_deref()).await?;
            if held {
                WebhookDelivery::set_status(conn, delivery.id, status).await?;
            }
            diesel::QueryResult::Ok(())
        })
        .await
        .context("record the attempt")
    }
}
