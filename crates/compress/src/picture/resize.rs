//! Makes pixels fit inside a box: Lanczos3, transparency weighted, never enlarged.
//!
//! The shape is kept to the nearest pixel; a side never becomes zero.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x4};
use fast_image_resize::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::contract::Error;
use crate::jpeg;
use crate::picture::orient;
use crate::picture::pixels::{Layout, Pixels};

/// The size that fits; the same size when it fits already or no side is limited.
pub(crate) fn fit((width, height): (u32, u32), max_width: Option<u32>, max_height: Option<u32>) -> (u32, u32) {
    let max_width = max_width.unwrap_or(width).max(1);
    let max_height = max_height.unwrap_or(height).max(1);
    if width <= max_width && height <= max_height {
        return (width, height);
    }
    let (w, h) = (u64::from(width), u64::from(height));
    let scaled = |side: u64, to: u32, of: u64| {
        let rounded = (side * u64::from(to) + of / 2) / of;
        u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
    };
    // The side that is further over its limit decides.
    if w * u64::from(max_height) >= h * u64::from(max_width) {
        (max_width, scaled(h, max_width, w).min(max_height))
    } else {
        (scaled(w, max_height, h).min(max_width), max_height)
    }
}

/// The same picture at `width` × `height`.
pub(crate) fn resize(mut pixels: Pixels, (width, height): (u32, u32)) -> Result<Pixels, Error> {
    // Transparency is weighed in the picture's own buffer; the resizer would make a copy.
    weigh_alpha(&mut pixels, Weighing::In)?;
    let (layout, size) = (pixels.layout, (pixels.width, pixels.height));
    let whole = (0.0, 0.0, f64::from(size.0), f64::from(size.1));
    let data = resample(pixels.data, layout.channels(), size, whole, (width, height))?;
    let mut resized = Pixels::new(width, height, layout, data)?;
    weigh_alpha(&mut resized, Weighing::Out)?;
    Ok(resized)
}

#[derive(Clone, Copy)]
enum Weighing {
    In,
    Out,
}

/// Multiplies the colours by their alpha, or divides them by it again.
fn weigh_alpha(pixels: &mut Pixels, weighing: Weighing) -> Result<(), Error> {
    match pixels.layout {
        Layout::Grey | Layout::Rgb => Ok(()),
        Layout::GreyAlpha => weigh_alpha_of::<U8x2>(pixels, weighing),
        Layout::Rgba => weigh_alpha_of::<U8x4>(pixels, weighing),
    }
}

fn weigh_alpha_of<P: PixelTrait>(pixels: &mut Pixels, weighing: Weighing) -> Result<(), Error> {
    let mut image =
        TypedImage::<P>::from_buffer(pixels.width, pixels.height, &mut pixels.data).map_err(Error::failed)?;
    match weighing {
        Weighing::In => MulDiv::new().multiply_alpha_inplace_typed(&mut image),
        Weighing::Out => MulDiv::new().divide_alpha_inplace_typed(&mut image),
    }
    .map_err(Error::failed)
}

/// The part of a grey picture between `left`, `top` and `left` + `across`, `top` + `down`, at `width` × `height`.
pub(crate) fn resize_part(
    source: jpeg::SamplePlane,
    part: (f64, f64, f64, f64),
    (width, height): (u32, u32),
) -> Result<jpeg::SamplePlane, Error> {
    let data = resample(source.data, 1, (source.width, source.height), part, (width, height))?;
    Ok(jpeg::SamplePlane { width, height, data })
}

/// The part of a picture of interleaved channels at another size.
///
/// Rows are added up many samples at a time, which single samples along a row are not: turning the picture around, so that
/// its columns are rows, takes a fifth of the time that is saved. To rows it makes no difference how many channels there
/// are, so the resizer is compiled for one kind of pixel, not for all that it knows.
fn resample(
    data: Vec<u8>,
    channels: usize,
    (width, height): (u32, u32),
    (left, top, across, down): (f64, f64, f64, f64),
    (to_width, to_height): (u32, u32),
) -> Result<Vec<u8>, Error> {
    let lower = resample_rows(data, width as usize * channels, height, (top, down), to_height)?;
    if (left, across, to_width) == (0.0, f64::from(width), width) {
        return Ok(lower);
    }
    let columns = orient::transposed(&lower, width as usize, channels);
    drop(lower);
    let columns = resample_rows(columns, to_height as usize * channels, width, (left, across), to_width)?;
    Ok(orient::transposed(&columns, to_height as usize, channels))
}

/// The rows between `top` and `top` + `down` as `to_height` rows of as many samples.
fn resample_rows(
    mut data: Vec<u8>,
    samples: usize,
    height: u32,
    (top, down): (f64, f64),
    to_height: u32,
) -> Result<Vec<u8>, Error> {
    let length = samples * to_height as usize;
    if (top, down) == (0.0, f64::from(to_height)) {
        data.truncate(length);
        return Ok(data);
    }
    let width = u32::try_from(samples).map_err(Error::failed)?;
    let mut resampled = vec![0; length];
    let source = TypedImageRef::<U8>::from_buffer(width, height, &data).map_err(Error::failed)?;
    let mut target = TypedImage::<U8>::from_buffer(width, to_height, &mut resampled).map_err(Error::failed)?;
    let options = lanczos().crop(0.0, top, f64::from(width), down);
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(Error::failed)?;
    Ok(resampled)
}

fn lanczos() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_both_directions_at_once_give() {
        let data: Vec<u8> = (0..150 * 90).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let part @ (left, top, across, down) = (0.5, 1.0, 148.0, 88.5);
        let mut at_once = TypedImage::<U8>::new(101, 67);
        let source = TypedImageRef::<U8>::from_buffer(150, 90, &data).unwrap();
        Resizer::new().resize_typed(&source, &mut at_once, &lanczos().crop(left, top, across, down)).unwrap();
        let at_once: Vec<u8> = at_once.pixels().iter().map(|sample| sample.0).collect();
        let plane = jpeg::SamplePlane { width: 150, height: 90, data };
        assert_eq!(resize_part(plane, part, (101, 67)).unwrap().data, at_once);
    }

    #[test]
    fn every_channel_is_resized_as_if_it_were_alone() {
        let channels: Vec<Vec<u8>> = (1..4_u32)
            .map(|n| (0..90 * 70).map(|at: u32| (at.wrapping_mul(2_654_435_761 / n) >> 24) as u8).collect())
            .collect();
        let data = (0..90 * 70).flat_map(|at| [0, 1, 2].map(|n| channels[n][at])).collect();
        let together = resize(Pixels::new(90, 70, Layout::Rgb, data).unwrap(), (41, 33)).unwrap();
        for (n, channel) in channels.into_iter().enumerate() {
            let alone = resize(Pixels::new(90, 70, Layout::Grey, channel).unwrap(), (41, 33)).unwrap();
            assert!(together.data.iter().skip(n).step_by(3).eq(&alone.data), "channel {n}");
        }
    }

    #[test]
    fn a_part_at_its_own_size_is_cut_out() {
        let plane = jpeg::SamplePlane { width: 4, height: 3, data: (0..12).collect() };
        let cut = resize_part(plane, (0.0, 0.0, 3.0, 2.0), (3, 2)).unwrap();
        assert_eq!(cut.data, [0, 1, 2, 4, 5, 6]);
    }

    #[test]
    fn the_box_is_filled_and_never_exceeded() {
        assert_eq!(fit((4000, 3000), Some(1600), None), (1600, 1200));
        assert_eq!(fit((4000, 3000), None, Some(600)), (800, 600));
        assert_eq!(fit((4000, 3000), Some(100), Some(100)), (100, 75));
        assert_eq!(fit((3000, 4000), Some(100), Some(100)), (75, 100));
        assert_eq!(fit((400, 300), Some(1600), Some(1600)), (400, 300));
        assert_eq!(fit((16384, 1), Some(10), None), (10, 1));
        assert_eq!(fit((400, 300), None, None), (400, 300));
    }

    #[test]
    fn colour_under_full_transparency_does_not_bleed() {
        // Left half opaque white, right half transparent black.
        let data: Vec<u8> = (0..64 * 64).flat_map(|at| if at % 64 < 32 { [255; 4] } else { [0; 4] }).collect();
        let pixels = Pixels::new(64, 64, Layout::Rgba, data).unwrap();
        let small = resize(pixels, (16, 16)).unwrap();
        for pixel in small.data.chunks_exact(4).filter(|pixel| pixel[3] > 8) {
            assert!(pixel[0] > 250, "{pixel:?}");
        }
    }
}
