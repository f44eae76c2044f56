//! A webhook delivery as a client sees it, with every attempt.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use super::error::{UserError, UserErrorCode};
use super::loaders::{AttemptsAt, NextAttemptAt, load};
use super::scalars::{DateTime, Url};
use crate::app::App;
use crate::db::webhook;
use crate::pipeline::notify;

/// The state of a webhook delivery.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "webhook::WebhookDeliveryStatus")]
pub enum WebhookDeliveryStatus {
    /// Not tried yet.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// An attempt failed; another one follows.
    Retrying,
    /// All scheduled attempts failed.
    Exhausted,
    /// The receiver returned 410.
    Refused,
}

/// One attempt at a delivery.
#[derive(SimpleObject)]
pub struct WebhookAttempt {
    /// 1 for the first attempt.
    number: i32,
    /// When it began.
    started_at: DateTime,
    /// How long it took, in milliseconds.
    duration_ms: i32,
    /// The HTTP status of the receiver's response; null if there was none.
    http_status: Option<i32>,
    /// Why it failed; null when it did not.
    error: Option<String>,
}

impl WebhookAttempt {
    /// The attempt to send a test event.
    pub fn of_test(attempt: notify::Attempt) -> Self {
        Self {
            number: 1,
            started_at: DateTime(chrono::Utc::now() - attempt.duration),
            duration_ms: i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX),
            http_status: attempt.http_status.map(i32::from),
            error: attempt.error,
        }
    }
}

pub struct WebhookDelivery(pub webhook::WebhookDelivery);

impl WebhookDelivery {
    /// Of the deliveries of a request, the one that announces the end of this run.
    pub fn of_run(deliveries: Option<Vec<webhook::WebhookDelivery>>, run: i32) -> Option<Self> {
        deliveries.into_iter().flatten().find(|delivery| delivery.run == run).map(Self)
    }
}

/// What is wrong with a webhook's address, as far as its text shows it; the host's addresses are judged at every attempt.
pub fn check_url(app: &App, field: &[&str], text: &str) -> Option<UserError> {
    let name = field.last().copied().unwrap_or_default();
    let Some(url) = url::Url::parse(text).ok().filter(|_| !text.contains('\0')) else {
        let message = format!("`{name}` must be an absolute http or https URL.");
        return Some(UserError::new(UserErrorCode::InvalidWebhookUrl, field, message));
    };
    if !matches!(url.scheme(), "http" | "https") || text.len() > 2048 {
        let message = format!("`{name}` must be an http or https URL of at most 2,048 characters.");
        return Some(UserError::new(UserErrorCode::InvalidWebhookUrl, field, message));
    }
    let blocked = app.client.guard().check_url(&url).err()?;
    let remedy = blocked.remedy().map(|sentence| format!(" {sentence}")).unwrap_or_default();
    let message = format!("`{name}` cannot be used: {blocked}.{remedy}");
    Some(UserError::new(UserErrorCode::BlockedAddress, field, message))
}

/// The notification that a run of a request has ended; it is delivered at least once.
#[Object]
impl WebhookDelivery {
    /// Also the `webhook-id` header, the same for every attempt.
    pub(super) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Where it is sent.
    async fn url(&self) -> Url {
        Url(self.0.url.clone())
    }

    /// The delivery's current state.
    async fn status(&self) -> WebhookDeliveryStatus {
        self.0.status.into()
    }

    /// When the next attempt is due; null when there is none.
    async fn next_attempt_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        Ok(load(ctx, NextAttemptAt(self.0.id)).await?.map(DateTime))
    }

    /// The attempts of the last 90 days, in order.
    async fn attempts(&self, ctx: &Context<'_>) -> Result<Vec<WebhookAttempt>> {
        let attempts = load(ctx, AttemptsAt(self.0.id)).await?.unwrap_or_default();
        let attempt = |row: webhook::WebhookAttempt| WebhookAttempt {
            number: row.number,
            started_at: DateTime(row.started_at),
            duration_ms: row.duration_ms,
            http_status: row.http_status,
            error: row.error,
        };
        Ok(attempts.into_iter().map(attempt).collect())
    }
}
