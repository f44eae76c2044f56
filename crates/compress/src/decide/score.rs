//! How similar a file looks to its source: SSIMULACRA2, where 100 is identical, 90 hardly distinguishable, 70 good, 50 medium.
//!
//! Costs are bounded: a search in a large picture is guided by tiles of about one megapixel together, which score a few points too
//! high because the metric looks at coarse structures too. What a search finds is scored whole, in strips; above six megapixels by
//! two bands, which score about one point too high.

use std::cell::OnceCell;

use fast_ssim2::{
    PixelDescriptor, PixelSlice, Ssimulacra2Config, Ssimulacra2Reference, compute_ssimulacra2_with_config,
};

use crate::contract::{Error, Goal};
use crate::picture::pixels::{Layout, Pixels};

/// Pictures up to this many pixels are judged whole at every step.
const GUIDE_WHOLE_UP_TO_PIXELS: u64 = 1_500_000;
/// Pictures up to this many pixels are judged whole in the end.
pub(crate) const SCORE_WHOLE_UP_TO_PIXELS: u64 = 6_000_000;
/// Pixels of each of the two bands of a larger picture.
const BAND_PIXELS: u64 = SCORE_WHOLE_UP_TO_PIXELS / 2;
/// Rows of a strip: bounds the metric's memory to some 40 bytes a pixel.
const STRIP_ROWS: usize = 256;
/// Side of a tile, in pixels.
const TILE_SIDE: u32 = 448;
/// Centres of the tiles, in quarters of the width and height.
const CENTRES: [(u32, u32); 5] = [(2, 2), (1, 1), (3, 1), (1, 3), (3, 3)];
/// Put under transparency before comparing, so that a change of alpha shows on light and dark colours alike.
const BACKGROUND: [u8; 3] = [128, 128, 128];
/// The metric's own lower bound of a side.
const MIN_SIDE: u32 = 8;

/// One reference, judged against many times.
pub(crate) struct Judge {
    width: u32,
    height: u32,
    tiles: Vec<Guide>,
    /// What is scored in the end, as RGB samples; empty where the tiles are the whole picture.
    bands: Vec<(Tile, Vec<u8>)>,
}

/// A tile of the reference.
struct Guide {
    tile: Tile,
    /// RGB samples.
    data: Vec<u8>,
    /// Made when it is needed first: it takes as long as a comparison.
    reference: OnceCell<Ssimulacra2Reference>,
}

#[derive(Debug, Clone, Copy)]
struct Tile {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Judge {
    pub fn new(reference: &Pixels) -> Judge {
        let (width, height) = (reference.width, reference.height);
        let bands = bands(width, height).into_iter().map(|band| (band, cut(reference, band))).collect();
        let guide = |tile| Guide { tile, data: cut(reference, tile), reference: OnceCell::new() };
        let tiles = tiles(width, height).into_iter().map(guide).collect();
        Judge { width, height, tiles, bands }
    }

    /// The judge that a goal will need, made before `reference` is moved.
    pub fn before(goal: Goal, reference: &Pixels) -> impl FnMut() -> Result<Judge, Error> + use<> {
        let is_asked = matches!(goal, Goal::MinScore(_));
        let mut judge = is_asked.then(|| Judge::new(reference));
        move || judge.take().ok_or_else(|| Error::failed("nothing to compare with"))
    }

    /// Whether a guess is the score.
    pub fn guesses_are_scores(&self) -> bool {
        self.bands.is_empty()
    }

    /// An estimate of a picture's score, at most 100 and rarely too low. All tiles count the same.
    pub fn guess(&self, pixels: &Pixels) -> Result<f64, Error> {
        self.check(pixels)?;
        mean(self.tiles.iter().map(|guide| guide.compare(&cut(pixels, guide.tile))))
    }

    /// The score of a picture, at most 100.
    pub fn score(&self, pixels: &Pixels) -> Result<f64, Error> {
        if self.guesses_are_scores() {
            return self.guess(pixels);
        }
        self.check(pixels)?;
        let strips = Ssimulacra2Config::strips(STRIP_ROWS);
        mean(self.bands.iter().map(|(band, reference)| {
            let data = cut(pixels, *band);
            compute_ssimulacra2_with_config(&slice(reference, *band)?, &slice(&data, *band)?, &strips)
                .map_err(Error::failed)
        }))
    }

    fn check(&self, pixels: &Pixels) -> Result<(), Error> {
        if (pixels.width, pixels.height) == (self.width, self.height) {
            Ok(())
        } else {
            Err(Error::failed("the output has another size than its source"))
        }
    }
}

impl Guide {
    fn compare(&self, data: &[u8]) -> Result<f64, Error> {
        let reference = match self.reference.get() {
            Some(reference) => reference,
            None => {
                let reference = Ssimulacra2Reference::new(&slice(&self.data, self.tile)?).map_err(Error::failed)?;
                self.reference.get_or_init(|| reference)
            }
        };
        reference.compare(&slice(data, self.tile)?).map_err(Error::failed)
    }
}

fn mean(scores: impl ExactSizeIterator<Item = Result<f64, Error>>) -> Result<f64, Error> {
    let count = scores.len() as f64;
    Ok(scores.sum::<Result<f64, _>>()? / count)
}

/// Full rows, around the middle or the quarters of the height.
fn bands(width: u32, height: u32) -> Vec<Tile> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels <= GUIDE_WHOLE_UP_TO_PIXELS {
        return Vec::new();
    }
    if pixels <= SCORE_WHOLE_UP_TO_PIXELS {
        return vec![Tile { left: 0, top: 0, width, height }];
    }
    let rows = (BAND_PIXELS / u64::from(width)) as u32;
    [1, 3].map(|quarter| Tile { left: 0, top: height / 4 * quarter - rows / 2, width, height: rows }).to_vec()
}

fn tiles(width: u32, height: u32) -> Vec<Tile> {
    if u64::from(width) * u64::from(height) <= GUIDE_WHOLE_UP_TO_PIXELS {
        return vec![Tile { left: 0, top: 0, width, height }];
    }
    let (tile_width, tile_height) = (TILE_SIDE.min(width), TILE_SIDE.min(height));
    let start =
        |side: u32, length: u32, quarter: u32| (side / 4 * quarter).saturating_sub(length / 2).min(side - length);
    CENTRES
        .iter()
        .map(|(x, y)| Tile {
            left: start(width, tile_width, *x),
            top: start(height, tile_height, *y),
            width: tile_width,
            height: tile_height,
        })
        .collect()
}

/// The tile's RGB samples. Sides below the metric's bound are filled up by repeating the last row and column.
fn cut(pixels: &Pixels, tile: Tile) -> Vec<u8> {
    let (width, height) = (tile.width.max(MIN_SIDE), tile.height.max(MIN_SIDE));
    let channels = pixels.layout.channels();
    let mut data = Vec::with_capacity(width as usize * height as usize * channels);
    for y in 0..height {
        for x in 0..width {
            let from_x = (tile.left + x.min(tile.width - 1)) as usize;
            let from_y = (tile.top + y.min(tile.height - 1)) as usize;
            let at = (from_y * pixels.width as usize + from_x) * channels;
            data.extend(&pixels.data[at..at + channels]);
        }
    }
    Pixels { width, height, layout: pixels.layout, data }.flatten(BACKGROUND).to_layout(Layout::Rgb).data
}

fn slice(data: &[u8], tile: Tile) -> Result<PixelSlice<'_>, Error> {
    let (width, height) = (tile.width.max(MIN_SIDE), tile.height.max(MIN_SIDE));
    PixelSlice::new(data, width, height, width as usize * 3, PixelDescriptor::RGB8_SRGB).map_err(Error::failed)
}
