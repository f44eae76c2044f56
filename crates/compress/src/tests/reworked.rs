//! Resizing and converting: dimensions, orientation, colour, transparency.

use std::io::Cursor;

use crate::container::{jpeg_segments, webp};
use crate::encode::Encoder as _;
use crate::encode::jpeg_out::PixelEncoder;
use crate::header::probe;
use crate::metadata::exif;
use crate::picture::pixels::{Layout, Pixels};
use crate::picture::{colour, decode, resize};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

fn to(format: Format) -> Settings {
    Settings { format: Some(format), ..Settings::default() }
}

#[test]
fn every_format_becomes_every_other() {
    let pixels = photo(60, 40, Layout::Rgb);
    for file in [pictures::jpeg(60, 40), pictures::png(&pixels), pictures::webp(&pixels, 90.0), pictures::gif(1)] {
        for format in [Format::Jpeg, Format::Png, Format::Webp] {
            let output = run(&file, &to(format));
            assert_eq!(output.output.format, format);
            assert_eq!(sniff(&output.bytes), Ok(format));
            if output.source.format != format {
                assert_eq!(output.outcome, Outcome::Compressed);
            }
            let (before, after) = (open(&file).to_rgb8(), open(&output.bytes).to_rgb8());
            assert_eq!(before.dimensions(), after.dimensions());
            let (a, b) = (before.get_pixel(12, 8), after.get_pixel(12, 8));
            assert!(
                a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < 32),
                "{} to {format}: {a:?} {b:?}",
                output.source.format
            );
        }
    }
}

#[test]
fn resizing_fits_and_never_enlarges() {
    let pixels = photo(120, 80, Layout::Rgb);
    for file in [pictures::jpeg(120, 80), pictures::png(&pixels), pictures::webp(&pixels, 90.0)] {
        let settings = |max_width, max_height| Settings { max_width, max_height, ..Settings::default() };
        let small = run(&file, &settings(Some(60), Some(60)));
        assert_eq!((small.output.width, small.output.height), (60, 40));
        let opened = open(&small.bytes);
        assert_eq!((opened.width(), opened.height()), (60, 40));
        let same = run(&file, &settings(Some(1000), Some(1000)));
        assert_eq!(same.bytes, run(&file, &Settings::default()).bytes);
    }
}

#[test]
fn the_box_is_meant_for_the_displayed_picture() {
    let file = pictures::jpeg_with_exif(120, 80, &exif::tests::located());
    let output = run(&file, &Settings { max_width: Some(40), ..Settings::default() });
    // Stored 120 × 80, shown 80 × 120.
    assert_eq!((output.output.width, output.output.height), (40, 60));
    assert_eq!(jpeg::header(&output.bytes).unwrap().orientation, 1);
    assert!(jpeg_segments::exif(&output.bytes).is_none());
}

#[test]
fn credits_survive_on_request_and_nothing_else_does() {
    let file = pictures::jpeg_with_exif(120, 80, &exif::tests::located());
    for format in [Format::Jpeg, Format::Png, Format::Webp] {
        let output = run(&file, &Settings { keep_copyright: true, max_width: Some(40), ..to(format) });
        assert!(memchr::memmem::find(&output.bytes, b"(c) Jane.").is_some(), "{format}");
        let without = run(&file, &to(format));
        assert!(memchr::memmem::find(&without.bytes, b"Jane").is_none());
    }
}

#[test]
fn transparency_gets_the_background_in_a_jpeg() {
    let pixels = photo(64, 64, Layout::Rgba);
    let output = run(
        &pictures::png(&pixels),
        &Settings { background: [250, 10, 10], goal: Goal::Quality(95), ..to(Format::Jpeg) },
    )
    .bytes
    .into_owned();
    let clear = open(&output).to_rgb8().get_pixel(1, 32).0;
    assert!(clear[0] > 230 && clear[1] < 40 && clear[2] < 40, "{clear:?}");
}

#[test]
fn lossless_conversion_is_exact_and_impossible_for_jpeg() {
    let file = pictures::jpeg(60, 40);
    for format in [Format::Png, Format::Webp] {
        let output = run(&file, &Settings { goal: Goal::Lossless, ..to(format) });
        assert!(output.receipt.target_met);
        let probe = probe::probe(&file, Format::Jpeg).unwrap();
        let expected = decode::decode(&file, &probe).unwrap().pixels;
        assert_eq!(open(&output.bytes).to_rgb8().into_raw(), expected.data);
    }
    let png = pictures::png(&photo(60, 40, Layout::Rgb));
    let output = run(&png, &Settings { goal: Goal::Lossless, ..to(Format::Jpeg) });
    assert!(!output.receipt.target_met);
    assert_eq!(output.receipt.quality, Some(100));
}

#[test]
fn byte_targets_count_from_the_source_also_when_converting() {
    let file = pictures::png(&photo(200, 150, Layout::Rgb));
    let output = run(&file, &Settings { goal: Goal::MaxBytes(4_000), ..to(Format::Webp) });
    assert!(output.receipt.target_met);
    assert!(output.bytes.len() <= 4_000 && output.bytes.len() > 3_000);
}

#[test]
fn wide_gamut_pixels_become_srgb() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let flat = [200, 60, 50].repeat(64 * 64);
    let pixels = Pixels::new(64, 64, Layout::Rgb, flat).unwrap();
    let webp = webp::wrap(pictures::webp_lossless(&pixels), None, Some(&p3), None).unwrap();
    let output = run(&webp, &to(Format::Png));
    let pixel = open(&output.bytes).to_rgb8().get_pixel(30, 30).0;
    let mut expected = pixels.clone();
    assert!(colour::to_srgb(&mut expected, &p3));
    assert_eq!(pixel[..], expected.data[..3]);
    assert_ne!(pixel, [200, 60, 50]);
}

#[test]
fn a_jpeg_with_stray_bytes_between_its_segments_is_read_for_every_purpose() {
    let file = pictures::jpeg(64, 48);
    let stray = [&file[..20], &[0; 4], &file[20..]].concat();
    assert_eq!(file[20], 0xFF, "a segment begins here");
    for format in [Format::Jpeg, Format::Png, Format::Webp] {
        let (plain, with_stray) = (run(&file, &to(format)), run(&stray, &to(format)));
        assert!(open(&plain.bytes) == open(&with_stray.bytes), "{format}");
    }
}

#[test]
fn sixteen_bits_with_a_transparent_colour_keep_it() {
    let samples: Vec<u8> = (0..32 * 32_u16).flat_map(|at| [(at % 32) as u8; 2]).collect();
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, 32, 32);
    encoder.set_color(::png::ColorType::Grayscale);
    encoder.set_depth(::png::BitDepth::Sixteen);
    encoder.set_trns(vec![30, 30]);
    encoder.set_compression(::png::Compression::NoCompression);
    encoder.write_header().unwrap().write_image_data(&samples).unwrap();
    let output = run(&file, &with_goal(Goal::Lossless));
    assert_eq!(output.outcome, Outcome::Compressed);
    assert!(open(&output.bytes) == open(&file));
}

#[test]
fn a_jpeg_is_progressive_where_that_is_asked_for_and_smaller() {
    let (large, tiny) = (pictures::jpeg(1200, 900), pictures::jpeg(16, 16));
    for (file, goal, max_width, is_progressive) in [
        (&large, Goal::Quality(50), None, true),
        (&large, Goal::Lossless, None, true),
        (&large, Goal::TargetRatio(0.6), None, true),
        (&large, Goal::Quality(80), Some(1000), true),
        (&tiny, Goal::Quality(50), Some(8), false),
    ] {
        let plain = Settings { goal, max_width, ..Settings::default() };
        let sequential = run(file, &plain);
        let progressive = run(file, &Settings { progressive: true, ..plain });
        assert_eq!(jpeg::header(&progressive.bytes).unwrap().progressive, is_progressive, "{goal:?} {max_width:?}");
        assert_eq!(progressive.bytes.len() < sequential.bytes.len(), is_progressive, "{goal:?} {max_width:?}");
        assert!(open(&progressive.bytes) == open(&sequential.bytes), "{goal:?} {max_width:?}: the same picture");
    }
}

/// Mean difference of samples.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn a_jpeg_reworked_in_its_own_colours_is_the_picture_reworked_as_pixels() {
    for layout in [Layout::Grey, Layout::Rgb] {
        let picture = photo(203, 149, layout);
        for (orientation, subsampled) in (1..=8).flat_map(|orientation| [(orientation, true), (orientation, false)]) {
            let tag = exif::minimal(None, orientation, false);
            let lowest = if subsampled { 50 } else { 95 };
            let mut encoder = PixelEncoder::new(&picture, lowest, tag.as_deref(), false).unwrap();
            let file = encoder.encode(95).unwrap().bytes;
            let probe = probe::probe(&file, Format::Jpeg).unwrap();
            let upright = decode::decode(&file, &probe).unwrap().pixels;
            let widths = [(140, 89), (101, 95), (75, 89), (33, 95), (20, 89), (9, 95)];
            let resized = widths.map(|(width, quality)| (width, quality, Format::Jpeg));
            let converted = [203, 101, 33].map(|width| (width, 95, Format::Webp));
            for (max_width, quality, format) in resized.into_iter().chain(converted) {
                let goal = Goal::Quality(quality);
                let output = run(&file, &Settings { max_width: Some(max_width), goal, ..to(format) });
                assert_eq!(output.output.format, format);
                if format == Format::Jpeg {
                    assert_eq!(jpeg::header(&output.bytes).unwrap().orientation, 1);
                }
                let size = resize::fit(probe.displayed(), Some(max_width), None);
                let expected = resize::resize(upright.clone(), size).unwrap();
                let opened = open(&output.bytes);
                assert_eq!((opened.width(), opened.height()), size);
                let opened =
                    if layout == Layout::Grey { opened.to_luma8().into_raw() } else { opened.to_rgb8().into_raw() };
                let off = difference(&opened, &expected.data);
                assert!(off < 5.0, "{layout:?} to {format}, orientation {orientation}, {subsampled}, {size:?}: {off}");
            }
        }
    }
}

#[test]
fn a_gif_becomes_what_its_first_frame_shows() {
    // A frame smaller than its screen, with a transparent colour and one that the palette does not have.
    let mut file = Vec::new();
    let mut encoder = ::gif::Encoder::new(&mut file, 6, 5, &[9, 9, 9, 200, 30, 40, 10, 220, 50]).unwrap();
    let frame = ::gif::Frame { left: 2, top: 1, width: 3, height: 3, transparent: Some(2), ..::gif::Frame::default() };
    encoder.write_frame(&::gif::Frame { buffer: vec![0, 1, 2, 1, 2, 3, 2, 1, 0].into(), ..frame }).unwrap();
    drop(encoder);
    let settings = Settings { goal: Goal::Lossless, format: Some(Format::Png), ..Settings::default() };
    let out = open(&run(&file, &settings).bytes).to_rgba8();
    let expected = open(&file).to_rgba8();
    assert_eq!((out.get_pixel(3, 1).0, out.get_pixel(0, 0).0[3]), ([200, 30, 40, 255], 0));
    // What nothing is seen of may have any colour.
    assert!(out.pixels().zip(expected.pixels()).all(|(a, b)| a == b || a[3] == 0 && b[3] == 0));
}

#[test]
fn what_a_new_format_cannot_hold_is_said() {
    let deep =
        image::ImageBuffer::<image::Rgb<u16>, _>::from_fn(30, 20, |x, y| image::Rgb([x as u16 * 999, 7, y as u16]));
    let mut file = Cursor::new(Vec::new());
    deep.write_to(&mut file, image::ImageFormat::Png).unwrap();
    let settings = Settings { goal: Goal::Lossless, ..to(Format::Webp) };
    let receipt = run(file.get_ref(), &settings).receipt;
    assert!(!receipt.target_met && receipt.decision.contains("16 bits"), "{receipt:?}");
    let receipt = run(file.get_ref(), &Settings { goal: Goal::Lossless, ..to(Format::Jpeg) }).receipt;
    assert!(!receipt.target_met && receipt.decision.contains("quality 100"), "{receipt:?}");

    let mut hdr = pictures::jpeg(64, 48);
    let name = b"urn:iso:std:iso:ts:21496:-1\0";
    let segment = [&[0xff, 0xe2, 0, name.len() as u8 + 2], &name[..]].concat();
    hdr.splice(2..2, segment);
    for settings in [Settings::default(), to(Format::Webp), Settings { max_width: Some(20), ..Settings::default() }] {
        let warnings = run(&hdr, &settings).warnings;
        assert!(warnings.iter().any(|warning| warning.contains("gain map")), "{settings:?}: {warnings:?}");
    }
}
