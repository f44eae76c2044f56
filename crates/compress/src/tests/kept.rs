//! Never larger; location removed; orientation, colour and animation not lost.

use std::borrow::Cow;

use crate::container::{jpeg_segments, png, webp};
use crate::metadata::exif;
use crate::picture::orient;
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

#[test]
fn compressing_twice_never_grows_and_ends_in_the_original() {
    for file in [
        pictures::jpeg(200, 150),
        pictures::png(&photo(200, 150, Layout::Rgb)),
        pictures::webp(&photo(200, 150, Layout::Rgb), 95.0),
    ] {
        let once = run(&file, &Settings::default());
        assert_eq!(once.outcome, Outcome::Compressed);
        assert!(once.bytes.len() * 100 <= file.len() * 99);
        assert_eq!(run(&file, &Settings::default()).bytes, once.bytes);
        let again = run(&once.bytes, &Settings::default());
        assert!(again.bytes.len() <= once.bytes.len());
        if again.outcome == Outcome::KeptOriginal {
            assert_eq!(again.bytes, once.bytes);
            assert!(matches!(again.bytes, Cow::Borrowed(_)));
            assert_eq!(again.receipt.quality, None);
        }
    }
}

#[test]
fn a_kept_original_loses_only_its_location() {
    let located = exif::tests::located();
    let file = pictures::jpeg_with_exif(64, 64, &located);
    let kept = run(&file, &with_goal(Goal::MaxBytes(1 << 20)));
    assert_eq!(kept.outcome, Outcome::KeptOriginal);
    assert!(kept.receipt.target_met);
    assert!(kept.receipt.decision.contains("location"));
    assert_eq!(kept.bytes.len(), file.len());
    assert_eq!(open(&kept.bytes), open(&file));
    let tiff = &kept.bytes[jpeg_segments::exif(&kept.bytes).unwrap()];
    assert_eq!(exif::orientation(tiff), 6);
    assert!(!exif::remove_location(&mut tiff.to_vec()));
}

#[test]
fn a_jpeg_keeps_its_orientation_tag() {
    let file = pictures::jpeg_with_exif(96, 64, &exif::tests::located());
    let small = run(&file, &Settings::default());
    assert_eq!(small.outcome, Outcome::Compressed);
    assert_eq!((small.output.width, small.output.height), (96, 64));
    assert_eq!(jpeg::header(&small.bytes).unwrap().orientation, 6);
}

#[test]
fn a_png_palette_and_a_webp_are_turned_upright() {
    let exif = exif::minimal(None, 6, false).unwrap();
    let pixels = photo(96, 64, Layout::Rgb);
    let png = pictures::png(&pixels);
    let list = png::chunks(&png).unwrap();
    let png = png::rewrite(&png, &list, |_| false, &[(*b"eXIf", exif.clone())]);
    let webp = webp::wrap(pictures::webp(&pixels, 98.0), None, None, Some(&exif)).unwrap();
    for file in [png, webp] {
        let small = run(&file, &Settings::default());
        assert_eq!((small.output.width, small.output.height), (64, 96));
        let upright = open(&small.bytes).to_rgb8();
        assert_eq!(upright.dimensions(), (64, 96));
        let expected = orient::apply(pixels.clone(), 6);
        let off: u64 = upright.as_raw().iter().zip(&expected.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(off / (expected.data.len() as u64) < 8, "{off}");
    }
}

#[test]
fn a_lossless_png_keeps_pixels_orientation_and_depth() {
    let mut random = pictures::Random(7);
    let samples: Vec<u8> = (0..40 * 30 * 3 * 2).map(|_| random.next() as u8).collect();
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, 40, 30);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Sixteen);
    encoder.set_compression(::png::Compression::NoCompression);
    encoder.set_filter(::png::Filter::Paeth);
    encoder.write_header().unwrap().write_image_data(&samples).unwrap();
    let list = png::chunks(&file).unwrap();
    let exif = exif::minimal(None, 8, false).unwrap();
    let title = (*b"tEXt", vec![b'x'; 9000]);
    let file = png::rewrite(&file, &list, |_| false, &[(*b"eXIf", exif), title]);
    let packed = run(&file, &with_goal(Goal::Lossless));
    assert_eq!(packed.outcome, Outcome::Compressed);
    assert_eq!(open(&packed.bytes), open(&file));
    assert_eq!((packed.output.width, packed.output.height), (40, 30));
    let list = png::chunks(&packed.bytes).unwrap();
    let exif = png::data(&packed.bytes, &list, b"eXIf").unwrap();
    assert_eq!(exif::orientation(exif), 8);
    assert_eq!(png::data(&packed.bytes, &list, b"tEXt"), None);
}

#[test]
fn an_animation_is_kept_where_a_format_has_no_frames_and_says_so() {
    for file in [pictures::gif(3), pictures::webp_animation(), pictures::apng()] {
        let settings = Settings { format: Some(Format::Jpeg), max_width: Some(8), ..Settings::default() };
        let kept = run(&file, &settings);
        assert_eq!(kept.outcome, Outcome::KeptOriginal);
        assert_eq!(kept.bytes, file);
        assert!(kept.warnings[0].starts_with("JPEG cannot be animated."), "{:?}", kept.warnings);
    }
}

#[test]
fn transparency_survives_in_png_and_webp() {
    for layout in [Layout::Rgba, Layout::GreyAlpha] {
        let pixels = photo(120, 80, layout);
        let small = run(&pictures::png(&pixels), &Settings::default()).bytes.into_owned();
        let alpha = open(&small).to_rgba8();
        for x in [0, 30, 60, 119] {
            let expected = (x * 255 / 120) as u8;
            assert!(alpha.get_pixel(x, 40)[3].abs_diff(expected) < 24, "{layout:?} {x}");
        }
    }
    let pixels = photo(120, 80, Layout::Rgba);
    let small = run(&pictures::webp(&pixels, 95.0), &Settings::default()).bytes.into_owned();
    assert_eq!(open(&small).to_rgba8().get_pixel(60, 40)[3], (60 * 255 / 120) as u8);
}

#[test]
fn profiles_travel_with_untouched_samples() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let pixels = photo(200, 150, Layout::Rgb);
    let webp = webp::wrap(pictures::webp(&pixels, 95.0), None, Some(&p3), None).unwrap();
    let small = run(&webp, &Settings::default());
    assert_eq!(small.outcome, Outcome::Compressed);
    let list = webp::chunks(&small.bytes).unwrap();
    assert_eq!(webp::data(&small.bytes, &list, b"ICCP").unwrap(), p3);

    let mut with_profile = ::png::Info::with_size(200, 150);
    with_profile.color_type = ::png::ColorType::Rgb;
    with_profile.bit_depth = ::png::BitDepth::Eight;
    with_profile.icc_profile = Some(Cow::Borrowed(&p3));
    let mut file = Vec::new();
    let mut writer = ::png::Encoder::with_info(&mut file, with_profile).unwrap().write_header().unwrap();
    writer.write_image_data(&pixels.data).unwrap();
    writer.finish().unwrap();
    let small = run(&file, &Settings::default());
    let reader = ::png::Decoder::new(std::io::Cursor::new(&small.bytes[..])).read_info().unwrap();
    assert_eq!(reader.info().icc_profile.as_deref(), Some(&p3[..]));
}

#[test]
fn an_animation_of_one_frame_is_still_an_animation() {
    let frame = photo(32, 32, Layout::Rgb);
    let still = pictures::webp(&frame, 80.0);
    let list = webp::chunks(&still).unwrap();
    // libwebp would write a single frame as a still picture: the animation is put around it by hand.
    let image = webp::data(&still, &list, b"VP8 ").unwrap();
    let chunk = |name: &[u8], data: &[u8]| {
        let mut bytes = name.to_vec();
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let mut anmf = vec![0, 0, 0, 0, 0, 0, 31, 0, 0, 31, 0, 0, 100, 0, 0, 0];
    anmf.extend(chunk(b"VP8 ", image));
    let mut body = b"WEBP".to_vec();
    body.extend(chunk(b"VP8X", &[2, 0, 0, 0, 31, 0, 0, 31, 0, 0]));
    body.extend(chunk(b"ANIM", &[0; 6]));
    body.extend(chunk(b"ANMF", &anmf));
    let file = chunk(b"RIFF", &body);
    let kept = run(&file, &with_goal(Goal::Quality(100)));
    let list = webp::chunks(&kept.bytes).unwrap();
    assert!(webp::header(&kept.bytes, &list).unwrap().is_animated);
    // Two pixels to the right, which is outside; and a picture of another height than its frame.
    let place = memchr::memmem::find(&file, b"ANMF").unwrap() + 8;
    for (at, value) in [(place, 1), (place + 32, 0xff)] {
        let mut broken = file.clone();
        broken[at] = value;
        let error = compress(&broken, &Settings::default(), &Limits::default()).unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)), "{at}: {error}");
    }
}

#[test]
fn a_png_with_a_wrong_checksum_on_the_side_is_packed_without_that_part() {
    let pixels = photo(64, 48, Layout::Rgb);
    let png = pictures::png(&pixels);
    let list = png::chunks(&png).unwrap();
    let gamma = (*b"gAMA", 45_455u32.to_be_bytes().to_vec());
    let mut file = png::rewrite(&png, &list, |_| false, &[gamma]);
    let at = memchr::memmem::find(&file, b"gAMA").unwrap();
    file[at + 8] ^= 1;
    for goal in [Goal::Lossless, Goal::Quality(50)] {
        let output = run(&file, &with_goal(goal));
        assert_eq!(output.outcome, Outcome::Compressed);
        assert!(memchr::memmem::find(&output.bytes, b"gAMA").is_none());
    }
}

#[test]
fn transparency_of_a_lossy_webp_travels_as_it_is_coded() {
    let file = pictures::webp(&photo(160, 120, Layout::Rgba), 95.0);
    let out = run(&file, &with_goal(Goal::Quality(40)));
    assert_eq!(out.outcome, Outcome::Compressed);
    let [before, after] = [&file[..], &out.bytes].map(|bytes| {
        let list = webp::chunks(bytes).unwrap();
        webp::data(bytes, &list, b"ALPH").unwrap().to_vec()
    });
    assert_eq!(before, after);
    let [before, after] = [&file[..], &out.bytes].map(|bytes| open(bytes).to_rgba8());
    assert!(before.pixels().zip(after.pixels()).all(|(a, b)| a[3] == b[3]));
}

#[test]
fn a_large_webp_that_would_take_too_much_memory_is_kept_and_says_so() {
    let pixels = Pixels::new(3_000, 2_700, Layout::Rgba, [40, 80, 120, 128].repeat(3_000 * 2_700)).unwrap();
    let encoder = webpx::Encoder::new_rgba(&pixels.data, pixels.width, pixels.height);
    let file = encoder.lossless(true).method(0).encode(webpx::Unstoppable).unwrap();
    for goal in [Goal::Quality(50), Goal::Lossless] {
        let out = run(&file, &with_goal(goal));
        assert_eq!((out.outcome, out.warnings.len()), (Outcome::KeptOriginal, 1));
        assert!(out.receipt.decision.contains("too much memory"), "{}", out.receipt.decision);
    }
    // Where pixels can be made smaller, there is a way.
    let smaller = Settings { max_width: Some(300), ..Settings::default() };
    assert_eq!(run(&file, &smaller).output.height, 270);
    let cut = &file[..file.len() - 4];
    assert!(matches!(compress(cut, &Settings::default(), &Limits::default()), Err(Error::Corrupt(_))));
}
