//! What one image may cost.

use std::time::Duration;

/// What one image may cost. Pixels, sides and memory are checked on its headers, before anything is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of a picture, or of a frame. All frames of an animation may have twenty times as many.
    pub max_pixels: u64,
    /// Width or height, in pixels.
    pub max_side: u32,
    /// Working memory, in bytes: see [`memory_needed`](crate::memory_needed).
    pub max_memory: u64,
    /// Time for one image. A single encode is not interrupted in every format, so this can be exceeded by a few seconds.
    pub max_time: Duration,
}

impl Limits {
    /// How many times as many pixels all frames of an animation may have as one picture.
    pub(crate) const FRAMES: u64 = 20;
}

impl Default for Limits {
    /// 50 megapixels, 16,384 pixels per side, any amount of memory, 60 seconds.
    fn default() -> Limits {
        Limits { max_pixels: 50_000_000, max_side: 16_384, max_memory: u64::MAX, max_time: Duration::from_secs(60) }
    }
}
