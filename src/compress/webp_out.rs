//! Writes WebP with libwebp.
//!
//! Transparency is kept without loss; a colour profile and EXIF are put around the picture when they are given.

use std::collections::BTreeMap;

use webpx::{EncoderConfig, Unstoppable, YuvPlanesRef};

use super::encode::{Encoded, Encoder};
use super::jpeg::SamplePlane;
use super::pixels::{Layout, Pixels};
use super::{Error, riff};

/// libwebp's effort, 0–6. 2 is 1.9 times as fast as the default 4 for 3 % more bytes at the same score.
const METHOD: u8 = 2;
/// What a WebP can hold (RFC 9649, 2.7.1.1).
pub(super) const MAX_SIDE: u32 = 16_383;

pub(super) struct WebpEncoder {
    picture: Picture,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    own_quality: u8,
    /// Files made so far, by quality: a search comes back to its best one.
    made: BTreeMap<u8, Vec<u8>>,
}

enum Picture {
    Pixels(Pixels),
    /// Brightness and two colour differences of half the size, as VP8 holds them.
    Planes([SamplePlane; 3]),
}

impl WebpEncoder {
    /// Over upright pixels. `own_quality` is the source's, 100 when that was lossless.
    pub fn new(
        pixels: &Pixels,
        icc: Option<Vec<u8>>,
        exif: Option<Vec<u8>>,
        own_quality: u8,
    ) -> Result<WebpEncoder, Error> {
        check_side(pixels.width.max(pixels.height))?;
        let layout = if pixels.is_translucent() { Layout::Rgba } else { Layout::Rgb };
        let picture = Picture::Pixels(pixels.to_layout(layout));
        Ok(WebpEncoder { picture, icc, exif, own_quality, made: BTreeMap::new() })
    }

    /// Over the components of a JPEG: brightness alone, or with two colour differences of half its size, rounded up. There is no
    /// lossless file of them.
    pub fn over_planes(planes: Vec<SamplePlane>, exif: Option<Vec<u8>>) -> Result<WebpEncoder, Error> {
        let mut planes = planes.into_iter();
        let mut luma = planes.next().ok_or_else(|| Error::failed("a picture without brightness"))?;
        check_side(luma.width.max(luma.height))?;
        luma.data.iter_mut().for_each(|sample| *sample = narrowed(*sample, 219));
        let mut chroma = || match planes.next() {
            Some(mut plane) => {
                plane.data.iter_mut().for_each(|sample| *sample = narrowed(*sample, 224));
                plane
            }
            None => {
                let (width, height) = (luma.width.div_ceil(2), luma.height.div_ceil(2));
                SamplePlane { width, height, data: vec![128; width as usize * height as usize] }
            }
        };
        let (blue, red) = (chroma(), chroma());
        let picture = Picture::Planes([luma, blue, red]);
        Ok(WebpEncoder { picture, icc: None, exif, own_quality: 100, made: BTreeMap::new() })
    }

    fn write(&self, config: EncoderConfig) -> Result<Vec<u8>, Error> {
        let encoder = match &self.picture {
            Picture::Pixels(pixels) if pixels.layout == Layout::Rgba => {
                webpx::Encoder::new_rgba(&pixels.data, pixels.width, pixels.height)
            }
            Picture::Pixels(pixels) => webpx::Encoder::new_rgb(&pixels.data, pixels.width, pixels.height),
            Picture::Planes([luma, blue, red]) => webpx::Encoder::new_yuv(YuvPlanesRef {
                y: &luma.data,
                y_stride: luma.width as usize,
                u: &blue.data,
                u_stride: blue.width as usize,
                v: &red.data,
                v_stride: red.width as usize,
                a: None,
                a_stride: 0,
                width: luma.width,
                height: luma.height,
            }),
        };
        let webp =
            encoder.config(config).encode(Unstoppable).map_err(|error| Error::failed(format!("libwebp: {error}")))?;
        riff::wrap(webp, self.icc.as_deref(), self.exif.as_deref())
    }
}

fn check_side(side: u32) -> Result<(), Error> {
    if side > MAX_SIDE {
        return Err(Error::failed(format!("a WebP has at most {MAX_SIDE} pixels a side; set maxWidth or maxHeight")));
    }
    Ok(())
}

/// A sample of JPEG's range, 0 to 255, in that of television, which WebP keeps to: 219 levels of brightness or 224 of a colour
/// difference, from 16 on (ITU-R BT.601, 2.5.3).
fn narrowed(sample: u8, levels: u32) -> u8 {
    (16 + (u32::from(sample) * levels + 127) / 255) as u8
}

fn config() -> EncoderConfig {
    EncoderConfig::new().method(METHOD)
}

impl Encoder for WebpEncoder {
    fn own_quality(&self) -> u8 {
        self.own_quality
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let bytes = match self.made.get(&quality) {
            Some(bytes) => bytes.clone(),
            None => {
                let bytes = self.write(config().quality(quality.into()))?;
                self.made.insert(quality, bytes.clone());
                bytes
            }
        };
        Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.encode(quality)?.bytes.len() as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        if matches!(self.picture, Picture::Planes(_)) {
            return Ok(None);
        }
        // Colour under full transparency counts as pixels too.
        let bytes = self.write(config().lossless(true).exact(true))?;
        Ok(Some(Encoded { bytes, quality: None, warnings: Vec::new() }))
    }
}
