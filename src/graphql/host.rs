//! An image host of a request as a client sees it.

use async_graphql::{Enum, SimpleObject};

use super::scalars::DateTime;
use crate::db::host::{HostState, RequestHost};

/// Whether images are downloaded from a host.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostStatus {
    /// Images are downloaded from it.
    Open,
    /// The host asked not to be contacted for a while (`Retry-After`).
    Paused,
    /// The host did not answer several requests in a row. It is tried again after a while.
    Down,
}

impl HostStatus {
    pub fn of(state: &HostState) -> Self {
        match (state.paused_until, state.down_until) {
            (_, Some(_)) => Self::Down,
            (Some(_), None) => Self::Paused,
            (None, None) => Self::Open,
        }
    }
}

/// A host from which images of the request are downloaded. `succeeded` and `failed` count images of the request; the other
/// fields cover all requests and workers, and may be a few seconds old.
#[derive(SimpleObject)]
pub struct Host {
    /// Scheme, name and port, such as `https://images.example`.
    host: String,
    /// Whether images are being downloaded from it.
    status: HostStatus,
    /// How many simultaneous downloads from the host are currently allowed. Null while nothing is being downloaded from it.
    window: Option<i32>,
    /// When downloads resume, while the host is paused or down.
    paused_until: Option<DateTime>,
    /// Downloads in progress.
    in_flight: i32,
    /// Images of the request that have an output.
    succeeded: i32,
    /// Images of the request that failed for good.
    failed: i32,
    /// The median duration of the latest downloads, in milliseconds.
    median_ms: Option<i32>,
}

impl From<RequestHost> for Host {
    fn from(row: RequestHost) -> Self {
        let state = row.state.as_ref();
        Self {
            status: state.map_or(HostStatus::Open, HostStatus::of),
            window: state.and_then(|it| it.window),
            paused_until: state.and_then(|it| it.paused_until.max(it.down_until)).map(DateTime),
            in_flight: state.map_or(0, |it| it.in_flight),
            succeeded: row.succeeded,
            failed: row.failed,
            median_ms: state.and_then(|it| it.median_ms),
            host: row.origin,
        }
    }
}
