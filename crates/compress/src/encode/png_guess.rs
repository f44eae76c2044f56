//! How similar a picture with fewer colours looks to its source, guessed from tiles of it: SSIMULACRA2 of a mosaic, on white.
//!
//! Sixteen tiles of 96 × 96 pixels take about 20 milliseconds, whatever the size of the picture. On 80 pictures with palettes the guess
//! was 2 points above the score of the whole on average, with a standard deviation of 3.5.

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};

use crate::contract::Error;

/// Side of a tile.
const TILE: usize = 96;
const TILES: usize = 16;
/// The metric's own lower bound of a side.
const MIN_SIDE: usize = 8;

/// Tiles from all over a picture, row by row; the whole picture where that is small.
pub(crate) struct Mosaic {
    /// How many tiles, and how large they are.
    across: usize,
    down: usize,
    tile: (usize, usize),
    picture: (usize, usize),
    /// Rows of the picture that were looked at.
    row: usize,
    pixels: Vec<[u8; 4]>,
}

impl Mosaic {
    /// For a picture of this size; its rows have to follow.
    pub fn of((width, height): (usize, usize)) -> Mosaic {
        let (across, down, tile) = if width * height <= TILE * TILE * TILES {
            (1, 1, (width, height))
        } else {
            let across = (width / TILE).clamp(1, 4);
            (across, (height / TILE).clamp(1, TILES / across), (width.min(TILE), height.min(TILE)))
        };
        let pixels = vec![[0; 4]; across * tile.0 * down * tile.1];
        Mosaic { across, down, tile, picture: (width, height), row: 0, pixels }
    }

    /// Adds whole rows.
    pub fn add(&mut self, pixels: &[[u8; 4]]) {
        // In the middle of equal parts.
        let start = |at: usize, count: usize, whole: usize, tile: usize| (whole - tile) * (2 * at + 1) / (2 * count);
        for row in pixels.chunks_exact(self.picture.0) {
            for down in 0..self.down {
                let top = start(down, self.down, self.picture.1, self.tile.1);
                if !(top..top + self.tile.1).contains(&self.row) {
                    continue;
                }
                let line = (down * self.tile.1 + self.row - top) * self.width();
                for across in 0..self.across {
                    let left = start(across, self.across, self.picture.0, self.tile.0);
                    let to = line + across * self.tile.0;
                    self.pixels[to..to + self.tile.0].copy_from_slice(&row[left..left + self.tile.0]);
                }
            }
            self.row += 1;
        }
    }

    pub fn width(&self) -> usize {
        self.across * self.tile.0
    }

    pub fn pixels(&self) -> &[[u8; 4]] {
        &self.pixels
    }

    /// Ready to compare with.
    pub fn reference(&self) -> Result<Ssimulacra2Reference, Error> {
        let (rgb, width, height) = self.on_white(self.pixels.iter().copied());
        Ssimulacra2Reference::new(&slice(&rgb, width, height)?).map_err(Error::failed)
    }

    /// The score of the same mosaic with other colours.
    pub fn score(&self, reference: &Ssimulacra2Reference, pixels: impl Iterator<Item = [u8; 4]>) -> Result<f64, Error> {
        let (rgb, width, height) = self.on_white(pixels);
        reference.compare(&slice(&rgb, width, height)?).map_err(Error::failed)
    }

    /// As red, green and blue. Sides below the metric's bound are filled up by repetition.
    fn on_white(&self, pixels: impl Iterator<Item = [u8; 4]>) -> (Vec<u8>, usize, usize) {
        let over = |[r, g, b, a]: [u8; 4]| {
            let alpha = u32::from(a);
            [r, g, b].map(|sample| ((u32::from(sample) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
        };
        let rgb: Vec<[u8; 3]> = pixels.map(over).collect();
        let (width, height) = (self.width(), self.down * self.tile.1);
        let (filled_width, filled_height) = (width.max(MIN_SIDE), height.max(MIN_SIDE));
        if (filled_width, filled_height) == (width, height) {
            return (rgb.into_flattened(), width, height);
        }
        let rows = (0..filled_height).map(|y| &rgb[y.min(height - 1) * width..][..width]);
        let filled = rows.flat_map(|row| (0..filled_width).map(|x| row[x.min(width - 1)]));
        (filled.collect::<Vec<_>>().into_flattened(), filled_width, filled_height)
    }
}

fn slice(rgb: &[u8], width: usize, height: usize) -> Result<PixelSlice<'_>, Error> {
    let (across, down) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    PixelSlice::new(rgb, across, down, width * 3, PixelDescriptor::RGB8_SRGB).map_err(Error::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mosaic_holds_a_small_picture_whole_and_parts_of_a_large_one() {
        for (size, expected) in [
            ((5, 3), (5, 3)),
            ((384, 384), (384, 384)),
            ((2_000, 1_000), (384, 384)),
            ((10_000, 20), (384, 20)),
            ((20, 10_000), (20, 1_536)),
        ] {
            let mut mosaic = Mosaic::of(size);
            let pixel = |at: usize| [200 + (at % 51) as u8, (at % 241) as u8, (at / 7) as u8, 255];
            let pixels: Vec<[u8; 4]> = (0..size.0 * size.1).map(pixel).collect();
            pixels.chunks(size.0 * 7).for_each(|rows| mosaic.add(rows));
            assert_eq!((mosaic.width(), mosaic.pixels().len() / mosaic.width()), expected, "{size:?}");
            // Every place was filled.
            assert!(mosaic.pixels().iter().all(|pixel| pixel[3] == 255), "{size:?}");
            let reference = mosaic.reference().unwrap();
            let same = mosaic.score(&reference, mosaic.pixels().iter().copied()).unwrap();
            let other = mosaic.score(&reference, mosaic.pixels().iter().map(|[r, g, b, a]| [r / 2, *g, *b, *a]));
            assert!(same > 99.9 && other.unwrap() < 90.0, "{size:?}: {same}");
        }
    }
}
