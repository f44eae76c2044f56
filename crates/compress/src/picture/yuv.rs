//! Between pixels and planes of luma and colour differences: full range, and BT.601 unless said, as in JPEG.
//!
//! Integer arithmetic, so that every machine gives the same samples. Colour planes may have half the width and height; their samples
//! then lie in the middle of four pixels.

use crate::contract::Error;
use crate::picture::pixels::{Layout, Pixels};

/// How colour is held beside luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Not at all: grey.
    None,
    /// Two planes of half the width and height, rounded up.
    Half,
    /// Two planes as large as luma.
    Full,
}

/// One plane without gaps between its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plane {
    pub width: usize,
    pub height: usize,
    pub samples: Vec<u8>,
}

/// Factors of red, green and blue in 1 ⁄ 65,536 (ITU-T T.871, 7): luma, blue difference, red difference.
const FACTORS: [[i32; 3]; 3] = [[19_595, 38_470, 7_471], [-11_059, -21_709, 32_768], [32_768, -27_439, -5_329]];

/// The width and height of each plane.
pub(crate) fn sizes(width: u32, height: u32, colour: Colour) -> Vec<(usize, usize)> {
    let (width, height) = (width as usize, height as usize);
    match colour {
        Colour::None => vec![(width, height)],
        Colour::Half => {
            let half = (width.div_ceil(2), height.div_ceil(2));
            vec![(width, height), half, half]
        }
        Colour::Full => vec![(width, height); 3],
    }
}

/// The planes of a picture; its alpha is not looked at.
pub(crate) fn planes(pixels: &Pixels, colour: Colour) -> Vec<Plane> {
    let step = if colour == Colour::Half { 2 } else { 1 };
    sizes(pixels.width, pixels.height, colour)
        .into_iter()
        .enumerate()
        .map(|(at, size)| plane(pixels, at, size, if at == 0 { 1 } else { step }))
        .collect()
}

/// One plane, whose samples are means over `step` × `step` pixels; the last row and column are repeated.
fn plane(pixels: &Pixels, at: usize, (width, height): (usize, usize), step: usize) -> Plane {
    let channels = pixels.layout.channels();
    let (right, bottom) = (pixels.width as usize - 1, pixels.height as usize - 1);
    let row = pixels.width as usize * channels;
    let is_grey = matches!(pixels.layout, Layout::Grey | Layout::GreyAlpha);
    let factors = FACTORS[at];
    let middle = if at == 0 { 0 } else { 128 << 16 };
    let count = (step * step) as i32;
    let mut samples = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let mut sum = 0;
            for y in y * step..(y + 1) * step {
                for x in x * step..(x + 1) * step {
                    let pixel = &pixels.data[y.min(bottom) * row + x.min(right) * channels..];
                    let [r, g, b] = if is_grey { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] }.map(i32::from);
                    sum += factors[0] * r + factors[1] * g + factors[2] * b;
                }
            }
            let value = (sum / count + middle + (1 << 15)) >> 16;
            samples.push(value.clamp(0, 255) as u8);
        }
    }
    Plane { width, height, samples }
}

/// How three samples become red, green and blue, in 1 ⁄ 65,536.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix {
    /// Of the red difference in red, of both differences in green, of the blue one in blue.
    red: i32,
    green: [i32; 2],
    blue: i32,
}

impl Matrix {
    /// Of the shares that red and blue have in luma (ITU-T H.273, 8.3).
    pub fn of(red: f64, blue: f64) -> Matrix {
        let factor = |value: f64| (value * 65_536.0).round() as i32;
        let green = 1.0 - red - blue;
        let (red_range, blue_range) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
        Matrix {
            red: factor(red_range),
            green: [factor(blue_range * blue / green), factor(red_range * red / green)],
            blue: factor(blue_range),
        }
    }
}

/// The picture that planes made by [`planes`] show: grey of one plane, RGB of three.
pub(crate) fn picture(width: u32, height: u32, planes: &[Plane]) -> Result<Pixels, Error> {
    match planes.first_chunk() {
        Some(planes) => coloured(width, height, planes, Matrix::of(0.299, 0.114)),
        None => {
            let grey = planes.first().map(|plane| plane.samples.clone()).unwrap_or_default();
            Pixels::new(width, height, Layout::Grey, grey)
        }
    }
}

/// The picture of luma and two colour differences, which may have half the width and height.
pub(crate) fn coloured(width: u32, height: u32, planes: &[Plane; 3], matrix: Matrix) -> Result<Pixels, Error> {
    let [luma, blue, red] = planes;
    let mut data = Vec::with_capacity(luma.samples.len() * 3);
    for y in 0..luma.height {
        for x in 0..luma.width {
            let grey = i32::from(luma.samples[y * luma.width + x]);
            let (blue, red) = (sample(blue, luma, x, y) - 128, sample(red, luma, x, y) - 128);
            let shift = |value: i32| (grey + ((value + (1 << 15)) >> 16)).clamp(0, 255) as u8;
            let green = -matrix.green[0] * blue - matrix.green[1] * red;
            data.extend([shift(matrix.red * red), shift(green), shift(matrix.blue * blue)]);
        }
    }
    Pixels::new(width, height, Layout::Rgb, data)
}

/// The colour at a pixel: where there are half as many samples, three quarters of the nearer one and one of the next.
fn sample(plane: &Plane, luma: &Plane, x: usize, y: usize) -> i32 {
    let at = |x: usize, y: usize| i32::from(plane.samples[y * plane.width + x]);
    let near_and_far = |at: usize, count: usize, full: usize| match at / 2 {
        _ if count == full => (at, at),
        half if at.is_multiple_of(2) => (half, half.saturating_sub(1)),
        half => (half, (half + 1).min(count - 1)),
    };
    let (left, right) = near_and_far(x, plane.width, luma.width);
    let (top, bottom) = near_and_far(y, plane.height, luma.height);
    if left == right && top == bottom {
        return at(left, top);
    }
    let sum = 9 * at(left, top) + 3 * at(right, top) + 3 * at(left, bottom) + at(right, bottom);
    (sum + 8) >> 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::pictures::photo;

    fn furthest(a: &Pixels, b: &Pixels) -> u8 {
        a.data.iter().zip(&b.data).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn planes_show_the_picture_they_were_made_of() {
        for (width, height) in [(1, 1), (2, 1), (1, 5), (33, 17), (64, 40)] {
            let pixels = photo(width, height, Layout::Rgb);
            let full = picture(width, height, &planes(&pixels, Colour::Full)).unwrap();
            assert!(furthest(&pixels, &full) <= 2, "{width} × {height}: {}", furthest(&pixels, &full));
            let half = picture(width, height, &planes(&pixels, Colour::Half)).unwrap();
            assert!(furthest(&pixels, &half) <= 40, "{width} × {height}: {}", furthest(&pixels, &half));
            let grey = photo(width, height, Layout::Grey);
            assert_eq!(picture(width, height, &planes(&grey, Colour::None)).unwrap(), grey);
        }
    }

    #[test]
    fn pure_colours_have_the_values_of_the_standard() {
        let red = Pixels::new(1, 1, Layout::Rgb, vec![255, 0, 0]).unwrap();
        let samples: Vec<u8> = planes(&red, Colour::Full).iter().map(|plane| plane.samples[0]).collect();
        assert_eq!(samples, [76, 85, 255]);
        let white = Pixels::new(1, 1, Layout::Rgb, vec![255; 3]).unwrap();
        let samples: Vec<u8> = planes(&white, Colour::Half).iter().map(|plane| plane.samples[0]).collect();
        assert_eq!(samples, [255, 128, 128]);
    }
}
