//! The frames of a GIF.

use std::borrow::Cow;
use std::io::Cursor;

use super::canvas::{Canvas, Disposal, Place};
use super::{Delay, Frames, Shown};
use crate::container::gif;
use crate::contract::Error;

pub(super) struct GifFrames<'a> {
    decoder: ::gif::Decoder<Cursor<Cow<'a, [u8]>>>,
    canvas: Canvas,
    indices: Vec<u8>,
}

impl<'a> GifFrames<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<GifFrames<'a>, Error> {
        let mut options = ::gif::DecodeOptions::new();
        options.set_color_output(::gif::ColorOutput::Indexed);
        let decoder = options.read_info(Cursor::new(gif::plain(bytes)?)).map_err(broken_frame)?;
        let canvas = Canvas::new(decoder.width().into(), decoder.height().into());
        Ok(GifFrames { decoder, canvas, indices: Vec::new() })
    }
}

impl Frames for GifFrames<'_> {
    fn next(&mut self) -> Result<Option<Shown>, Error> {
        let GifFrames { decoder, canvas, indices } = self;
        let Some(frame) = decoder.next_frame_info().map_err(broken_frame)? else {
            return Ok(None);
        };
        let [left, top, width, height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
        let (transparent, delay) = (frame.transparent, frame.delay);
        let disposal = match frame.dispose {
            ::gif::DisposalMethod::Any | ::gif::DisposalMethod::Keep => Disposal::Keep,
            ::gif::DisposalMethod::Background => Disposal::Clear,
            ::gif::DisposalMethod::Previous => Disposal::Restore,
        };
        indices.clear();
        indices.resize(decoder.buffer_size(), 0);
        decoder.read_into_buffer(indices).map_err(broken_frame)?;
        // A colour that is not in the palette shows nothing.
        let mut colours = [[0; 4]; 256];
        let (palette, _) = decoder.palette().map_err(broken_frame)?.as_chunks::<3>();
        for (colour, [r, g, b]) in colours.iter_mut().zip(palette) {
            *colour = [*r, *g, *b, 255];
        }
        if let Some(index) = transparent {
            colours[usize::from(index)] = [0; 4];
        }
        let pixels = canvas.draw(Place { left, top, width, height }, disposal, |row, at| {
            for (pixel, index) in row.iter_mut().zip(&indices[at * width..]) {
                let colour = colours[usize::from(*index)];
                if colour[3] > 0 {
                    *pixel = colour;
                }
            }
        })?;
        Ok(Some(Shown { pixels, delay: Delay { numerator: delay.into(), denominator: 100 } }))
    }
}

fn broken_frame(_: impl std::error::Error) -> Error {
    Error::corrupt("a frame cannot be decoded")
}
