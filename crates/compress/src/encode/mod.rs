//! Writes files, one format each. Every encoder offers the search its qualities, their sizes and their bytes.
//!
//! An encoder holds one prepared picture; asking twice for the same quality gives the same bytes.

use crate::contract::Error;
use crate::header::{probe, sniff};
use crate::picture::decode;
use crate::picture::pixels::Pixels;

#[cfg(feature = "avif")]
pub(crate) mod avif_out;
mod changes;
pub(crate) mod credited;
mod dither;
mod exact_palette;
pub(crate) mod gif_out;
pub(crate) mod jpeg_out;
pub(crate) mod palette;
pub(crate) mod png_bands;
pub(crate) mod png_frames;
pub(crate) mod png_guess;
mod png_indexed;
pub(crate) mod png_out;
pub(crate) mod png_packing;
pub(crate) mod png_rows;
pub(crate) mod png_steps;
mod png_survey;
pub(crate) mod quantise;
pub(crate) mod sheet;
mod webp_flat;
pub(crate) mod webp_frames;
pub(crate) mod webp_out;

/// A finished file.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub bytes: Vec<u8>,
    /// The quality in force; `None` when the file is lossless.
    pub quality: Option<u8>,
    pub warnings: Vec<String>,
}

/// How far from its goal a search may end, where the steps between files are large and each takes long.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slack {
    /// Of a limit in bytes, the share that may be left over.
    pub bytes: f64,
    /// How many points a score may be higher than asked for.
    pub points: f64,
}

/// A picture that can be written at several qualities: in the DCT domain, as a palette, as WebP.
pub(crate) trait Encoder {
    /// The qualities worth trying, ascending. Others are treated as the next lower of these.
    fn qualities(&self) -> &'static [u8] {
        &EVERY_QUALITY
    }

    /// The quality the source was written at, estimated; 100 for lossless sources.
    fn own_quality(&self) -> u8;

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error>;

    /// The length of what [`Encoder::encode`] would return, but for a little metadata.
    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.encode(quality)?.bytes.len() as u64)
    }

    /// A guess of that in a small part of the time, where there is one. It may be off, if it is about as far off at every quality.
    fn guessed_size(&mut self, _quality: u8) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    fn slack(&self) -> Slack {
        Slack::default()
    }

    /// The smallest file with identical pixels; `None` when this picture has none in this format.
    fn lossless(&mut self) -> Result<Option<Encoded>, Error>;

    /// The pixels that a viewer shows of the file that was just encoded.
    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        let probe = probe::probe(&encoded.bytes, sniff::sniff(&encoded.bytes)?)?;
        Ok(decode::decode(&encoded.bytes, &probe)?.pixels)
    }

    /// The same before the file of this quality is written, where that is known and takes less time than writing it.
    fn preview(&mut self, _quality: u8) -> Result<Option<Pixels>, Error> {
        Ok(None)
    }

    /// A guess of the score that the file of this quality will have, where there is one before it is written.
    fn guessed_score(&mut self, _quality: u8) -> Result<Option<f64>, Error> {
        Ok(None)
    }
}

/// What a search tries where each encode takes a second or more.
pub(crate) const FEW: [u8; 7] = [10, 25, 40, 50, 65, 80, 95];

pub(crate) const EVERY_QUALITY: [u8; 100] = {
    let mut all = [0; 100];
    let mut at = 0;
    while at < 100 {
        all[at] = at as u8 + 1;
        at += 1;
    }
    all
};
