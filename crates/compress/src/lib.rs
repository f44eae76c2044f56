//! Bytes of an image to fewer bytes: pure and CPU-bound; no network, no files, no clock.
//!
//! The same bytes and settings always give the same output. No input makes it panic, and limits are checked on headers before
//! memory is spent. The output is never larger than the source unless the caller asked for another size or format.
//!
//! In the order of the flow: `sniff` tells the format, `probe` reads the headers, `plan` decides, `same`, `rework` and
//! `jpeg_planes` carry it out, `decode` makes pixels where they are needed, `search` finds the quality a goal asks for, and
//! `jpeg_out`, `png_out` (for large ones `png_bands`), `webp_out` and `avif_out` write the file.

mod error;
mod format;
mod name;
mod receipt;
mod settings;

mod sniff;

mod probe;

mod chunks;
mod credits;
mod exif;
mod gif;
mod raw_profile;
mod riff;
mod segments;
mod vp8;

mod plan;

mod budget;

mod same;

mod rework;

mod jpeg_planes;

mod decode;

mod colour;
mod orient;
mod pixels;
mod resize;

mod search;

mod encode;
mod score;

pub mod jpeg;
mod jpeg_out;

mod exact_palette;
mod palette;
mod png_bands;
mod png_out;
mod png_steps;

mod webp_out;

mod avif_out;
mod yuv;

mod location;
mod photoshop;

pub use budget::memory_needed;
pub use error::Error;
pub use format::Format;
pub use name::output_name;
pub use plan::compress;
pub use receipt::{Compressed, Facts, Outcome, Receipt};
pub use settings::{Goal, Settings};
pub use sniff::sniff;

/// What one image may cost. Checked on headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels, summed over all frames.
    pub max_pixels: u64,
    /// Width or height, in pixels.
    pub max_side: u32,
}

impl Default for Limits {
    /// 50 megapixels, 16,384 pixels a side.
    fn default() -> Limits {
        Limits { max_pixels: 50_000_000, max_side: 16_384 }
    }
}

impl Limits {
    /// The same bounds for the JPEG requantiser. Real progressive files have about ten scans.
    fn for_jpeg(self) -> jpeg::Limits {
        jpeg::Limits { max_pixels: self.max_pixels, max_side: self.max_side, max_scans: 100 }
    }
}

#[cfg(test)]
mod tests;
