//! The demo's photographs: none grows, all outputs open.

use std::path::Path;

use crate::tests::*;

/// Name and contents of each.
fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/photos");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() > 10);
    files
}

#[test]
fn real_files_shrink_or_stay_and_still_open() {
    for (name, file) in samples() {
        let started = std::time::Instant::now();
        let output = run(&file, &Settings::default());
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
    for (name, file) in samples() {
        let output = run(&file, &settings);
        let thumbnail = open(&output.bytes).to_rgb8();
        assert_eq!(thumbnail.width().max(thumbnail.height()), 96, "{name}");
        let source = open(&file);
        if source.color().has_alpha() {
            continue;
        }
        // The same colours on the whole.
        let mean = |picture: &image::RgbImage| {
            let sum: u64 = picture.as_raw().iter().map(|sample| u64::from(*sample)).sum();
            sum / picture.as_raw().len() as u64
        };
        assert!(mean(&thumbnail).abs_diff(mean(&source.to_rgb8())) < 4, "{name}");
    }
}
