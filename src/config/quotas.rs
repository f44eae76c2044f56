//! What each API key may do. Without keys all callers together count as one.

use std::num::NonZeroU32;

use super::value::number;

/// Limits of each API key.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Limits of each API key")]
pub struct Quotas {
    /// Uploads per minute, including checks of files. Default: no limit
    #[arg(long, env = "HALFTONE_UPLOADS_PER_MINUTE", value_name = "N", value_parser = number::<u32>(1, 1_000_000))]
    uploads_per_minute: Option<u32>,
    /// Complexity of queries and mutations per minute; starting a subscription counts 100. Default: no limit
    #[arg(
        long,
        env = "HALFTONE_COMPLEXITY_PER_MINUTE",
        value_name = "N",
        value_parser = number::<u32>(1_000, 1_000_000_000)
    )]
    complexity_per_minute: Option<u32>,
    /// Subscriptions open at once. Default: no limit
    #[arg(
        long,
        env = "HALFTONE_SUBSCRIPTIONS_PER_KEY",
        value_name = "N",
        value_parser = number::<usize>(1, 1_000_000)
    )]
    pub subscriptions_per_key: Option<usize>,
    /// Unfinished images of a tenant, beyond which uploads are refused. Default: no limit
    #[arg(
        long,
        env = "HALFTONE_MAX_QUEUED_IMAGES",
        value_name = "N",
        value_parser = number::<u64>(1, 1_000_000_000)
    )]
    pub max_queued_images: Option<u64>,
}

impl Quotas {
    pub fn uploads_per_minute(&self) -> Option<NonZeroU32> {
        self.uploads_per_minute.and_then(NonZeroU32::new)
    }

    pub fn complexity_per_minute(&self) -> Option<NonZeroU32> {
        self.complexity_per_minute.and_then(NonZeroU32::new)
    }
}
