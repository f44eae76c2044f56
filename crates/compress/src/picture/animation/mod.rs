//! Animations as the pictures that a browser shows, one after the other: each whole, as RGBA, upright and at the size asked for.
//!
//! No more than the picture and what composes it is held. Reading starts anew as often as it is asked for.

use crate::container::{gif, png as png_container, webp as webp_container};
use crate::contract::{Deadline, Error, Format};
use crate::header::guarded::guarded;
use crate::header::probe::Probe;
use crate::picture::pixels::{Layout, Pixels};
use crate::picture::{orient, resize};

mod canvas;
mod gif_frames;
mod png_frames;
mod webp_frames;

/// How long a picture is shown, in seconds, as a fraction: every format has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delay {
    pub numerator: u32,
    /// Not zero.
    pub denominator: u32,
}

impl Delay {
    pub fn seconds(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// What is shown for a while.
pub(crate) struct Shown {
    pub pixels: Pixels,
    pub delay: Delay,
}

/// A file with frames, and the size they are wanted in. A still picture is an animation of one frame.
#[derive(Clone, Copy)]
pub(crate) struct Animation<'a> {
    bytes: &'a [u8],
    probe: Probe,
    size: (u32, u32),
    deadline: Deadline,
}

impl<'a> Animation<'a> {
    pub fn new(bytes: &'a [u8], probe: &Probe, size: (u32, u32), deadline: Deadline) -> Animation<'a> {
        Animation { bytes, probe: *probe, size, deadline }
    }

    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// How often it is shown; 0 for ever.
    pub fn plays(&self) -> Result<u32, Error> {
        match self.probe.format {
            Format::Gif => gif::header(self.bytes).map(|header| header.plays),
            Format::Png => png_container::plays(self.bytes),
            Format::Webp => webp_container::plays(self.bytes),
            other => Err(Error::unsupported(other)),
        }
    }

    /// Whether frames come in another size than they are stored in.
    pub fn is_resized(&self) -> bool {
        self.size != self.probe.displayed()
    }

    /// From the first frame on.
    pub fn reel(&self) -> Result<Reel<'a>, Error> {
        guarded(|| {
            let frames: Box<dyn Frames + 'a> = match self.probe.format {
                Format::Gif => Box::new(gif_frames::GifFrames::open(self.bytes)?),
                Format::Png => Box::new(png_frames::PngFrames::open(self.bytes, &self.probe)?),
                Format::Webp => Box::new(webp_frames::WebpFrames::open(self.bytes)?),
                other => return Err(Error::unsupported(other)),
            };
            Ok(Reel { frames, animation: *self, count: 0, is_damaged: false })
        })
    }

    /// Reads every frame and keeps none: proof that the file is whole.
    pub fn prove(&self) -> Result<(), Error> {
        let mut reel = Animation { size: self.probe.displayed(), ..*self }.reel()?;
        while reel.next()?.is_some() {}
        Ok(())
    }
}

/// What each format has.
trait Frames {
    /// The next picture, as stored. Whatever is wrong with it is [`Error::Corrupt`].
    fn next(&mut self) -> Result<Option<Shown>, Error>;
}

/// An animation that is being read.
pub(crate) struct Reel<'a> {
    frames: Box<dyn Frames + 'a>,
    animation: Animation<'a>,
    count: u32,
    is_damaged: bool,
}

impl Reel<'_> {
    /// The next picture. In a GIF, one that is damaged ends the animation, unless it is the first.
    pub fn next(&mut self) -> Result<Option<Shown>, Error> {
        self.animation.deadline.check()?;
        if self.is_damaged {
            return Ok(None);
        }
        let Animation { probe, size, .. } = self.animation;
        let shown = match guarded(|| self.frames.next()) {
            Ok(Some(shown)) => shown,
            Ok(None) if self.count < probe.frames => return Err(Error::corrupt("not all of its frames decode")),
            Ok(None) => return Ok(None),
            Err(Error::Corrupt(_)) if self.count > 0 && probe.format == Format::Gif => {
                self.is_damaged = true;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.count += 1;
        let mut pixels = orient::apply(shown.pixels, probe.orientation);
        if (pixels.width, pixels.height) != size {
            pixels = resize::resize(pixels, size)?;
        }
        debug_assert_eq!(pixels.layout, Layout::Rgba);
        Ok(Some(Shown { pixels, ..shown }))
    }
}
