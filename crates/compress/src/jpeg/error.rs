//! Why a JPEG is refused.
//!
//! Three kinds, because a caller does three different things: fall back to pixels, give up on the image, or name the limit.

use thiserror::Error;

/// A JPEG that this module will not recompress.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A valid JPEG of a kind that is not handled in the DCT domain. Decoding it to pixels may still work.
    #[error("unsupported JPEG: {0}")]
    Unsupported(&'static str),
    /// The bytes are damaged, cut short, or no JPEG at all.
    #[error("damaged JPEG: {0}")]
    Corrupt(String),
    /// The header announces more pixels, or a longer side, than the limits allow.
    #[error("{width} × {height} pixels exceed the limit of {max_pixels} pixels and {max_side} a side")]
    TooManyPixels {
        /// Columns announced by the frame header.
        width: u32,
        /// Rows announced by the frame header.
        height: u32,
        /// [`Limits::max_pixels`](crate::jpeg::Limits::max_pixels) at the time.
        max_pixels: u64,
        /// [`Limits::max_side`](crate::jpeg::Limits::max_side) at the time.
        max_side: u32,
    },
    /// More scans than [`Limits::max_scans`](crate::jpeg::Limits::max_scans): each costs a walk over the whole image.
    #[error("more than {limit} scans")]
    TooManyScans {
        /// The limit that was exceeded.
        limit: u32,
    },
}

/// Shorthand for a damaged file. Out of line, so that hot loops stay small.
#[cold]
#[inline(never)]
pub(crate) fn corrupt(reason: &str) -> Error {
    Error::Corrupt(reason.to_owned())
}
