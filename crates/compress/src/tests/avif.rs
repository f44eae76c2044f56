//! AVIF output: every goal, alpha, grey, odd sizes. What decoders make of the files is known from the encoder's own reconstruction.

use crate::decide::score::Judge;
use crate::encode::Encoder;
use crate::encode::avif_out::AvifEncoder;
use crate::metadata::exif;
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

fn to_avif(goal: Goal) -> Settings {
    Settings { goal, format: Some(Format::Avif), ..Settings::default() }
}

/// The data of the first box with this name, wherever it lies.
fn find_box<'a>(file: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    memchr::memmem::find(file, name).map(|at| &file[at + 4..])
}

/// Width and height as the container says (ISO/IEC 23008-12, 6.5.3: version and flags, then both).
fn size(file: &[u8]) -> (u32, u32) {
    let data = find_box(file, b"ispe").unwrap();
    let word = |at: usize| u32::from_be_bytes(*data[at..].first_chunk().unwrap());
    (word(4), word(8))
}

#[test]
fn every_readable_format_becomes_avif() {
    let pixels = photo(60, 40, Layout::Rgb);
    for file in [pictures::jpeg(60, 40), pictures::png(&pixels), pictures::webp(&pixels, 90.0), pictures::gif(1)] {
        let output = run(&file, &to_avif(Goal::Quality(50)));
        assert_eq!(output.output.format, Format::Avif);
        assert_eq!(sniff(&output.bytes), Ok(Format::Avif));
        assert_eq!(size(&output.bytes), (output.source.width, output.source.height));
        assert_eq!(output.receipt.quality, Some(50));
        assert_eq!(run(&file, &to_avif(Goal::Quality(50))).bytes, output.bytes);
    }
}

#[test]
fn better_qualities_are_larger_and_look_better() {
    for layout in [Layout::Rgb, Layout::Rgba, Layout::Grey] {
        let pixels = photo(48, 40, layout);
        let judge = Judge::new(&pixels);
        let mut encoder = AvifEncoder::new(pixels.clone(), None).unwrap();
        let mut last = (0, f64::MIN);
        for quality in [20, 100] {
            let encoded = encoder.encode(quality).unwrap();
            let now = (encoded.bytes.len(), judge.score(&encoder.shown(&encoded).unwrap()).unwrap());
            assert!(now > last && now.1 > last.1, "{layout:?} {quality}: {last:?} {now:?}");
            last = now;
        }
        assert!(last.1 > 85.0, "{layout:?}: {}", last.1);
    }
}

#[test]
fn what_is_shown_belongs_to_the_file_it_is_asked_for() {
    let pixels = photo(40, 40, Layout::Rgb);
    let mut encoder = AvifEncoder::new(pixels.clone(), None).unwrap();
    let good = encoder.encode(90).unwrap();
    let shown = encoder.shown(&good).unwrap();
    encoder.encode(10).unwrap();
    assert!(encoder.shown(&good).unwrap() == shown);
}

#[test]
fn byte_targets_and_scores_are_kept() {
    let file = pictures::png(&photo(64, 48, Layout::Rgb));
    for goal in [Goal::MaxBytes(1_000), Goal::TargetRatio(0.1)] {
        let limit = if let Goal::MaxBytes(limit) = goal { limit } else { file.len() as u64 / 10 };
        let output = run(&file, &to_avif(goal));
        assert!(output.receipt.target_met, "{:?}", output.receipt);
        assert!(
            output.bytes.len() as u64 <= limit && output.bytes.len() as u64 > limit * 3 / 4,
            "{:?}",
            output.receipt
        );
    }
    let missed = run(&file, &to_avif(Goal::MaxBytes(50)));
    assert!(!missed.receipt.target_met);
    let scored = run(&file, &to_avif(Goal::MinScore(90.0)));
    assert!(scored.receipt.target_met);
    assert!((90.0..96.0).contains(&scored.receipt.score.unwrap()), "{:?}", scored.receipt);
    let photo = pictures::jpeg(60, 40);
    let half = run(&photo, &to_avif(Goal::RelativeQuality(0.5)));
    assert!((40..=50).contains(&half.receipt.quality.unwrap()), "{:?}", half.receipt);
}

#[test]
fn alpha_is_kept_where_there_is_some() {
    let auxiliary = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
    let has_alpha = |file: &[u8]| memchr::memmem::find(file, auxiliary).is_some();
    let translucent = pictures::png(&photo(32, 32, Layout::Rgba));
    assert!(has_alpha(&run(&translucent, &to_avif(Goal::Quality(50))).bytes));
    let solid = Pixels::new(8, 8, Layout::Rgba, [10, 20, 30, 255].repeat(64)).unwrap();
    assert!(!has_alpha(&run(&pictures::png(&solid), &to_avif(Goal::Quality(50))).bytes));
    let pixels = photo(32, 32, Layout::Rgba);
    let mut encoder = AvifEncoder::new(pixels.clone(), None).unwrap();
    let encoded = encoder.encode(50).unwrap();
    let shown = encoder.shown(&encoded).unwrap();
    assert!(shown.data.iter().zip(&pixels.data).skip(3).step_by(4).all(|(a, b)| a.abs_diff(*b) < 24));
}

#[test]
fn any_size_can_be_written() {
    for (width, height) in [(1, 1), (1, 9), (15, 1), (65, 3), (1, 300)] {
        for layout in [Layout::Rgb, Layout::Rgba] {
            let file = pictures::png(&photo(width, height, layout));
            assert_eq!(size(&run(&file, &to_avif(Goal::Quality(90))).bytes), (width, height));
        }
    }
}

#[test]
fn pictures_are_upright_and_credited() {
    let file = pictures::jpeg_with_exif(120, 80, &exif::tests::located());
    let output = run(&file, &Settings { keep_copyright: true, ..to_avif(Goal::Quality(50)) });
    assert_eq!(size(&output.bytes), (80, 120));
    assert!(memchr::memmem::find(&output.bytes, b"(c) Jane.").is_some());
    assert!(find_box(&output.bytes, b"irot").is_none());
}

#[test]
fn what_would_take_too_long_is_refused_with_what_to_do() {
    let png =
        |side: u32| pictures::png(&Pixels::new(side, side, Layout::Grey, vec![9; (side * side) as usize]).unwrap());
    let refused = |file: &[u8], goal| {
        let settings = Settings { goal, format: Some(Format::Avif), ..Settings::default() };
        compress(file, &settings, &Limits::default()).unwrap_err().to_string()
    };
    assert!(refused(&png(3_700), Goal::Quality(50)).contains("maxWidth"));
    assert!(refused(&png(2_300), Goal::TargetRatio(0.5)).contains("maxWidth"));
}
