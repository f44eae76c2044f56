//! Every quality of a PNG below 100 is a number of colours; 100 is lossless.

use std::collections::BTreeMap;

use crate::contract::Error;
use crate::encode::{Encoded, Encoder, Slack};
use crate::picture::pixels::Pixels;

/// Of a smaller PNG it does not matter that a JPEG would be smaller still.
const WARNED_ABOVE_BYTES: u64 = 10_000;

/// A picture that can be written with fewer colours.
pub(crate) trait Reducible {
    /// A file with as few colours as the quality needs; the untouched pixels where a palette would show.
    fn reduced(&mut self, quality: u8) -> Result<Encoded, Error>;

    /// The pixels of that file, unless it has to be written to know them.
    fn preview(&mut self, _quality: u8) -> Result<Option<Pixels>, Error> {
        Ok(None)
    }

    /// About how long that file is, with a palette; `None` without one.
    fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error>;

    /// The least that the untouched pixels might take, by a sample; `None` where nothing is known of it.
    fn least_unchanged(&mut self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// A guess of the score of that file; `None` where nothing is known of it.
    fn guessed_score(&mut self, _quality: u8) -> Result<Option<f64>, Error> {
        Ok(None)
    }

    /// About how many bytes a JPEG of this quality has; `None` of what is no photograph.
    fn as_jpeg(&self, quality: u8) -> Result<Option<u64>, Error>;

    /// The untouched pixels, packed as well as possible.
    fn lossless(&self) -> Result<Encoded, Error>;
}

/// Writes PNGs of one picture.
pub(crate) struct PngEncoder<P> {
    picture: P,
    /// Files made so far: a search comes back to its best one.
    made: BTreeMap<u8, Encoded>,
    /// Looked at when it is needed first.
    least_unchanged: Option<u64>,
}

impl<P: Reducible> PngEncoder<P> {
    pub fn over(picture: P) -> PngEncoder<P> {
        PngEncoder { picture, made: BTreeMap::new(), least_unchanged: None }
    }
}

impl<P: Reducible> Encoder for PngEncoder<P> {
    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        if let Some(encoded) = self.made.get(&quality) {
            return Ok(encoded.clone());
        }
        let mut encoded = if quality < 100 { self.picture.reduced(quality)? } else { self.picture.lossless()? };
        let bytes = encoded.bytes.len() as u64;
        if quality < 100
            && bytes > WARNED_ABOVE_BYTES
            && let Some(jpeg) = self.picture.as_jpeg(quality)?
            && jpeg * 2 <= bytes
        {
            // To five percent: it is an estimate.
            let smaller = (bytes - jpeg) * 20 / bytes * 5;
            encoded.warnings.push(format!(
                "The image is a photograph without transparency. As a JPEG it would be about {smaller} % smaller; choose JPEG or AUTO."
            ));
        }
        self.made.insert(quality, encoded.clone());
        Ok(encoded)
    }

    fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error> {
        if quality < 100
            && let Some(guess) = self.picture.guessed_size(quality)?
        {
            return Ok(Some(guess));
        }
        if self.least_unchanged.is_none() {
            self.least_unchanged = self.picture.least_unchanged()?;
        }
        Ok(self.least_unchanged)
    }

    fn slack(&self) -> Slack {
        Slack { bytes: 0.05, points: 1.0 }
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        self.encode(100).map(Some)
    }

    fn preview(&mut self, quality: u8) -> Result<Option<Pixels>, Error> {
        if quality == 100 || self.made.contains_key(&quality) {
            return Ok(None);
        }
        self.picture.preview(quality)
    }

    fn guessed_score(&mut self, quality: u8) -> Result<Option<f64>, Error> {
        if quality < 100 { self.picture.guessed_score(quality) } else { Ok(Some(100.0)) }
    }
}
