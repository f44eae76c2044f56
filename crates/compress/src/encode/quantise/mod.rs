//! Chooses the colours of a palette, and the one for each pixel.
//!
//! Boxes of colours are split where the error is largest, and their centres refined by k-means. Colours are compared as they are seen:
//! an error counts as much as it does on black and on white together.

mod colour;
mod histogram;
mod nearest;
mod splits;

pub(crate) use histogram::{CELLS, Histogram, OPAQUE_CELLS};
pub(crate) use nearest::{Mapper, Nearest};
pub(crate) use splits::Splits;

/// What a palette can hold.
pub(crate) const MAX_COLOURS: usize = 256;

/// Colours, and how far a pixel usually is from the nearest of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Palette {
    pub colours: Vec<[u8; 4]>,
    usual: f32,
}

#[cfg(test)]
mod tests {
    use super::colour::{Seen, distance, seen, shown};
    use super::nearest::Columns;
    use super::*;
    use crate::picture::pixels::Layout;
    use crate::tests::pictures::photo;

    /// A cut-out: opaque, soft and invisible parts.
    fn pixels() -> Vec<[u8; 4]> {
        let mut pixels = photo(120, 80, Layout::Rgba).data.as_chunks::<4>().0.to_vec();
        for (at, pixel) in pixels.iter_mut().enumerate() {
            pixel[3] = [255, 255, 120, 0][at % 120 / 30];
        }
        pixels
    }

    fn histogram(pixels: &[[u8; 4]]) -> Histogram {
        let mut histogram = Histogram::new();
        histogram.add(pixels);
        histogram
    }

    fn error(pixels: &[[u8; 4]], palette: &Palette, indices: &[u8]) -> f64 {
        let away = |(pixel, index): (&[u8; 4], &u8)| {
            f64::from(distance(&seen(*pixel), &seen(palette.colours[usize::from(*index)])))
        };
        pixels.iter().zip(indices).map(away).sum::<f64>() / pixels.len() as f64
    }

    #[test]
    fn more_colours_leave_less_error() {
        let pixels = pixels();
        let histogram = histogram(&pixels);
        let splits = Splits::of(&histogram);
        let mut before = f64::MAX;
        for count in [4, 16, 64, 256] {
            let palette = splits.palette(count);
            assert!(palette.colours.len() <= count.max(16), "{count}: {}", palette.colours.len());
            let (mut near, mut nearest) = (Vec::new(), Nearest::of(&palette));
            Mapper::new(&histogram, &palette, 1.0).map(&pixels, 120, &mut near);
            let nearest: Vec<u8> = pixels.iter().map(|pixel| nearest.index(*pixel)).collect();
            let (near, nearest) = (error(&pixels, &palette, &near), error(&pixels, &palette, &nearest));
            assert!(near < before / 2.0, "{count}: {near} after {before}");
            // An index is repeated where that is at most as far off again as a pixel usually is.
            assert!(near < nearest * 4.0 + 2.0, "{count}: {near} and {nearest}");
            before = near;
        }
    }

    #[test]
    fn rows_are_mapped_alike_in_bands_and_all_at_once() {
        let pixels = pixels();
        let histogram = histogram(&pixels);
        let palette = Splits::of(&histogram).palette(30);
        let (mut whole, mut bands) = (Vec::new(), Vec::new());
        Mapper::new(&histogram, &palette, 1.0).map(&pixels, 120, &mut whole);
        let mut mapper = Mapper::new(&histogram, &palette, 1.0);
        pixels.chunks(120 * 7).for_each(|band| mapper.map(band, 120, &mut bands));
        assert_eq!(whole, bands);
    }

    #[test]
    fn what_is_seen_becomes_samples_again() {
        for colour in [[0, 0, 0, 255], [255, 255, 255, 255], [200, 30, 90, 255], [10, 250, 128, 128], [0, 0, 0, 0]] {
            let back = shown(seen(colour));
            assert!(colour.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 1), "{colour:?} {back:?}");
        }
        let half = distance(&seen([0, 0, 0, 255]), &seen([0; 4]));
        // Black and nothing are equal on black, and far apart on white.
        assert!((half - 255.0 * 255.0 / 2.0).abs() < 1.0, "{half}");
    }

    #[test]
    fn the_colour_of_a_small_badge_and_of_the_paper_stay() {
        let mut pixels = vec![[250, 251, 252, 255]; 100_000];
        for (at, pixel) in pixels.iter_mut().enumerate().step_by(7) {
            *pixel = [(at % 256) as u8, (at % 256) as u8, (at % 256) as u8, 255];
        }
        pixels[500..540].fill([230, 20, 30, 255]);
        let palette = Splits::of(&histogram(&pixels)).palette(6);
        assert!(palette.colours.contains(&[250, 251, 252, 255]), "{palette:?}");
        let is_red = |colour: &[u8; 4]| colour[0] > 200 && colour[1] < 50 && colour[2] < 60;
        assert!(palette.colours.iter().any(is_red), "{palette:?}");
    }

    #[test]
    fn white_paper_and_the_hues_of_a_chart_stay() {
        // Paper with a soft shadow, of which a third is white.
        let mut pixels: Vec<[u8; 4]> = (0..90_000_u32)
            .map(|at| if at % 3 == 0 { [255; 4] } else { [246 + (at % 9) as u8; 4].map(|v| v.max(246)) })
            .collect();
        pixels.iter_mut().for_each(|pixel| pixel[3] = 255);
        let paper = Splits::of(&histogram(&pixels)).palette(2);
        assert!(paper.colours.iter().any(|colour| colour.iter().all(|sample| *sample >= 254)), "{paper:?}");
        // Bars of four hues of the same brightness, one of them small.
        let hues = [[60, 107, 70], [68, 82, 102], [95, 74, 74], [20, 90, 120]];
        let bars = [40_000, 40_000, 40_000, 500].into_iter().zip(hues);
        let chart: Vec<[u8; 4]> = bars.flat_map(|(count, [r, g, b])| vec![[r, g, b, 255]; count]).collect();
        let palette = Splits::of(&histogram(&chart)).palette(3);
        for [r, g, b] in hues {
            assert!(palette.colours.contains(&[r, g, b, 255]), "{r} {g} {b}: {palette:?}");
        }
    }

    #[test]
    fn the_colour_of_invisible_pixels_does_not_matter() {
        let hidden: Vec<[u8; 4]> = (0..1_000_u32).map(|at| [(at * 7) as u8, (at * 13) as u8, at as u8, 0]).collect();
        assert_eq!(Splits::of(&histogram(&hidden)).palette(256).colours, [[0; 4]]);
    }

    #[test]
    fn the_nearest_colour_is_found_among_any_number() {
        let mut random = crate::tests::pictures::Random(3);
        for count in [1, 2, 7, 8, 9, 100, 256] {
            let colours: Vec<Seen> = (0..count).map(|_| seen((random.next() as u32).to_le_bytes())).collect();
            let columns = Columns::of(&colours);
            for _ in 0..50 {
                let at = seen((random.next() as u32).to_le_bytes());
                let (index, away) = columns.nearest(&at);
                assert_eq!(away, distance(&at, &colours[index]));
                assert!(colours.iter().all(|colour| distance(&at, colour) >= away));
            }
        }
    }
}
