//! Pixels to a palette of at most 256 colours, dithered, and whether the result looks like its source.
//!
//! The comparison is between averages of small blocks, as the eye blends dithered pixels; it is calibrated against SSIMULACRA2.

use std::collections::HashSet;

use crate::contract::Error;
use crate::picture::pixels::{Layout, Pixels};

/// Below this a palette is not used: PSNR, in decibels, of 4 × 4 block averages. On photos 45 goes with a SSIMULACRA2 score of 60 to 75,
/// 40 with 40 to 55, and 37 with 25 to 45, where bands begin to show.
const MIN_DECIBELS: f64 = 40.0;
pub(crate) const BLOCK_SIDE: usize = 4;

/// Palette entries are red, green, blue, alpha; one index per pixel.
pub(crate) struct Indexed {
    pub palette: Vec<[u8; 4]>,
    pub indices: Vec<u8>,
}

pub(crate) enum Outcome {
    Reduced(Indexed),
    /// There are no more colours than asked for: nothing is lost.
    Exact,
    /// The palette would be visible.
    Poor,
}

/// Chooses `colours` colours (2–256) and maps every pixel to one.
pub(crate) fn quantise(pixels: &Pixels, colours: usize) -> Result<Outcome, Error> {
    // Grey at eight bits has a palette by nature.
    if pixels.layout == Layout::Grey && colours >= 256 || has_at_most(pixels, colours) {
        return Ok(Outcome::Exact);
    }
    let rgba = pixels.to_layout(Layout::Rgba);
    let palette = Palette::choose(&sampled(&rgba), colours)?;
    let indices = palette.map(&rgba)?;
    let mut likeness = Likeness::default();
    likeness.add(&rgba, &palette.colours, &indices);
    if !likeness.is_enough() {
        return Ok(Outcome::Poor);
    }
    Ok(Outcome::Reduced(Indexed { palette: palette.colours, indices }))
}

/// The colours chosen for a picture.
pub(crate) struct Palette {
    /// Red, green, blue, alpha.
    pub colours: Vec<[u8; 4]>,
    chosen: quantizr::QuantizeResult,
}

impl Palette {
    /// Chooses `colours` colours (2–256) from a picture's pixels, or enough of them, as RGBA.
    pub fn choose(sample: &[u8], colours: usize) -> Result<Palette, Error> {
        let mut options = quantizr::Options::default();
        let colours = i32::try_from(colours.clamp(2, 256)).map_err(Error::failed)?;
        options.set_max_colors(colours).map_err(failed)?;
        let sample = quantizr::Image::new(sample, sample.len() / 4, 1).map_err(failed)?;
        let mut chosen = quantizr::QuantizeResult::quantize(&sample, &options);
        chosen.set_dithering_level(1.0).map_err(failed)?;
        let entries = chosen.get_palette();
        let count = usize::try_from(entries.count).unwrap_or(256).min(256);
        let colours = entries.entries[..count].iter().map(|colour| [colour.r, colour.g, colour.b, colour.a]).collect();
        Ok(Palette { colours, chosen })
    }

    /// The index of each pixel of an RGBA picture, dithered.
    pub fn map(&self, rgba: &Pixels) -> Result<Vec<u8>, Error> {
        let (width, height) = (rgba.width as usize, rgba.height as usize);
        let image = quantizr::Image::new(&rgba.data, width, height).map_err(failed)?;
        let mut indices = vec![0; width * height];
        self.chosen.remap_image(&image, &mut indices).map_err(failed)?;
        if indices.iter().any(|index| usize::from(*index) >= self.colours.len()) {
            return Err(Error::failed("the palette is too short"));
        }
        Ok(indices)
    }
}

/// Pixels from which the colours are chosen, at most: the time grows with the number of different ones.
pub(crate) const SAMPLE_PIXELS: usize = 500_000;

/// Every pixel of a small picture, every n-th of a large one, starting at another column in each row.
fn sampled(rgba: &Pixels) -> Vec<u8> {
    let (pixels, _) = rgba.data.as_chunks::<4>();
    let step = pixels.len().div_ceil(SAMPLE_PIXELS);
    let row = rgba.width as usize;
    let rows = pixels.chunks_exact(row).enumerate();
    rows.flat_map(|(y, pixels)| pixels.iter().skip(y % step).step_by(step)).flatten().copied().collect()
}

fn failed(error: quantizr::Error) -> Error {
    Error::failed(format!("palette: {error:?}"))
}

fn has_at_most(pixels: &Pixels, colours: usize) -> bool {
    let mut seen = HashSet::with_capacity(colours + 1);
    pixels.data.chunks_exact(pixels.layout.channels()).all(|pixel| {
        seen.insert(pixel);
        seen.len() <= colours
    })
}

/// PSNR of block averages, each sample weighted by its alpha. Gathered band by band.
#[derive(Default)]
pub(crate) struct Likeness {
    squares: f64,
    samples: u64,
}

impl Likeness {
    /// Adds a picture, or a band of one that begins at a multiple of the block's height.
    pub fn add(&mut self, rgba: &Pixels, palette: &[[u8; 4]], indices: &[u8]) {
        let (width, height) = (rgba.width as usize, rgba.height as usize);
        let (source, _) = rgba.data.as_chunks::<4>();
        for top in (0..height).step_by(BLOCK_SIDE) {
            for left in (0..width).step_by(BLOCK_SIDE) {
                let mut difference = [0i64; 4];
                let mut count = 0;
                for y in top..(top + BLOCK_SIDE).min(height) {
                    let row = y * width;
                    let span = row + left..row + (left + BLOCK_SIDE).min(width);
                    for (from, index) in source[span.clone()].iter().zip(&indices[span]) {
                        let a = weighted(*from);
                        let b = weighted(palette[usize::from(*index)]);
                        for (sum, (a, b)) in difference.iter_mut().zip(a.into_iter().zip(b)) {
                            *sum += a - b;
                        }
                        count += 1;
                    }
                }
                for sum in difference {
                    // Weighted samples are 255 times the sample.
                    let mean = sum as f64 / (255.0 * f64::from(count));
                    self.squares += mean * mean;
                    self.samples += 1;
                }
            }
        }
    }

    /// Whether the palette is not visible.
    pub fn is_enough(&self) -> bool {
        self.decibels() >= MIN_DECIBELS
    }

    /// Whether it is so far from enough that a part of the picture suffices to tell.
    pub fn is_hopeless(&self) -> bool {
        self.decibels() < MIN_DECIBELS - 2.0
    }

    /// Infinite for equal pictures.
    pub fn decibels(&self) -> f64 {
        10.0 * (255.0 * 255.0 / (self.squares / self.samples as f64)).log10()
    }
}

fn weighted([r, g, b, a]: [u8; 4]) -> [i64; 4] {
    let alpha = i64::from(a);
    [i64::from(r) * alpha, i64::from(g) * alpha, i64::from(b) * alpha, 255 * alpha]
}
