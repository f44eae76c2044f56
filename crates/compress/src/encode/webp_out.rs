//! Writes WebP with libwebp.
//!
//! Drawings and screenshots are coded without loss where that is smaller. Transparency is nearly lossless; from WebP to WebP it is
//! copied as it was coded. A colour profile and EXIF are added when given.

use std::collections::BTreeMap;

use webpx::{EncoderConfig, Stop, StopReason, YuvPlanesRef};

use crate::container::webp;
use crate::contract::{Deadline, Error};
use crate::encode::webp_flat::FlatPicture;
use crate::encode::{self, Encoded, Encoder};
use crate::jpeg::SamplePlane;
use crate::picture::pixels::{Layout, Pixels};
use crate::picture::yuv::{self, Colour};

/// libwebp's effort, 0–6. 2 is 1.9 times as fast as the default 4 for 3 % more bytes at the same score.
const METHOD: u8 = 2;
/// How many times as long as the smallest file so far a hurried lossless one may be, that a thorough one is worth a try.
const EXACT_UP_TO: f64 = 1.5;
/// libwebp's effort for a lossless file with fewer colours.
const REDUCED_EFFORT: f32 = 30.0;
/// More pixels than this are not coded without loss, nor is their transparency, where the source can be kept: libwebp takes up to 28
/// bytes for each.
pub(crate) const KEEP_ABOVE_PIXELS: u64 = 8_000_000;
/// The same where there is nothing to keep: the photographs of most cameras are let through.
pub(crate) const MAX_PIXELS: u64 = 13_000_000;
/// More pixels than this are given to libwebp as planes: from pixels it makes two copies of its own, seven bytes for each.
pub(crate) const PLANES_ABOVE_PIXELS: u64 = 20_000_000;
/// Rows that become planes together; an even number.
const BAND_ROWS: usize = 64;
/// What a WebP can hold (RFC 9649, 2.7.1.1).
pub(crate) const MAX_SIDE: u32 = 16_383;

pub(crate) struct WebpEncoder {
    picture: Picture,
    /// Transparency of `picture` that is coded already.
    alpha: Option<Vec<u8>>,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    own_quality: u8,
    deadline: Deadline,
    /// Files made so far, by quality: a search comes back to its best one.
    made: BTreeMap<u8, Encoded>,
    /// Of a picture that may be smaller when it is coded without loss.
    flat: Option<FlatPicture>,
}

enum Picture {
    Pixels(Pixels),
    /// Brightness and two colour differences of half the size, as VP8 holds them.
    Planes([SamplePlane; 3]),
}

impl WebpEncoder {
    /// Over upright pixels. `own_quality` is the source's, 100 when that was lossless.
    pub fn new(
        pixels: Pixels,
        icc: Option<Vec<u8>>,
        exif: Option<Vec<u8>>,
        own_quality: u8,
        deadline: Deadline,
    ) -> Result<WebpEncoder, Error> {
        check_side(pixels.width.max(pixels.height))?;
        let pixels = pixels.into_opaque();
        let area = u64::from(pixels.width) * u64::from(pixels.height);
        if area > MAX_PIXELS && pixels.layout.has_alpha() {
            return Err(too_large("WebP output with transparency"));
        }
        if area > PLANES_ABOVE_PIXELS {
            return Ok(WebpEncoder { icc, ..WebpEncoder::over_planes(planes(pixels)?, exif, deadline)? });
        }
        let layout = if pixels.layout.has_alpha() { Layout::Rgba } else { Layout::Rgb };
        let pixels = if pixels.layout == layout { pixels } else { pixels.to_layout(layout) };
        let may_be_flat = area <= KEEP_ABOVE_PIXELS && own_quality == 100;
        let flat = if may_be_flat { FlatPicture::of(&pixels) } else { None };
        let picture = Picture::Pixels(pixels);
        Ok(WebpEncoder { picture, alpha: None, icc, exif, own_quality, deadline, made: BTreeMap::new(), flat })
    }

    /// Over the planes of a lossy WebP, with its transparency as it is coded there. This loses nothing to colour conversion; a
    /// lossless file of them would gain nothing.
    pub fn over_source(
        planes: [SamplePlane; 3],
        alpha: Option<&[u8]>,
        icc: Option<Vec<u8>>,
        exif: Option<Vec<u8>>,
        own_quality: u8,
        deadline: Deadline,
    ) -> WebpEncoder {
        let alpha = alpha.map(<[u8]>::to_vec);
        WebpEncoder {
            picture: Picture::Planes(planes),
            alpha,
            icc,
            exif,
            own_quality,
            deadline,
            made: BTreeMap::new(),
            flat: None,
        }
    }

    /// Over the components of a JPEG: brightness alone, or with two colour differences of half its size, rounded up. There is no
    /// lossless file of them.
    pub fn over_planes(
        planes: Vec<SamplePlane>,
        exif: Option<Vec<u8>>,
        deadline: Deadline,
    ) -> Result<WebpEncoder, Error> {
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
        Ok(WebpEncoder {
            picture,
            alpha: None,
            icc: None,
            exif,
            own_quality: 100,
            deadline,
            made: BTreeMap::new(),
            flat: None,
        })
    }

    fn write(&self, config: EncoderConfig) -> Result<Vec<u8>, Error> {
        let webp = match &self.picture {
            Picture::Pixels(pixels) => coded(pixels, config, self.deadline)?,
            Picture::Planes([luma, blue, red]) => {
                let planes = webpx::Encoder::new_yuv(YuvPlanesRef {
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
                });
                run(planes, config, self.deadline)?
            }
        };
        webp::wrap(webp, self.alpha.as_deref(), self.icc.as_deref(), self.exif.as_deref())
    }

    fn write_pixels(&self, pixels: &Pixels, config: EncoderConfig) -> Result<Vec<u8>, Error> {
        let webp = coded(pixels, config, self.deadline)?;
        webp::wrap(webp, self.alpha.as_deref(), self.icc.as_deref(), self.exif.as_deref())
    }

    /// The smallest file of a quality: lossy, or lossless with as few colours as it needs, or with all of them.
    fn smallest(&mut self, quality: u8) -> Result<Encoded, Error> {
        // Edges of a cut-out show sooner than its texture: half the way to the best.
        let lossy = self.write(config().quality(quality.into()).alpha_quality(50 + quality / 2))?;
        let mut smallest = Encoded { bytes: lossy, quality: Some(quality), warnings: Vec::new() };
        let (Some(mut flat), Picture::Pixels(pixels)) = (self.flat.take(), &self.picture) else {
            return Ok(smallest);
        };
        let may_be_reduced = quality < 100 && flat.may_be_reduced(quality, smallest.bytes.len());
        let reduced = if may_be_reduced { flat.reduced(pixels, quality)? } else { None };
        let keeps_all = may_be_reduced && reduced.is_none();
        if let Some(reduced) = reduced {
            let bytes = self.write_pixels(&reduced, config().lossless(true).quality(REDUCED_EFFORT))?;
            if bytes.len() < smallest.bytes.len() {
                smallest.bytes = bytes;
            }
        }
        if keeps_all || flat.may_be_exact(smallest.bytes.len()) {
            let quick = match flat.quick {
                Some(quick) => quick,
                None => self.write(EncoderConfig::new().lossless(true).method(0).quality(0.0))?.len(),
            };
            flat.quick = Some(quick);
            if quick as f64 <= EXACT_UP_TO * smallest.bytes.len() as f64 {
                let exact = match flat.exact.take() {
                    Some(exact) => exact,
                    None => self.write_pixels(pixels, config().lossless(true))?,
                };
                if exact.len() <= smallest.bytes.len() {
                    smallest = Encoded { bytes: exact.clone(), quality: None, warnings: Vec::new() };
                }
                flat.exact = Some(exact);
            }
        }
        self.flat = Some(flat);
        Ok(smallest)
    }
}

/// A bare file of RGB or RGBA pixels.
pub(super) fn coded(pixels: &Pixels, config: EncoderConfig, deadline: Deadline) -> Result<Vec<u8>, Error> {
    let encoder = match pixels.layout {
        Layout::Rgba => webpx::Encoder::new_rgba(&pixels.data, pixels.width, pixels.height),
        _ => webpx::Encoder::new_rgb(&pixels.data, pixels.width, pixels.height),
    };
    run(encoder, config, deadline)
}

fn run(encoder: webpx::Encoder<'_>, config: EncoderConfig, deadline: Deadline) -> Result<Vec<u8>, Error> {
    encoder.config(config).encode(deadline).map_err(|error| match deadline.check() {
        Err(too_slow) => too_slow,
        Ok(()) => Error::failed(format!("libwebp: {error}")),
    })
}

impl Stop for Deadline {
    fn check(&self) -> Result<(), StopReason> {
        Deadline::check(self).map_err(|_| StopReason::TimedOut)
    }
}

/// Brightness, and two colour differences of half the size unless the picture is grey.
fn planes(pixels: Pixels) -> Result<Vec<SamplePlane>, Error> {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let colour = if pixels.layout == Layout::Grey { Colour::None } else { Colour::Half };
    let mut planes: Vec<SamplePlane> = yuv::sizes(pixels.width, pixels.height, colour)
        .into_iter()
        // A WebP's sides have 14 bits.
        .map(|(w, h)| SamplePlane { width: w as u32, height: h as u32, data: Vec::with_capacity(w * h) })
        .collect();
    let row = width * pixels.layout.channels();
    for rows in pixels.data.chunks(row * BAND_ROWS) {
        let band = Pixels::new(pixels.width, (rows.len() / row) as u32, pixels.layout, rows.to_vec())?;
        for (plane, part) in planes.iter_mut().zip(yuv::planes(&band, colour)) {
            plane.data.extend(part.samples);
        }
    }
    if planes[0].data.len() != width * height {
        return Err(Error::failed("rows were lost"));
    }
    Ok(planes)
}

/// For output that would take libwebp too much memory.
pub(crate) fn too_large(what: &str) -> Error {
    let most = MAX_PIXELS / 1_000_000;
    Error::failed(format!("{what} is limited to {most} megapixels; set maxWidth or maxHeight"))
}

pub(super) fn check_side(side: u32) -> Result<(), Error> {
    if side > MAX_SIDE {
        return Err(Error::failed(format!(
            "WebP output is limited to {MAX_SIDE} pixels per side; set maxWidth or maxHeight"
        )));
    }
    Ok(())
}

/// A sample of JPEG's range, 0 to 255, in that of television, which WebP keeps to: 219 levels of brightness or 224 of a colour
/// difference, from 16 on (ITU-R BT.601, 2.5.3).
fn narrowed(sample: u8, levels: u32) -> u8 {
    (16 + (u32::from(sample) * levels + 127) / 255) as u8
}

pub(super) fn config() -> EncoderConfig {
    EncoderConfig::new().method(METHOD)
}

impl Encoder for WebpEncoder {
    fn qualities(&self) -> &'static [u8] {
        match &self.picture {
            Picture::Planes([luma, ..]) if luma.data.len() as u64 > PLANES_ABOVE_PIXELS => &encode::FEW,
            _ => &encode::EVERY_QUALITY,
        }
    }

    fn own_quality(&self) -> u8 {
        self.own_quality
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        if let Some(encoded) = self.made.get(&quality) {
            return Ok(encoded.clone());
        }
        let encoded = self.smallest(quality)?;
        self.made.insert(quality, encoded.clone());
        Ok(encoded)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::pictures::photo;

    #[test]
    fn planes_made_in_bands_are_those_of_the_whole_picture() {
        for layout in [Layout::Rgb, Layout::Grey] {
            let pixels = photo(33, 2 * BAND_ROWS as u32 + 21, layout);
            let colour = if layout == Layout::Grey { Colour::None } else { Colour::Half };
            let whole = yuv::planes(&pixels, colour);
            let banded = planes(pixels).unwrap();
            assert_eq!(banded.len(), whole.len());
            for (banded, whole) in banded.iter().zip(&whole) {
                assert_eq!((banded.width as usize, banded.height as usize), (whole.width, whole.height));
                assert_eq!(banded.data, whole.samples);
            }
        }
    }
    fn encoder(pixels: Pixels) -> WebpEncoder {
        WebpEncoder::new(pixels, None, None, 100, Deadline::after(std::time::Duration::MAX)).unwrap()
    }

    fn is_lossless(bytes: &[u8]) -> bool {
        webp::header(bytes, &webp::chunks(bytes).unwrap()).unwrap().is_lossless
    }

    #[test]
    fn a_drawing_is_coded_without_loss_where_that_is_smaller() {
        let lines = |at: u32| [[250, 250, 250], [20, 30, 90], [200, 0, 0]][(at / 40 + at / 7_000) as usize % 3];
        let drawing = Pixels::new(200, 150, Layout::Rgb, (0..200 * 150).flat_map(lines).collect()).unwrap();
        let mut encoder = encoder(drawing.clone());
        for quality in [1, 50, 100] {
            let encoded = encoder.encode(quality).unwrap();
            assert_eq!(encoded.quality, None, "{quality}");
            assert_eq!(encoder.shown(&encoded).unwrap(), drawing, "{quality}");
            assert_eq!(encoder.size_at(quality).unwrap(), encoded.bytes.len() as u64);
        }
    }

    #[test]
    fn a_screenshot_with_a_photograph_in_it_has_fewer_colours() {
        let (mut page, photo) = (photo(400, 300, Layout::Rgb), photo(400, 300, Layout::Rgb));
        for (at, pixel) in page.data.chunks_exact_mut(3).enumerate() {
            if at / 400 > 60 {
                pixel.fill(if at % 400 % 9 == 0 && at / 400 % 20 > 9 { 0 } else { 255 });
            }
        }
        let mut encoder = encoder(page);
        let (low, high) = (encoder.encode(30).unwrap(), encoder.encode(95).unwrap());
        assert!(is_lossless(&low.bytes) && low.quality == Some(30));
        assert!(low.bytes.len() < high.bytes.len());
        let encoded = self::encoder(photo).encode(50).unwrap();
        assert!(!is_lossless(&encoded.bytes) && encoded.quality == Some(50));
    }
}
