//! Damaged files of every kind, through every way in: an answer or an error, never a panic, never a hang.

use std::time::{Duration, Instant};

use crate::container::webp;
use crate::metadata::exif;
use crate::picture::pixels::Layout;
use crate::tests::pictures::{self, Random, photo};
use crate::tests::*;

/// Far above what a picture of a few thousand pixels takes, also unoptimised on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const ROUNDS: usize = 60;

#[test]
fn damaged_files_are_answered_or_refused() {
    let limits = Limits { max_pixels: 1_000_000, max_side: 4_000, ..Limits::default() };
    let exif = exif::tests::located();
    let rgb = photo(56, 40, Layout::Rgb);
    let files = [
        pictures::jpeg(56, 40),
        pictures::jpeg_with_exif(56, 40, &exif),
        pictures::png(&rgb),
        pictures::png(&photo(56, 40, Layout::GreyAlpha)),
        pictures::webp(&rgb, 80.0),
        pictures::webp(&photo(56, 40, Layout::Rgba), 80.0),
        pictures::webp_lossless(&rgb),
        webp::wrap(pictures::webp(&rgb, 80.0), None, Some(b"icc"), Some(&exif)).unwrap(),
        pictures::webp_animation(),
        pictures::apng(),
        pictures::gif(3),
        pictures::written(&rgb, image::ImageFormat::Tiff),
        tiffs::with_palette(),
        pictures::written(&photo(56, 40, Layout::Rgba), image::ImageFormat::Bmp),
        pictures::written(&photo(56, 40, Layout::Rgba), image::ImageFormat::Ico),
    ];
    let settings = [
        Settings::default(),
        with_goal(Goal::Lossless),
        with_goal(Goal::TargetRatio(0.5)),
        Settings { max_width: Some(20), format: Some(Format::Jpeg), ..Settings::default() },
    ];
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut accepted = 0;
    for file in &files {
        for round in 0..ROUNDS {
            let mut bytes = file.clone();
            // Most damage goes to the headers, where it does most.
            let reach = if round % 2 == 0 { bytes.len().min(120) } else { bytes.len() };
            for _ in 0..1 + random.below(4) {
                let at = random.below(reach);
                bytes[at] = random.next() as u8;
            }
            if round % 5 == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            let settings = &settings[round % settings.len()];
            let started = Instant::now();
            memory_needed(&bytes, settings, &limits).unwrap();
            if let Ok(output) = compress(&bytes, settings, &limits) {
                accepted += 1;
                if settings.format.is_none() && output.output.format == output.source.format {
                    assert!(output.bytes.len() <= bytes.len());
                }
            }
            assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        }
    }
    // Some damage is harmless; if none were, the test would not reach the encoders.
    assert!(accepted > 20, "{accepted}");
}
