//! Writes WebP with libwebp.
//!
//! Transparency is kept without loss; a colour profile and EXIF are put around the picture when they are given.

use std::collections::BTreeMap;

use webp::{PixelLayout, WebPConfig};

use super::encode::{Encoded, Encoder};
use super::pixels::{Layout, Pixels};
use super::{Error, riff};

/// libwebp's effort, 0–6. 2 is 2.6 times as fast as the default 4 for 8 % more bytes at a slightly better score.
const METHOD: i32 = 2;
/// What a WebP can hold (RFC 9649, 2.7.1.1).
pub(super) const MAX_SIDE: u32 = 16_383;

pub(super) struct WebpEncoder {
    pixels: Pixels,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    own_quality: u8,
    /// Files made so far, by quality: a search comes back to its best one.
    made: BTreeMap<u8, Vec<u8>>,
}

impl WebpEncoder {
    /// Over upright pixels. `own_quality` is the source's, 100 when that was lossless.
    pub fn new(
        pixels: &Pixels,
        icc: Option<Vec<u8>>,
        exif: Option<Vec<u8>>,
        own_quality: u8,
    ) -> Result<WebpEncoder, Error> {
        if pixels.width > MAX_SIDE || pixels.height > MAX_SIDE {
            return Err(Error::failed(format!(
                "a WebP has at most {MAX_SIDE} pixels a side; set maxWidth or maxHeight"
            )));
        }
        let layout = if pixels.is_translucent() { Layout::Rgba } else { Layout::Rgb };
        Ok(WebpEncoder { pixels: pixels.to_layout(layout), icc, exif, own_quality, made: BTreeMap::new() })
    }

    fn write(&self, config: &WebPConfig) -> Result<Vec<u8>, Error> {
        let layout = match self.pixels.layout {
            Layout::Rgba => PixelLayout::Rgba,
            _ => PixelLayout::Rgb,
        };
        let webp = webp::Encoder::new(&self.pixels.data, layout, self.pixels.width, self.pixels.height)
            .encode_advanced(config)
            .map_err(|error| Error::failed(format!("libwebp: {error:?}")))?;
        riff::wrap(webp.to_vec(), self.icc.as_deref(), self.exif.as_deref())
    }
}

fn config() -> Result<WebPConfig, Error> {
    let mut config = WebPConfig::new().map_err(|()| Error::failed("libwebp does not start"))?;
    config.method = METHOD;
    Ok(config)
}

impl Encoder for WebpEncoder {
    fn own_quality(&self) -> u8 {
        self.own_quality
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let bytes = match self.made.get(&quality) {
            Some(bytes) => bytes.clone(),
            None => {
                let mut config = config()?;
                config.quality = f32::from(quality);
                let bytes = self.write(&config)?;
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
        let mut config = config()?;
        config.lossless = 1;
        // Colour under full transparency counts as pixels too.
        config.exact = 1;
        Ok(Some(Encoded { bytes: self.write(&config)?, quality: None, warnings: Vec::new() }))
    }
}
