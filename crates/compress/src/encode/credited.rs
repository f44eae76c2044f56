//! Files with the credits of their source in them.

use crate::contract::{Error, Format};
use crate::encode::{Encoded, Encoder, Slack};
use crate::metadata::credits::Credits;
use crate::picture::pixels::Pixels;

/// An encoder whose files carry credits, so that a search counts their bytes.
pub(crate) struct Credited<'a> {
    pub encoder: &'a mut dyn Encoder,
    pub credits: &'a Credits,
    pub format: Format,
}

impl Credited<'_> {
    fn credited(&self, encoded: Encoded) -> Result<Encoded, Error> {
        Ok(Encoded { bytes: self.credits.put(encoded.bytes, self.format)?, ..encoded })
    }
}

impl Encoder for Credited<'_> {
    fn qualities(&self) -> &'static [u8] {
        self.encoder.qualities()
    }

    fn own_quality(&self) -> u8 {
        self.encoder.own_quality()
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let encoded = self.encoder.encode(quality)?;
        self.credited(encoded)
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        let packet = self.credits.packet_len().map_or(0, |length| length + 64);
        Ok(self.encoder.size_at(quality)? + packet)
    }

    fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error> {
        self.encoder.guessed_size(quality)
    }

    fn slack(&self) -> Slack {
        self.encoder.slack()
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        self.encoder.lossless()?.map(|encoded| self.credited(encoded)).transpose()
    }

    fn guessed_score(&mut self, quality: u8) -> Result<Option<f64>, Error> {
        self.encoder.guessed_score(quality)
    }

    fn preview(&mut self, quality: u8) -> Result<Option<Pixels>, Error> {
        self.encoder.preview(quality)
    }

    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        self.encoder.shown(encoded)
    }
}
