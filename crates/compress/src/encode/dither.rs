//! Spreads the error of a palette colour over the neighbours to come, where the picture is smooth and would show bands.
//!
//! Floyd and Steinberg's weights. Texture and edges are left as they are: there dithering costs bytes and is not seen.

use crate::encode::quantise::{Nearest, Palette};

/// Neighbours that differ by more than this are texture or an edge.
const SMOOTH: u8 = 4;
/// The share of an error that is passed on, in sixteenths; all of it wanders far.
const PASSED_ON: i32 = 14;
/// No sample is moved further than this: where the palette has nothing darker or lighter, errors would add up to a speck.
const MOST: i32 = 16;

/// Rows are dithered one after the other.
pub(crate) struct Dither<'a> {
    colours: &'a [[u8; 4]],
    nearest: Nearest,
    width: usize,
    above: Vec<[u8; 4]>,
    /// Errors times sixteen for this row and the next, with one column more on both sides.
    errors: [Vec<[i32; 4]>; 2],
}

impl<'a> Dither<'a> {
    pub fn new(palette: &'a Palette, width: usize) -> Dither<'a> {
        let errors = [vec![[0; 4]; width + 2], vec![[0; 4]; width + 2]];
        Dither { colours: &palette.colours, nearest: Nearest::of(palette), width, above: Vec::new(), errors }
    }

    /// The index of each pixel of whole rows.
    pub fn map(&mut self, pixels: &[[u8; 4]], indices: &mut Vec<u8>) {
        for row in pixels.chunks_exact(self.width) {
            let mut left = row[0];
            for (x, pixel) in row.iter().enumerate() {
                let above = self.above.get(x).copied().unwrap_or(*pixel);
                let error = self.errors[0][x + 1];
                let is_smooth = pixel[3] > 0 && is_close(*pixel, left) && is_close(*pixel, above);
                left = *pixel;
                let wanted = if is_smooth { moved(*pixel, error) } else { *pixel };
                let index = self.nearest.index(wanted);
                indices.push(index);
                if !is_smooth {
                    continue;
                }
                let colour = self.colours[usize::from(index)];
                for at in 0..4 {
                    let error = (i32::from(wanted[at]) - i32::from(colour[at])) * PASSED_ON / 16;
                    self.errors[0][x + 2][at] += error * 7;
                    self.errors[1][x][at] += error * 3;
                    self.errors[1][x + 1][at] += error * 5;
                    self.errors[1][x + 2][at] += error;
                }
            }
            self.above.clear();
            self.above.extend(row);
            self.errors.swap(0, 1);
            self.errors[1].fill([0; 4]);
        }
    }
}

fn is_close(a: [u8; 4], b: [u8; 4]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= SMOOTH)
}

fn moved(pixel: [u8; 4], error: [i32; 4]) -> [u8; 4] {
    let mut moved = pixel;
    // What is opaque stays so.
    let samples = if pixel[3] == 255 { 3 } else { 4 };
    for (sample, error) in moved.iter_mut().zip(error).take(samples) {
        *sample = (i32::from(*sample) + (error + 8).div_euclid(16).clamp(-MOST, MOST)).clamp(0, 255) as u8;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::quantise::{Histogram, Splits};

    fn palette(pixels: &[[u8; 4]], count: usize) -> Palette {
        let mut histogram = Histogram::new();
        histogram.add(pixels);
        Splits::of(&histogram).palette(count)
    }

    #[test]
    fn a_slope_keeps_its_average_and_edges_stay_as_they_are() {
        const SIDE: usize = 128;
        // A slope from 100 to 163, and black beside it.
        let pixel = |at: usize| match at % SIDE {
            x if x < SIDE / 2 => [100 + x as u8, 100 + x as u8, 100 + x as u8, 255],
            _ => [0, 0, 0, 255],
        };
        let pixels: Vec<[u8; 4]> = (0..SIDE * SIDE).map(pixel).collect();
        let palette = palette(&pixels, 5);
        let mut indices = Vec::new();
        Dither::new(&palette, SIDE).map(&pixels, &mut indices);
        let shown = |at: usize| f64::from(palette.colours[usize::from(indices[at])][0]);
        // At both ends there is no colour beyond.
        for x in (12..SIDE / 2 - 12).step_by(4) {
            let block = (0..SIDE).flat_map(|y| (x - 2..x + 2).map(move |x| y * SIDE + x));
            let mean = block.map(shown).sum::<f64>() / (SIDE * 4) as f64;
            assert!((mean - (99.5 + x as f64)).abs() < 4.0, "{x}: {mean}");
        }
        // No black specks in the slope, none of the slope in the black.
        assert!((0..SIDE).all(|y| (0..SIDE / 2).all(|x| shown(y * SIDE + x) > 0.0)));
        assert!((0..SIDE).all(|y| (SIDE / 2..SIDE).all(|x| shown(y * SIDE + x) == 0.0)));
    }
}
