//! Proof that every frame of an animation decodes.

use std::io::Cursor;

use image::ImageDecoder as _;
use image::codecs::webp::WebPDecoder;

use super::gif::{broken_frame, reader};
use super::png::png_error;
use crate::container::{gif, webp};
use crate::contract::{Error, Format};
use crate::header::guarded::guarded;
use crate::header::probe::Probe;

/// Decodes every frame of an animation, one at a time, and keeps none: proof that the file is whole.
pub(crate) fn prove_animation(bytes: &[u8], probe: &Probe) -> Result<(), Error> {
    guarded(|| match probe.format {
        Format::Gif => {
            let plain = gif::plain(bytes)?;
            let mut reader = reader(&plain)?;
            let (mut frames, mut indices) = (0, Vec::new());
            while reader.next_frame_info().map_err(broken_frame)?.is_some() {
                indices.resize(reader.buffer_size(), 0);
                reader.read_into_buffer(&mut indices).map_err(broken_frame)?;
                frames += 1;
            }
            if frames == probe.frames { Ok(()) } else { Err(Error::corrupt("not all of its frames decode")) }
        }
        Format::Webp => {
            // One by one: composing them would take several canvases of four bytes per pixel.
            for frame in webp::frames(bytes, &webp::chunks(bytes)?)? {
                let decoder = WebPDecoder::new(Cursor::new(frame?)).map_err(broken_frame)?;
                // The pixels have been judged on the header.
                let mut pixels = vec![0; decoder.total_bytes() as usize];
                decoder.read_image(&mut pixels).map_err(broken_frame)?;
            }
            Ok(())
        }
        Format::Png => {
            let mut decoder = ::png::Decoder::new(Cursor::new(bytes));
            decoder.set_ignore_text_chunk(true);
            decoder.set_ignore_iccp_chunk(true);
            let mut reader = decoder.read_info().map_err(png_error)?;
            let mut data = vec![0; reader.output_buffer_size().unwrap_or(0)];
            // A default image may stand before the frames that acTL counts.
            for _ in 0..probe.frames {
                reader.next_frame(&mut data).map_err(png_error)?;
            }
            reader.finish().map_err(png_error)
        }
        _ => Err(Error::unsupported(probe.format)),
    })
}
