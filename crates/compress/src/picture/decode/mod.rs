//! Files to pixels: every accepted format, oriented, with what else must travel along.
//!
//! Limits were checked on the headers before. A panic in a decoder means that the image is damaged; a file that is cut short is an
//! error, even where the decoder would fill the rest with grey.

use crate::contract::{Error, Format};
use crate::header::guarded::guarded;
use crate::header::probe::Probe;
use crate::picture::orient;
use crate::picture::pixels::Decoded;

#[cfg(feature = "avif")]
mod avif;
mod foreign;
mod gif;
mod jpeg;
mod png;
mod webp;

pub(crate) use png::{png_error, png_layout, png_reader};
pub(crate) use webp::webp_planes;

/// Decodes a still image and turns it upright.
pub(crate) fn decode(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    decode_for(bytes, probe, probe.displayed())
}

/// The same for a picture that will be resized to `size`: a huge one may be smaller than it is, though at least twice as large as that,
/// where its decoder can do this row by row.
pub(crate) fn decode_for(bytes: &[u8], probe: &Probe, size: (u32, u32)) -> Result<Decoded, Error> {
    /// More pixels than this are huge.
    const SHRINK_ABOVE_PIXELS: u64 = 20_000_000;
    let (width, height) = if probe.orientation >= 5 { (size.1, size.0) } else { size };
    let (width, height) = (width.saturating_mul(2), height.saturating_mul(2));
    let is_shrunk = probe.format == Format::Webp
        && probe.pixels() > SHRINK_ABOVE_PIXELS
        && width <= probe.width
        && height <= probe.height;
    let (width, height) = if is_shrunk { (width, height) } else { (probe.width, probe.height) };
    guarded(|| {
        let decoded = match probe.format {
            Format::Jpeg => jpeg::decode(bytes, probe),
            Format::Png => png::decode(bytes),
            Format::Webp => webp::decode(bytes, is_shrunk.then_some((width, height))),
            Format::Gif => gif::decode(bytes),
            Format::Tiff | Format::Bmp | Format::Ico => foreign::decode(bytes, probe.format),
            #[cfg(feature = "avif")]
            Format::Avif => avif::decode(bytes),
            #[cfg(not(feature = "avif"))]
            Format::Avif => Err(Error::unsupported(probe.format)),
        }?;
        let pixels = decoded.pixels;
        if (pixels.width, pixels.height) != (width, height) {
            return Err(Error::corrupt("its headers disagree about its size"));
        }
        Ok(Decoded { pixels: orient::apply(pixels, probe.orientation), ..decoded })
    })
}
