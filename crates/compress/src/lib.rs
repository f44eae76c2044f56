//! Makes images smaller, within a goal of quality or size.
//!
//! JPEG, PNG, WebP, GIF, TIFF, BMP and ICO are read; JPEG, PNG, WebP and GIF (of a GIF) are written. AVIF is read and written with the
//! feature `avif`, which is on by default. Animations stay animations. Pure and CPU-bound: no network, no files, no threads. The same
//! bytes and settings always give the same output.
//!
//! ```
//! use halftone_compress::{Format, Goal, Limits, Settings, compress};
//!
//! # fn main() -> Result<(), halftone_compress::Error> {
//! # let image = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 9])));
//! # let mut source = std::io::Cursor::new(Vec::new());
//! # image.write_to(&mut source, image::ImageFormat::Png).unwrap();
//! # let source = source.into_inner();
//! let settings = Settings {
//!     goal: Goal::MinScore(70.0),
//!     format: Some(Format::Webp),
//!     max_width: Some(1600),
//!     ..Settings::default()
//! };
//! let compressed = compress(&source, &settings, &Limits::default())?;
//! println!("{} bytes. {}", compressed.bytes.len(), compressed.receipt.decision);
//! # assert!(compressed.receipt.target_met && compressed.receipt.score >= Some(70.0));
//! # Ok(())
//! # }
//! ```
//!
//! # Promises
//!
//! - The output is never larger than the source, unless another format or size was asked for.
//! - No input causes a panic. Limits are checked on headers, before memory is spent; [`memory_needed`] estimates how much an image
//!   will take.
//! - Every refusal is an [`Error`] with a [code](Error::code) and a sentence. Missing a target is not an error: the [`Receipt`] says
//!   whether it was met.
//! - Location data is removed, and other metadata is dropped; orientation and colour are kept.
//!
//! Scores are SSIMULACRA2 (<https://github.com/cloudinary/ssimulacra2>): 100 is identical, 90 hardly distinguishable, 70 good.
//! [`jpeg`] is the part that recompresses JPEGs without decoding them to pixels; it can be used by itself.

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
    Alternative, Compressed, Error, ErrorCode, Facts, Format, Goal, InvalidSetting, Limits, Outcome, Receipt, Settings,
    output_name,
};
pub use decide::memory_estimate::memory_needed;
pub use header::sniff::sniff;
