//! The first frame of a GIF to pixels.

use std::io::Cursor;

use crate::container::gif;
use crate::contract::Error;
use crate::picture::pixels::{Decoded, Layout, Pixels};

/// Frames as palette indices, one byte per pixel.
pub(super) fn reader(bytes: &[u8]) -> Result<::gif::Decoder<Cursor<&[u8]>>, Error> {
    let mut options = ::gif::DecodeOptions::new();
    options.set_color_output(::gif::ColorOutput::Indexed);
    options.read_info(Cursor::new(bytes)).map_err(broken_frame)
}

/// The first frame, where it lies on the transparent screen.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let plain = gif::plain(bytes)?;
    let mut reader = reader(&plain)?;
    let frame = reader.next_frame_info().map_err(broken_frame)?;
    let frame = frame.ok_or_else(|| Error::corrupt("the GIF contains no image"))?;
    let [left, top, across] = [frame.left, frame.top, frame.width].map(usize::from);
    let transparent = frame.transparent;
    let mut indices = vec![0; reader.buffer_size()];
    reader.read_into_buffer(&mut indices).map_err(broken_frame)?;
    let (width, height) = (usize::from(reader.width()), usize::from(reader.height()));
    let (colours, _) = reader.palette().map_err(broken_frame)?.as_chunks::<3>();
    let mut data = vec![0; width * height * 4];
    let (pixels, _) = data.as_chunks_mut::<4>();
    let screen = pixels.chunks_exact_mut(width.max(1)).skip(top);
    for (row, line) in screen.zip(indices.chunks(across.max(1))) {
        for (pixel, index) in row.iter_mut().skip(left).zip(line) {
            // A colour that is not in the palette shows nothing.
            if let Some([r, g, b]) = colours.get(usize::from(*index))
                && transparent != Some(*index)
            {
                *pixel = [*r, *g, *b, 255];
            }
        }
    }
    let (width, height) = (reader.width().into(), reader.height().into());
    Ok(Decoded { pixels: Pixels::new(width, height, Layout::Rgba, data)?, icc: None, exif: None })
}

pub(super) fn broken_frame(_: impl std::error::Error) -> Error {
    Error::corrupt("a frame cannot be decoded")
}
