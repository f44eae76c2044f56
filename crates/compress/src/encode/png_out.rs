//! Writes PNG: with a palette where that looks right, otherwise the same pixels packed better.
//!
//! A palette that would be visible ([`Choice::None`]) is not used: the picture then stays lossless, and its file has no quality.

use std::io::Cursor;

use oxipng::{BitDepth, ColorType, Deflater, FilterStrategy, IndexSet, Options, RawImage, StripChunks, indexset};

use crate::container::png;
use crate::contract::Error;
use crate::encode::palette::{Choice, Chooser, each_band};
use crate::encode::png_steps::Reducible;
use crate::encode::{Encoded, png_indexed, png_packing};
use crate::picture::pixels::{Layout, Pixels};

/// oxipng's effort for lossy output, and for sixteen bits where lossless was asked for.
const QUICK: u8 = 1;
const THOROUGH: u8 = 2;

/// More samples than this are many, unless lossless was asked for: near-optimal deflating (libdeflate's levels from 10 on) takes up to
/// 0.15 seconds for a million of them.
const FAST_DEFLATE_ABOVE_SAMPLES: u64 = 16_000_000;
/// libdeflate's level for those: a third of the time of level 10 for a tenth more bytes.
const FAST_DEFLATE_LEVEL: u8 = 7;
/// The same for palettes: of photographs, where level 10 saves 5 to 11 %; of drawings and screenshots, where it takes up to eight
/// times as long as 9, and may save nothing; and of large pictures.
const INDEXED_LEVEL: i32 = 10;
const INDEXED_FLAT_LEVEL: i32 = 9;
const INDEXED_FAST_LEVEL: i32 = 7;
/// Pictures of fewer pixels are always compared with their lossless files.
const SMALL_PIXELS: usize = 300_000;

/// How much a quick estimate exceeds the real size at most, in percent of it.
const QUICK_EXCESS: u64 = 150;

/// Chunks that decide how the same samples look.
pub(crate) const COLOUR_CHUNKS: [[u8; 4]; 5] = [*b"iCCP", *b"sRGB", *b"gAMA", *b"cHRM", *b"cICP"];

/// One prepared picture.
pub(crate) struct PackedPng<'a> {
    pixels: Pixels,
    /// Chunks that travel with the pixels.
    extra: Vec<([u8; 4], Vec<u8>)>,
    /// The source, when its samples are still the ones wanted: it may hold 16 bits, which `pixels` does not.
    original: Option<Original<'a>>,
    /// Made when it is needed first.
    chooser: Option<Chooser>,
    /// Files made so far: several qualities may need the same colours.
    made: Vec<(Choice, Encoded)>,
}

/// A PNG whose pixels may be kept untouched.
pub(crate) struct Original<'a> {
    pub bytes: &'a [u8],
    /// What is left of its EXIF: the orientation, and credits if wanted.
    pub exif: Option<Vec<u8>>,
}

impl<'a> PackedPng<'a> {
    pub fn new(pixels: Pixels, extra: Vec<([u8; 4], Vec<u8>)>, original: Option<Original<'a>>) -> PackedPng<'a> {
        PackedPng { pixels, extra, original, chooser: None, made: Vec::new() }
    }

    fn chooser(&mut self) -> Result<&mut Chooser, Error> {
        let chooser = match self.chooser.take() {
            Some(chooser) => chooser,
            None => Chooser::of(&self.pixels)?,
        };
        Ok(self.chooser.insert(chooser))
    }

    fn indexed(&self, chooser: &Chooser, choice: &Choice) -> Result<Vec<u8>, Error> {
        let (width, height) = (self.pixels.width, self.pixels.height);
        let (colours, mut rows) = (choice.colours(), Vec::with_capacity((width as usize + 1) * height as usize));
        let bits = png_indexed::bits(colours.len());
        chooser.map(choice, width, |take| each_band(&self.pixels, take), &mut |indices| {
            for row in indices.chunks_exact(width as usize) {
                // No filter.
                rows.push(0);
                png_indexed::packed(row, bits, &mut rows);
            }
            Ok(())
        })?;
        let is_large = rows.len() as u64 > FAST_DEFLATE_ABOVE_SAMPLES;
        let level = match (is_large, chooser.is_flat()) {
            (true, _) => INDEXED_FAST_LEVEL,
            (_, false) => INDEXED_LEVEL,
            _ if png_indexed::is_worth(&chooser.sample(choice)?, (INDEXED_FLAT_LEVEL, INDEXED_LEVEL))? => INDEXED_LEVEL,
            _ => INDEXED_FLAT_LEVEL,
        };
        png_indexed::write((width, height), colours, &self.extra, &rows, level)
    }

    fn write_with(&self, pixels: &Pixels, options: &Options) -> Result<Vec<u8>, Error> {
        let mut image = png_packing::raw_image(pixels)?;
        for (name, data) in &self.extra {
            image.add_png_chunk(*name, data.clone());
        }
        image.create_optimized_png(options).map_err(Error::failed)
    }

    /// The untouched pixels where a palette would show or take more bytes, packed quickly.
    fn unchanged(&self) -> Result<Encoded, Error> {
        let samples = self.pixels.data.len() as u64;
        self.repacked(if samples > FAST_DEFLATE_ABOVE_SAMPLES {
            Options { deflater: Deflater::Libdeflater { compression: FAST_DEFLATE_LEVEL }, ..Options::from_preset(0) }
        } else {
            Options::from_preset(QUICK)
        })
    }

    /// The source's own samples, packed; metadata is left out.
    fn repacked(&self, options: Options) -> Result<Encoded, Error> {
        let bytes = match &self.original {
            Some(original) => self.repacked_original(original, options)?,
            None => self.write_with(&self.pixels, &options)?,
        };
        Ok(Encoded { bytes, quality: None, warnings: Vec::new() })
    }

    fn repacked_original(&self, original: &Original<'_>, options: Options) -> Result<Vec<u8>, Error> {
        let list = png::chunks(original.bytes)?;
        let extra: Vec<_> = original.exif.iter().map(|exif| (*b"eXIf", exif.clone())).collect();
        let wanted = [*b"tRNS"].into_iter().chain(COLOUR_CHUNKS);
        let wanted: Vec<usize> =
            wanted.filter_map(|name| Some(png::usable(original.bytes, &list, &name)?.whole.start)).collect();
        let is_unneeded = |chunk: &png::Chunk| {
            // Bit 5 of the first letter: an ancillary chunk.
            let is_ancillary = chunk.name[0] & 0x20 != 0;
            is_ancillary && !wanted.contains(&chunk.whole.start)
        };
        let bare = png::rewrite(original.bytes, &list, is_unneeded, &extra);
        let mut keep: IndexSet<[u8; 4]> = indexset! {*b"eXIf"};
        keep.extend(COLOUR_CHUNKS);
        let header = png::header(original.bytes, &list)?;
        let has_transparent_colour = header.depth == 16 && png::data(original.bytes, &list, b"tRNS").is_some();
        // Sixteen-bit RGBA, filter bytes, and a generous colour profile: more than that unpacked is a bomb.
        let pixels = u64::from(self.pixels.width) * u64::from(self.pixels.height);
        let unpacked = pixels * 8 + u64::from(self.pixels.height) * 8 + (16 << 20);
        let options = Options {
            max_decompressed_size: usize::try_from(unpacked).ok(),
            strip: StripChunks::Keep(keep),
            // Eight-bit samples would leave sixteen bits of the transparent colour, which few decoders match with them.
            bit_depth_reduction: !has_transparent_colour,
            ..options
        };
        match oxipng::optimize_from_memory(&bare, &options) {
            Ok(packed) => Ok(packed),
            // Decoders stop at the last pixel, whatever the compressed data holds after it, and ignore its checksum.
            Err(_) => decoded_anew(original, &list, &options),
        }
    }

    /// The bits of a sample of the source.
    fn source_depth(&self) -> Result<u8, Error> {
        match &self.original {
            Some(original) => Ok(png::header(original.bytes, &png::chunks(original.bytes)?)?.depth),
            None => Ok(8),
        }
    }

    /// The file of what was chosen for a quality.
    fn with(&self, choice: &Choice, quality: u8) -> Result<Encoded, Error> {
        if *choice == Choice::None {
            return self.unchanged();
        }
        let chooser = self.chooser.as_ref().ok_or_else(|| Error::failed("a palette that nobody chose"))?;
        let mut bytes = self.indexed(chooser, choice)?;
        let mut is_lossless = choice.is_lossless();
        if !is_lossless
            && let Some(colours) = chooser.exact()
            && self.may_be_rivalled(bytes.len())
            && chooser.is_exact_rival(choice)?
        {
            let exact = self.indexed(chooser, &Choice::Exact(colours.to_vec()))?;
            if exact.len() <= bytes.len() {
                (bytes, is_lossless) = (exact, true);
            }
        }
        if self.is_lossless_rival(bytes.len())? {
            let unchanged = self.unchanged()?;
            if unchanged.bytes.len() <= bytes.len() {
                return Ok(unchanged);
            }
        }
        Ok(Encoded { bytes, quality: (!is_lossless).then_some(quality), warnings: Vec::new() })
    }

    /// Whether the source has a palette already: filtered samples of full colour would hardly be smaller.
    fn had_palette(&self) -> Result<bool, Error> {
        let Some(original) = &self.original else {
            return Ok(false);
        };
        const INDEXED: u8 = 3;
        Ok(png::header(original.bytes, &png::chunks(original.bytes)?)?.colour == INDEXED)
    }

    /// Whether it is worth a try: not where a picture of some size is much smaller than its source, which is lossless too.
    fn may_be_rivalled(&self, bytes: usize) -> bool {
        let area = self.pixels.width as usize * self.pixels.height as usize;
        area < SMALL_PIXELS || self.original.as_ref().is_none_or(|original| bytes * 10 > original.bytes.len() * 7)
    }

    /// Whether the untouched pixels might take less than a palette's `bytes`, by a quick estimate: smooth computed pictures do.
    fn is_lossless_rival(&self, bytes: usize) -> Result<bool, Error> {
        if !self.may_be_rivalled(bytes) || self.had_palette()? {
            return Ok(false);
        }
        Ok(self.quick(&self.pixels)? as u64 * 100 <= bytes as u64 * QUICK_EXCESS)
    }

    /// About how long a file without loss is.
    fn quick(&self, pixels: &Pixels) -> Result<usize, Error> {
        let options = Options {
            filters: indexset! {FilterStrategy::MinSum},
            deflater: Deflater::Libdeflater { compression: 1 },
            bit_depth_reduction: false,
            color_type_reduction: false,
            palette_reduction: false,
            grayscale_reduction: false,
            ..Options::from_preset(0)
        };
        Ok(self.write_with(pixels, &options)?.len())
    }
}

/// The source's samples as its decoder reads them, at their depth and as they are stored, packed.
fn decoded_anew(original: &Original<'_>, list: &[png::Chunk], options: &Options) -> Result<Vec<u8>, Error> {
    let mut decoder = ::png::Decoder::new(Cursor::new(original.bytes));
    decoder.set_transformations(::png::Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(Error::failed)?;
    let mut data = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut data).map_err(Error::failed)?;
    data.truncate(frame.buffer_size());
    let colour = match frame.color_type {
        ::png::ColorType::Grayscale => ColorType::Grayscale { transparent_shade: None },
        ::png::ColorType::GrayscaleAlpha => ColorType::GrayscaleAlpha,
        ::png::ColorType::Rgb => ColorType::RGB { transparent_color: None },
        ::png::ColorType::Rgba => ColorType::RGBA,
        ::png::ColorType::Indexed => return Err(Error::failed("a palette was not expanded")),
    };
    let depth = if frame.bit_depth == ::png::BitDepth::Sixteen { BitDepth::Sixteen } else { BitDepth::Eight };
    let mut image = RawImage::new(frame.width, frame.height, colour, depth, data).map_err(Error::failed)?;
    for name in COLOUR_CHUNKS {
        if let Some(data) = png::data(original.bytes, list, &name) {
            image.add_png_chunk(name, data.to_vec());
        }
    }
    if let Some(exif) = &original.exif {
        image.add_png_chunk(*b"eXIf", exif.clone());
    }
    image.create_optimized_png(options).map_err(Error::failed)
}

impl Reducible for PackedPng<'_> {
    fn as_jpeg(&self, quality: u8) -> Result<Option<u64>, Error> {
        self.chooser.as_ref().map_or(Ok(None), |chooser| chooser.as_jpeg(quality))
    }

    fn reduced(&mut self, quality: u8) -> Result<Encoded, Error> {
        let choice = self.chooser()?.choose(quality)?;
        let made = match self.made.iter().find(|(made, _)| *made == choice) {
            Some((_, made)) => made.clone(),
            None => {
                let made = self.with(&choice, quality)?;
                self.made.push((choice, made.clone()));
                made
            }
        };
        Ok(Encoded { quality: made.quality.and(Some(quality)), ..made })
    }

    fn preview(&mut self, quality: u8) -> Result<Option<Pixels>, Error> {
        let choice = self.chooser()?.choose(quality)?;
        let is_made = self.made.iter().any(|(made, _)| *made == choice);
        let Some(chooser) = self.chooser.as_ref().filter(|_| !is_made && !choice.is_lossless()) else {
            return Ok(None);
        };
        let (width, height) = (self.pixels.width, self.pixels.height);
        let mut shown = Vec::with_capacity(width as usize * height as usize);
        chooser.map(&choice, width, |take| each_band(&self.pixels, take), &mut |indices| {
            shown.extend(indices.iter().map(|index| choice.colours()[usize::from(*index)]));
            Ok(())
        })?;
        Pixels::new(width, height, Layout::Rgba, shown.into_flattened()).map(Some)
    }

    fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error> {
        let chooser = self.chooser()?;
        let choice = chooser.choose(quality)?;
        chooser.guessed_size(&choice)
    }

    fn least_unchanged(&mut self) -> Result<Option<u64>, Error> {
        let layout = self.pixels.layout;
        let chooser = self.chooser()?;
        if let Some(colours) = chooser.exact() {
            return chooser.guessed_size(&Choice::Exact(colours.to_vec()));
        }
        let sample = chooser.sample_pixels()?;
        let sampled = sample.data.len() / 4;
        let extra: usize = self.extra.iter().map(|(_, data)| data.len()).sum();
        let quick = self.quick(&sample.to_layout(layout))?.saturating_sub(extra) as u64;
        Ok(Some(self.chooser()?.in_proportion(quick * 100 / QUICK_EXCESS, sampled)))
    }

    fn guessed_score(&mut self, quality: u8) -> Result<Option<f64>, Error> {
        self.chooser()?.guessed_score(quality).map(Some)
    }

    fn lossless(&self) -> Result<Encoded, Error> {
        let is_deep = self.source_depth()? > 8;
        self.repacked(if is_deep { Options::from_preset(THOROUGH) } else { png_packing::options(&self.pixels)? })
    }
}
