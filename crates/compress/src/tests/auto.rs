//! A format is chosen for each image.

use crate::decide::score::Judge;
use crate::header::probe;
use crate::picture::decode;
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

fn auto(goal: Goal) -> Settings {
    Settings { auto_format: true, ..with_goal(goal) }
}

fn formats(output: &Compressed) -> Vec<Format> {
    let mut formats: Vec<Format> = output.receipt.alternatives.iter().map(|other| other.format).collect();
    formats.push(output.output.format);
    formats.sort_by_key(|format| format.name());
    formats
}

fn pixels(bytes: &[u8]) -> Pixels {
    let probe = probe::probe(bytes, sniff(bytes).unwrap()).unwrap();
    decode::decode(bytes, &probe).unwrap().pixels
}

#[test]
fn the_smallest_of_files_that_look_the_same_is_written() {
    let photo = photo(240, 180, Layout::Rgb);
    for (source, expected) in [
        (pictures::png(&photo), vec![Format::Jpeg, Format::Png, Format::Webp]),
        (pictures::webp_lossless(&photo), vec![Format::Jpeg, Format::Webp]),
        (pictures::jpeg(240, 180), vec![Format::Jpeg, Format::Webp]),
        (pictures::written(&photo, image::ImageFormat::Bmp), vec![Format::Jpeg, Format::Webp]),
    ] {
        let settings = auto(Goal::Quality(50));
        let output = run(&source, &settings);
        let size = output.bytes.len() as u64;
        assert_eq!(formats(&output), expected, "{:?}", output.receipt);
        assert_eq!(sniff(&output.bytes).unwrap(), output.output.format);
        assert!(output.receipt.alternatives.iter().all(|other| other.bytes >= size), "{:?}", output.receipt);
        assert!(output.receipt.decision.contains("; at the same score "), "{:?}", output.receipt);
        assert!(output.receipt.encodes_tried <= 4);
        let judge = Judge::new(&pixels(&source));
        let own = run(&source, &with_goal(Goal::Quality(50)));
        let [chosen, own] = [&output.bytes, &own.bytes].map(|bytes| judge.score(&pixels(bytes)).unwrap());
        assert!(chosen > own.min(70.0) - 4.0, "{expected:?}: {chosen} {own}");
        assert_eq!(run(&source, &settings), output);
    }
}

#[test]
fn what_is_transparent_does_not_become_a_jpeg() {
    let source = pictures::png(&photo(160, 120, Layout::Rgba));
    let output = run(&source, &auto(Goal::Quality(50)));
    assert_eq!(formats(&output), [Format::Png, Format::Webp]);
    assert!(open(&output.bytes).into_rgba8().pixels().any(|pixel| pixel[3] < 128));
}

#[test]
fn a_source_that_is_the_smallest_stays() {
    let dot = pictures::png(&Pixels::new(1, 1, Layout::Grey, vec![9]).unwrap());
    let output = run(&dot, &auto(Goal::Quality(50)));
    assert!(output.bytes.len() <= dot.len());
    let small = run(&pictures::jpeg(240, 180), &with_goal(Goal::Quality(20))).bytes.into_owned();
    let output = run(&small, &auto(Goal::MaxBytes(small.len() as u64)));
    assert_eq!((output.outcome, &output.bytes[..]), (Outcome::KeptOriginal, &small[..]));
}

#[test]
fn goals_are_met_in_the_format_that_is_chosen() {
    let source = pictures::png(&photo(240, 180, Layout::Rgb));
    let output = run(&source, &auto(Goal::TargetRatio(0.05)));
    assert!(output.receipt.target_met && output.bytes.len() <= source.len() / 20, "{:?}", output.receipt);
    assert!(output.output.format != Format::Png);
    let judge = Judge::new(&pixels(&source));
    let output = run(&source, &auto(Goal::MinScore(80.0)));
    assert!(judge.score(&pixels(&output.bytes)).unwrap() >= 80.0);
    let own = run(&source, &with_goal(Goal::MinScore(80.0)));
    assert!(output.bytes.len() <= own.bytes.len());
    let output = run(&source, &auto(Goal::Lossless));
    assert_eq!(formats(&output), [Format::Png, Format::Webp]);
    assert_eq!(open(&output.bytes), open(&source));
}

#[test]
fn an_animation_stays_one() {
    let source = pictures::gif(4);
    let output = run(&source, &auto(Goal::Quality(50)));
    assert_eq!(formats(&output), [Format::Gif, Format::Webp]);
    assert_eq!(probe::probe(&output.bytes, output.output.format).unwrap().frames, 4);
}

#[cfg(feature = "avif")]
#[test]
fn avif_is_tried_where_it_is_allowed() {
    let source = pictures::png(&photo(64, 48, Layout::Rgb));
    let settings = Settings { allow_avif: true, ..auto(Goal::Quality(50)) };
    assert_eq!(formats(&run(&source, &settings)), [Format::Avif, Format::Jpeg, Format::Png, Format::Webp]);
}
