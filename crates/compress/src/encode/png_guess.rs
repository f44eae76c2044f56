//! How similar a picture with fewer colours looks to its source, guessed from tiles of it: SSIMULACRA2 of a mosaic, on white.
//!
//! Sixteen tiles of 96 × 96 pixels take about 20 milliseconds, whatever the size of the picture. Tiles that have something to show are
//! preferred, so the guess is rather too low where most of a picture is empty.

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};

use crate::contract::Error;

/// Side of a tile.
const TILE: usize = 96;
const TILES: usize = 16;
/// Tiles that are looked at to find those.
const CANDIDATES: usize = 64;
/// A tile has something to show if more than one in so many of its pixels differs from the one before.
const BUSY: usize = 32;
/// Neighbours in a slope differ by no more than this.
const SLOPE: u8 = 4;
/// The metric's own lower bound of a side.
const MIN_SIDE: usize = 8;

/// Collects tiles from all over a picture, row by row; the whole picture where that is small.
pub(crate) struct Tiles {
    /// How many tiles, and how large they are.
    across: usize,
    down: usize,
    tile: (usize, usize),
    picture: (usize, usize),
    /// Rows of the picture that were looked at.
    row: usize,
    /// Tile after tile.
    pixels: Vec<[u8; 4]>,
}

impl Tiles {
    /// For a picture of this size; its rows have to follow.
    pub fn of((width, height): (usize, usize)) -> Tiles {
        let (across, down, tile) = if width * height <= TILE * TILE * TILES {
            (1, 1, (width, height))
        } else {
            let across = (width / TILE).clamp(1, 8);
            (across, (height / TILE).clamp(1, CANDIDATES / across), (width.min(TILE), height.min(TILE)))
        };
        let pixels = vec![[0; 4]; across * tile.0 * down * tile.1];
        Tiles { across, down, tile, picture: (width, height), row: 0, pixels }
    }

    /// Adds whole rows.
    pub fn add(&mut self, pixels: &[[u8; 4]]) {
        // In the middle of equal parts.
        let start = |at: usize, count: usize, whole: usize, tile: usize| (whole - tile) * (2 * at + 1) / (2 * count);
        let (width, height) = self.tile;
        for row in pixels.chunks_exact(self.picture.0) {
            for down in 0..self.down {
                let top = start(down, self.down, self.picture.1, height);
                if !(top..top + height).contains(&self.row) {
                    continue;
                }
                for across in 0..self.across {
                    let left = start(across, self.across, self.picture.0, width);
                    let to = ((down * self.across + across) * height + self.row - top) * width;
                    self.pixels[to..to + width].copy_from_slice(&row[left..left + width]);
                }
            }
            self.row += 1;
        }
    }

    /// Sixteen of the tiles that have something to show, if there are so many: a small thing on a large ground is judged by itself.
    pub fn mosaic(&self) -> Mosaic {
        let is_busy = |at: &usize| {
            let tile = self.at(*at);
            tile.windows(2).filter(|pair| pair[0] != pair[1]).count() * BUSY > tile.len()
        };
        let (mut places, empty): (Vec<_>, Vec<_>) = (0..self.across * self.down).partition(is_busy);
        if places.len() > TILES {
            places = spread(&places, TILES);
        }
        places.extend(spread(&empty, TILES.saturating_sub(places.len()).min(empty.len())));
        let (width, pixels) = self.joined(&places);
        Mosaic { width, pixels, places }
    }

    /// All of them, busy or empty, put together: a sample of the picture, with their width.
    pub fn sample(&self) -> (usize, Vec<[u8; 4]>) {
        let places: Vec<usize> = (0..self.across * self.down).collect();
        self.joined(&places)
    }

    fn at(&self, place: usize) -> &[[u8; 4]] {
        let length = self.tile.0 * self.tile.1;
        &self.pixels[place * length..][..length]
    }

    /// The width and the pixels of a picture that is put together of the tiles at these places.
    fn joined(&self, places: &[usize]) -> (usize, Vec<[u8; 4]>) {
        let (width, height) = self.tile;
        // As square as their number allows, so that the coarse scales of the metric have something to look at.
        let across = (1..=4).rev().find(|across| places.len().is_multiple_of(*across)).unwrap_or(1);
        let row = |places: &[usize]| {
            let line = |y: usize| places.iter().flat_map(move |place| &self.at(*place)[y * width..][..width]);
            (0..height).flat_map(line).copied().collect::<Vec<_>>()
        };
        (across * width, places.chunks(across).flat_map(row).collect())
    }
}

/// So many of them, from all over.
fn spread<T: Copy>(all: &[T], count: usize) -> Vec<T> {
    (0..count).map(|at| all[(2 * at + 1) * all.len() / (2 * count)]).collect()
}

/// Tiles of a picture beside and below each other.
pub(crate) struct Mosaic {
    width: usize,
    pixels: Vec<[u8; 4]>,
    /// Which tiles of the picture these are.
    places: Vec<usize>,
}

impl Mosaic {
    /// The same places of another picture of the same size.
    pub fn of_another(&self, tiles: &Tiles) -> Vec<[u8; 4]> {
        tiles.joined(&self.places).1
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn pixels(&self) -> &[[u8; 4]] {
        &self.pixels
    }

    /// The share of its pixels that lie in a slope: they differ from their left neighbour, but hardly. There, bands would show.
    pub fn smooth_share(&self) -> f64 {
        let is_slope = |pair: &&[[u8; 4]]| {
            let [a, b] = [pair[0], pair[1]];
            a != b && a[3] > 0 && b[3] > 0 && a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= SLOPE)
        };
        self.pixels.windows(2).filter(is_slope).count() as f64 / self.pixels.len() as f64
    }

    /// The share of its pixels that lie in a slope of any direction: no neighbour to the left or above differs by more than a slope does,
    /// and one differs. In drawings these are computed gradients.
    pub fn gradient_share(&self) -> f64 {
        let is_near = |[a, b]: [[u8; 4]; 2]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= SLOPE);
        let is_slope = |at: &usize| {
            let [pixel, left, above] = [*at, at - 1, at - self.width].map(|at| self.pixels[at]);
            pixel[3] > 0 && (pixel != left || pixel != above) && is_near([pixel, left]) && is_near([pixel, above])
        };
        (self.width + 1..self.pixels.len()).filter(is_slope).count() as f64 / self.pixels.len() as f64
    }

    /// The same share of the picture at an eighth of its size, where dithering has become even.
    pub fn even_slope_share(&self) -> f64 {
        const SIDE: usize = 8;
        let width = self.width / SIDE;
        let sums = |rows: &[[u8; 4]]| {
            let mut sums = vec![[0u32; 4]; width];
            for row in rows.chunks_exact(self.width) {
                for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(SIDE)) {
                    pixels.iter().flatten().enumerate().for_each(|(at, sample)| sum[at % 4] += u32::from(*sample));
                }
            }
            sums
        };
        let pixels: Vec<[u8; 4]> = self
            .pixels
            .chunks_exact(self.width * SIDE)
            .flat_map(sums)
            .map(|sum| sum.map(|sample| (sample / (SIDE * SIDE) as u32) as u8))
            .collect();
        Mosaic { width, pixels, places: Vec::new() }.gradient_share()
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
        let (width, height) = (self.width, self.pixels.len() / self.width);
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
            ((10_000, 20), (384, 40)),
            ((20, 10_000), (80, 384)),
        ] {
            let mut tiles = Tiles::of(size);
            let pixel = |at: usize| [200 + (at % 51) as u8, (at % 241) as u8, (at / 7) as u8, 255];
            let pixels: Vec<[u8; 4]> = (0..size.0 * size.1).map(pixel).collect();
            pixels.chunks(size.0 * 7).for_each(|rows| tiles.add(rows));
            let mosaic = tiles.mosaic();
            assert_eq!((mosaic.width(), mosaic.pixels().len() / mosaic.width()), expected, "{size:?}");
            // Every place was filled.
            assert!(mosaic.pixels().iter().all(|pixel| pixel[3] == 255), "{size:?}");
            let reference = mosaic.reference().unwrap();
            let same = mosaic.score(&reference, mosaic.pixels().iter().copied()).unwrap();
            let other = mosaic.score(&reference, mosaic.pixels().iter().map(|[r, g, b, a]| [r / 2, *g, *b, *a]));
            assert!(same > 99.9 && other.unwrap() < 90.0, "{size:?}: {same}");
        }
    }
    #[test]
    fn a_small_thing_on_a_large_ground_is_looked_at() {
        const SIDE: usize = 1_500;
        // A slope of 150 pixels' side, between the middles of sixteen equal parts.
        let pixel = |at: usize| match (at % SIDE, at / SIDE) {
            (x @ 300..450, 300..450) => [x as u8, x as u8, 9, 255],
            _ => [0; 4],
        };
        let mut tiles = Tiles::of((SIDE, SIDE));
        tiles.add(&(0..SIDE * SIDE).map(pixel).collect::<Vec<_>>());
        let mosaic = tiles.mosaic();
        assert_eq!((mosaic.width(), mosaic.pixels().len()), (4 * TILE, TILES * TILE * TILE));
        assert!(mosaic.pixels().iter().any(|pixel| pixel[3] == 255));
        assert!(mosaic.smooth_share() > 0.01 && mosaic.smooth_share() < 0.2, "{}", mosaic.smooth_share());
    }

    #[test]
    fn a_gradient_is_found_in_any_direction() {
        let share = |pixel: fn(usize, usize) -> u8| {
            let mut tiles = Tiles::of((300, 300));
            tiles.add(&(0..300 * 300).map(|at| [pixel(at % 300, at / 300), 80, 90, 255]).collect::<Vec<_>>());
            tiles.mosaic().gradient_share()
        };
        assert!(share(|x, _| (x / 2) as u8) > 0.4);
        assert!(share(|_, y| (y / 2) as u8) > 0.4);
        assert!(share(|x, y| (x / 9 * 40 + y / 9 * 40) as u8) < 0.01);
    }

    #[test]
    fn a_dithered_gradient_is_even_at_an_eighth_of_its_size() {
        let mosaic = |pixel: fn(usize, usize) -> u8| {
            let mut tiles = Tiles::of((300, 300));
            tiles.add(&(0..300 * 300).map(|at| [pixel(at % 300, at / 300), 80, 90, 255]).collect::<Vec<_>>());
            tiles.mosaic()
        };
        // Levels of 16, each as often as the gradient is near it.
        let dithered = mosaic(|x, y| ((x / 2 + (x * 7 + y * 5) % 16) / 16 * 16) as u8);
        assert!(dithered.gradient_share() < 0.1 && dithered.even_slope_share() > 0.7);
        let texture = mosaic(|x, y| ((x / 8 * 37 + y / 8 * 91) % 13 * 16) as u8);
        assert!(texture.even_slope_share() < 0.1);
    }
}
