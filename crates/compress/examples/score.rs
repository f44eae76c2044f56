//! Scores pictures as `bench/peers` needs it: reads a reference's path and another's from each line of standard input, answers
//! with the SSIMULACRA2 score of the other.
//!
//! Both are compared as a viewer shows them: turned upright, on white where they are transparent. Of animations it is the mean score
//! of at most twelve moments at equal distances.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{
    AnimationDecoder as _, DynamicImage, Frames, ImageDecoder as _, ImageFormat, ImageReader, Rgb, RgbImage, RgbaImage,
};

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (reference, other) = line.split_once('\t').unwrap_or((&line, ""));
        match score(reference, other) {
            Ok(score) => println!("{score:.3}"),
            Err(error) => println!("error {error}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn score(reference: &str, other: &str) -> Result<f64> {
    let (reference, other) = (open(reference)?, open(other)?);
    let count = reference.len().max(other.len()).min(12) as u32;
    let mut scores = Vec::new();
    for at in 0..count {
        let [reference, other] = [&reference, &other].map(|frames| shown(frames, f64::from(at) / f64::from(count)));
        scores.push(Ssimulacra2Reference::new(&slice(reference)?)?.compare(&slice(other)?)?);
    }
    Ok(scores.iter().sum::<f64>() / scores.len() as f64)
}

/// What is shown after this share of the time.
fn shown(frames: &[(RgbImage, f64)], share: f64) -> &RgbImage {
    let total: f64 = frames.iter().map(|(_, time)| time).sum();
    let mut left = total * share + 1e-3;
    for (frame, time) in frames {
        left -= time;
        if left < 0.0 {
            return frame;
        }
    }
    &frames[frames.len() - 1].0
}

/// All frames, and how long each is shown.
fn open(path: &str) -> Result<Vec<(RgbImage, f64)>> {
    let reader = ImageReader::open(path)?.with_guessed_format()?;
    let file = io::BufReader::new(std::fs::File::open(path)?);
    let frames: Option<Frames<'_>> = match reader.format() {
        Some(ImageFormat::Gif) => Some(GifDecoder::new(file)?.into_frames()),
        Some(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(file)?;
            decoder.has_animation().then(|| decoder.into_frames())
        }
        Some(ImageFormat::Png) => {
            let decoder = PngDecoder::new(file)?;
            if decoder.is_apng()? { Some(decoder.apng()?.into_frames()) } else { None }
        }
        _ => None,
    };
    if let Some(frames) = frames {
        let timed = |frame: image::Frame| {
            let time = Duration::from(frame.delay()).as_secs_f64() * 1000.0;
            (on_white(&frame.into_buffer()), time.max(1.0))
        };
        return frames.map(|frame| Ok(timed(frame?))).collect();
    }
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(vec![(on_white(&picture.to_rgba8()), 1.0)])
}

fn on_white(rgba: &RgbaImage) -> RgbImage {
    let over_white = |level: u8, alpha: u8| {
        let (level, alpha) = (u32::from(level), u32::from(alpha));
        ((level * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|level| over_white(level, alpha)))
    })
}

fn slice(image: &RgbImage) -> Result<PixelSlice<'_>> {
    let (width, height) = image.dimensions();
    Ok(PixelSlice::new(image.as_raw(), width, height, width as usize * 3, PixelDescriptor::RGB8_SRGB)?)
}
