//! Every quality of a PNG below 100 is a number of colours; 100 is lossless.

use std::collections::BTreeMap;

use crate::contract::Error;
use crate::encode::{Encoded, Encoder};

/// A picture that can be written with fewer colours.
pub(crate) trait Reducible {
    /// A file with as few colours as the quality needs; the untouched pixels where a palette would show.
    fn reduced(&mut self, quality: u8) -> Result<Encoded, Error>;

    /// The untouched pixels, packed quickly.
    fn unchanged(&self) -> Result<Encoded, Error>;

    /// The untouched pixels, packed as well as possible.
    fn lossless(&self) -> Result<Encoded, Error>;
}

/// Writes PNGs of one picture.
pub(crate) struct PngEncoder<P> {
    picture: P,
    /// Files made so far: a search comes back to its best one.
    made: BTreeMap<u8, Encoded>,
}

impl<P: Reducible> PngEncoder<P> {
    pub fn over(picture: P) -> PngEncoder<P> {
        PngEncoder { picture, made: BTreeMap::new() }
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
        let encoded = if quality < 100 { self.picture.reduced(quality)? } else { self.picture.unchanged()? };
        self.made.insert(quality, encoded.clone());
        Ok(encoded)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        self.picture.lossless().map(Some)
    }
}
