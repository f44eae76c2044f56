//! What the workers on one database tell each other about a host, so that together they keep to its limit.

use std::time::Duration;

/// What one worker knows of a host it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Scheme, host and port.
    pub origin: String,
    /// Requests this worker may have under way.
    pub window: usize,
    /// Requests it has under way.
    pub in_flight: usize,
    /// For how much longer the host asked not to be contacted, and the status with which it asked.
    pub paused: Option<(Duration, u16)>,
    /// For how much longer the host counts as down.
    pub down: Option<Duration>,
    /// Whether the host answered since the last report.
    pub answered: bool,
    /// The median time of the last requests.
    pub median: Option<Duration>,
}

/// What all workers together know of a host, and which part of it is this worker's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Scheme, host and port.
    pub origin: String,
    /// Workers that use the host, this one included; 0 when this one does not.
    pub workers: usize,
    /// This worker's place among them, from 0; each has another.
    pub rank: usize,
    /// Requests the others may have under way.
    pub others_window: usize,
    /// For how much longer the host asked not to be contacted, and the status with which it asked.
    pub paused: Option<(Duration, u16)>,
    /// For how much longer the host counts as down.
    pub down: Option<Duration>,
}
