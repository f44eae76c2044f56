//! Formats that are read to become another one, and the decoders of the `image` crate for TIFF, BMP and ICO.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::{bmp::BmpDecoder, ico::IcoDecoder, tiff::TiffDecoder};

use crate::contract::{Error, Format};
use crate::header::odd_tiff::OddTiff;
use crate::header::tiff_tags;

/// Whether files of this format become files of another unless asked to stay.
pub(crate) fn is_foreign(format: Format) -> bool {
    matches!(format, Format::Tiff | Format::Bmp | Format::Ico | Format::Avif)
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
            match TiffDecoder::new(file) {
                Ok(decoder) => Box::new(decoder),
                Err(error) => match OddTiff::new(bytes) {
                    Some(decoder) => Box::new(decoder),
                    None => return Err(damaged(format, error)),
                },
            }
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
    const DNG_VERSION: u16 = 50706;
    /// Values of the photometric interpretation: samples behind a colour filter, and linear ones.
    const RAW: [u32; 2] = [32803, 34892];
    let entries = tiff_tags::entries(bytes);
    bytes.get(8..10) == Some(b"CR")
        || entries.iter().any(|entry| match entry.tag {
            DNG_VERSION => true,
            NEW_SUBFILE_TYPE => entry.value.is_some_and(|kind| kind & 1 == 1),
            tiff_tags::PHOTOMETRIC => entry.value.is_some_and(|kind| RAW.contains(&kind)),
            _ => false,
        })
}
