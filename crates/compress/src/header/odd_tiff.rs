//! TIFFs in colours that the decoder of the `image` crate does not take: palettes, brightness with colour differences, grey with
//! transparency. The samples come from the crate that it uses too, and get their colours here.

use std::io::Cursor;

use image::error::{DecodingError, ImageFormatHint, UnsupportedError, UnsupportedErrorKind};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageResult};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{PhotometricInterpretation, Tag};
use tiff::{TiffError, TiffResult};

use crate::header::tiff_tags;
use crate::jpeg;

/// What the decoder may hold beside the samples.
const BESIDE_BYTES: u64 = 16 << 20;

/// The header has been read.
pub(crate) struct OddTiff {
    decoder: Decoder<Cursor<Vec<u8>>>,
    size: (u32, u32),
    samples: Samples,
}

/// What the samples mean, of eight bits unless said.
enum Samples {
    /// Indices of so many bits.
    Palette(u8, Vec<[u8; 3]>),
    YCbCr,
    /// Grey, then what may be transparency.
    Grey {
        has_alpha: bool,
    },
}

impl OddTiff {
    /// `None` for any other file.
    pub fn new(bytes: &[u8]) -> Option<OddTiff> {
        let photometric = tiff_tags::entries(bytes).iter().find(|entry| entry.tag == tiff_tags::PHOTOMETRIC)?.value?;
        let photometric = PhotometricInterpretation::from_u16(u16::try_from(photometric).ok()?)?;
        // A palette's indices are read as levels of grey.
        let file = match photometric {
            PhotometricInterpretation::RGBPalette => {
                tiff_tags::with_photometric(bytes, PhotometricInterpretation::BlackIsZero.to_u16())?
            }
            _ => bytes.to_vec(),
        };
        let mut decoder = Decoder::new(Cursor::new(file)).ok()?;
        let size = decoder.dimensions().ok()?;
        // One plane for each sample would have to be put together.
        if decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok()?.is_some_and(|planes| planes != 1) {
            return None;
        }
        let samples = match (photometric, decoder.colortype().ok()?) {
            (PhotometricInterpretation::RGBPalette, tiff::ColorType::Gray(bits @ (1 | 2 | 4 | 8))) => {
                Samples::Palette(bits, palette(&mut decoder, bits)?)
            }
            (PhotometricInterpretation::YCbCr, tiff::ColorType::YCbCr(8)) => Samples::YCbCr,
            (PhotometricInterpretation::BlackIsZero, tiff::ColorType::Multiband { bit_depth: 8, num_samples: 2 }) => {
                let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok()?.unwrap_or_default();
                Samples::Grey { has_alpha: matches!(extra[..], [1 | 2]) }
            }
            _ => return None,
        };
        // The number of pixels is judged before any is read.
        let most = u64::from(size.0) * u64::from(size.1) * 3 + BESIDE_BYTES;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut limits = Limits::default();
        (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (most, most);
        Some(OddTiff { decoder: decoder.with_limits(limits), size, samples })
    }

    fn read(&mut self, out: &mut [u8]) -> TiffResult<()> {
        let DecodingResult::U8(samples) = self.decoder.read_image()? else {
            return Err(TiffError::IntSizeError);
        };
        let width = self.size.0 as usize;
        match &self.samples {
            Samples::Palette(bits, colours) => {
                let per_byte = usize::from(8 / bits);
                let mask = (1_u16 << bits) - 1;
                let rows = samples.chunks_exact(width.div_ceil(per_byte).max(1));
                for (row, out) in rows.zip(out.chunks_exact_mut(3 * width.max(1))) {
                    for (x, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                        let shift = 8 - usize::from(*bits) * (x % per_byte + 1);
                        let index = u16::from(row[x / per_byte]) >> shift & mask;
                        *pixel = colours[usize::from(index)];
                    }
                }
            }
            Samples::YCbCr => {
                let (pixels, _) = samples.as_chunks::<3>();
                for (pixel, out) in pixels.iter().zip(out.as_chunks_mut::<3>().0) {
                    *out = jpeg::rgb(*pixel);
                }
            }
            Samples::Grey { has_alpha: true } => {
                out.iter_mut().zip(samples).for_each(|(out, sample)| *out = sample);
            }
            Samples::Grey { has_alpha: false } => {
                out.iter_mut().zip(samples.into_iter().step_by(2)).for_each(|(out, sample)| *out = sample);
            }
        }
        Ok(())
    }
}

/// As many colours as there are indices; of sixteen bits in the file, all reds before all greens before all blues.
fn palette(decoder: &mut Decoder<Cursor<Vec<u8>>>, bits: u8) -> Option<Vec<[u8; 3]>> {
    let count = 1 << bits;
    let map = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap).ok()??;
    if map.len() != 3 * count {
        return None;
    }
    // Some writers fill in eight bits only, as libtiff knows too.
    let shift = if map.iter().all(|level| *level < 256) { 0 } else { 8 };
    Some((0..count).map(|at| [0, 1, 2].map(|plane| (map[plane * count + at] >> shift) as u8)).collect())
}

/// What the decoder says, as `image` says it.
fn as_image_error(error: TiffError) -> ImageError {
    match error {
        TiffError::UnsupportedError(what) => {
            let kind = UnsupportedErrorKind::GenericFeature(what.to_string());
            ImageError::Unsupported(UnsupportedError::from_format_and_kind(ImageFormat::Tiff.into(), kind))
        }
        error => ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Tiff), error)),
    }
}

impl ImageDecoder for OddTiff {
    fn dimensions(&self) -> (u32, u32) {
        self.size
    }

    fn color_type(&self) -> ColorType {
        match self.samples {
            Samples::Palette(..) | Samples::YCbCr => ColorType::Rgb8,
            Samples::Grey { has_alpha: true } => ColorType::La8,
            Samples::Grey { has_alpha: false } => ColorType::L8,
        }
    }

    fn icc_profile(&mut self) -> ImageResult<Option<Vec<u8>>> {
        Ok(self.decoder.get_tag_u8_vec(Tag::IccProfile).ok())
    }

    fn orientation(&mut self) -> ImageResult<Orientation> {
        let value = self.decoder.find_tag_unsigned::<u16>(Tag::Orientation).map_err(as_image_error)?;
        let value = value.and_then(|value| u8::try_from(value).ok()).and_then(Orientation::from_exif);
        Ok(value.unwrap_or(Orientation::NoTransforms))
    }

    fn read_image(mut self, buf: &mut [u8]) -> ImageResult<()> {
        self.read(buf).map_err(as_image_error)
    }

    fn read_image_boxed(self: Box<Self>, buf: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buf)
    }
}
