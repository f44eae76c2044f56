//! Writes JPEG: by requantising the source's own coefficients, or from pixels.
//!
//! Both use the same tables, so a quality means the same whether or not the picture was resized.

use crate::contract::Error;
use crate::encode::{Encoded, Encoder};
use crate::jpeg;
use crate::picture::pixels::{Layout, Pixels};

/// At this quality and above, colour keeps its full resolution.
pub(crate) const FULL_COLOUR: u8 = 90;

/// Writes a JPEG; a progressive one only where that was asked for and is smaller.
pub(crate) fn smaller(options: jpeg::Options, write: impl Fn(&jpeg::Options) -> jpeg::Encoded) -> jpeg::Encoded {
    let sequential = write(&jpeg::Options { progressive: false, ..options });
    if !options.progressive {
        return sequential;
    }
    let progressive = write(&options);
    if progressive.bytes.len() < sequential.bytes.len() { progressive } else { sequential }
}

/// Over the coefficients of a JPEG.
pub(crate) struct JpegEncoder<'a> {
    source: jpeg::Source<'a>,
    options: jpeg::Options,
}

impl<'a> JpegEncoder<'a> {
    /// Over the source itself: nothing is lost by decoding.
    pub fn over_source(
        bytes: &'a [u8],
        options: jpeg::Options,
        limits: &jpeg::Limits,
    ) -> Result<JpegEncoder<'a>, jpeg::Error> {
        Ok(JpegEncoder { source: jpeg::decode(bytes, limits)?, options })
    }
}

impl Encoder for JpegEncoder<'_> {
    fn own_quality(&self) -> u8 {
        self.source.estimated_quality().clamp(1, 100)
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let encoded = smaller(self.options, |options| self.source.encode(quality, options));
        Ok(Encoded { bytes: encoded.bytes, quality: Some(quality), warnings: encoded.warnings })
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.source.size_at(quality) as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        let encoded = smaller(self.options, |options| self.source.lossless(options));
        Ok(Some(Encoded { bytes: encoded.bytes, quality: None, warnings: encoded.warnings }))
    }
}

/// Over opaque pixels. Each quality is encoded from them directly, which costs less than rounding coefficients twice.
pub(crate) struct PixelEncoder<'a> {
    pixels: jpeg::PixelRows<'a>,
    /// Decided once, so that sizes grow with quality.
    subsample: bool,
    exif: Option<&'a [u8]>,
    options: jpeg::Options,
}

impl<'a> PixelEncoder<'a> {
    /// `quality` is the one that will be asked for, or the lowest; `exif` is TIFF data to keep.
    pub fn new(
        pixels: &'a Pixels,
        quality: u8,
        exif: Option<&'a [u8]>,
        progressive: bool,
    ) -> Result<PixelEncoder<'a>, Error> {
        let channels = match pixels.layout {
            Layout::Grey => 1,
            Layout::Rgb => 3,
            Layout::GreyAlpha | Layout::Rgba => return Err(Error::failed("a JPEG cannot be transparent")),
        };
        let pixels = jpeg::PixelRows { width: pixels.width, height: pixels.height, channels, data: &pixels.data };
        let options = jpeg::Options { progressive, keep_copyright: true };
        Ok(PixelEncoder { pixels, subsample: quality < FULL_COLOUR, exif, options })
    }

    fn at(&self, quality: u8) -> Result<jpeg::Source<'_>, Error> {
        jpeg::from_pixels(self.pixels, quality, self.subsample, self.exif).map_err(Error::failed)
    }
}

impl Encoder for PixelEncoder<'_> {
    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let source = self.at(quality)?;
        let encoded = smaller(self.options, |options| source.lossless(options));
        Ok(Encoded { bytes: encoded.bytes, quality: Some(quality), warnings: encoded.warnings })
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        // The coefficients have this quality already, and 100 keeps them.
        Ok(self.at(quality)?.size_at(100) as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Limits;
    use crate::header::probe::for_jpeg;
    use crate::metadata::exif;
    use crate::tests::pictures::{self, photo};

    #[test]
    fn sizes_are_known_without_writing() {
        let limits = for_jpeg(&Limits::default());
        let options = jpeg::Options { progressive: false, keep_copyright: true };
        let file = pictures::jpeg_with_exif(90, 70, &exif::tests::located());
        let credit = exif::minimal(Some(&exif::tests::located()), 1, true);
        let pixels = photo(90, 70, Layout::Rgb);
        let encoders: [&mut dyn Encoder; 2] = [
            &mut JpegEncoder::over_source(&file, options, &limits).unwrap(),
            &mut PixelEncoder::new(&pixels, 50, credit.as_deref(), false).unwrap(),
        ];
        for encoder in encoders {
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
        assert!(PixelEncoder::new(&photo(8, 8, Layout::Rgba), 50, None, false).is_err());
    }
}
