//! Each goal keeps its promise, or says that it could not.

use crate::decide::score::Judge;
use crate::header::probe;
use crate::picture::decode;
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

fn sources() -> [Vec<u8>; 3] {
    let pixels = photo(240, 180, Layout::Rgb);
    [pictures::jpeg(240, 180), pictures::png(&pixels), pictures::webp(&pixels, 95.0)]
}

#[test]
fn quality_orders_sizes() {
    for file in sources() {
        let mut last = usize::MAX;
        for quality in [80, 50, 20] {
            let output = run(&file, &with_goal(Goal::Quality(quality)));
            assert!(output.bytes.len() <= last, "{quality}");
            // A palette that would show is replaced by a larger one.
            if output.output.format == Format::Png {
                assert!(output.receipt.quality >= Some(quality));
            } else {
                assert_eq!(output.receipt.quality, Some(quality));
            }
            assert_eq!(output.receipt.encodes_tried, 1);
            last = output.bytes.len();
        }
    }
}

#[test]
fn the_best_quality_of_a_png_is_lossless() {
    // One that is smaller when it is packed thoroughly.
    let rings = |at: u32| {
        let (x, y) = (at % 400, at / 400);
        [x * y / 97, x * x / 131, y * y / 113].map(|level| level as u8)
    };
    let file = pictures::png(&Pixels::new(400, 300, Layout::Rgb, (0..400 * 300).flat_map(rings).collect()).unwrap());
    let [best, lossless] = [Goal::Quality(100), Goal::Lossless].map(|goal| run(&file, &with_goal(goal)).bytes);
    assert_eq!(best, lossless);
}

#[test]
fn a_computed_gradient_has_no_bands() {
    let pixel = |at: u32| {
        let (x, y) = (at % 600, at / 600);
        let is_text = (200..260).contains(&y) && x > 100 && x % 11 < 3;
        if is_text { [20, 20, 30] } else { [30 + (y / 4) as u8, 200 - (y / 3) as u8, 60 + (y / 2) as u8] }
    };
    let pixels = Pixels::new(600, 390, Layout::Rgb, (0..600 * 390).flat_map(pixel).collect()).unwrap();
    let file = pictures::png(&pixels);
    let output = run(&file, &with_goal(Goal::Quality(50)));
    let shown = Pixels { data: open(&output.bytes).to_rgb8().into_raw(), ..pixels.clone() };
    let score = Judge::new(&pixels).score(&shown).unwrap();
    assert!(score > 72.0, "{score} {:?}", output.receipt);
}

#[test]
fn a_target_ratio_is_the_best_that_fits() {
    for file in sources() {
        for share in [0.5, 0.25] {
            let output = run(&file, &with_goal(Goal::TargetRatio(share)));
            let limit = (file.len() as f64 * share) as usize;
            let format = output.output.format;
            assert!(output.receipt.target_met, "{format} {:?}", output.receipt);
            assert!(output.bytes.len() <= limit, "{format}");
            assert!(output.receipt.encodes_tried <= 12, "{:?}", output.receipt);
            let quality = output.receipt.quality.unwrap();
            if format != Format::Png && quality < 100 {
                let next = run(&file, &with_goal(Goal::Quality(quality + 1)));
                assert!(next.bytes.len() > limit, "{format} at {quality} of {limit}");
            }
        }
    }
}

#[test]
fn too_small_a_target_gives_the_floor_and_says_so() {
    for file in sources() {
        let output = run(&file, &with_goal(Goal::MaxBytes(50)));
        assert!(!output.receipt.target_met);
        assert_eq!(output.outcome, Outcome::Compressed);
        assert!(output.receipt.decision.contains("50 bytes"), "{:?}", output.receipt);
        open(&output.bytes);
    }
}

#[test]
fn a_source_that_fits_is_kept_but_still_examined() {
    for file in sources() {
        let goal = with_goal(Goal::MaxBytes(file.len() as u64));
        let output = run(&file, &goal);
        assert_eq!(output.outcome, Outcome::KeptOriginal);
        assert!(output.receipt.target_met);
        assert_eq!(output.bytes, file);
        let half = &file[..file.len() / 2];
        assert!(matches!(compress(half, &goal, &Limits::default()), Err(Error::Corrupt(_))));
        let under = run(&file, &with_goal(Goal::MaxBytes(file.len() as u64 / 2)));
        assert!(under.bytes.len() <= file.len() / 2);
    }
}

#[test]
fn relative_quality_follows_the_source() {
    let pixels = photo(240, 180, Layout::Rgb);
    let good = run(&pictures::webp(&pixels, 90.0), &with_goal(Goal::RelativeQuality(0.5))).receipt.quality;
    let poor = run(&pictures::webp(&pixels, 60.0), &with_goal(Goal::RelativeQuality(0.5))).receipt.quality;
    assert!((40..=50).contains(&good.unwrap()), "{good:?}");
    assert!((24..=36).contains(&poor.unwrap()), "{poor:?}");
    let file = pictures::jpeg(240, 180);
    let half = run(&file, &with_goal(Goal::RelativeQuality(0.5))).receipt.quality;
    assert!((44..=48).contains(&half.unwrap()), "{half:?}");
}

#[test]
fn lossless_keeps_every_pixel() {
    for file in sources() {
        let output = run(&file, &with_goal(Goal::Lossless));
        assert!(output.bytes.len() <= file.len());
        assert_eq!(output.receipt.quality, None);
        assert!(output.receipt.target_met);
        assert_eq!(open(&output.bytes), open(&file), "{}", output.output.format);
    }
    let lossless = pictures::webp_lossless(&photo(100, 80, Layout::Rgb));
    let output = run(&lossless, &with_goal(Goal::Lossless));
    assert_eq!(open(&output.bytes), open(&lossless));
}

#[test]
fn a_minimal_score_is_reached_with_little_to_spare() {
    for file in sources() {
        let output = run(&file, &with_goal(Goal::MinScore(70.0)));
        let score = output.receipt.score.unwrap();
        assert!(output.receipt.target_met);
        assert!(score >= 70.0);
        let probe = probe::probe(&file, output.source.format).unwrap();
        let judge = Judge::new(&decode::decode(&file, &probe).unwrap().pixels);
        let probe = probe::probe(&output.bytes, output.output.format).unwrap();
        let shown = decode::decode(&output.bytes, &probe).unwrap().pixels;
        assert_eq!(judge.score(&shown).unwrap(), score);
        let better = run(&file, &with_goal(Goal::MinScore(85.0)));
        assert!(better.bytes.len() >= output.bytes.len());
    }
}

#[test]
fn a_search_for_a_score_takes_few_encodes() {
    let mut tried = Vec::new();
    for file in sources() {
        for score in [50.0, 60.0, 70.0, 80.0, 88.0] {
            let output = run(&file, &with_goal(Goal::MinScore(score)));
            let receipt = output.receipt;
            // How good a palette will be is guessed before its file is written.
            let most = if output.source.format == Format::Png { 4 } else { 9 };
            assert!(receipt.encodes_tried <= most, "{score}: {receipt:?}");
            tried.push(receipt.encodes_tried);
        }
    }
    // Halving 91 qualities takes six or seven.
    assert!(tried.iter().sum::<u32>() < 6 * tried.len() as u32, "{tried:?}");
}

#[test]
fn a_large_picture_is_judged_whole() {
    let pixels = photo(1600, 1000, Layout::Rgb);
    let file = pictures::png(&pixels);
    let settings = Settings { format: Some(Format::Jpeg), ..with_goal(Goal::MinScore(60.0)) };
    let output = run(&file, &settings);
    let probe = probe::probe(&output.bytes, Format::Jpeg).unwrap();
    let shown = decode::decode(&output.bytes, &probe).unwrap().pixels;
    let slice = |pixels: &'_ Pixels| {
        let rgb = fast_ssim2::PixelDescriptor::RGB8_SRGB;
        fast_ssim2::PixelBuffer::from_vec(pixels.data.clone(), pixels.width, pixels.height, rgb).unwrap()
    };
    let whole = fast_ssim2::compute_ssimulacra2(&slice(&pixels).as_slice(), &slice(&shown).as_slice()).unwrap();
    let score = output.receipt.score.unwrap();
    assert!(output.receipt.target_met && score >= 60.0);
    assert!((whole - score).abs() < 1.0, "{whole} {score}");
    assert!(whole < 66.0, "not far more than asked: {whole}");
}
