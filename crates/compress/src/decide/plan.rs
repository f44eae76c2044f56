//! What is asked of an image, and the file made of it.

use crate::contract::{Format, Settings};
use crate::decide::search::SearchResult;
use crate::header::probe::Probe;
use crate::picture::resize;

/// What is to change besides the size in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The output's format.
    pub format: Format,
    /// The output's displayed size.
    pub size: (u32, u32),
    /// Same format and same size: only the bytes change.
    pub is_same: bool,
}

impl Plan {
    pub fn new(probe: &Probe, settings: &Settings) -> Plan {
        let format = settings.format.unwrap_or(probe.format);
        let size = resize::fit(probe.displayed(), settings.max_width, settings.max_height);
        Plan { format, size, is_same: format == probe.format && size == probe.displayed() }
    }
}

/// A new file and its size.
pub(crate) struct EncodedImage {
    pub choice: SearchResult,
    /// Pixels of the new file, as stored.
    pub size: (u32, u32),
}
