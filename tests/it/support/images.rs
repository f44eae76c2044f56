//! Small images that look enough like photographs for compression to have something to do.

use std::time::Duration;

use bytes::Bytes;
use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::{Delay, DynamicImage, Frame, ImageFormat, Rgb, RgbImage};

/// A textured picture; the seed makes it different from others.
fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| ((x * a + y * b + seed * 37) as f32 / 23.0).sin();
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ seed).wrapping_mul(2_246_822_519) >> 27;
        let level = |value: f32| (128.0 + 90.0 * value + grain as f32) as u8;
        Rgb([level(wave(1, 2)), level(wave(3, 1)), level(wave(2, 5))])
    })
}

pub fn jpeg(width: u32, height: u32, seed: u32) -> Bytes {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92).encode_image(&picture(width, height, seed)).expect("encode");
    bytes.into()
}

pub fn png(width: u32, height: u32, seed: u32) -> Bytes {
    encode(width, height, seed, ImageFormat::Png)
}

pub fn webp(width: u32, height: u32, seed: u32) -> Bytes {
    encode(width, height, seed, ImageFormat::WebP)
}

/// A GIF that shows so many pictures, a tenth of a second each, for ever.
pub fn animation(width: u32, height: u32, frames: u32) -> Bytes {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.set_repeat(Repeat::Infinite).expect("encode");
    for seed in 0..frames {
        let picture = DynamicImage::from(picture(width, height, seed)).into_rgba8();
        let delay = Delay::from_saturating_duration(Duration::from_millis(100));
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).expect("encode");
    }
    drop(encoder);
    bytes.into()
}

fn encode(width: u32, height: u32, seed: u32, format: ImageFormat) -> Bytes {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture(width, height, seed).write_to(&mut bytes, format).expect("encode");
    bytes.into_inner().into()
}
