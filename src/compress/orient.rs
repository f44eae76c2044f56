//! Turns pixels the way an EXIF orientation says they are to be shown.
//!
//! Exact: every pixel moves, none changes.

use super::pixels::{Layout, Pixels};

/// Applies orientation 1–8; anything else leaves the pixels alone.
pub(super) fn apply(pixels: Pixels, orientation: u8) -> Pixels {
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

#[cfg(test)]
mod tests {
    use super::*;

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
