//! Settings of webhooks.

use std::time::Duration;

use super::value::{self, duration};
use crate::webhook::Secret;

/// Settings of webhooks.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Webhooks")]
pub struct Webhooks {
    /// The secret that signs webhooks: `whsec_` and base64. With a second one after a comma, each webhook is signed with both.
    /// Default: one is created and kept in the database; see `halftone webhook-secret`
    #[arg(
        long = "webhook-secret",
        env = "HALFTONE_WEBHOOK_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = value::webhook_secret
    )]
    pub secrets: Vec<Secret>,
    /// Waits before each attempt at a webhook
    #[arg(
        long = "webhook-schedule",
        env = "HALFTONE_WEBHOOK_SCHEDULE",
        value_name = "DURATIONS",
        value_delimiter = ',',
        default_value = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h",
        value_parser = duration("0s", "30d")
    )]
    pub schedule: Vec<Duration>,
}
