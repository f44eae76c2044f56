//! What one image may cost.

/// What one image may cost. Checked on its headers, before memory or time is spent.
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
