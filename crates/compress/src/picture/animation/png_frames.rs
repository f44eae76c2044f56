//! The frames of an animated PNG.

use std::io::Cursor;

use png::{BlendOp, DisposeOp};

use super::canvas::{Canvas, Disposal, Place};
use super::{Delay, Frames, Shown};
use crate::contract::Error;
use crate::header::probe::Probe;
use crate::picture::decode::{png_error, png_layout, png_reader};
use crate::picture::pixels::{Layout, Pixels};

pub(super) struct PngFrames<'a> {
    reader: png::Reader<Cursor<&'a [u8]>>,
    canvas: Canvas,
    data: Vec<u8>,
    left: u32,
}

impl<'a> PngFrames<'a> {
    pub fn open(bytes: &'a [u8], probe: &Probe) -> Result<PngFrames<'a>, Error> {
        let mut reader = png_reader(bytes, png::Transformations::normalize_to_color8())?;
        let size = reader.output_buffer_size().ok_or_else(|| Error::corrupt("the PNG has an impossible size"))?;
        let mut data = vec![0; size];
        if reader.info().frame_control().is_none() {
            // A picture for viewers without animation stands before the frames.
            reader.next_frame(&mut data).map_err(png_error)?;
        }
        let canvas = Canvas::new(probe.width as usize, probe.height as usize);
        Ok(PngFrames { reader, canvas, data, left: probe.frames })
    }
}

impl Frames for PngFrames<'_> {
    fn next(&mut self) -> Result<Option<Shown>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let frame = self.reader.next_frame(&mut self.data).map_err(png_error)?;
        let control = *self.reader.info().frame_control().ok_or_else(|| Error::corrupt("a frame has no header"))?;
        let (data, layout) = (&self.data[..frame.buffer_size()], png_layout(frame.color_type)?);
        let pixels = Pixels::new(frame.width, frame.height, layout, data.to_vec())?.to_layout(Layout::Rgba);
        let [left, top, width, height] =
            [control.x_offset, control.y_offset, frame.width, frame.height].map(|side| side as usize);
        let disposal = match control.dispose_op {
            DisposeOp::None => Disposal::Keep,
            DisposeOp::Background => Disposal::Clear,
            DisposeOp::Previous => Disposal::Restore,
        };
        let (rows, _) = pixels.data.as_chunks::<4>();
        let pixels = self.canvas.draw(Place { left, top, width, height }, disposal, |row, at| {
            for (under, over) in row.iter_mut().zip(&rows[at * width..]) {
                *under = if control.blend_op == BlendOp::Over { blend(*under, *over) } else { *over };
            }
        })?;
        // A denominator of 0 means hundredths (PNG specification, fcTL).
        let denominator = if control.delay_den == 0 { 100 } else { control.delay_den };
        let delay = Delay { numerator: control.delay_num.into(), denominator: denominator.into() };
        Ok(Some(Shown { pixels, delay }))
    }
}

/// One colour over another, neither premultiplied.
fn blend(under: [u8; 4], over: [u8; 4]) -> [u8; 4] {
    match (over[3], under[3]) {
        (255, _) | (_, 0) => return over,
        (0, _) => return under,
        _ => {}
    }
    let (above, below) = (u32::from(over[3]) * 255, u32::from(under[3]) * (255 - u32::from(over[3])));
    let all = above + below;
    let mix = |at: usize| ((u32::from(over[at]) * above + u32::from(under[at]) * below + all / 2) / all) as u8;
    [mix(0), mix(1), mix(2), ((all + 127) / 255) as u8]
}
