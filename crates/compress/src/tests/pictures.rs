//! Pictures to test with, made on the spot: photo-like noise, flat graphics, transparency.

use crate::picture::pixels::{Layout, Pixels};

/// A small deterministic generator (xorshift), so that tests need no dependency for it.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Smooth gradients with a little noise, in any layout; alpha fades from left to right.
pub fn photo(width: u32, height: u32, layout: Layout) -> Pixels {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let noise = (random.next() % 9) as f32;
            let wave = ((x as f32 / 17.0).sin() + (y as f32 / 23.0).cos()) * 50.0;
            let r = (128.0 + wave + noise) as u8;
            let g = (90.0 + wave * 0.7 + y as f32 * 60.0 / height as f32 + noise) as u8;
            let b = (60.0 + x as f32 * 120.0 / width as f32 + noise) as u8;
            let a = (x * 255 / width) as u8;
            match layout {
                Layout::Grey => data.push(g),
                Layout::GreyAlpha => data.extend([g, a]),
                Layout::Rgb => data.extend([r, g, b]),
                Layout::Rgba => data.extend([r, g, b, a]),
            }
        }
    }
    Pixels::new(width, height, layout, data).unwrap()
}

pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 92);
    let pixels = photo(width, height, Layout::Rgb);
    encoder.encode(&pixels.data, width as u16, height as u16, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

/// With this EXIF block.
pub fn jpeg_with_exif(width: u32, height: u32, exif: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 100);
    encoder.add_exif_metadata(exif).unwrap();
    let pixels = photo(width, height, Layout::Rgb);
    encoder.encode(&pixels.data, width as u16, height as u16, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

pub fn png(pixels: &Pixels) -> Vec<u8> {
    png_with(pixels, |_| {})
}

/// Deflated fast and badly, as cameras and screenshot tools do.
pub fn png_with(pixels: &Pixels, change: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width, pixels.height);
    encoder.set_color(match pixels.layout {
        Layout::Grey => png::ColorType::Grayscale,
        Layout::GreyAlpha => png::ColorType::GrayscaleAlpha,
        Layout::Rgb => png::ColorType::Rgb,
        Layout::Rgba => png::ColorType::Rgba,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    change(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels.data).unwrap();
    writer.finish().unwrap();
    bytes
}

pub fn webp(pixels: &Pixels, quality: f32) -> Vec<u8> {
    let encoder = match pixels.layout {
        Layout::Rgba => webpx::Encoder::new_rgba(&pixels.data, pixels.width, pixels.height),
        _ => webpx::Encoder::new_rgb(&pixels.data, pixels.width, pixels.height),
    };
    encoder.quality(quality).encode(webpx::Unstoppable).unwrap()
}

pub fn webp_lossless(pixels: &Pixels) -> Vec<u8> {
    let encoder = webpx::Encoder::new_rgb(&pixels.data, pixels.width, pixels.height);
    encoder.lossless(true).encode(webpx::Unstoppable).unwrap()
}

/// RGB or RGBA pixels as one of the formats that are only read.
pub fn written(pixels: &Pixels, format: image::ImageFormat) -> Vec<u8> {
    let (width, height) = (pixels.width, pixels.height);
    let colour = if pixels.layout == Layout::Rgba { image::ColorType::Rgba8 } else { image::ColorType::Rgb8 };
    let mut file = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, &pixels.data, width, height, colour, format).unwrap();
    file.into_inner()
}

pub fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for at in 0..frames {
        let shade = (at * 40) as u8;
        let frame = image::RgbaImage::from_pixel(24, 16, image::Rgba([shade, 200, 90, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    bytes
}

/// Two frames of a WebP animation.
pub fn webp_animation() -> Vec<u8> {
    let frames = [photo(32, 32, Layout::Rgb), Pixels::new(32, 32, Layout::Rgb, vec![40; 32 * 32 * 3]).unwrap()];
    let mut encoder = webpx::AnimationEncoder::new(32, 32).unwrap();
    for (at, frame) in frames.iter().enumerate() {
        encoder.add_frame_rgb(&frame.data, at as i32 * 100).unwrap();
    }
    encoder.finish(200).unwrap()
}

/// Two frames of an APNG.
pub fn apng() -> Vec<u8> {
    let pixels = photo(32, 32, Layout::Rgb);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 32, 32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels.data).unwrap();
    writer.write_image_data(&vec![40; 32 * 32 * 3]).unwrap();
    writer.finish().unwrap();
    bytes
}
