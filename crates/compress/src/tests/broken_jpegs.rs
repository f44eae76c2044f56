//! JPEGs that break a rule and are shown by every browser: accepted with a warning, and shown as libjpeg shows them.

use crate::picture::pixels::Layout;
use crate::tests::pictures::photo;
use crate::tests::*;

const WIDTH: u16 = 96;
const HEIGHT: u16 = 64;

/// A grey JPEG with a restart after each row of blocks.
fn restarting(progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 92);
    encoder.set_progressive(progressive);
    encoder.set_restart_interval(WIDTH / 8);
    let pixels = photo(WIDTH.into(), HEIGHT.into(), Layout::Grey);
    encoder.encode(&pixels.data, WIDTH, HEIGHT, jpeg_encoder::ColorType::Luma).unwrap();
    file
}

/// Where the restart markers are.
fn restarts(file: &[u8]) -> Vec<usize> {
    let scan = memchr::memmem::find(file, b"\xff\xda").unwrap();
    let is_restart = |at: &usize| file[*at] == 0xff && file.get(at + 1).is_some_and(|code| (0xd0..0xd8).contains(code));
    (scan..file.len()).filter(is_restart).collect()
}

/// What is shown, after it was written without loss.
fn shown(file: &[u8]) -> Vec<u8> {
    open(&run(file, &Settings { format: Some(Format::Png), ..with_goal(Goal::Lossless) }).bytes).to_luma8().into_raw()
}

fn row(picture: &[u8], row: usize) -> &[u8] {
    let size = usize::from(WIDTH) * 8;
    &picture[row * size..][..size]
}

/// Every way through the crate takes the file and says what is wrong with it.
fn accepted(file: &[u8], warning: &str) {
    let ways = [
        with_goal(Goal::Quality(50)),
        with_goal(Goal::Lossless),
        with_goal(Goal::TargetRatio(0.5)),
        Settings { format: Some(Format::Webp), ..Settings::default() },
        Settings { max_width: Some(20), ..Settings::default() },
    ];
    for settings in ways {
        let out = run(file, &settings);
        assert!(out.warnings.iter().any(|text| text.starts_with(warning)), "{settings:?} {:?}", out.warnings);
        assert!(out.bytes.len() <= file.len());
        assert!(run(&out.bytes, &Settings::default()).warnings.is_empty() || out.outcome == Outcome::KeptOriginal);
    }
}

#[test]
fn a_lost_restart_marker_costs_its_interval() {
    for progressive in [false, true] {
        let file = restarting(progressive);
        let whole = shown(&file);
        // Of a progressive file in its first scan: there each row loses its mean.
        for at in [0, 3, 6] {
            let mut lost = file.clone();
            lost.drain(restarts(&file)[at]..restarts(&file)[at] + 2);
            accepted(&lost, "Restart markers of the JPEG");
            let picture = shown(&lost);
            for other in 0..8 {
                let is_same = row(&picture, other) == row(&whole, other);
                assert_eq!(is_same, other != at + 1, "{at} {other} {progressive}");
            }
            assert!(progressive || row(&picture, at + 1).iter().all(|sample| *sample == 128));
        }
    }
}

#[test]
fn a_misnumbered_restart_marker_is_understood_as_libjpeg_does() {
    let file = restarting(false);
    let whole = shown(&file);
    let marker = restarts(&file)[2];
    let numbered = |number: u8| {
        let mut file = file.clone();
        file[marker + 1] = 0xd0 + number;
        accepted(&file, "Restart markers of the JPEG");
        shown(&file)
    };
    // Taken for the next: its row is one too low, and the row between is lost.
    let picture = numbered(3);
    assert!(row(&picture, 3).iter().all(|sample| *sample == 128));
    assert_eq!(row(&picture, 4), row(&whole, 3));
    assert_eq!(row(&picture, 5), row(&whole, 5));
    // Taken for one of before, and passed over with its row.
    let picture = numbered(1);
    assert!(row(&picture, 3).iter().all(|sample| *sample == 128));
    assert_eq!(row(&picture, 4), row(&whole, 4));
    // Too far away to mean anything.
    assert!(numbered(6) == whole);
}

#[test]
fn what_was_cut_off_is_not_a_lost_marker() {
    let file = restarting(false);
    let markers = restarts(&file);
    let refused = |bytes: &[u8]| {
        assert!(matches!(compress(bytes, &Settings::default(), &Limits::default()), Err(Error::Corrupt(_))));
    };
    for at in [markers[0], markers[4], markers[4] + 2, markers[6], markers[6] + 9] {
        refused(&[&file[..at], b"\xff\xd9"].concat());
        refused(&file[..at]);
    }
    let mut without = file.clone();
    markers.iter().rev().for_each(|at| drop(without.drain(*at..at + 2)));
    refused(&without);
}

#[test]
fn a_step_of_zero_leaves_nothing_of_its_coefficients() {
    for progressive in [false, true] {
        let mut file = restarting(progressive);
        let table = memchr::memmem::find(&file, b"\xff\xdb").unwrap() + 5;
        file[table + 1..table + 64].fill(0);
        accepted(&file, "The JPEG has a quantisation step of zero.");
        let picture = shown(&file);
        let width = usize::from(WIDTH);
        assert!((0..picture.len()).all(|at| picture[at] == picture[at / (8 * width) * 8 * width + at % width / 8 * 8]));
        assert!(picture[0] != picture[picture.len() - 1]);
    }
}

#[test]
fn ac_before_dc_shows_the_same_picture() {
    let file = restarting(true);
    let starts: Vec<usize> = memchr::memmem::find_iter(&file, b"\xff\xda").collect();
    // The scans are behind the tables that each needs.
    let scan = |at: usize| {
        let end = starts.get(at + 1).map_or(file.len() - 2, |next| {
            memchr::memmem::rfind(&file[..*next], b"\xff\xc4").filter(|table| *table > starts[at]).unwrap_or(*next)
        });
        let start = memchr::memmem::rfind(&file[..starts[at]], b"\xff\xc4").filter(|t| at > 0 && *t > starts[at - 1]);
        &file[start.unwrap_or(starts[at])..end]
    };
    let head = &file[..starts[0]];
    let late = [head, scan(1), scan(0)].into_iter().chain((2..starts.len()).map(scan)).chain([&b"\xff\xd9"[..]]);
    let late = late.collect::<Vec<_>>().concat();
    assert_eq!(late.len(), file.len());
    accepted(&late, "The scans of the JPEG are out of order.");
    assert!(shown(&late) == shown(&file));
}
