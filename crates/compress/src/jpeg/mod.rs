//! JPEG to smaller JPEG in the DCT domain: entropy-decode, requantise, entropy-encode. No pixels are made.
//!
//! Pure and deterministic. Any bytes may be given: what is not a complete JPEG of a supported kind is an [`Error`]; some damage that
//! browsers overlook can be mended first with [`repair`]. At quality
//! 100 the result decodes to the same pixels as a source whose steps are all at least 1; requantising a result at the same
//! quality changes nothing.
//!
//! In the order of use, each folder needing only those before it:
//!
//! - `headers` reads what a file says before its image data, and writes it again;
//! - `hold` keeps quantised coefficients, as tokens of a sequential scan or as planes, and says how they are rounded;
//! - `read` turns entropy-coded scans into coefficients;
//! - `write` chooses Huffman codes and writes scans;
//! - `source` ties these together: a decoded file that can be written at any quality;
//! - `samples` converts between coefficients and samples, for pictures that come from pixels or change their size.
//!
//! "T.81" is ITU-T T.81, the JPEG standard.

mod types;

mod error;

mod headers;

mod hold;

mod read;

mod write;

mod source;

mod samples;

#[cfg(test)]
mod tests;

pub use error::Error;
pub(crate) use headers::colour_model::rgb;
pub use samples::pixel_rows::PixelRows;
pub use samples::pixels::from_pixels;
pub use samples::sample_planes::{SamplePlane, from_planes};
pub use samples::sampled::samples;
pub use source::{Source, decode, estimated_quality, header, repair, requantise, warnings};
pub use types::{Colour, Encoded, Header, Limits, Options};
