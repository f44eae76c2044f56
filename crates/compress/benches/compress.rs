//! How fast images become smaller: a JPEG stage by stage, and each format as a whole.
//!
//! `cargo bench --bench compress`. The pictures are made here; the throughput is that of pixels.

use std::hint::black_box;

use divan::counter::ItemsCount;
use halftone_compress::{Limits, Settings, compress, jpeg};
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};
use jpeg_encoder::{ColorType, SamplingFactor};

const WIDTH: u16 = 1600;
const HEIGHT: u16 = 1200;
const QUALITY: u8 = 50;

fn main() {
    divan::main();
}

/// Waves for shapes and a little noise for grain: about as many bytes for each pixel as a photo has.
fn picture() -> RgbImage {
    let mut noise = 1_u32;
    RgbImage::from_fn(WIDTH.into(), HEIGHT.into(), |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (x as f32, y as f32);
        let shape = (x / 91.0).sin() * (y / 67.0).cos() + 0.3 * ((x * y).sqrt() / 11.0).sin();
        let grain = (noise >> 24) as f32 / 255.0 - 0.5;
        let level = |tint: f32| (128.0 + 70.0 * shape * tint + 14.0 * grain) as u8;
        image::Rgb([level(1.0), level(0.8), level(0.5)])
    })
}

fn jpeg_file(progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 88);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_progressive(progressive);
    encoder.encode(&picture(), WIDTH, HEIGHT, ColorType::Rgb).expect("a JPEG");
    bytes
}

fn file(kind: &str) -> Vec<u8> {
    match kind {
        "baseline JPEG" => jpeg_file(false),
        "progressive JPEG" => jpeg_file(true),
        "PNG" => {
            let mut bytes = Vec::new();
            let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            encoder.write_image(&picture(), WIDTH.into(), HEIGHT.into(), ExtendedColorType::Rgb8).expect("a PNG");
            bytes
        }
        _ => {
            let picture = picture();
            let encoder = webpx::Encoder::new_rgb(&picture, WIDTH.into(), HEIGHT.into()).quality(90.0);
            encoder.encode(webpx::Unstoppable).expect("a WebP")
        }
    }
}

fn pixels() -> ItemsCount {
    ItemsCount::new(usize::from(WIDTH) * usize::from(HEIGHT))
}

const JPEGS: [&str; 2] = ["baseline JPEG", "progressive JPEG"];

/// File to coefficients.
#[divan::bench(args = JPEGS, sample_count = 20, sample_size = 1)]
fn entropy_decode(bencher: divan::Bencher, kind: &str) {
    let (file, limits) = (file(kind), jpeg::Limits::default());
    bencher.counter(pixels()).bench(|| jpeg::decode(black_box(&file), &limits).expect("a whole file").header().width);
}

/// Coefficients to coarser ones and the size they would have: one step of a search.
#[divan::bench(args = JPEGS, sample_count = 20, sample_size = 1)]
fn requantise_and_size(bencher: divan::Bencher, kind: &str) {
    let file = file(kind);
    let source = jpeg::decode(&file, &jpeg::Limits::default()).expect("a whole file");
    bencher.counter(pixels()).bench(|| source.size_at(black_box(QUALITY)));
}

/// Coefficients as they are to a file.
#[divan::bench(args = JPEGS, sample_count = 20, sample_size = 1)]
fn emit(bencher: divan::Bencher, kind: &str) {
    let file = file(kind);
    let source = jpeg::decode(&file, &jpeg::Limits::default()).expect("a whole file");
    let options = jpeg::Options::default();
    bencher.counter(pixels()).bench(|| source.lossless(black_box(&options)));
}

/// File to file, as it is done for every image of a catalogue.
#[divan::bench(args = ["baseline JPEG", "progressive JPEG", "PNG", "WebP"], sample_count = 10, sample_size = 1)]
fn whole(bencher: divan::Bencher, kind: &str) {
    let (file, settings, limits) = (file(kind), Settings::default(), Limits::default());
    bencher.counter(pixels()).bench(|| compress(black_box(&file), &settings, &limits).expect("an image").bytes.len());
}
