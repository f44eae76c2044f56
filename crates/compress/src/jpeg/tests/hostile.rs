//! Hostile and damaged input: always an answer, never a panic, never much time or memory.

use std::time::{Duration, Instant};

use crate::jpeg::tests::BOTH;
use crate::jpeg::tests::fixtures::{Random, Recipe, recipes};
use crate::jpeg::types::{Limits, Options};
use crate::jpeg::{Error, decode, header, repair, requantise};

const LIMITS: Limits = Limits { max_pixels: 1_000_000, max_side: 10_000, max_scans: 50 };

/// Runs everything there is on some bytes.
fn exercise(bytes: &[u8]) -> bool {
    let _ = header(bytes);
    let streamed = requantise(bytes, 50, &Options::default(), &LIMITS);
    let Ok(source) = decode(bytes, &LIMITS) else {
        assert!(streamed.is_err());
        if let Ok(repaired) = repair(bytes, &LIMITS) {
            assert!(!repaired.warnings.is_empty());
            decode(&repaired.bytes, &LIMITS).expect("what is repaired can be read");
        }
        return false;
    };
    source.estimated_quality();
    source.size_at(70);
    for options in BOTH {
        let written = source.encode(30, &options).bytes;
        decode(&written, &LIMITS).expect("what is written can be read");
    }
    true
}

fn small(recipe: &Recipe) -> bool {
    recipe.size.0 <= 75
}

#[test]
fn damaged_bytes_never_panic() {
    let start = Instant::now();
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let fixtures: Vec<Vec<u8>> = recipes().iter().filter(|recipe| small(recipe)).map(Recipe::make).collect();
    let (mut tries, mut accepted) = (0, 0);
    while tries < 4000 && start.elapsed() < Duration::from_secs(20) {
        let mut bytes = fixtures[random.below(fixtures.len())].clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            match random.below(6) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.next() as u8,
                2 => bytes[at] = 0xFF,
                3 => bytes.truncate(at + 1),
                4 => drop(bytes.remove(at)),
                _ => {
                    let from = random.below(bytes.len());
                    bytes[at] = bytes[from];
                }
            }
            if bytes.is_empty() {
                bytes.push(0xFF);
            }
        }
        accepted += u32::from(exercise(&bytes));
        tries += 1;
    }
    assert!(tries > 300, "only {tries} tries in {:?}", start.elapsed());
    assert!(accepted > 0, "some damage goes unnoticed: otherwise the encoders were not exercised");
}

#[test]
fn damaged_headers_never_panic() {
    // Most of a file is image data: this one aims at what comes before.
    let mut random = Random(99);
    for recipe in recipes().iter().filter(|recipe| small(recipe)) {
        let bytes = recipe.make();
        let data = memchr::memmem::find(&bytes, &[0xFF, 0xDA]).expect("a scan") + 14;
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            damaged[random.below(data)] = [0, 1, 0x11, 0x44, 0x7F, 0xFF][random.below(6)];
            exercise(&damaged);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for recipe in recipes().iter().filter(|recipe| recipe.name == "usual sampling" && recipe.restart != 1) {
        let bytes = recipe.make();
        for len in 0..bytes.len() {
            let result = requantise(&bytes[..len], 50, &Options::default(), &LIMITS);
            assert!(matches!(result, Err(Error::Corrupt(_))), "{len} of {} bytes: {result:?}", bytes.len());
        }
    }
}

#[test]
fn a_number_of_lines_behind_the_image_changes_nothing() {
    let bytes = recipes()[0].make();
    let (image, end) = bytes.split_at(bytes.len() - 2);
    let redundant = [image, b"\xFF\xDC\0\x04\0\x20", end].concat();
    let requantise = |bytes: &[u8]| requantise(bytes, 50, &Options::default(), &LIMITS).unwrap();
    assert_eq!(requantise(&redundant), requantise(&bytes));
}

#[test]
fn bytes_after_the_end_do_not_matter() {
    let bytes = recipes()[0].make();
    let more = [&bytes[..], b"\xFF\xD8 another picture"].concat();
    let limits = Limits::default();
    let options = Options::default();
    assert_eq!(requantise(&more, 50, &options, &limits), requantise(&bytes, 50, &options, &limits));
}

#[test]
fn announced_sizes_are_checked_before_memory_is_spent() {
    for progressive in [false, true] {
        let recipe =
            recipes().into_iter().find(|recipe| recipe.progressive == progressive && recipe.name == "usual sampling");
        let mut bytes = recipe.expect("a fixture").make();
        let frame = memchr::memmem::find(&bytes, &[0xFF, if progressive { 0xC2 } else { 0xC0 }]).expect("a frame");
        bytes[frame + 5..frame + 9].fill(0xFF);
        let generous = Limits { max_pixels: u64::MAX, max_side: 65_535, max_scans: 10 };
        let start = Instant::now();
        let refused = decode(&bytes, &LIMITS).err();
        assert!(matches!(refused, Some(Error::TooManyPixels { width: 65_535, height: 65_535, .. })));
        assert!(matches!(decode(&bytes, &generous).err(), Some(Error::Corrupt(_))));
        assert!(start.elapsed() < Duration::from_millis(200));
    }
}

#[test]
fn scans_are_counted() {
    let recipe = recipes().into_iter().find(|recipe| recipe.progressive).expect("a fixture");
    let limits = Limits { max_scans: 2, ..LIMITS };
    assert_eq!(decode(&recipe.make(), &limits).err(), Some(Error::TooManyScans { limit: 2 }));
}

#[test]
fn what_is_not_supported_is_said() {
    let bytes = recipes()[2].make();
    let frame = memchr::memmem::find(&bytes, &[0xFF, 0xC0]).expect("a frame");
    for (marker, word) in [(0xC3, "lossless"), (0xC9, "arithmetic"), (0xC5, "hierarchical"), (0xCA, "arithmetic")] {
        let mut other = bytes.clone();
        other[frame + 1] = marker;
        let error = decode(&other, &LIMITS).err().expect("refused");
        assert!(matches!(error, Error::Unsupported(reason) if reason.contains(word)), "{error}");
    }
    let mut twelve_bits = bytes.clone();
    twelve_bits[frame + 4] = 12;
    assert!(matches!(header(&twelve_bits), Err(Error::Unsupported(_))));
    assert!(matches!(header(b"\x89PNG\r\n"), Err(Error::Corrupt(_))));
    assert!(matches!(header(b""), Err(Error::Corrupt(_))));
}

#[test]
fn missing_huffman_tables_mean_the_standard_ones() {
    // The fixtures' encoder uses annex K's tables unless asked otherwise: without them nothing must change.
    let bytes = recipes()[2].make();
    let mut without = Vec::new();
    let mut at = 2;
    without.extend_from_slice(&bytes[..2]);
    while bytes[at + 1] != 0xDA {
        let len = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] != 0xC4 {
            without.extend_from_slice(&bytes[at..at + len]);
        }
        at += len;
    }
    without.extend_from_slice(&bytes[at..]);
    assert!(without.len() < bytes.len());
    let options = Options::default();
    assert_eq!(requantise(&without, 50, &options, &LIMITS), requantise(&bytes, 50, &options, &LIMITS));
}
