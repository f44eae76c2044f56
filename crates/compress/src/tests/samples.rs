//! Real files, where they are at hand: right ones accepted, wrong ones refused, none grows, all outputs open.

use std::path::Path;

use crate::tests::*;

/// Name and contents of every sample; empty when the folder is missing.
fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images");
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "tsv"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn real_files_shrink_or_stay_and_still_open() {
    for (name, file) in samples() {
        let started = std::time::Instant::now();
        let result = compress(&file, &Settings::default(), &Limits::default());
        if name.starts_with("truncated") {
            assert!(matches!(result, Err(Error::Corrupt(_))), "{name}: {result:?}");
            continue;
        }
        if name.ends_with(".avif") {
            assert!(matches!(result, Err(Error::UnsupportedFormat { .. })), "{name}");
            continue;
        }
        let output = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        println!(
            "{name}: {:?} {} → {} ({:.2}) in {:?}: {}",
            output.outcome,
            file.len(),
            output.bytes.len(),
            output.bytes.len() as f64 / file.len() as f64,
            started.elapsed(),
            output.receipt.decision,
        );
        assert!(output.bytes.len() <= file.len(), "{name} grew");
        let opened = open(&output.bytes);
        assert_eq!((opened.width(), opened.height()), (output.output.width, output.output.height), "{name}");
        let source = open(&file);
        assert_eq!((source.width(), source.height()), (output.source.width, output.source.height), "{name}");
        assert_eq!(output.output.format, output.source.format);
        if output.outcome == Outcome::Compressed {
            assert!(output.bytes.len() * 100 <= file.len() * 99, "{name}");
        }
    }
}

#[test]
fn real_files_become_thumbnails_of_the_same_picture() {
    let settings = Settings {
        format: Some(Format::Webp),
        max_width: Some(96),
        max_height: Some(96),
        goal: Goal::Quality(90),
        ..Settings::default()
    };
    let mut same_flower = Vec::new();
    for (name, file) in samples() {
        let Ok(output) = compress(&file, &settings, &Limits::default()) else {
            assert!(name.starts_with("truncated") || name.ends_with(".avif"), "{name}");
            continue;
        };
        if output.outcome == Outcome::KeptOriginal {
            assert!(name.starts_with("animated") || name.starts_with("rotating"), "{name}");
            continue;
        }
        let thumbnail = open(&output.bytes).to_rgb8();
        assert!(thumbnail.width() <= 96 && thumbnail.height() <= 96, "{name}");
        if name.starts_with("jxl_flower_small") {
            same_flower.push(thumbnail);
        }
    }
    // One photo stored as inks, and with a scan for each component: both must look alike.
    if let [a, b] = &same_flower[..] {
        let off: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(off / (a.as_raw().len() as u64) < 8, "{off}");
    }
}
