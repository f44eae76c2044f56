//! Writes JPEG: by requantising the source's own coefficients, or from pixels.
//!
//! Both ways end in the same requantiser, so a quality means the same whether or not the picture was resized on the way.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, SamplingFactor};

use super::encode::{Encoded, Encoder};
use super::pixels::{Layout, Pixels};
use super::{Error, jpeg};

/// At this quality and above, colour keeps its full resolution.
pub(super) const FULL_COLOUR: u8 = 90;

/// A JPEG whose coefficients are in memory.
pub(super) struct JpegEncoder<'a> {
    source: jpeg::Source<'a>,
    options: jpeg::Options,
    is_the_source: bool,
}

impl<'a> JpegEncoder<'a> {
    /// Over the source itself: nothing is lost by decoding.
    pub fn over_source(
        bytes: &'a [u8],
        options: jpeg::Options,
        limits: &jpeg::Limits,
    ) -> Result<JpegEncoder<'a>, jpeg::Error> {
        Ok(JpegEncoder { source: jpeg::decode(bytes, limits)?, options, is_the_source: true })
    }

    /// Over a file [`master`] made from pixels.
    pub fn over_master(master: &'a [u8], limits: &jpeg::Limits) -> Result<JpegEncoder<'a>, Error> {
        Ok(JpegEncoder {
            source: jpeg::decode(master, limits).map_err(Error::failed)?,
            options: jpeg::Options { progressive: false, keep_copyright: true },
            is_the_source: false,
        })
    }
}

impl Encoder for JpegEncoder<'_> {
    fn own_quality(&self) -> u8 {
        if self.is_the_source { self.source.estimated_quality().clamp(1, 100) } else { 100 }
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let encoded = self.source.encode(quality, &self.options);
        Ok(Encoded { bytes: encoded.bytes, quality: Some(quality), warnings: encoded.warnings })
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.source.size_at(quality) as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        if !self.is_the_source {
            return Ok(None);
        }
        let encoded = self.source.lossless(&self.options);
        Ok(Some(Encoded { bytes: encoded.bytes, quality: None, warnings: encoded.warnings }))
    }
}

/// Opaque pixels as a JPEG with quantisation steps of 1: the requantiser's raw material. `exif` is put in as it is.
pub(super) fn master(pixels: &Pixels, quality: u8, exif: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let side = |side: u32| u16::try_from(side).map_err(|_| Error::failed("too large for a JPEG"));
    let (width, height) = (side(pixels.width)?, side(pixels.height)?);
    let samples = match pixels.layout {
        Layout::Grey => ColorType::Luma,
        Layout::Rgb => ColorType::Rgb,
        Layout::GreyAlpha | Layout::Rgba => {
            return Err(Error::failed("a JPEG cannot be transparent"));
        }
    };
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 100);
    encoder.set_sampling_factor(if quality >= FULL_COLOUR { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if let Some(exif) = exif {
        encoder.add_exif_metadata(exif).map_err(Error::failed)?;
    }
    encoder.encode(&pixels.data, width, height, samples).map_err(Error::failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::pictures::{self, photo};
    use super::super::{Limits, exif};
    use super::*;

    #[test]
    fn sizes_are_known_without_writing() {
        let limits = Limits::default().for_jpeg();
        let options = jpeg::Options { progressive: false, keep_copyright: true };
        let file = pictures::jpeg_with_exif(90, 70, &exif::tests::located());
        let credit = exif::minimal(Some(&exif::tests::located()), 1, true);
        let master = master(&photo(90, 70, Layout::Rgb), 50, credit.as_deref()).unwrap();
        for mut encoder in [
            JpegEncoder::over_source(&file, options, &limits).unwrap(),
            JpegEncoder::over_master(&master, &limits).unwrap(),
        ] {
            for quality in [1, 30, 50, 95, 100] {
                let written = encoder.encode(quality).unwrap().bytes.len() as u64;
                let foretold = encoder.size_at(quality).unwrap();
                // Metadata that is kept may not be counted; the search steps down where it matters.
                assert!(written.abs_diff(foretold) <= 200, "{quality}: {written} {foretold}");
            }
        }
    }

    #[test]
    fn transparency_is_refused() {
        assert!(master(&photo(8, 8, Layout::Rgba), 50, None).is_err());
    }
}
