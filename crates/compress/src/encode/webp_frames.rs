//! Writes animated WebP with libwebp, frame by frame: each draws only what changed.
//!
//! Frames, delays and the number of plays stay. libwebp's own encoder of animations codes every frame in several ways to find the
//! smallest, and joins frames that look alike.

use std::collections::BTreeMap;

use webpx::EncoderConfig;

use crate::container::webp::{self, Frame, Metadata};
use crate::contract::Error;
use crate::encode::changes::{Part, changed};
use crate::encode::webp_out::{self, coded};
use crate::encode::{Encoded, Encoder, sheet};
use crate::picture::animation::{Animation, Shown};
use crate::picture::pixels::{Layout, Pixels};

/// Side of the blocks that are coded together. One in which nothing changed is left out.
const BLOCK: usize = 8;

pub(crate) struct AnimatedWebpEncoder<'a> {
    animation: Animation<'a>,
    metadata: Metadata<'a>,
    own_quality: u8,
    /// Files made so far, by quality.
    made: BTreeMap<u8, Vec<u8>>,
}

impl<'a> AnimatedWebpEncoder<'a> {
    pub fn new(animation: Animation<'a>, metadata: Metadata<'a>, own_quality: u8) -> Result<Self, Error> {
        let (width, height) = animation.size();
        webp_out::check_side(width.max(height))?;
        Ok(AnimatedWebpEncoder { animation, metadata, own_quality, made: BTreeMap::new() })
    }

    /// `None` for a lossless file.
    fn write(&self, quality: Option<u8>) -> Result<Vec<u8>, Error> {
        let size = self.animation.size();
        let width = size.0 as usize;
        let mut writer = Writer {
            animation: &self.animation,
            quality,
            width,
            before: vec![[0; 4]; width * size.1 as usize],
            frames: Vec::new(),
            has_alpha: false,
        };
        let mut reel = self.animation.reel()?;
        let (mut seconds, mut told) = (0.0, 0.0);
        while let Some(shown) = reel.next()? {
            // Rounded over the whole, so that many short delays do not add up to another length.
            seconds += shown.delay.seconds();
            let delay = ((seconds - told) * 1000.0).round().clamp(0.0, f64::from(0xff_ffff));
            told += delay / 1000.0;
            writer.frame(&shown, delay as u32)?;
        }
        Ok(webp::animation(size, self.animation.plays()?, writer.has_alpha, &writer.frames, &self.metadata))
    }
}

struct Writer<'w, 'a> {
    animation: &'w Animation<'a>,
    quality: Option<u8>,
    width: usize,
    /// What each pixel was meant to be when it was last drawn.
    before: Vec<[u8; 4]>,
    frames: Vec<u8>,
    has_alpha: bool,
}

impl Writer<'_, '_> {
    fn frame(&mut self, shown: &Shown, delay: u32) -> Result<(), Error> {
        let wanted: &[[u8; 4]] = shown.pixels.data.as_chunks().0;
        let most = self.quality.map_or(0, unseen);
        let is_first = self.frames.is_empty();
        let differ = |before: [u8; 4], after: [u8; 4]| is_seen(before, after, most);
        let part = changed(&self.before, wanted, self.width, differ).map(Part::evened);
        let part = part.unwrap_or(Part { left: 0, top: 0, width: 1, height: 1 });
        let (mut before, mut after) = (part.cut(&self.before, self.width), part.cut(wanted, self.width));
        // What becomes more transparent cannot be drawn over what is there.
        let replaces = is_first || before.iter().zip(&after).any(|(a, b)| b[3] < 255 && a[3] > 0 && a != b);
        let drawn = after.clone();
        let mut lossless = None;
        if !replaces {
            let is_same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| !is_seen(*a, *b, most)).collect();
            if self.quality.is_none() || is_flat(&after, part.width) {
                let mut holed = after.clone();
                for (pixel, is_same) in holed.iter_mut().zip(&is_same) {
                    if *is_same {
                        *pixel = [0; 4];
                    }
                }
                lossless = Some(holed);
            }
            leave_out(&mut after, &is_same, part.width);
        } else if self.quality.is_none() || is_flat(&after, part.width) {
            lossless = Some(after.clone());
        }
        let mut image = None;
        if let Some(quality) = self.quality {
            image = Some(self.code(&part, after, webp_out::config().quality(quality.into()))?);
        }
        if let Some(pixels) = lossless {
            // Colour under full transparency is never shown.
            let exact = self.code(&part, pixels, webp_out::config().lossless(true))?;
            if image.as_ref().is_none_or(|image| exact.len() < image.len()) {
                image = Some(exact);
            }
        }
        let image = image.ok_or_else(|| Error::failed("a frame was not coded"))?;
        self.has_alpha |= webp::header(&image, &webp::chunks(&image)?)?.has_alpha;
        for (before, after) in before.iter_mut().zip(drawn) {
            if replaces || is_seen(*before, after, most) {
                *before = after;
            }
        }
        part.put(&mut self.before, self.width, &before);
        // A WebP's sides have 14 bits.
        let [left, top, width, height] = [part.left, part.top, part.width, part.height].map(|side| side as u32);
        webp::write_frame(
            &mut self.frames,
            &Frame { left, top, width, height, delay, replaces, is_cleared: false, image: &image },
        )
    }

    fn code(&self, part: &Part, pixels: Vec<[u8; 4]>, config: EncoderConfig) -> Result<Vec<u8>, Error> {
        let pixels = Pixels::new(part.width as u32, part.height as u32, Layout::Rgba, pixels.into_flattened())?;
        coded(&pixels.into_opaque(), config, self.animation.deadline())
    }
}

/// How far apart samples may be at a quality without being different.
fn unseen(quality: u8) -> u8 {
    let share = (f64::from(quality) / 100.0).sqrt();
    (20.0 * (1.0 - share)).round() as u8
}

fn is_seen(before: [u8; 4], after: [u8; 4], most: u8) -> bool {
    before != after && (before[3] != after[3] || before.iter().zip(after).any(|(a, b)| a.abs_diff(b) > most))
}

/// Whether half of the pixels equal the one to their left.
fn is_flat(pixels: &[[u8; 4]], width: usize) -> bool {
    let equal: usize = pixels.chunks(width).map(|row| row.windows(2).filter(|pair| pair[0] == pair[1]).count()).sum();
    equal * 2 > pixels.len()
}

/// Makes blocks transparent in which all pixels are the same as before, where that is worth a plane of transparency.
fn leave_out(pixels: &mut [[u8; 4]], is_same: &[bool], width: usize) {
    let height = pixels.len() / width;
    let blocks =
        || (0..height).step_by(BLOCK).flat_map(move |top| (0..width).step_by(BLOCK).map(move |left| (left, top)));
    let rows = |left: usize, top: usize| {
        let right = (left + BLOCK).min(width);
        (top..(top + BLOCK).min(height)).map(move |y| y * width + left..y * width + right)
    };
    let same: Vec<(usize, usize)> =
        blocks().filter(|(left, top)| rows(*left, *top).all(|row| is_same[row].iter().all(|same| *same))).collect();
    if same.len() * 4 < blocks().count() {
        return;
    }
    for (left, top) in same {
        for row in rows(left, top) {
            pixels[row].fill([0; 4]);
        }
    }
}

impl Encoder for AnimatedWebpEncoder<'_> {
    fn own_quality(&self) -> u8 {
        self.own_quality
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let bytes = match self.made.get(&quality) {
            Some(bytes) => bytes.clone(),
            None => {
                let bytes = self.write(Some(quality))?;
                self.made.insert(quality, bytes.clone());
                bytes
            }
        };
        Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        Ok(Some(Encoded { bytes: self.write(None)?, quality: None, warnings: Vec::new() }))
    }

    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        sheet::of_file(&encoded.bytes, self.animation.deadline())
    }
}
