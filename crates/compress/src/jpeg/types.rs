//! What callers of the requantiser give and get.

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
    /// Sentences for the user; usually none.
    pub warnings: Vec<String>,
}
