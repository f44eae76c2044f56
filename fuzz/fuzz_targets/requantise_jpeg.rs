//! Any bytes through the JPEG requantiser: what it accepts it writes so that it reads it again, unchanged the second time,
//! the streaming way in and the way over a decoded file write the same, and its samples can be had at any size. What it repairs it
//! accepts afterwards.
//!
//! `cargo fuzz run requantise_jpeg fuzz/corpus/requantise_jpeg SEEDS`, with a folder of small JPEGs for SEEDS.
#![no_main]

use halftone_compress::jpeg::{Limits, Options, decode, header, repair, requantise, samples};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { max_pixels: 250_000, max_side: 4_000, max_scans: 40 };

fuzz_target!(|input: &[u8]| {
    // The last byte chooses the quality and the kind of output, so that a JPEG with a byte appended is an input.
    let Some((&choice, file)) = input.split_last() else { return };
    let quality = choice % 100 + 1;
    let options = Options { progressive: choice >= 128, keep_copyright: choice % 2 == 0 };
    let Ok(source) = decode(file, &LIMITS) else {
        assert!(requantise(file, quality, &options, &LIMITS).is_err());
        assert!(samples(file, &LIMITS, &[8; 4]).is_err());
        if let Ok(repaired) = repair(file, &LIMITS) {
            assert!(!repaired.warnings.is_empty());
            assert_eq!(decode(&repaired.bytes, &LIMITS).map(|source| source.header().clone()), header(file));
        }
        return;
    };
    assert_eq!(header(file).as_ref(), Ok(source.header()));
    assert!((1..=100).contains(&source.estimated_quality()));

    let eighths = usize::from(choice % 8) + 1;
    let planes = samples(file, &LIMITS, &[eighths; 4]).expect("it was decoded");
    assert_eq!(planes.len(), usize::from(source.header().components));
    for (plane, component) in planes.iter().zip(0..) {
        let (width, height) = source.header().extent(component);
        let covers = |samples: u32, extent: f64| f64::from(samples) * 8.0 >= extent * eighths as f64;
        assert!(covers(plane.width, width) && covers(plane.height, height));
        assert_eq!(plane.data.len(), plane.width as usize * plane.height as usize);
    }

    let once = source.encode(quality, &options).bytes;
    if !options.progressive {
        let streamed = requantise(file, quality, &options, &LIMITS).expect("it was decoded");
        assert_eq!(streamed.bytes, once);
        // Exact but for the zeros stuffed behind FF bytes.
        let size = source.size_at(quality);
        assert!(size <= once.len() + 4_096, "{size} was promised, {} written", once.len());
    }
    let twice = requantise(&once, quality, &options, &LIMITS).expect("it was written by this encoder");
    assert_eq!(twice.bytes, once);
});
