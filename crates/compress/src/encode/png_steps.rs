//! The qualities of a PNG: steps of fewer and fewer colours, however the file is written.

use crate::contract::Error;
use crate::encode::{Encoded, Encoder};

/// Quality 50 and up to the last step is a full palette; each step below halves the colours; 100 is lossless.
pub(crate) const STEPS: [u8; 6] = [3, 6, 12, 25, 50, 100];
pub(crate) const COLOURS: [usize; 5] = [16, 32, 64, 128, 256];

/// A picture that can be written with fewer colours.
pub(crate) trait Reducible {
    /// A file with a palette of the step's size, or of the next larger one that is not visible; the untouched pixels if all are.
    /// `least` is the first step whose palette is not known to be visible; it rises when one turns out to be.
    fn reduced(&self, step: usize, least: &mut usize) -> Result<Encoded, Error>;

    /// The untouched pixels, packed quickly.
    fn unchanged(&self) -> Result<Encoded, Error>;

    /// The untouched pixels, packed as well as possible.
    fn lossless(&self) -> Result<Encoded, Error>;
}

/// Writes PNGs of one picture.
pub(crate) struct PngEncoder<P> {
    picture: P,
    /// See [`Reducible::reduced`].
    least: usize,
    /// Files made so far, by step: a search comes back to its best one.
    made: Vec<(usize, Encoded)>,
}

impl<P: Reducible> PngEncoder<P> {
    pub fn over(picture: P) -> PngEncoder<P> {
        PngEncoder { picture, least: 0, made: Vec::new() }
    }
}

impl<P: Reducible> Encoder for PngEncoder<P> {
    fn qualities(&self) -> &'static [u8] {
        &STEPS
    }

    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let PngEncoder { picture, least, made } = self;
        let asked = STEPS.iter().rposition(|step| *step <= quality).unwrap_or(0);
        let step = asked.max(*least);
        let encoded = match made.iter().find(|(made, _)| *made == step) {
            Some((_, encoded)) => encoded.clone(),
            None => {
                let is_palette = step < COLOURS.len();
                let encoded = if is_palette { picture.reduced(step, least)? } else { picture.unchanged()? };
                // A step that turned out to be visible gives the file of the one that was written.
                made.push((step.max(*least), encoded.clone()));
                encoded
            }
        };
        Ok(Encoded {
            // Between two steps, the caller's own number stays.
            quality: encoded.quality.map(|used| used.max(quality)),
            ..encoded
        })
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.encode(quality)?.bytes.len() as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        self.picture.lossless().map(Some)
    }
}
