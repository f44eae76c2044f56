//! JPEG to smaller JPEG in the DCT domain: entropy-decode, requantise, entropy-encode; no pixels are ever made.
//!
//! Pure and deterministic. Any bytes may be given: what is not a complete JPEG of a supported kind is an [`Error`]. At quality
//! 100 the result decodes to the same pixels as a source whose steps are all at least 1; requantising a result at the same
//! quality changes nothing.
//!
//! How a file flows through: `marker` cuts it into segments, `frame` and `tables` read the headers, `metadata` keeps
//! what matters; `bits` and `lookup` turn entropy-coded data into symbols, and `sequential` or `progressive` those into
//! coefficients, which `rounded` keeps as `tokens`, or `planes` hold; `quality` says how to round; `codes` finds the best Huffman
//! codes and `emit` (or `bands`, for progressive output) writes the file. Pictures made of pixels join in the middle: `samples`
//! and `fdct` give `pixels` their coefficients. Where a picture is to be another size, `sampled` and `idct` make
//! `sample_planes` of it. "T.81" is ITU-T T.81, the JPEG standard.

mod marker;

mod frame;

mod tables;

mod exif;
mod metadata;

mod bits;
mod lookup;

mod rounded;
mod sequential;
mod tokens;

mod planes;
mod progressive;
mod progressive_ac;

mod quality;

mod fdct;
mod pixels;
mod samples;

mod idct;
mod sample_planes;
mod sampled;

mod codes;

mod emit;

mod bands;

mod error;
mod image;
mod source;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use pixels::from_pixels;
pub use sample_planes::{SamplePlane, from_planes};
pub use sampled::samples;
pub use samples::PixelRows;
pub use source::{Source, decode, estimated_quality, header, requantise, warnings};

/// What a JPEG may cost. Checked on headers, before memory or time is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width times height.
    pub max_pixels: u64,
    /// Width or height, in pixels.
    pub max_side: u32,
    /// Scans of one file. Progressive files have about ten; every scan costs a walk over the image.
    pub max_scans: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 100_000_000, max_side: 65_500, max_scans: 200 }
    }
}

/// What a JPEG says of itself before its image data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Columns of pixels, as stored (before any orientation is applied).
    pub width: u32,
    /// Rows of pixels, as stored.
    pub height: u32,
    /// 1, 3 or 4.
    pub components: u8,
    /// Progressive rather than sequential.
    pub progressive: bool,
    /// What the components mean.
    pub colour: Colour,
    /// EXIF orientation, 1 to 8; 1 is upright.
    pub orientation: u8,
    /// A colour profile is embedded.
    pub has_icc: bool,
    /// For each component its sampling factors, horizontal and vertical: how dense its samples are beside the others'.
    pub sampling: Vec<(u8, u8)>,
}

/// What the components of a JPEG mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// One component.
    Grey,
    /// Luma and two colour differences: nearly every photo.
    YCbCr,
    /// Three components without a colour transform.
    Rgb,
    /// Four inks.
    Cmyk,
    /// Four inks, of which three are transformed as YCbCr is.
    Ycck,
}

/// How to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Progressive output: a few percent smaller, shown in steps while it loads, and slower on both ends.
    pub progressive: bool,
    /// Keep EXIF's artist and copyright.
    pub keep_copyright: bool,
}

/// A JPEG file, and what was lost besides precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The file. It can be larger than its source, for instance when a progressive one was already coarser than asked:
    /// compare, and keep the source then.
    pub bytes: Vec<u8>,
    /// Sentences for the user; empty as a rule.
    pub warnings: Vec<String>,
}
