//! Any bytes through `compress`, with any goal, format and size: an output that is what it says it is, never larger than a
//! source whose format and size are kept, or an error.
//!
//! `cargo fuzz run compress fuzz/corpus/compress SEEDS`, with a folder of small images of every format for SEEDS.
#![no_main]

use std::sync::Once;
use std::time::Duration;

use halftone_compress::{Format, Goal, Limits, Outcome, Settings, compress, memory_needed, sniff};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits =
    Limits { max_pixels: 100_000, max_side: 2_000, max_memory: 1 << 30, max_time: Duration::from_secs(20) };
const GOALS: [Goal; 8] = [
    Goal::Quality(50),
    Goal::Quality(90),
    Goal::Lossless,
    Goal::RelativeQuality(0.5),
    Goal::TargetRatio(0.5),
    Goal::MaxBytes(1_000),
    Goal::MinScore(70.0),
    Goal::Quality(1),
];
const FORMATS: [Option<Format>; 4] = [None, Some(Format::Jpeg), Some(Format::Png), Some(Format::Webp)];

/// libFuzzer ends at any panic, also at one of a decoder that `compress` catches and calls a damaged image. One that leaves
/// the target still ends it.
static PANICS: Once = Once::new();

fn allow_caught_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.location().is_some_and(|location| location.file().contains("fuzz_targets")) {
            eprintln!("{panic}");
        }
    }));
}

fuzz_target!(|input: &[u8]| {
    PANICS.call_once(allow_caught_panics);
    // The last byte chooses the settings, so that an image with a byte appended is an input.
    let Some((&choice, file)) = input.split_last() else { return };
    let settings = Settings {
        goal: GOALS[usize::from(choice & 7)],
        format: FORMATS[usize::from(choice >> 3 & 3)],
        max_width: (choice & 32 != 0).then_some(20),
        keep_copyright: choice & 64 != 0,
        ..Settings::default()
    };
    if memory_needed(file, &settings, &LIMITS).is_err() {
        return;
    }
    let Ok(output) = compress(file, &settings, &LIMITS) else { return };
    assert_eq!(sniff(&output.bytes).ok(), Some(output.output.format));
    assert_eq!(sniff(file).ok(), Some(output.source.format));
    let is_foreign = matches!(output.source.format, Format::Tiff | Format::Bmp | Format::Ico);
    if settings.format.is_none() && settings.max_width.is_none() && !is_foreign {
        assert!(output.bytes.len() <= file.len());
        let may_change = output.source.format == Format::Avif && output.outcome == Outcome::Compressed;
        assert!(may_change || output.output.format == output.source.format);
    }
    if let Some(format) = settings.format
        && output.outcome == Outcome::Compressed
    {
        assert_eq!(output.output.format, format);
    }
    if settings.max_width.is_some() && output.outcome == Outcome::Compressed {
        // As stored: displayed upright, one of the two is the width.
        assert!(output.output.width.min(output.output.height) <= 20);
    }
    let read_again = compress(&output.bytes, &Settings::default(), &LIMITS);
    assert!(read_again.is_ok(), "{}", read_again.unwrap_err());
});
