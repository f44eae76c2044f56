//! A webhook delivery as a client sees it, with every attempt.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use super::loaders::{AttemptsAt, NextAttemptAt, load};
use super::scalars::{DateTime, Url};
use crate::db::webhook;

/// Where a delivery is in its life.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "webhook::WebhookDeliveryStatus")]
pub enum WebhookDeliveryStatus {
    /// Not tried yet.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// An attempt failed; another one follows.
    Retrying,
    /// Every attempt of the schedule failed.
    Exhausted,
    /// The receiver answered 410.
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
    /// The receiver's status; null when there was no answer.
    http_status: Option<i32>,
    /// Why it failed; null when it did not.
    error: Option<String>,
}

pub struct WebhookDelivery(pub webhook::WebhookDelivery);

/// The message that a request has ended, delivered at least once.
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

    /// Where the delivery is in its life.
    async fn status(&self) -> WebhookDeliveryStatus {
        self.0.status.into()
    }

    /// When the next attempt is due; null when there is none.
    async fn next_attempt_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        Ok(load(ctx, NextAttemptAt(self.0.id)).await?.map(DateTime))
    }

    /// The first one first.
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
