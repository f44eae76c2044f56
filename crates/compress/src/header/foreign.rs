//! Formats that are read to become another one: TIFF, BMP and ICO, by the decoders of the `image` crate.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::{bmp::BmpDecoder, ico::IcoDecoder, tiff::TiffDecoder};

use crate::contract::{Error, Format};

/// Whether files of this format only become files of another.
pub(crate) fn is_foreign(format: Format) -> bool {
    matches!(format, Format::Tiff | Format::Bmp | Format::Ico)
}

/// The first picture of a TIFF, the picture of a BMP, or the largest one of an ICO. Only its header has been read.
pub(crate) fn decoder(bytes: &[u8], format: Format) -> Result<Box<dyn ImageDecoder + '_>, Error> {
    let file = Cursor::new(bytes);
    Ok(match format {
        Format::Bmp => Box::new(BmpDecoder::new(file).map_err(|error| damaged(format, error))?),
        Format::Ico => Box::new(IcoDecoder::new(file).map_err(|error| damaged(format, error))?),
        Format::Tiff => {
            if is_reduced(bytes) {
                return Err(Error::unsupported("Camera raw"));
            }
            Box::new(TiffDecoder::new(file).map_err(|error| damaged(format, error))?)
        }
        other => return Err(Error::unsupported(other)),
    })
}

/// What the decoder says, as an error of ours.
pub(crate) fn damaged(format: Format, error: image::ImageError) -> Error {
    match error {
        image::ImageError::Unsupported(_) => Error::unsupported_because(format, "an unusual coding"),
        _ => Error::corrupt(format!("the {format} cannot be decoded")),
    }
}

/// Whether the first picture of a TIFF is a preview, or one that only a raw converter can show: the files of cameras are TIFFs
/// (TIFF 6.0, section 2; Adobe's DNG specification for its tags).
fn is_reduced(bytes: &[u8]) -> bool {
    const NEW_SUBFILE_TYPE: u16 = 254;
    const PHOTOMETRIC: u16 = 262;
    const DNG_VERSION: u16 = 50706;
    /// Values of the photometric interpretation: samples behind a colour filter, and linear ones.
    const RAW: [u32; 2] = [32803, 34892];
    let is_little = bytes.starts_with(b"II");
    let u16_at = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    if bytes.get(8..10) == Some(b"CR") {
        return true;
    }
    let is_classic = u16_at(2) == Some(42);
    let Some(start) = u32_at(4).and_then(|start| usize::try_from(start).ok()).filter(|_| is_classic) else {
        return false;
    };
    let count = usize::from(u16_at(start).unwrap_or(0));
    (0..count).any(|entry| {
        let at = start + 2 + entry * 12;
        let value = || match u16_at(at + 2) {
            Some(3) => u16_at(at + 8).map(u32::from),
            _ => u32_at(at + 8),
        };
        match u16_at(at) {
            Some(DNG_VERSION) => true,
            Some(NEW_SUBFILE_TYPE) => value().is_some_and(|kind| kind & 1 == 1),
            Some(PHOTOMETRIC) => value().is_some_and(|kind| RAW.contains(&kind)),
            _ => false,
        }
    })
}
