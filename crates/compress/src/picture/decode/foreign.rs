//! TIFF, BMP and ICO to pixels of eight bits.

use image::{DynamicImage, ImageDecoder as _};

use crate::contract::{Error, Format};
use crate::header::foreign::{damaged, decoder};
use crate::picture::pixels::{Decoded, Layout, Pixels};

/// What a decoder may hold beside the file and its pixels.
const BESIDE_BYTES: u64 = 16 << 20;

pub(super) fn decode(bytes: &[u8], format: Format) -> Result<Decoded, Error> {
    let mut decoder = decoder(bytes, format)?;
    // The pixels have been judged on the header; what else a decoder holds is in proportion to the file.
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(decoder.total_bytes() + bytes.len() as u64 * 2 + BESIDE_BYTES);
    decoder.set_limits(limits).map_err(|error| damaged(format, error))?;
    // Four inks have become RGB.
    let icc = decoder.icc_profile().ok().flatten().filter(|icc| icc.get(16..20) != Some(b"CMYK"));
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| damaged(format, error))?;
    let (width, height) = (picture.width(), picture.height());
    let (layout, data) = match (picture.color().has_color(), picture.color().has_alpha()) {
        (false, false) => (Layout::Grey, picture.into_luma8().into_raw()),
        (false, true) => (Layout::GreyAlpha, picture.into_luma_alpha8().into_raw()),
        (true, false) => (Layout::Rgb, picture.into_rgb8().into_raw()),
        (true, true) => (Layout::Rgba, picture.into_rgba8().into_raw()),
    };
    Ok(Decoded { pixels: Pixels::new(width, height, layout, data)?, icc, exif: None })
}
