//! Metadata: what is kept, what is dropped, and what is said about it.

use crate::jpeg::tests::fixtures::{recipes, with_segments};
use crate::jpeg::tests::requantise;
use crate::jpeg::types::{Colour, Limits, Options};
use crate::jpeg::{header, requantise as requantise_with};

const EXIF_6_WITH_GPS_AND_ARTIST: &[u8] = b"Exif\0\0II\x2A\0\x08\0\0\0\x03\0\
    \x12\x01\x03\0\x01\0\0\0\x06\0\0\0\
    \x3B\x01\x02\0\x04\0\0\0Ada\0\
    \x25\x88\x04\0\x01\0\0\0\x00\x01\0\0\
    \0\0\0\0";

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

fn plain() -> Vec<u8> {
    recipes().remove(2).make()
}

#[test]
fn orientation_and_profile_stay_and_the_rest_goes() {
    let icc = [&b"ICC_PROFILE\0\x01\x01"[..], &[9; 300]].concat();
    let jpeg = with_segments(
        &plain(),
        &[(0xE1, EXIF_6_WITH_GPS_AND_ARTIST), (0xE2, &icc), (0xFE, b"a comment"), (0xED, b"Photoshop 3.0\0")],
    );
    let encoded = requantise(&jpeg, 50);
    let header = header(&encoded.bytes).expect("valid");
    assert_eq!((header.orientation, header.has_icc), (6, true));
    assert!(contains(&encoded.bytes, &icc));
    for gone in [&b"a comment"[..], b"Photoshop", b"Ada", &[0x25, 0x88]] {
        assert!(!contains(&encoded.bytes[..400], gone));
    }
    assert_eq!(encoded.warnings, Vec::<String>::new());
}

#[test]
fn the_artist_stays_on_request() {
    let jpeg = with_segments(&plain(), &[(0xE1, EXIF_6_WITH_GPS_AND_ARTIST)]);
    let options = Options { keep_copyright: true, ..Options::default() };
    let encoded = requantise_with(&jpeg, 50, &options, &Limits::default()).expect("valid");
    assert!(contains(&encoded.bytes, b"Ada\0"));
}

#[test]
fn the_density_stays() {
    let mut jpeg = plain();
    assert_eq!(&jpeg[6..11], b"JFIF\0");
    jpeg[13..18].copy_from_slice(&[1, 0x01, 0x2C, 0x01, 0x2C]);
    assert_eq!(requantise(&jpeg, 50).bytes[..20], jpeg[..20]);
}

#[test]
fn lost_pictures_are_mentioned() {
    let several = with_segments(&plain(), &[(0xE2, b"MPF\0II\x2A\0")]);
    assert!(requantise(&several, 50).warnings[0].contains("more than one picture"));
    let gain_map = with_segments(&several, &[(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0")]);
    assert!(requantise(&gain_map, 50).warnings[0].contains("gain map"));
}

#[test]
fn the_colour_model_is_the_same_before_and_after() {
    let adobe = |transform: u8| [&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat();
    for (recipe, expected) in recipes().into_iter().filter_map(|recipe| match recipe.name {
        "grey" => Some((recipe, Colour::Grey)),
        "CMYK" => Some((recipe, Colour::Cmyk)),
        "YCCK" => Some((recipe, Colour::Ycck)),
        "larger" => Some((recipe, Colour::YCbCr)),
        _ => None,
    }) {
        let jpeg = recipe.make();
        assert_eq!(header(&jpeg).map(|h| h.colour), Ok(expected), "{}", recipe.name);
        assert_eq!(header(&requantise(&jpeg, 50).bytes).map(|h| h.colour), Ok(expected), "{}", recipe.name);
    }
    // Without JFIF, Adobe's transform decides.
    let plain = plain();
    let bare = [&plain[..2], &plain[20..]].concat();
    for (transform, expected) in [(0, Colour::Rgb), (1, Colour::YCbCr)] {
        let jpeg = with_segments(&bare, &[(0xEE, &adobe(transform))]);
        assert_eq!(header(&requantise(&jpeg, 50).bytes).map(|h| h.colour), Ok(expected));
    }
}
