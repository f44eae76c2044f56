//! How much a file looks like its source: SSIMULACRA2, 100 identical, 90 hardly to be told apart, 70 good, 50 middling.
//!
//! Costs are bounded: a large picture is judged by tiles of about one megapixel together, spread over it.

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};

use super::pixels::{Layout, Pixels};
use super::{Error, Goal};

/// Pictures up to this many pixels are judged whole.
const WHOLE: u64 = 1_500_000;
/// Side of a tile, in pixels.
const TILE: u32 = 448;
/// Centres of the tiles, in quarters of the width and height.
const CENTRES: [(u32, u32); 5] = [(2, 2), (1, 1), (3, 1), (1, 3), (3, 3)];
/// Put under transparency before comparing, so that a change of alpha shows on light and dark colours alike.
const UNDER: [u8; 3] = [128, 128, 128];
/// The metric's own lower bound of a side.
const SMALLEST: u32 = 8;

/// One reference, judged against many times.
pub(super) struct Judge {
    width: u32,
    height: u32,
    tiles: Vec<(Tile, Ssimulacra2Reference)>,
}

#[derive(Debug, Clone, Copy)]
struct Tile {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Judge {
    pub fn new(reference: &Pixels) -> Result<Judge, Error> {
        let tiles = tiles(reference.width, reference.height)
            .into_iter()
            .map(|tile| {
                let data = cut(reference, tile);
                let reference = Ssimulacra2Reference::new(&slice(&data, tile)?).map_err(Error::failed)?;
                Ok((tile, reference))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Judge { width: reference.width, height: reference.height, tiles })
    }

    /// The judge a goal will ask for, made before `reference` is given away.
    pub fn before(goal: Goal, reference: &Pixels) -> Result<impl FnMut() -> Result<Judge, Error> + use<>, Error> {
        let is_asked = matches!(goal, Goal::MinScore(_));
        let mut judge = is_asked.then(|| Judge::new(reference)).transpose()?;
        Ok(move || judge.take().ok_or_else(|| Error::failed("nothing to compare with")))
    }

    /// The score of a picture, at most 100. Tiles count alike.
    pub fn score(&self, pixels: &Pixels) -> Result<f64, Error> {
        if (pixels.width, pixels.height) != (self.width, self.height) {
            return Err(Error::failed("the output has another size than its source"));
        }
        let mut sum = 0.0;
        for (tile, reference) in &self.tiles {
            let data = cut(pixels, *tile);
            sum += reference.compare(&slice(&data, *tile)?).map_err(Error::failed)?;
        }
        Ok(sum / self.tiles.len() as f64)
    }
}

fn tiles(width: u32, height: u32) -> Vec<Tile> {
    if u64::from(width) * u64::from(height) <= WHOLE {
        return vec![Tile { left: 0, top: 0, width, height }];
    }
    let (tile_width, tile_height) = (TILE.min(width), TILE.min(height));
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
    let (width, height) = (tile.width.max(SMALLEST), tile.height.max(SMALLEST));
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
    Pixels { width, height, layout: pixels.layout, data }.flatten(UNDER).to_layout(Layout::Rgb).data
}

fn slice(data: &[u8], tile: Tile) -> Result<PixelSlice<'_>, Error> {
    let (width, height) = (tile.width.max(SMALLEST), tile.height.max(SMALLEST));
    PixelSlice::new(data, width, height, width as usize * 3, PixelDescriptor::RGB8_SRGB).map_err(Error::failed)
}
