//! Images to smaller images, within a goal of quality or size.
//!
//! JPEG, PNG, WebP and GIF are read; JPEG, PNG, WebP and AVIF are written.

#![forbid(unsafe_code)]

mod contract;

mod container;

mod metadata;

pub mod jpeg;

mod header;

mod picture;

mod encode;

mod decide;

mod compress;

#[cfg(test)]
mod tests;

pub use compress::compress;
pub use contract::{
    Compressed, Error, ErrorCode, Facts, Format, Goal, Limits, Outcome, Receipt, Settings, output_name,
};
pub use decide::memory_estimate::memory_needed;
pub use header::sniff::sniff;
