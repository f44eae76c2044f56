//! One image to compress.

use crate::contract::{Deadline, Limits, Settings};
use crate::header::probe::Probe;

/// A source, and what is asked of it.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a, 's> {
    pub bytes: &'a [u8],
    /// The source's size in bytes; `bytes` may be a copy with a shorter profile.
    pub size: u64,
    pub probe: Probe,
    pub settings: &'s Settings,
    pub limits: &'s Limits,
    pub deadline: Deadline,
}
