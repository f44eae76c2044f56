//! What is asked of an image, and the file made of it.

use crate::contract::{Format, Goal, Settings};
use crate::decide::search::SearchResult;
use crate::header::foreign::is_foreign;
use crate::header::probe::Probe;
use crate::picture::resize;

/// What is to change besides the size in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The output's format; of a source that is only read, and has no transparency, see [`Plan::without_transparency`].
    pub format: Format,
    /// The output's displayed size.
    pub size: (u32, u32),
    /// Same format and same size: only the bytes change.
    pub is_same: bool,
}

impl Plan {
    pub fn new(probe: &Probe, settings: &Settings) -> Plan {
        let format = settings.format.unwrap_or(match probe.format {
            foreign if is_foreign(foreign) => Format::Png,
            own => own,
        });
        let size = resize::fit(probe.displayed(), settings.max_width, settings.max_height);
        Plan { format, size, is_same: format == probe.format && size == probe.displayed() }
    }

    /// What a file may become besides a file of its own format, where the format is to be chosen.
    pub fn others(&self, probe: &Probe, settings: &Settings) -> Vec<Format> {
        let is_animated = probe.is_animated && !settings.still;
        let mut others = vec![Format::Webp];
        if settings.goal != Goal::Lossless && !is_animated {
            // What is transparent, which only the pixels show, does not become a JPEG.
            others.push(Format::Jpeg);
            others.extend(settings.allow_avif.then_some(Format::Avif));
        }
        others.retain(|format| *format != self.format);
        others
    }

    /// The format once it is known that no pixel is transparent: a source that is only read becomes a JPEG then, unless another
    /// format or no loss was asked for.
    pub fn without_transparency(&self, probe: &Probe, settings: &Settings) -> Format {
        let is_free = settings.format.is_none() && settings.goal != Goal::Lossless && is_foreign(probe.format);
        if is_free { Format::Jpeg } else { self.format }
    }
}

/// A new file and its size.
pub(crate) struct EncodedImage {
    pub choice: SearchResult,
    /// Pixels of the new file, as stored.
    pub size: (u32, u32),
    pub format: Format,
}
