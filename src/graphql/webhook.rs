//! A webhook delivery as a client sees it, with every attempt.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::error::internal;
use super::scalars::Url;
use crate::app::App;
use crate::db::{self, webhook};

/// Where a delivery is in its life.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "webhook::WebhookDeliveryStatus")]
pub enum WebhookDeliveryStatus {
    Pending,
    Delivered,
    Retrying,
    /// Every attempt of the schedule failed.
    Exhausted,
    /// The receiver answered 410.
    Refused,
}

/// One attempt at a delivery.
#[derive(SimpleObject)]
pub struct WebhookAttempt {
    number: i32,
    started_at: DateTime<Utc>,
    duration_ms: i32,
    http_status: Option<i32>,
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

    async fn url(&self) -> Url {
        Url(self.0.url.clone())
    }

    async fn status(&self) -> WebhookDeliveryStatus {
        self.0.status.into()
    }

    async fn next_attempt_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>> {
        let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
        webhook::WebhookDelivery::next_attempt_at(&mut conn, self.0.id).await.map_err(internal)
    }

    /// The first one first.
    async fn attempts(&self, ctx: &Context<'_>) -> Result<Vec<WebhookAttempt>> {
        let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
        let attempts = webhook::WebhookAttempt::of_delivery(&mut conn, self.0.id).await.map_err(internal)?;
        let attempt = |row: webhook::WebhookAttempt| WebhookAttempt {
            number: row.number,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            http_status: row.http_status,
            error: row.error,
        };
        Ok(attempts.into_iter().map(attempt).collect())
    }
}
