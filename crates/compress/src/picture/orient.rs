//! Turns pixels upright, as their EXIF orientation says.
//!
//! Exact: every pixel moves, none changes.

use crate::picture::pixels::{Layout, Pixels};

/// Applies orientation 1–8; anything else leaves the pixels alone.
pub(crate) fn apply(pixels: Pixels, orientation: u8) -> Pixels {
    if !(2..=8).contains(&orientation) {
        return pixels;
    }
    let data = match pixels.layout {
        Layout::Grey => turn::<1>(&pixels, orientation),
        Layout::GreyAlpha => turn::<2>(&pixels, orientation),
        Layout::Rgb => turn::<3>(&pixels, orientation),
        Layout::Rgba => turn::<4>(&pixels, orientation),
    };
    let (width, height) = if orientation >= 5 { (pixels.height, pixels.width) } else { (pixels.width, pixels.height) };
    Pixels { width, height, layout: pixels.layout, data }
}

fn turn<const N: usize>(pixels: &Pixels, orientation: u8) -> Vec<u8> {
    let (source, _) = pixels.data.as_chunks::<N>();
    let (w, h) = (pixels.width as usize, pixels.height as usize);
    let (out_w, out_h) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut out = Vec::with_capacity(pixels.data.len());
    for y in 0..out_h {
        for x in 0..out_w {
            // EXIF 2.32, 4.6.4 A: where row 0 and column 0 of the stored picture are shown.
            let (from_x, from_y) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            out.extend(source[from_y * w + from_x]);
        }
    }
    out
}

/// Squares this wide are turned one after the other: what they are read from and written to stays in the fastest cache.
const TILE: usize = 64;

/// Rows to columns: `data` holds rows of `width` pixels, the result rows of as many pixels as there were rows.
pub(crate) fn transposed(data: &[u8], width: usize, channels: usize) -> Vec<u8> {
    match channels {
        2 => transposed_pixels::<2>(data, width),
        3 => transposed_pixels::<3>(data, width),
        4 => transposed_pixels::<4>(data, width),
        _ => transposed_samples(data, width),
    }
}

fn transposed_pixels<const CHANNELS: usize>(data: &[u8], width: usize) -> Vec<u8> {
    let (pixels, _) = data.as_chunks::<CHANNELS>();
    let height = pixels.len() / width.max(1);
    let mut out = vec![[0; CHANNELS]; pixels.len()];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            let (bottom, right) = ((top + TILE).min(height), (left + TILE).min(width));
            for x in left..right {
                let column = &mut out[x * height..][top..bottom];
                for (y, pixel) in (top..bottom).zip(column) {
                    *pixel = pixels[y * width + x];
                }
            }
        }
    }
    out.into_flattened()
}

fn transposed_samples(data: &[u8], width: usize) -> Vec<u8> {
    let height = data.len() / width.max(1);
    let mut out = vec![0; width * height];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            let (bottom, right) = ((top + TILE).min(height), (left + TILE).min(width));
            for y in (top..bottom).step_by(8) {
                for x in (left..right).step_by(8) {
                    if y + 8 <= bottom && x + 8 <= right {
                        let rows = std::array::from_fn(|i| eight(&data[(y + i) * width + x..]));
                        for (i, column) in turned(rows).into_iter().enumerate() {
                            out[(x + i) * height + y..][..8].copy_from_slice(&column.to_le_bytes());
                        }
                    } else {
                        for (y, x) in (y..bottom.min(y + 8)).flat_map(|y| (x..right.min(x + 8)).map(move |x| (y, x))) {
                            out[x * height + y] = data[y * width + x];
                        }
                    }
                }
            }
        }
    }
    out
}

fn eight(samples: &[u8]) -> u64 {
    samples.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Eight rows of eight bytes to columns: halves change places across the middle, then quarters in each, then single bytes
/// (H. S. Warren, "Hacker's Delight", 7-3).
#[inline(always)]
fn turned(mut rows: [u64; 8]) -> [u64; 8] {
    for (distance, mask) in [(4, 0x0000_0000_FFFF_FFFF), (2, 0x0000_FFFF_0000_FFFF), (1, 0x00FF_00FF_00FF_00FF)] {
        for i in (0..8).filter(|i| i & distance == 0) {
            let swapped = (rows[i] >> (8 * distance) ^ rows[i + distance]) & mask;
            rows[i] ^= swapped << (8 * distance);
            rows[i + distance] ^= swapped;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns_whatever_their_number() {
        for (width, height) in [(1, 1), (8, 8), (7, 9), (64, 65), (130, 71)] {
            for layout in [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba] {
                let data: Vec<u8> = (0..width * height * layout.channels()).map(|at| (at * 7 / 3) as u8).collect();
                let pixels = Pixels::new(width as u32, height as u32, layout, data.clone()).unwrap();
                let turned = transposed(&data, width, layout.channels());
                assert_eq!(turned, apply(pixels, 5).data, "{width} by {height}, {layout:?}");
            }
        }
    }

    #[test]
    fn each_orientation_shows_the_same_letter() {
        // 0 1 2
        // 3 4 5
        let shown = |orientation| {
            let pixels = Pixels::new(3, 2, Layout::Grey, vec![0, 1, 2, 3, 4, 5]).unwrap();
            let turned = apply(pixels, orientation);
            (turned.width, turned.data)
        };
        assert_eq!(shown(1), (3, vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(shown(2), (3, vec![2, 1, 0, 5, 4, 3]));
        assert_eq!(shown(3), (3, vec![5, 4, 3, 2, 1, 0]));
        assert_eq!(shown(4), (3, vec![3, 4, 5, 0, 1, 2]));
        assert_eq!(shown(5), (2, vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(shown(6), (2, vec![3, 0, 4, 1, 5, 2]));
        assert_eq!(shown(7), (2, vec![5, 2, 4, 1, 3, 0]));
        assert_eq!(shown(8), (2, vec![2, 5, 1, 4, 0, 3]));
    }
}
