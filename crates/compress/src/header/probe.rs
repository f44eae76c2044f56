//! What a file is, from its headers: size, frames, orientation.
//!
//! Decodes nothing and allocates no pixels, so limits and memory can be checked beforehand.

use image::ImageDecoder as _;

use crate::container::{avif, gif, png, webp};
use crate::contract::{Error, Format, Limits};
use crate::header::foreign;
use crate::jpeg;
use crate::metadata::exif;

/// The facts a plan is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub format: Format,
    /// Pixels as stored.
    pub width: u32,
    pub height: u32,
    /// 1 for a still image.
    pub frames: u32,
    /// An animation, even if it has only one frame.
    pub is_animated: bool,
    /// EXIF orientation, 1–8.
    pub orientation: u8,
    /// Bytes of one decoded pixel.
    pub pixel_bytes: u8,
    /// Decoding needs coefficient planes, not only a stream.
    pub is_progressive: bool,
}

impl Probe {
    /// Pixels of all frames together; at most 2^50, more than any limit lets pass, so that sums over them do not overflow.
    pub fn pixels(&self) -> u64 {
        let frame = u64::from(self.width) * u64::from(self.height);
        frame.saturating_mul(self.frames.into()).min(1 << 50)
    }

    /// Width and height as displayed, after the orientation is applied.
    pub fn displayed(&self) -> (u32, u32) {
        if self.orientation >= 5 { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// Reads the headers of a file whose format was sniffed.
pub(crate) fn probe(bytes: &[u8], format: Format) -> Result<Probe, Error> {
    let probe = match format {
        Format::Jpeg => jpeg(bytes)?,
        Format::Png => png(bytes)?,
        Format::Webp => webp(bytes)?,
        Format::Gif => gif(bytes)?,
        Format::Tiff | Format::Bmp | Format::Ico => foreign(bytes, format)?,
        Format::Avif if format.is_readable() => avif(bytes)?,
        Format::Avif => return Err(Error::unsupported(format)),
    };
    Ok(probe)
}

/// Refuses what exceeds the limits. Frames of an animation are read one after the other: they take time, not memory.
pub(crate) fn check_limits(probe: &Probe, limits: &Limits) -> Result<(), Error> {
    let frame = u64::from(probe.width) * u64::from(probe.height);
    let is_within = frame <= limits.max_pixels
        && probe.pixels() <= limits.max_pixels.saturating_mul(Limits::FRAMES)
        && probe.width <= limits.max_side
        && probe.height <= limits.max_side;
    if is_within {
        return Ok(());
    }
    Err(Error::TooManyPixels {
        width: probe.width,
        height: probe.height,
        frames: probe.frames,
        max_pixels: limits.max_pixels,
        max_side: limits.max_side,
    })
}

fn jpeg(bytes: &[u8]) -> Result<Probe, Error> {
    let header = jpeg::header(bytes).map_err(from_jpeg)?;
    Ok(Probe {
        format: Format::Jpeg,
        width: header.width,
        height: header.height,
        frames: 1,
        is_animated: false,
        orientation: header.orientation.clamp(1, 8),
        pixel_bytes: header.components.max(1),
        is_progressive: header.progressive,
    })
}

/// The requantiser's errors as those of this crate.
pub(crate) fn from_jpeg(error: jpeg::Error) -> Error {
    match error {
        jpeg::Error::Corrupt(reason) => Error::Corrupt(reason),
        jpeg::Error::TooManyPixels { width, height, max_pixels, max_side } => {
            Error::TooManyPixels { width, height, frames: 1, max_pixels, max_side }
        }
        jpeg::Error::Unsupported(reason) => Error::unsupported_because("JPEG", reason),
        jpeg::Error::TooManyScans { limit } => Error::unsupported_because("JPEG", format!("more than {limit} scans")),
    }
}

/// The same bounds for the requantiser. Real progressive files have about ten scans.
pub(crate) fn for_jpeg(limits: &Limits) -> jpeg::Limits {
    jpeg::Limits { max_pixels: limits.max_pixels, max_side: limits.max_side, max_scans: 100 }
}

fn png(bytes: &[u8]) -> Result<Probe, Error> {
    let list = png::chunks(bytes)?;
    let header = png::header(bytes, &list)?;
    let samples = match header.colour {
        0 => 1,
        4 => 2,
        2 => 3,
        // A palette may grow to RGBA.
        3 | 6 => 4,
        _ => return Err(Error::corrupt("the PNG has an unknown colour type")),
    };
    Ok(Probe {
        format: Format::Png,
        width: header.width,
        height: header.height,
        frames: header.frames,
        is_animated: header.is_animated,
        orientation: png::exif(bytes, &list).map_or(1, |exif| exif::orientation(&exif)),
        pixel_bytes: samples * if header.depth == 16 { 2 } else { 1 },
        is_progressive: false,
    })
}

fn webp(bytes: &[u8]) -> Result<Probe, Error> {
    let list = webp::chunks(bytes)?;
    let header = webp::header(bytes, &list)?;
    Ok(Probe {
        format: Format::Webp,
        width: header.width,
        height: header.height,
        frames: header.frames,
        is_animated: header.is_animated,
        orientation: webp::exif(bytes, &list).map_or(1, exif::orientation),
        pixel_bytes: if header.has_alpha { 4 } else { 3 },
        is_progressive: false,
    })
}

fn foreign(bytes: &[u8], format: Format) -> Result<Probe, Error> {
    let mut decoder = foreign::decoder(bytes, format)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::corrupt("it has no pixels"));
    }
    let orientation = decoder.orientation().map_or(1, image::metadata::Orientation::to_exif);
    Ok(Probe {
        format,
        width,
        height,
        frames: 1,
        is_animated: false,
        orientation,
        pixel_bytes: decoder.color_type().bytes_per_pixel(),
        is_progressive: false,
    })
}

fn avif(bytes: &[u8]) -> Result<Probe, Error> {
    /// The curves of high dynamic range (ITU-T H.273, table 3): PQ and HLG.
    const HIGH_DYNAMIC_RANGE: [u16; 2] = [16, 18];
    let file = avif::read(bytes)?;
    if file.coding.is_some_and(|coding| HIGH_DYNAMIC_RANGE.contains(&coding.transfer)) {
        return Err(Error::unsupported_because(Format::Avif, "a high dynamic range"));
    }
    Ok(Probe {
        format: Format::Avif,
        width: file.width,
        height: file.height,
        frames: 1,
        is_animated: false,
        orientation: file.orientation,
        pixel_bytes: if file.is_grey { 1 } else { 3 } + u8::from(file.alpha.is_some()),
        is_progressive: false,
    })
}

fn gif(bytes: &[u8]) -> Result<Probe, Error> {
    let header = gif::header(bytes)?;
    Ok(Probe {
        format: Format::Gif,
        width: header.width,
        height: header.height,
        frames: header.frames,
        is_animated: header.frames > 1,
        orientation: 1,
        pixel_bytes: 4,
        is_progressive: false,
    })
}
