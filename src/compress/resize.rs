//! Makes pixels fit inside a box: Lanczos3, transparency weighted, never enlarged.
//!
//! The shape is kept to the nearest pixel; a side never becomes zero.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::pixels::{Layout, Pixels};
use super::{Error, jpeg};

/// The size that fits; the same size when it fits already or no side is limited.
pub(super) fn fit((width, height): (u32, u32), max_width: Option<u32>, max_height: Option<u32>) -> (u32, u32) {
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
pub(super) fn resize(mut pixels: Pixels, (width, height): (u32, u32)) -> Result<Pixels, Error> {
    let kind = match pixels.layout {
        Layout::Grey => PixelType::U8,
        Layout::GreyAlpha => PixelType::U8x2,
        Layout::Rgb => PixelType::U8x3,
        Layout::Rgba => PixelType::U8x4,
    };
    // Transparency is weighed in the picture's own buffer; the resizer would make a copy.
    let has_alpha = pixels.layout.has_alpha();
    let (alpha, options) = (MulDiv::new(), lanczos().use_alpha(false));
    let mut target = Image::new(width, height, kind);
    if has_alpha {
        let mut source =
            Image::from_slice_u8(pixels.width, pixels.height, &mut pixels.data, kind).map_err(Error::failed)?;
        alpha.multiply_alpha_inplace(&mut source).map_err(Error::failed)?;
    }
    let source = ImageRef::new(pixels.width, pixels.height, &pixels.data, kind).map_err(Error::failed)?;
    Resizer::new().resize(&source, &mut target, &options).map_err(Error::failed)?;
    if has_alpha {
        alpha.divide_alpha_inplace(&mut target).map_err(Error::failed)?;
    }
    Pixels::new(width, height, pixels.layout, target.into_vec())
}

/// The part of a grey picture between `left`, `top` and `left` + `across`, `top` + `down`, at `width` × `height`.
pub(super) fn resize_part(
    source: &jpeg::SamplePlane,
    (left, top, across, down): (f64, f64, f64, f64),
    (width, height): (u32, u32),
) -> Result<jpeg::SamplePlane, Error> {
    if (left, top, across, down) == (0.0, 0.0, f64::from(width), f64::from(height)) {
        let mut data = Vec::with_capacity(width as usize * height as usize);
        for line in source.data.chunks_exact(source.width as usize).take(height as usize) {
            data.extend_from_slice(&line[..width as usize]);
        }
        return Ok(jpeg::SamplePlane { width, height, data });
    }
    let image = ImageRef::new(source.width, source.height, &source.data, PixelType::U8).map_err(Error::failed)?;
    let mut target = Image::new(width, height, PixelType::U8);
    let options = lanczos().crop(left, top, across, down);
    Resizer::new().resize(&image, &mut target, &options).map_err(Error::failed)?;
    Ok(jpeg::SamplePlane { width, height, data: target.into_vec() })
}

fn lanczos() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
}

#[cfg(test)]
mod tests {
    use super::*;

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
