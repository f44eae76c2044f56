//! What is no image, not ours, too large or damaged is refused, each by its own error.

use crate::container::png;
use crate::picture::pixels::Layout;
use crate::tests::pictures;
use crate::tests::*;

fn refusal(bytes: &[u8]) -> Error {
    compress(bytes, &Settings::default(), &Limits::default()).unwrap_err()
}

#[test]
fn each_kind_of_wrong_file_has_its_own_error() {
    assert_eq!(refusal(b""), Error::NotAnImage);
    assert_eq!(refusal(b"just words"), Error::NotAnImage);
    assert_eq!(refusal(b"<!doctype html><title>Sign in</title>"), Error::HtmlPage);
    assert!(matches!(
        refusal(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        Error::UnsupportedFormat { format, .. } if format == "SVG"
    ));
    assert!(matches!(
        refusal(b"%PDF-1.4"),
        Error::UnsupportedFormat { format, .. } if format == "PDF"
    ));
    let avif = refusal(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf");
    match Format::Avif.is_readable() {
        true => assert!(matches!(avif, Error::Corrupt(_)), "{avif:?}"),
        false => assert!(matches!(avif, Error::UnsupportedFormat { format, .. } if format == "AVIF")),
    }
}

#[test]
fn a_palette_that_ends_in_the_middle_of_a_colour_is_corrupt() {
    let mut file = png::SIGNATURE.to_vec();
    png::write(&mut file, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
    png::write(&mut file, b"PLTE", &[0; 100]);
    assert!(matches!(refusal(&file), Error::Corrupt(_)));
}

#[test]
fn every_truncation_is_corrupt() {
    let photo = pictures::photo(96, 64, Layout::Rgb);
    for (name, file) in [
        ("jpeg", pictures::jpeg(96, 64)),
        ("png", pictures::png(&photo)),
        ("webp", pictures::webp(&photo, 90.0)),
        ("lossless webp", pictures::webp_lossless(&photo)),
        ("animated webp", pictures::webp_animation()),
        ("gif", pictures::gif(3)),
    ] {
        assert!(compress(&file, &Settings::default(), &Limits::default()).is_ok(), "{name}");
        for cut in [file.len() / 4, file.len() / 2, file.len() - 20, file.len() - 2] {
            for settings in [Settings::default(), Settings { max_width: Some(10), ..Settings::default() }] {
                let result = compress(&file[..cut], &settings, &Limits::default());
                assert!(matches!(result, Err(Error::Corrupt(_))), "{name} cut at {cut} of {}: {result:?}", file.len());
            }
        }
    }
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    let limits = Limits { max_pixels: 5_000, max_side: 100, ..Limits::default() };
    let photo = pictures::photo(96, 64, Layout::Rgb);
    for file in [
        pictures::jpeg(96, 64),
        pictures::png(&photo),
        pictures::webp(&photo, 90.0),
        pictures::jpeg(104, 8),
        // 24 × 16 × 300 frames: more than twenty times as many pixels.
        pictures::gif(300),
    ] {
        let result = compress(&file, &Settings::default(), &limits);
        assert!(matches!(result, Err(Error::TooManyPixels { .. })), "{result:?}");
    }
    // A header that promises 16,000 × 16,000 pixels in a hundred bytes.
    let mut bomb = png::SIGNATURE.to_vec();
    png::write(&mut bomb, b"IHDR", &[0, 0, 0x3e, 0x80, 0, 0, 0x3e, 0x80, 8, 6, 0, 0, 0]);
    png::write(&mut bomb, b"IEND", b"");
    assert!(matches!(refusal(&bomb), Error::TooManyPixels { .. }));
}

#[test]
fn bad_settings_are_refused_with_all_their_faults() {
    let settings = Settings { goal: Goal::Quality(0), format: Some(Format::Gif), ..Settings::default() };
    let file = pictures::jpeg(16, 16);
    let result = compress(&file, &settings, &Limits::default());
    assert!(matches!(result, Err(Error::Failed(why)) if why.contains("quality") && why.contains("GIF")));
}
