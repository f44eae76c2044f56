//! PNG files to pixels, or to rows.

use std::borrow::Cow;
use std::io::Cursor;

use crate::container::png;
use crate::contract::Error;
use crate::picture::colour;
use crate::picture::pixels::{Decoded, Layout, Pixels};

/// A PNG's rows, ready to be read.
pub(crate) fn png_reader(
    bytes: &[u8],
    transformations: ::png::Transformations,
) -> Result<::png::Reader<Cursor<&[u8]>>, Error> {
    let list = png::chunks(bytes)?;
    if png::data(bytes, &list, b"PLTE").is_some_and(|palette| palette.len() % 3 != 0) {
        return Err(Error::corrupt("the palette ends in the middle of a colour"));
    }
    let mut decoder = ::png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(transformations);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(png_error)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let list = png::chunks(bytes)?;
    let mut reader = png_reader(bytes, ::png::Transformations::normalize_to_color8())?;
    let size = reader.output_buffer_size().ok_or_else(|| Error::corrupt("the PNG has an impossible size"))?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(png_error)?;
    data.truncate(frame.buffer_size());
    let icc = png_profile(reader.info(), png::profile(bytes, &list));
    reader.finish().map_err(png_error)?;
    let layout = png_layout(frame.color_type)?;
    Ok(Decoded {
        pixels: Pixels::new(frame.width, frame.height, layout, data)?,
        icc,
        exif: png::exif(bytes, &list).map(Cow::into_owned),
    })
}

/// What is wrong, in words that need no knowledge of the format.
pub(crate) fn png_error(error: ::png::DecodingError) -> Error {
    Error::corrupt(match error {
        ::png::DecodingError::IoError(_) => "the PNG ends early",
        ::png::DecodingError::Format(detail) if detail.to_string().starts_with("CRC error") => {
            "a checksum of the PNG is wrong"
        }
        _ => "the PNG has an invalid structure",
    })
}

/// The layout of expanded rows.
pub(crate) fn png_layout(colour: ::png::ColorType) -> Result<Layout, Error> {
    match colour {
        ::png::ColorType::Grayscale => Ok(Layout::Grey),
        ::png::ColorType::GrayscaleAlpha => Ok(Layout::GreyAlpha),
        ::png::ColorType::Rgb => Ok(Layout::Rgb),
        ::png::ColorType::Rgba => Ok(Layout::Rgba),
        ::png::ColorType::Indexed => Err(Error::failed("a palette was not expanded")),
    }
}

/// The profile of the code points, the embedded one, or one made of gamma and primaries: PNG's order of precedence.
fn png_profile(info: &::png::Info<'_>, embedded: Option<Vec<u8>>) -> Option<Vec<u8>> {
    if let Some(code) = &info.coding_independent_code_points {
        return colour::profile_of_code_points(
            code.color_primaries,
            code.transfer_function,
            code.is_video_full_range_image,
        );
    }
    if embedded.is_some() {
        return embedded;
    }
    if info.srgb.is_some() {
        return None;
    }
    let gamma = info.gama_chunk?.into_value();
    let primaries = info
        .chrm_chunk
        .map(|chrm| [chrm.white, chrm.red, chrm.green, chrm.blue].map(|(x, y)| [x.into_value(), y.into_value()]));
    colour::profile_of(gamma, primaries)
}
