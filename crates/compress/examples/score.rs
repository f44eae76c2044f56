//! Scores pictures as `bench/peers` needs it: reads a reference's path and another's from each line of standard input, answers
//! with the SSIMULACRA2 score of the other.
//!
//! Both are compared as a viewer shows them: turned upright, on white where they are transparent.

use std::io::{self, BufRead as _, Write as _};

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};
use image::{DynamicImage, ImageDecoder as _, ImageReader, Rgb, RgbImage};

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
    Ok(Ssimulacra2Reference::new(&slice(&reference)?)?.compare(&slice(&other)?)?)
}

fn open(path: &str) -> Result<RgbImage> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let rgba = picture.to_rgba8();
    let over_white = |level: u8, alpha: u8| {
        let (level, alpha) = (u32::from(level), u32::from(alpha));
        ((level * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    Ok(RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|level| over_white(level, alpha)))
    }))
}

fn slice(image: &RgbImage) -> Result<PixelSlice<'_>> {
    let (width, height) = image.dimensions();
    Ok(PixelSlice::new(image.as_raw(), width, height, width as usize * 3, PixelDescriptor::RGB8_SRGB)?)
}
