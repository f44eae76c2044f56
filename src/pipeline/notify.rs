//! Telling a webhook that a request has ended. The delivery and its job are stored in the transaction that ends the request;
//! every attempt sends the same id and body, and is logged.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::{Span, info, warn};
use uuid::Uuid;

use super::export::ResultKind;
use crate::app::{self, App};
use crate::db::request::ProcessingRequest;
use crate::db::run::Run;
use crate::db::viewer::Viewer;
use crate::db::webhook::{WebhookAttempt, WebhookDelivery, WebhookDeliveryStatus};
use crate::db::{self, Connection};
use crate::queue::jobs::{self, Group, NewJobs, Requeue};
use crate::queue::{Claim, Job, Limits, Outcome};
use crate::trace;
pub use crate::webhook::Attempt;
use crate::webhook::{self, Verdict};
use crate::{events, fetch};

/// The type of the event that announces the end of a run.
const EVENT: &str = "processing_request.finished";
/// The type of the event that only tests a receiver.
const TEST_EVENT: &str = "webhook.test";

/// Webhooks in flight at once, and to one receiver; one that has not answered lately gets a single one at a time.
const WEBHOOKS_AT_ONCE: usize = 64;
const WEBHOOKS_PER_RECEIVER: usize = 4;
/// How long a receiver that answered is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Deliveries that one sweep repairs.
const SWEPT_AT_ONCE: i64 = 1_000;

/// Stores the delivery of a request that has just ended, when it asked for one, with the job that sends it.
pub async fn enqueue(app: &App, conn: &mut Connection, request: &ProcessingRequest) -> anyhow::Result<()> {
    let Some(url) = &request.webhook_url else { return Ok(()) };
    let id = Uuid::now_v7();
    let run = Run::find(conn, request.id, request.run).await?;
    WebhookDelivery::insert(conn, id, (request.id, request.run), url, &body(app, request, &run)).await?;
    let first = webhook::retry_delay(&app.config.webhooks.schedule, 0, None).unwrap_or_default();
    enqueue_job(conn, request.id, id, url, first).await?;
    events::announce_jobs(conn, DeliverWebhook::KIND).await?;
    Ok(())
}

/// The receivers of a tenant take turns, not its requests: one with many deliveries holds nobody up.
async fn enqueue_job(
    conn: &mut Connection,
    request_id: Uuid,
    delivery_id: Uuid,
    url: &str,
    after: Duration,
) -> diesel::QueryResult<usize> {
    let receiver = fetch::host_key(url);
    let tenant_id = ProcessingRequest::tenant_id(conn, request_id).await?;
    let hash: [u8; 32] = Sha256::new_with_prefix(tenant_id).chain_update(&receiver).finalize().into();
    let id = uuid::Builder::from_custom_bytes(hash[..16].try_into().unwrap_or_default()).into_uuid();
    let (kind, group) = (DeliverWebhook::KIND, Group { tenant_id, id });
    NewJobs { kind, group, first: 0, ids: &[delivery_id], hosts: &[&receiver], after }.insert_missing(conn).await
}

/// What became of a wish to send a delivery again.
pub enum Redelivered {
    /// It is sent at once, or being sent now.
    Enqueued(WebhookDelivery),
    NotFound,
}

/// Sends a delivery again, with the same id and body, by the whole schedule. One that waits for its next attempt is sent at
/// once.
pub async fn redeliver(app: &App, viewer: Viewer, id: Uuid) -> anyhow::Result<Redelivered> {
    let mut conn = db::connect(&app.pool).await?;
    conn.transaction(async |conn| {
        let Some(delivery) = WebhookDelivery::find(conn, viewer, id).await? else { return Ok(Redelivered::NotFound) };
        // The job before the row, as whoever records an attempt does.
        if enqueue_job(conn, delivery.request_id, id, &delivery.url, Duration::ZERO).await? > 0 {
            WebhookDelivery::set_status(conn, id, WebhookDeliveryStatus::Pending).await?;
        } else {
            jobs::hasten(conn, id).await?;
        }
        events::announce_jobs(conn, DeliverWebhook::KIND).await?;
        Ok(WebhookDelivery::find(conn, viewer, id).await?.map_or(Redelivered::NotFound, Redelivered::Enqueued))
    })
    .await
}

/// Sends a signed test event to a receiver, once, and waits for its answer. Nothing is stored.
pub async fn send_test(app: &App, url: String) -> anyhow::Result<Attempt> {
    let _place = app.webhook_tests.acquire().await?;
    let now = SystemTime::now();
    let body = json!({
        "type": TEST_EVENT,
        "timestamp": chrono::DateTime::<chrono::Utc>::from(now),
        "data": { "message": "This is a test of the webhook." },
    });
    let delivery = webhook::Delivery { id: Uuid::now_v7(), url, body: body.to_string().into() };
    let secrets = app::webhook_secrets(&app.config, &mut *db::connect(&app.pool).await?).await?;
    Ok(webhook::send(&app.client, &delivery, &secrets, now, webhook::TIMEOUT).await)
}

/// Gives deliveries that are to be sent and have lost their job a new one. Returns how many.
pub async fn sweep(app: &App) -> anyhow::Result<usize> {
    let mut conn = db::connect(&app.worker_pool).await?;
    let lost = WebhookDelivery::without_job(&mut conn, SWEPT_AT_ONCE).await?;
    for delivery in &lost {
        enqueue_job(&mut conn, delivery.request_id, delivery.id, &delivery.url, Duration::ZERO).await?;
    }
    if !lost.is_empty() {
        warn!(deliveries = lost.len(), "webhook deliveries had lost their jobs; they will be sent");
        events::announce_jobs(&mut conn, DeliverWebhook::KIND).await?;
    }
    Ok(lost.len())
}

fn body(app: &App, request: &ProcessingRequest, run: &Run) -> String {
    let link = app.links.result_at(&request.public_url, request.id, ResultKind::OutputCsv.file());
    let saved_bytes = request.input_bytes - request.output_bytes;
    json!({
        "type": EVENT,
        "timestamp": request.finished_at,
        "data": {
            "id": request.id,
            "run": request.run,
            "label": request.label,
            "filename": request.filename,
            "status": request.status,
            "images": {
                "total": request.total,
                "succeeded": request.succeeded,
                "failed": request.failed,
                "canceled": request.canceled,
            },
            "changes": run.changes().map(|changes| json!({
                "added": changes.added,
                "removed": changes.removed,
                "changed": changes.changed,
                "unchanged": changes.unchanged,
                "newlyBroken": changes.newly_broken,
                "mended": changes.mended,
            })),
            "savings": {
                "inputBytes": request.input_bytes,
                "outputBytes": request.output_bytes,
                "savedBytes": saved_bytes,
                "savedRatio": request.savings().saved_ratio(),
            },
            "outputCsvUrl": link.url,
            "outputCsvUrlExpiresAt": link.expires_at,
        },
    })
    .to_string()
}

/// The job that makes one attempt at a delivery.
pub struct DeliverWebhook {
    app: App,
    /// The receivers that answered lately, and when they did last.
    answering: Mutex<HashMap<String, Instant>>,
}

impl DeliverWebhook {
    pub fn new(app: App) -> Self {
        Self { app, answering: Mutex::default() }
    }

    fn answering(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job for DeliverWebhook {
    const KIND: &'static str = "deliver_webhook";

    fn limits(&self) -> Limits {
        let mut answering = self.answering();
        answering.retain(|_, last| last.elapsed() < REMEMBERED);
        let hosts = answering.keys().map(|host| (host.clone(), WEBHOOKS_PER_RECEIVER)).collect();
        Limits { jobs: WEBHOOKS_AT_ONCE, per_host: 1, hosts }
    }

    async fn run(&self, claim: Claim, stop: CancellationToken) -> anyhow::Result<Outcome> {
        let app = &self.app;
        let mut conn = db::connect(&app.worker_pool).await?;
        let Some(delivery) = WebhookDelivery::find(&mut conn, Viewer::Operator, claim.id).await? else {
            return Ok(Outcome::Gone);
        };
        let secrets = app::webhook_secrets(&app.config, &mut conn).await?;
        let parent = ProcessingRequest::traceparent(&mut conn, delivery.request_id).await?;
        let parent = parent.and_then(|parent| parent.parse().ok());
        drop(conn);

        let message =
            webhook::Delivery { id: delivery.id, url: delivery.url.clone(), body: delivery.body.clone().into() };
        let span = if trace::is_exported() {
            tracing::error_span!("webhook", id = %delivery.id, otel.kind = "client")
        } else {
            Span::none()
        };
        let sending = webhook::send(&app.client, &message, &secrets, SystemTime::now(), webhook::TIMEOUT);
        let sending = trace::within(parent, span, sending);
        let Some(attempt) = stop.run_until_cancelled(sending).await else {
            return Ok(Outcome::GivenBack);
        };
        match attempt.http_status {
            Some(_) => self.answering().insert(claim.host.clone(), Instant::now()),
            None => self.answering().remove(&claim.host),
        };
        record(app, &claim, &delivery, &attempt).await?;
        Ok(Outcome::Recorded)
    }
}

/// Logs an attempt, and ends its delivery or schedules the next attempt.
async fn record(app: &App, claim: &Claim, delivery: &WebhookDelivery, attempt: &Attempt) -> anyhow::Result<()> {
    let error = attempt.error.as_deref();
    let (status, again) = match attempt.verdict() {
        Verdict::Delivered => (WebhookDeliveryStatus::Delivered, None),
        Verdict::Gone => (WebhookDeliveryStatus::Refused, None),
        Verdict::Retry => {
            let made = u32::try_from(claim.attempts).unwrap_or(0) + 1;
            let delay = webhook::retry_delay(&app.config.webhooks.schedule, made, attempt.retry_after);
            (delay.map_or(WebhookDeliveryStatus::Exhausted, |_| WebhookDeliveryStatus::Retrying), delay)
        }
    };
    app.metrics.webhook_attempt(&status.as_str().to_lowercase());
    match status {
        WebhookDeliveryStatus::Delivered => info!(delivery.id = %delivery.id, "webhook delivered"),
        _ => warn!(
            delivery.id = %delivery.id, http.status = attempt.http_status, status = %status,
            "webhook not delivered: {}", error.unwrap_or("the receiver did not accept it")
        ),
    }

    let mut conn = db::connect(&app.worker_pool).await?;
    conn.transaction(async |conn| {
        let held = match again {
            Some(after) => {
                let reason = error.map(Into::into);
                jobs::requeue(conn, &[Requeue { claim, after, is_attempt: true, reason }]).await?
            }
            None => jobs::finish(conn, std::slice::from_ref(claim)).await?,
        };
        let duration_ms = i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX);
        let http_status = attempt.http_status.map(i32::from);
        let is_logged = WebhookAttempt::log(conn, delivery.id, duration_ms, http_status, error).await?;
        if !held.is_empty() {
            if is_logged {
                WebhookDelivery::set_status(conn, delivery.id, status).await?;
            } else {
                // Its request was deleted meanwhile.
                jobs::discard(conn, &[claim.id]).await?;
            }
        }
        diesel::QueryResult::Ok(())
    })
    .await
    .context("record the attempt")
}
