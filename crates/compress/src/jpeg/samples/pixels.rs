//! Pixels to the coefficients of a JPEG at a given quality: the way into the requantiser's encoder for pictures that were made
//! anew, after resizing or from other formats.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::colour_model::classes;
use crate::jpeg::headers::frame::{Frame, Layout};
use crate::jpeg::headers::marker::SOF0;
use crate::jpeg::headers::metadata::Metadata;
use crate::jpeg::headers::tables::ZIGZAG;
use crate::jpeg::hold::picture::{Body, Picture, role, target};
use crate::jpeg::hold::quality::Quantiser;
use crate::jpeg::hold::tokens::{BlockWriter, TokenScan, Tokens};
use crate::jpeg::samples::fdct::{Samples, fdct};
use crate::jpeg::samples::pixel_rows::{PixelRows, Strips};
use crate::jpeg::source::Source;

/// The coefficients of pixels, already at their quality: write them with [`Source::lossless`].
///
/// `subsample` shares colour between four pixels each. `tiff` is EXIF data to keep.
///
/// # Errors
///
/// [`Error::Corrupt`] for sides or buffers that do not fit each other or a JPEG.
pub fn from_pixels<'a>(
    pixels: PixelRows<'_>,
    quality: u8,
    subsample: bool,
    tiff: Option<&'a [u8]>,
) -> Result<Source<'a>, Error> {
    let PixelRows { width, height, channels, data } = pixels;
    let expected = width as usize * height as usize * usize::from(channels);
    if !matches!(channels, 1 | 3) || data.len() != expected {
        return Err(corrupt("the pixels do not fill their size"));
    }
    encode(width, height, channels.into(), quality, subsample, tiff, Strips::new(pixels, subsample))
}

/// Where the samples of a picture come from.
pub(crate) trait Blocks {
    /// Called before the blocks of a row of MCUs are asked for; the rows come in order.
    fn start_row(&mut self, _mcu_row: usize) {}

    /// The block of a component at a row and column of blocks, which may lie beyond the picture's edge.
    fn block(&self, component: usize, row: usize, column: usize) -> Samples;
}

impl Blocks for Strips<'_> {
    fn start_row(&mut self, mcu_row: usize) {
        self.fill(mcu_row);
    }

    #[inline(always)]
    fn block(&self, component: usize, row: usize, column: usize) -> Samples {
        self.strip_block(component, row, column)
    }
}

/// Makes a picture of one component, or of brightness and two colour differences.
pub(crate) fn encode<'a>(
    width: u32,
    height: u32,
    components: usize,
    quality: u8,
    subsample: bool,
    tiff: Option<&'a [u8]>,
    blocks: impl Blocks,
) -> Result<Source<'a>, Error> {
    let frame = frame(width, height, components, subsample)?;
    let metadata = Metadata::new(tiff);
    let colour = metadata.colour(&frame);
    let components: Vec<usize> = (0..frame.components.len()).collect();
    let (quantisers, steps): (Vec<_>, Vec<_>) =
        components.iter().map(|&c| target(&[1; 64], Some(quality), role(&frame, colour, c))).unzip();
    let scan = scan(&frame, blocks, &components, &quantisers, classes(colour));
    Ok(Source::from(Picture { frame, metadata, steps, body: Body::Sequential(vec![scan]) }))
}

fn frame(width: u32, height: u32, components: usize, subsample: bool) -> Result<Frame, Error> {
    let side = |side: u32| u16::try_from(side).map_err(|_| corrupt("it is too large for a JPEG"));
    let ([h1, h0], [w1, w0]) = (side(height)?.to_be_bytes(), side(width)?.to_be_bytes());
    if components == 1 {
        return Frame::read(SOF0, &[8, h1, h0, w1, w0, 1, 1, 0x11, 0]);
    }
    let luma = if subsample { 0x22 } else { 0x11 };
    Frame::read(SOF0, &[8, h1, h0, w1, w0, 3, 1, luma, 0, 2, 0x11, 1, 3, 0x11, 1])
}

/// Transforms, rounds and lists every block, in the order of an interleaved scan.
fn scan(
    frame: &Frame,
    mut blocks: impl Blocks,
    components: &[usize],
    quantisers: &[Quantiser],
    classes: [usize; 4],
) -> TokenScan {
    let mut scan = TokenScan {
        components: components.to_vec(),
        layout: Layout::new(frame, components),
        tokens: Tokens::default(),
        counts: Default::default(),
    };
    let visible: Vec<_> = quantisers.iter().map(Visible::new).collect();
    let mut before = [0; 4];
    for mcu_row in 0..frame.mcu_rows {
        blocks.start_row(mcu_row);
        for mcu_column in 0..frame.mcu_columns {
            scan.tokens.reserve(scan.layout.mcu.len());
            for &component in components {
                let c = &frame.components[component];
                let (h, v) = (usize::from(c.h), usize::from(c.v));
                for (row, column) in (0..v).flat_map(|row| (0..h).map(move |column| (row, column))) {
                    let coefficients = fdct(blocks.block(component, mcu_row * v + row, mcu_column * h + column));
                    let out = BlockWriter::new(scan.tokens.space(), &mut scan.counts[classes[component]]);
                    let quantiser = &quantisers[component];
                    let len = block(&coefficients, quantiser, &visible[component], &mut before[component], out);
                    scan.tokens.keep(len);
                }
            }
        }
    }
    scan
}

/// The magnitude of a coefficient in eighths as a whole number, halves up, as libjpeg rounds. Halves are an
/// eighth of all cases: rounding them to even instead makes slightly smaller files of a slightly lower score.
#[inline(always)]
fn whole(eighths: i32) -> u32 {
    (eighths.unsigned_abs() + 4) >> 3
}

/// For each place of a transposed block, the smallest magnitude in eighths that is not rounded to zero. At a usual quality few
/// coefficients pass, and only those are looked at one by one.
struct Visible([[i32; 8]; 8]);

impl Visible {
    fn new(quantiser: &Quantiser) -> Self {
        let mut least = [[i32::MAX; 8]; 8];
        for (k, &place) in (0..64).zip(&ZIGZAG).skip(1) {
            least[usize::from(place % 8)][usize::from(place / 8)] = 8 * quantiser.least(k) as i32 - 4;
        }
        Self(least)
    }

    /// A bit for each coefficient that survives, by its place in the transposed block.
    #[inline(always)]
    fn mask(&self, coefficients: &[[i32; 8]; 8]) -> u64 {
        let mut mask = 0;
        for (row, least) in coefficients.iter().zip(&self.0).rev() {
            // Lanes that pass give their own bit; eight of them, side by side, add up to a byte.
            let bits: [i32; 8] = std::array::from_fn(|i| if row[i].abs() >= least[i] { 1 << i } else { 0 });
            mask = mask << 8 | bits.iter().sum::<i32>() as u64;
        }
        mask
    }
}

/// For each place of a transposed block, its place in zigzag order.
const ORDER: [u8; 64] = {
    let mut order = [0; 64];
    let mut k = 0;
    while k < 64 {
        let place = ZIGZAG[k] as usize;
        order[place % 8 * 8 + place / 8] = k as u8;
        k += 1;
    }
    order
};

/// A mask by places of the transposed block to one by zigzag positions.
#[inline(always)]
fn zigzag(mut mask: u64) -> u64 {
    let mut ordered = 0;
    while mask != 0 {
        ordered |= 1 << (ORDER[mask.trailing_zeros() as usize & 63] & 63);
        mask &= mask - 1;
    }
    ordered
}

#[inline(always)]
fn block(
    coefficients: &[[i32; 8]; 8],
    quantiser: &Quantiser,
    visible: &Visible,
    before: &mut i32,
    mut out: BlockWriter<'_>,
) -> usize {
    let mean = coefficients[0][0];
    let dc = quantiser.dc(mean.signum() * whole(mean) as i32);
    out.dc(dc - *before);
    *before = dc;
    let mut mask = zigzag(visible.mask(coefficients));
    while mask != 0 {
        let k = mask.trailing_zeros();
        mask &= mask - 1;
        let place = ZIGZAG[k as usize & 63];
        let value = coefficients[usize::from(place & 7)][usize::from(place >> 3 & 7)];
        out.ac(k, quantiser.ac(k, whole(value)), (value >> 31) as u32);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::decode;
    use crate::jpeg::types::{Limits, Options};

    fn picture(width: u32, height: u32, channels: u8) -> Vec<u8> {
        let value = |at: u32| (at % 251 * 7 + at / width * 3) as u8;
        (0..width * height * u32::from(channels)).map(value).collect()
    }

    #[test]
    fn what_is_written_is_a_whole_jpeg_of_the_size_asked_for() {
        for channels in [1, 3] {
            for (width, height) in [(1, 1), (8, 8), (17, 33), (40, 9)] {
                for (quality, subsample) in [(50, true), (50, false), (100, true), (1, false)] {
                    let data = picture(width, height, channels);
                    let pixels = PixelRows { width, height, channels, data: &data };
                    let made = from_pixels(pixels, quality, subsample, None).unwrap().lossless(&Options::default());
                    let read = decode(&made.bytes, &Limits::default()).unwrap();
                    let header = read.header();
                    assert_eq!((header.width, header.height, header.components), (width, height, channels));
                    // Requantising at the same quality changes nothing.
                    assert_eq!(read.encode(quality, &Options::default()).bytes, made.bytes);
                }
            }
        }
    }

    #[test]
    fn what_is_not_visible_is_what_rounds_to_zero() {
        let source: [u16; 64] = [1; 64];
        let target: [u16; 64] = std::array::from_fn(|k| 1 + 4 * k as u16);
        let quantiser = Quantiser::new(&source, &target);
        for k in 1..64 {
            let least = quantiser.least(k);
            assert_eq!((quantiser.ac(k, least - 1), quantiser.ac(k, least)), (0, 1), "{k}");
        }
    }

    #[test]
    fn buffers_and_sides_that_do_not_fit_are_refused() {
        let data = [0; 12];
        let refused = |width, height, channels| {
            from_pixels(PixelRows { width, height, channels, data: &data }, 50, true, None).is_err()
        };
        assert!(!refused(2, 2, 3));
        assert!(refused(2, 3, 3) && refused(3, 1, 4) && refused(0, 0, 3) && refused(65_536, 1, 1));
        let wide = vec![0; 65_536];
        let pixels = PixelRows { width: 65_536, height: 1, channels: 1, data: &wide };
        assert!(from_pixels(pixels, 50, true, None).is_err());
    }
}
