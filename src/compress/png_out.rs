//! Writes PNG: a dithered palette where that looks right, otherwise the same pixels packed better.
//!
//! A palette that would show ([`palette::Outcome::Poor`]) is not used: the picture then stays lossless and says so by having no quality.

use oxipng::{BitDepth, ColorType, IndexSet, Options, RGBA8, RawImage, StripChunks, indexset};

use super::encode::{Encoded, Encoder};
use super::palette::{self, Indexed};
use super::pixels::{Layout, Pixels};
use super::{Error, chunks};

/// Quality 50 and up to the last step is a full palette; each step below halves the colours; 100 is lossless.
const STEPS: [u8; 6] = [3, 6, 12, 25, 50, 100];
const COLOURS: [usize; 5] = [16, 32, 64, 128, 256];

/// oxipng's effort for lossy output, and the next one where lossless was asked for.
const QUICK: u8 = 1;
const THOROUGH: u8 = 2;

/// Chunks that decide how the same samples look.
pub(super) const COLOUR_CHUNKS: [[u8; 4]; 5] = [*b"iCCP", *b"sRGB", *b"gAMA", *b"cHRM", *b"cICP"];

/// One prepared picture.
pub(super) struct PngEncoder<'a> {
    pixels: Pixels,
    /// Chunks that travel with the pixels.
    extra: Vec<([u8; 4], Vec<u8>)>,
    /// The source, when its samples are still the ones wanted: it may hold 16 bits, which `pixels` does not.
    original: Option<Original<'a>>,
    /// The last palette made, and its number of colours: the search comes back to its best one.
    made: Vec<(usize, Encoded)>,
}

/// A PNG whose pixels may be kept untouched.
pub(super) struct Original<'a> {
    pub bytes: &'a [u8],
    /// What is left of its EXIF: the orientation, and credits if wanted.
    pub exif: Option<Vec<u8>>,
}

impl<'a> PngEncoder<'a> {
    pub fn new(pixels: Pixels, extra: Vec<([u8; 4], Vec<u8>)>, original: Option<Original<'a>>) -> PngEncoder<'a> {
        PngEncoder {
            pixels,
            extra,
            original,
            made: Vec::new(),
        }
    }

    /// The same eight-bit pixels, packed.
    fn packed(&self, effort: u8) -> Result<Vec<u8>, Error> {
        let colour = match self.pixels.layout {
            Layout::Grey => ColorType::Grayscale {
                transparent_shade: None,
            },
            Layout::GreyAlpha => ColorType::GrayscaleAlpha,
            Layout::Rgb => ColorType::RGB {
                transparent_color: None,
            },
            Layout::Rgba => ColorType::RGBA,
        };
        self.write(colour, self.pixels.data.clone(), effort)
    }

    fn indexed(&self, indexed: Indexed) -> Result<Vec<u8>, Error> {
        let palette = indexed
            .palette
            .iter()
            .map(|&[r, g, b, a]| RGBA8 { r, g, b, a })
            .collect();
        self.write(ColorType::Indexed { palette }, indexed.indices, QUICK)
    }

    fn write(&self, colour: ColorType, data: Vec<u8>, effort: u8) -> Result<Vec<u8>, Error> {
        let (width, height) = (self.pixels.width, self.pixels.height);
        let mut image = RawImage::new(width, height, colour, BitDepth::Eight, data).map_err(Error::failed)?;
        for (name, data) in &self.extra {
            image.add_png_chunk(*name, data.clone());
        }
        image
            .create_optimized_png(&Options::from_preset(effort))
            .map_err(Error::failed)
    }

    /// The source's own samples, packed; metadata is left out.
    fn repacked(&self, effort: u8) -> Result<Vec<u8>, Error> {
        let Some(original) = &self.original else {
            return self.packed(effort);
        };
        let list = chunks::chunks(original.bytes)?;
        let extra: Vec<_> = original.exif.iter().map(|exif| (*b"eXIf", exif.clone())).collect();
        let is_unneeded = |chunk: &chunks::Chunk| {
            // Bit 5 of the first letter: an ancillary chunk.
            let is_ancillary = chunk.name[0] & 0x20 != 0;
            is_ancillary && &chunk.name != b"tRNS" && !COLOUR_CHUNKS.contains(&chunk.name)
        };
        let bare = chunks::rewrite(original.bytes, &list, is_unneeded, &extra);
        let mut keep: IndexSet<[u8; 4]> = indexset! {*b"eXIf"};
        keep.extend(COLOUR_CHUNKS);
        let options = Options {
            strip: StripChunks::Keep(keep),
            ..Options::from_preset(effort)
        };
        oxipng::optimize_from_memory(&bare, &options).map_err(Error::failed)
    }

    fn unchanged(&self, effort: u8) -> Result<Encoded, Error> {
        Ok(Encoded {
            bytes: self.repacked(effort)?,
            quality: None,
            warnings: Vec::new(),
        })
    }

    fn reduced(&self, colours: usize, quality: u8) -> Result<Encoded, Error> {
        let lossy = match palette::quantise(&self.pixels, colours)? {
            palette::Outcome::Reduced(indexed) => self.indexed(indexed)?,
            // Eight bits hold every colour there is: only the packing changes (and 16-bit samples become 8).
            palette::Outcome::Exact => self.packed(QUICK)?,
            palette::Outcome::Poor => return self.unchanged(QUICK),
        };
        Ok(Encoded {
            bytes: lossy,
            quality: Some(quality),
            warnings: Vec::new(),
        })
    }
}

impl Encoder for PngEncoder<'_> {
    fn qualities(&self) -> &'static [u8] {
        &STEPS
    }

    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let step = STEPS.iter().rposition(|step| *step <= quality).unwrap_or(0);
        let colours = COLOURS.get(step).copied().unwrap_or(usize::MAX);
        if let Some((_, encoded)) = self.made.iter().find(|(made, _)| *made == colours) {
            return Ok(Encoded {
                quality: encoded.quality.map(|_| quality),
                ..encoded.clone()
            });
        }
        let encoded = if colours == usize::MAX {
            self.unchanged(QUICK)?
        } else {
            self.reduced(colours, quality)?
        };
        self.made.push((colours, encoded.clone()));
        Ok(encoded)
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.encode(quality)?.bytes.len() as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        self.unchanged(THOROUGH).map(Some)
    }
}
