//! What a hostile or an unreasonable file may cost: bytes unpacked, time, memory.

use std::io::Write as _;
use std::time::Duration;

use crate::container::inflate::tests::UNPACKED;
use crate::container::png;
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(data).unwrap();
    packer.finish().unwrap()
}

/// A small PNG with two thousand chunks that unpack to a megabyte or more each.
fn png_of_bombs() -> Vec<u8> {
    let file = pictures::png(&photo(16, 16, Layout::Rgb));
    let spaces = zlib(&vec![b' '; (1 << 20) - 1]);
    let text = |keyword: &[u8]| (*b"zTXt", [keyword, &[0, 0], &spaces].concat());
    let profile = (*b"iCCP", [b"profile\0\0", &zlib(&vec![0; 4 << 20])[..]].concat());
    let kinds = [text(b"Raw profile type exif"), text(b"Raw profile type xmp"), text(b"Author"), profile];
    let bombs: Vec<_> = (0..500).flat_map(|_| kinds.clone()).collect();
    png::rewrite(&file, &png::chunks(&file).unwrap(), |_| false, &bombs)
}

#[test]
fn metadata_is_unpacked_within_bounds() {
    let file = png_of_bombs();
    for settings in [
        Settings::default(),
        Settings { keep_copyright: true, ..Settings::default() },
        with_goal(Goal::Lossless),
        // Kept, without its location.
        with_goal(Goal::MaxBytes(file.len() as u64)),
        Settings { format: Some(Format::Webp), keep_copyright: true, ..Settings::default() },
    ] {
        UNPACKED.set(0);
        memory_needed(&file, &settings, &Limits::default()).unwrap();
        run(&file, &settings);
        let unpacked = UNPACKED.get() >> 20;
        assert!((1..100).contains(&unpacked), "{settings:?}: {unpacked} MiB");
    }
}

#[test]
fn blocks_of_exif_that_overlap_are_erased_within_bounds() {
    let block = b"\xff\xe1\xff\xffExif\0\0MM\0*";
    let jpeg = pictures::jpeg(64, 64);
    let file = [&jpeg[..], &block.repeat(100_000)].concat();
    let kept = run(&file, &with_goal(Goal::MaxBytes(file.len() as u64)));
    assert_eq!(kept.bytes.len(), file.len());
    assert_eq!(memchr::memmem::find_iter(&kept.bytes, b"Exif\0\0").count(), 64);
}

#[test]
fn a_png_of_very_many_chunks_is_refused() {
    let file = pictures::png(&photo(16, 16, Layout::Rgb));
    let empty = vec![(*b"teXt", Vec::new()); 200_000];
    let file = png::rewrite(&file, &png::chunks(&file).unwrap(), |_| false, &empty);
    let error = compress(&file, &Settings::default(), &Limits::default()).unwrap_err();
    assert_eq!(error, Error::corrupt("the PNG has too many chunks"));
}

#[test]
fn whatever_repeats_work_looks_at_the_time() {
    let pixels = photo(64, 48, Layout::Rgb);
    let large = Pixels::new(4_000, 3_000, Layout::Grey, vec![7; 12_000_000]).unwrap();
    let limits = Limits { max_time: Duration::ZERO, ..Limits::default() };
    let webp = Settings { format: Some(Format::Webp), ..Settings::default() };
    for (name, file, settings) in [
        ("search, JPEG", pictures::jpeg(64, 48), with_goal(Goal::TargetRatio(0.5))),
        ("score, JPEG", pictures::jpeg(64, 48), with_goal(Goal::MinScore(70.0))),
        ("search, PNG", pictures::png(&pixels), with_goal(Goal::MaxBytes(100))),
        ("encoder of WebP", pictures::png(&pixels), webp),
        ("bands", pictures::png(&large), Settings::default()),
    ] {
        let error = compress(&file, &settings, &limits).unwrap_err();
        assert_eq!((&error, error.code()), (&Error::TooSlow { limit: Duration::ZERO }, ErrorCode::TooSlow), "{name}");
    }
}

#[test]
fn an_image_that_needs_more_memory_than_there_is_is_refused() {
    let file = pictures::jpeg(2_000, 1_000);
    let settings = Settings { format: Some(Format::Png), ..Settings::default() };
    let needed = memory_needed(&file, &settings, &Limits::default()).unwrap();
    let limits = |max_memory| Limits { max_memory, ..Limits::default() };
    assert!(compress(&file, &settings, &limits(needed)).is_ok());
    let error = compress(&file, &settings, &limits(needed - 1)).unwrap_err();
    assert_eq!(error, Error::TooMuchMemory { needed, max_memory: needed - 1 });
    assert_eq!(error.code(), ErrorCode::TooManyPixels);
    assert_eq!(memory_needed(&file, &settings, &limits(needed - 1)), Err(error));
    let error = Error::TooMuchMemory { needed: 900 << 20, max_memory: 256 << 20 };
    assert_eq!(
        error.to_string(),
        "Compressing the image needs 900 MiB of memory; this server has 256 MiB. Provide a smaller version."
    );
}
