//! The frames of an animated WebP, which libwebp composes.

use super::{Delay, Frames, Shown};
use crate::contract::Error;
use crate::picture::pixels::{Layout, Pixels};

pub(super) struct WebpFrames {
    decoder: webpx::AnimationDecoder,
}

impl WebpFrames {
    pub fn open(bytes: &[u8]) -> Result<WebpFrames, Error> {
        // The pixels have been judged on the header.
        let limits = webpx::Limits::none();
        let decoder = webpx::AnimationDecoder::with_options_limits(bytes, webpx::ColorMode::Rgba, false, &limits)
            .map_err(damaged)?;
        Ok(WebpFrames { decoder })
    }
}

impl Frames for WebpFrames {
    fn next(&mut self) -> Result<Option<Shown>, Error> {
        let Some(frame) = self.decoder.next_frame().map_err(damaged)? else {
            return Ok(None);
        };
        let pixels = Pixels::new(frame.width, frame.height, Layout::Rgba, frame.data)?;
        Ok(Some(Shown { pixels, delay: Delay { numerator: frame.duration_ms, denominator: 1000 } }))
    }
}

fn damaged(_: webpx::At<webpx::Error>) -> Error {
    Error::corrupt("a frame cannot be decoded")
}
