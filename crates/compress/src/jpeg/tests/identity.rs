//! Identity: whatever is read is written again to the same pixels, seen through decoders that are not ours.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::jpeg::tests::BOTH;
use crate::jpeg::tests::fixtures::{TRUNCATED, photos, recipes};
use crate::jpeg::types::{Limits, Options};
use crate::jpeg::{decode, requantise};

/// Names of what the `image` crate upsamples in different ways, depending on how the same coefficients were delivered.
const IMAGE_IS_UNSURE_OF: [&str; 2] = ["rare sampling", "non_interleaved"];

/// Pixels by the `image` crate, or `None` where it does not know this kind.
fn pixels(jpeg: &[u8]) -> Option<(u32, u32, Vec<u8>)> {
    let picture = image::load_from_memory_with_format(jpeg, image::ImageFormat::Jpeg).ok()?;
    Some((picture.width(), picture.height(), picture.into_bytes()))
}

/// Pixels by libjpeg-turbo's `djpeg`, or `None` where it is not installed.
fn djpeg(jpeg: &[u8]) -> Option<Vec<u8>> {
    let mut child =
        Command::new("djpeg").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let bytes = jpeg.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().ok()?;
    let _ = feeder.join();
    assert!(output.status.success(), "djpeg refuses the file");
    Some(output.stdout)
}

fn assert_same_picture(name: &str, before: &[u8], after: &[u8], decoded: &mut [u32; 2]) {
    let sure = !IMAGE_IS_UNSURE_OF.iter().any(|unsure| name.contains(unsure));
    if let Some(expected) = pixels(before).filter(|_| sure) {
        assert!(pixels(after) == Some(expected), "{name}: other pixels by `image`");
        decoded[0] += 1;
    }
    if let Some(expected) = djpeg(before) {
        assert!(djpeg(after) == Some(expected), "{name}: other pixels by djpeg");
        decoded[1] += 1;
    }
}

fn assert_identity(name: &str, jpeg: &[u8], decoded: &mut [u32; 2]) {
    let limits = Limits::default();
    let source = decode(jpeg, &limits).unwrap_or_else(|error| panic!("{name}: {error}"));
    for options in BOTH {
        let lossless = source.lossless(&options);
        assert_same_picture(name, jpeg, &lossless.bytes, decoded);
        // All steps of the finest quality are 1, and so the source's win.
        assert_eq!(source.encode(100, &options), lossless, "{name}: quality 100 is not lossless");
        assert_eq!(
            requantise(jpeg, 100, &options, &limits).as_ref(),
            Ok(&lossless),
            "{name}: the streaming path differs"
        );
    }
}

#[test]
fn at_quality_100_every_kind_of_jpeg_keeps_its_pixels() {
    let mut decoded = [0; 2];
    let recipes = recipes();
    for recipe in &recipes {
        let name = format!("{}, progressive {}, restart {}", recipe.name, recipe.progressive, recipe.restart);
        assert_identity(&name, &recipe.make(), &mut decoded);
    }
    if decoded[1] == 0 {
        eprintln!("skipped: djpeg is not installed");
    }
    assert!(decoded[0] as usize > recipes.len(), "`image` decodes most kinds");
}

#[test]
fn at_quality_100_every_photo_keeps_its_pixels() {
    let mut decoded = [0; 2];
    for (name, jpeg) in photos() {
        if name == TRUNCATED {
            assert!(matches!(decode(&jpeg, &Limits::default()), Err(crate::jpeg::Error::Corrupt(_))));
        } else {
            assert_identity(&name, &jpeg, &mut decoded);
        }
    }
}

#[test]
fn requantising_twice_changes_nothing_more() {
    let made = recipes().into_iter().map(|recipe| (recipe.name.to_owned(), recipe.make(), &[30, 50, 82][..]));
    let real = photos().into_iter().map(|(name, jpeg)| (name, jpeg, &[50][..]));
    for (name, jpeg, qualities) in made.chain(real).filter(|(name, ..)| name != TRUNCATED) {
        for &quality in qualities {
            for options in BOTH {
                let once = requantise(&jpeg, quality, &options, &Limits::default()).expect("valid").bytes;
                let twice = requantise(&once, quality, &options, &Limits::default()).expect("valid").bytes;
                assert!(once == twice, "{name} at {quality}");
            }
        }
    }
}

#[test]
fn streaming_and_keeping_the_coefficients_give_the_same_bytes() {
    let made = recipes().into_iter().map(|recipe| (recipe.name.to_owned(), recipe.make(), &BOTH[..]));
    let real = photos().into_iter().map(|(name, jpeg)| (name, jpeg, &BOTH[..1]));
    for (name, jpeg, both) in made.chain(real).filter(|(name, ..)| name != TRUNCATED) {
        let source = decode(&jpeg, &Limits::default()).expect("valid");
        for quality in [1, 40, 75, 95] {
            for options in both {
                let streamed = requantise(&jpeg, quality, options, &Limits::default()).expect("valid");
                assert_eq!(source.encode(quality, options), streamed, "{name} at {quality}");
            }
        }
    }
}

#[test]
fn progressive_and_sequential_output_hold_the_same_picture() {
    for recipe in recipes() {
        let source_bytes = recipe.make();
        let source = decode(&source_bytes, &Limits::default()).expect("valid");
        let [sequential, progressive] = BOTH.map(|options| source.encode(40, &options).bytes);
        let again = decode(&progressive, &Limits::default()).expect("valid");
        assert!(again.header().progressive);
        let back = again.lossless(&Options::default()).bytes;
        let mut decoded = [0; 2];
        assert_same_picture(recipe.name, &sequential, &back, &mut decoded);
    }
}
