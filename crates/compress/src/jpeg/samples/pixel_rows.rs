//! Pixels to the samples of a JPEG's components, one row of MCUs at a time: colour transform (ITU-T T.871, 7), averaging of
//! subsampled colour, and copies of the last column and row up to whole MCUs.

use crate::jpeg::samples::fdct::Samples;

/// Pixels without transparency: eight bits a sample, rows without gaps.
#[derive(Debug, Clone, Copy)]
pub struct PixelRows<'a> {
    pub width: u32,
    pub height: u32,
    /// 1 for grey, 3 for RGB.
    pub channels: u8,
    /// Width × height × channels bytes.
    pub data: &'a [u8],
}

/// The samples of one component for one row of MCUs, 128 less than stored (A.3.1).
#[derive(Default)]
pub(crate) struct Strip {
    samples: Vec<i16>,
    stride: usize,
}

impl Strip {
    fn new(stride: usize, rows: usize) -> Self {
        Self { samples: vec![0; stride * rows], stride }
    }

    /// The block at a row and column of blocks.
    #[inline(always)]
    pub(crate) fn block(&self, row: usize, column: usize) -> Samples {
        let start = 8 * row * self.stride + 8 * column;
        let mut block = [[0.0; 8]; 8];
        for (line, samples) in block.iter_mut().zip(self.samples[start..].chunks(self.stride)) {
            for (to, &sample) in line.iter_mut().zip(samples) {
                *to = f32::from(sample);
            }
        }
        block
    }
}

/// Fills strips from pixels.
pub(crate) struct Strips<'a> {
    pixels: PixelRows<'a>,
    /// Pixels of an MCU on either side: 8, or 16 where colour is subsampled.
    side: usize,
    /// One for each component.
    pub(crate) strips: Vec<Strip>,
}

impl<'a> Strips<'a> {
    /// With `subsample`, RGB pixels share colour in squares of four.
    pub(crate) fn new(pixels: PixelRows<'a>, subsample: bool) -> Self {
        let side = if subsample && pixels.channels == 3 { 16 } else { 8 };
        let stride = (pixels.width as usize).next_multiple_of(side);
        let mut strips = vec![Strip::new(stride, side)];
        if pixels.channels == 3 {
            strips.extend([Strip::new(8 * stride / side, 8), Strip::new(8 * stride / side, 8)]);
        }
        Self { pixels, side, strips }
    }

    /// The block of a component at a row and column of blocks; the row is one of those in hand.
    #[inline(always)]
    pub(crate) fn strip_block(&self, component: usize, row: usize, column: usize) -> Samples {
        let rows = if component == 0 { self.side / 8 } else { 1 };
        self.strips[component].block(row & (rows - 1), column)
    }

    /// Fills the strips with the MCUs of row `number`.
    pub(crate) fn fill(&mut self, number: usize) {
        let PixelRows { width, height, channels, data } = self.pixels;
        let length = width as usize * usize::from(channels);
        let pixel_row = |row: usize| {
            let row = (number * self.side + row).min(height as usize - 1);
            &data[row * length..(row + 1) * length]
        };
        match self.strips.as_mut_slice() {
            [grey] => {
                for (row, out) in grey.samples.chunks_exact_mut(grey.stride).enumerate() {
                    let samples = pixel_row(row).iter().map(|&sample| i16::from(sample) - 128);
                    spread(out, samples);
                }
            }
            [luma, blue, red] => {
                for (row, out) in luma.samples.chunks_exact_mut(luma.stride).enumerate() {
                    spread(out, pixel_row(row).as_chunks().0.iter().map(|&pixel| luma_of(pixel)));
                }
                let lines = blue.samples.chunks_exact_mut(blue.stride).zip(red.samples.chunks_exact_mut(red.stride));
                for (row, (blue, red)) in lines.enumerate() {
                    if self.side == 16 {
                        let sums = squares(pixel_row(2 * row), pixel_row(2 * row + 1));
                        spread_both(blue, red, sums.map(colours_of::<18>));
                    } else {
                        let pixels = pixel_row(row).as_chunks::<3>().0;
                        spread_both(blue, red, pixels.iter().map(|pixel| colours_of::<16>(pixel.map(i32::from))));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Writes samples and repeats the last one up to the end.
#[inline(always)]
fn spread(out: &mut [i16], samples: impl Iterator<Item = i16>) {
    let mut count = 0;
    for (to, sample) in out.iter_mut().zip(samples) {
        *to = sample;
        count += 1;
    }
    if let Some(&last) = out[..count].last() {
        out[count..].fill(last);
    }
}

/// The same for the two colour differences, which come together.
#[inline(always)]
fn spread_both(blue: &mut [i16], red: &mut [i16], samples: impl Iterator<Item = [i16; 2]>) {
    let mut count = 0;
    for ((blue, red), sample) in blue.iter_mut().zip(red.iter_mut()).zip(samples) {
        [*blue, *red] = sample;
        count += 1;
    }
    for line in [blue, red] {
        if let Some(&last) = line[..count].last() {
            line[count..].fill(last);
        }
    }
}

/// The sums of the squares of four pixels in two rows; a last column without partner counts twice.
#[inline(always)]
fn squares<'a>(upper: &'a [u8], lower: &'a [u8]) -> impl Iterator<Item = [i32; 3]> + 'a {
    let (pairs, odd) = upper.as_chunks::<6>();
    let (pairs_below, odd_below) = lower.as_chunks::<6>();
    let sum = |a: &[u8; 6], b: &[u8; 6]| {
        std::array::from_fn(|i| i32::from(a[i]) + i32::from(a[i + 3]) + i32::from(b[i]) + i32::from(b[i + 3]))
    };
    let last = odd.iter().zip(odd_below).map(|(&a, &b)| 2 * (i32::from(a) + i32::from(b)));
    let mut column = [0; 3];
    column.iter_mut().zip(last).for_each(|(to, sum)| *to = sum);
    let odd = (!odd.is_empty()).then_some(column);
    pairs.iter().zip(pairs_below).map(move |(a, b)| sum(a, b)).chain(odd)
}

/// Weights of red, green and blue in brightness and in the two colour differences (T.871, 7), in 1/65536.
const LUMA: [i32; 3] = [19_595, 38_470, 7_471];
const BLUE: [i32; 3] = [-11_059, -21_709, 32_768];
const RED: [i32; 3] = [32_768, -27_439, -5_329];

#[inline(always)]
fn weighted(pixel: [i32; 3], weights: [i32; 3]) -> i32 {
    pixel[0] * weights[0] + pixel[1] * weights[1] + pixel[2] * weights[2]
}

#[inline(always)]
fn luma_of(pixel: [u8; 3]) -> i16 {
    ((weighted(pixel.map(i32::from), LUMA) + (1 << 15)) >> 16) as i16 - 128
}

/// Both colour differences, of one pixel (`SHIFT` 16) or of the sum of four (18). One less than a half is added, and so the
/// largest value, 127.5, stays in eight bits.
#[inline(always)]
fn colours_of<const SHIFT: i32>(pixel: [i32; 3]) -> [i16; 2] {
    [BLUE, RED].map(|weights| ((weighted(pixel, weights) + (1 << (SHIFT - 1)) - 1) >> SHIFT) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strips(width: u32, height: u32, data: &[u8], subsample: bool) -> Vec<Strip> {
        let channels = (data.len() / (width * height) as usize) as u8;
        let mut strips = Strips::new(PixelRows { width, height, channels, data }, subsample);
        strips.fill(0);
        strips.strips
    }

    #[test]
    fn the_last_column_and_row_are_repeated() {
        let grey = strips(2, 2, &[128, 129, 130, 131], true).remove(0);
        let block = grey.block(0, 0);
        assert_eq!(block[0], [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        for row in &block[1..] {
            assert_eq!(*row, [2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
        }
    }

    #[test]
    fn pure_colours_keep_inside_eight_bits() {
        for pixel in [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [255, 255, 0]] {
            for subsample in [false, true] {
                for strip in strips(1, 1, &pixel, subsample) {
                    let value = strip.block(0, 0)[0][0];
                    assert!((-128.0..=127.0).contains(&value), "{pixel:?}: {value}");
                }
            }
        }
        let white: Vec<f32> = strips(1, 1, &[255; 3], true).iter().map(|strip| strip.block(0, 0)[0][0]).collect();
        assert_eq!(white, [127.0, 0.0, 0.0]);
    }

    #[test]
    fn subsampled_colour_is_the_mean_of_four_pixels() {
        // Blue, red; black, black; and a third column without partner.
        let data = [0, 0, 255, 255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255];
        let strips = strips(3, 2, &data, true);
        // (127.5 − 43.0) ÷ 4 and, on its own, 127.5.
        assert_eq!(strips[1].block(0, 0)[0][..3], [21.0, 127.0, 127.0]);
    }
}
