//! Animations become smaller with all their frames, delays and plays.

use image::codecs::{gif::GifDecoder, png::PngDecoder};
use image::{AnimationDecoder as _, Frames};

use crate::container::{gif, png, webp};
use crate::metadata::credits;
use crate::picture::pixels::Layout;
use crate::tests::pictures::{self, photo};
use crate::tests::*;

const SIDE: usize = 48;

/// Pictures of an animation, and how long each is shown, in milliseconds, as an independent decoder reads them.
fn frames(bytes: &[u8]) -> Vec<(image::RgbaImage, u32)> {
    let file = std::io::Cursor::new(bytes);
    let frames: Frames<'_> = match sniff(bytes).unwrap() {
        Format::Gif => GifDecoder::new(file).unwrap().into_frames(),
        Format::Webp => return webp_frames(bytes),
        _ => PngDecoder::new(file).unwrap().apng().unwrap().into_frames(),
    };
    let frame = |frame: image::Frame| {
        let delay = std::time::Duration::from(frame.delay()).as_millis() as u32;
        (cleared(frame.into_buffer()), delay)
    };
    frames.collect_frames().unwrap().into_iter().map(frame).collect()
}

fn webp_frames(bytes: &[u8]) -> Vec<(image::RgbaImage, u32)> {
    let frames = webpx::AnimationDecoder::new(bytes).unwrap().decode_all().unwrap();
    let picture = |frame: webpx::Frame| {
        let picture = image::RgbaImage::from_raw(frame.width, frame.height, frame.data).unwrap();
        (cleared(picture), frame.duration_ms)
    };
    frames.into_iter().map(picture).collect()
}

/// Invisible colours do not count.
fn cleared(mut picture: image::RgbaImage) -> image::RgbaImage {
    picture.pixels_mut().filter(|pixel| pixel[3] == 0).for_each(|pixel| pixel.0 = [0; 4]);
    picture
}

fn plays(bytes: &[u8]) -> u32 {
    match sniff(bytes).unwrap() {
        Format::Gif => gif::header(bytes).unwrap().plays,
        Format::Webp => webp::plays(bytes).unwrap(),
        _ => png::plays(bytes).unwrap(),
    }
}

/// A square that moves over a pattern, or over nothing, each frame whole. Delays grow; it is shown three times.
fn moving(count: usize, is_transparent: bool) -> Vec<u8> {
    let pattern = photo(SIDE as u32, SIDE as u32, Layout::Rgb);
    let mut file = Vec::new();
    let palette: Vec<u8> = (0..64_u8).flat_map(|shade| [shade * 4, shade * 2, 255 - shade * 4]).collect();
    let mut encoder = ::gif::Encoder::new(&mut file, SIDE as u16, SIDE as u16, &palette).unwrap();
    encoder.set_repeat(::gif::Repeat::Finite(2)).unwrap();
    for at in 0..count {
        let symbol = |pixel: usize| {
            let (x, y) = (pixel % SIDE, pixel / SIDE);
            let is_inside = (at * 5..at * 5 + 12).contains(&x) && (8..20).contains(&y);
            match (is_inside, is_transparent) {
                (true, _) => 60,
                (false, true) => 1,
                (false, false) => 2 + pattern.data[pixel * 3] / 5,
            }
        };
        let buffer: Vec<u8> = (0..SIDE * SIDE).map(symbol).collect();
        let frame = ::gif::Frame {
            width: SIDE as u16,
            height: SIDE as u16,
            delay: 5 + at as u16,
            transparent: is_transparent.then_some(1),
            dispose: ::gif::DisposalMethod::Background,
            buffer: buffer.into(),
            ..::gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

/// The same in another format, without loss.
fn converted(file: &[u8], format: Format) -> Vec<u8> {
    run(file, &Settings { goal: Goal::Lossless, format: Some(format), ..Settings::default() }).bytes.into_owned()
}

#[test]
fn without_loss_every_picture_stays_the_same() {
    for is_transparent in [false, true] {
        let file = moving(6, is_transparent);
        let before = frames(&file);
        let webp = converted(&file, Format::Webp);
        let png = converted(&file, Format::Png);
        for (source, format) in
            [(&file, None), (&webp, None), (&png, None), (&webp, Some(Format::Png)), (&png, Some(Format::Webp))]
        {
            let settings = Settings { goal: Goal::Lossless, format, ..Settings::default() };
            let out = run(source, &settings);
            assert!(out.bytes.len() <= source.len() || format.is_some());
            assert_eq!(plays(&out.bytes), 3);
            assert!(frames(&out.bytes) == before, "{is_transparent} {:?} {format:?}", out.source.format);
        }
        assert!(frames(&webp) == before && frames(&png) == before);
        let small = run(&file, &with_goal(Goal::Lossless));
        assert_eq!(small.outcome, Outcome::Compressed);
        assert!(small.bytes.len() * 4 < file.len() * 3, "{} of {}", small.bytes.len(), file.len());
    }
}

#[test]
fn a_lower_quality_is_smaller_and_keeps_time() {
    let gif = moving(6, false);
    for source in [gif.clone(), converted(&gif, Format::Webp), converted(&gif, Format::Png)] {
        let before = frames(&source);
        let mut last = source.len();
        for quality in [90, 50, 10] {
            let out = run(&source, &with_goal(Goal::Quality(quality)));
            let after = frames(&out.bytes);
            assert!(out.bytes.len() <= last, "{:?} at {quality}: {}", out.source.format, out.bytes.len());
            last = out.bytes.len();
            assert_eq!(plays(&out.bytes), 3);
            let delays =
                |frames: &[(image::RgbaImage, u32)]| frames.iter().map(|(_, delay)| *delay).collect::<Vec<_>>();
            assert_eq!(delays(&after), delays(&before));
            for ((before, _), (after, _)) in before.iter().zip(&after) {
                let off: u64 = before.as_raw().iter().zip(after.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                assert!(off / (before.as_raw().len() as u64) < 16, "{:?} at {quality}: {off}", out.source.format);
            }
        }
        assert!(last < gif.len());
    }
}

#[test]
fn all_pictures_are_resized() {
    let gif = moving(6, true);
    for source in [gif.clone(), converted(&gif, Format::Webp), converted(&gif, Format::Png)] {
        let settings = Settings { max_width: Some(20), ..Settings::default() };
        let out = run(&source, &settings);
        assert_eq!((out.output.width, out.output.height), (20, 20));
        assert_eq!(out.output.format, out.source.format);
        let pictures = frames(&out.bytes);
        assert_eq!(pictures.len(), 6);
        for (at, (picture, _)) in pictures.iter().enumerate() {
            assert_eq!(picture.dimensions(), (20, 20));
            // The middle of the square, and a corner that is never drawn on.
            let middle = ((at * 5 + 6) * 20 / SIDE) as u32;
            let [inside, outside] = [(middle, 5), (19, 19)].map(|(x, y)| picture.get_pixel(x, y)[3]);
            assert!(inside > 200 && outside == 0, "{at}: {inside} {outside}");
        }
    }
}

#[test]
fn goals_hold_for_animations() {
    let file = moving(8, false);
    let limit = file.len() as u64 / 4;
    let fitting = run(&file, &with_goal(Goal::MaxBytes(limit)));
    assert!(fitting.receipt.target_met && fitting.bytes.len() as u64 <= limit, "{:?}", fitting.receipt);
    let kept = run(&file, &with_goal(Goal::MaxBytes(file.len() as u64)));
    assert_eq!(kept.outcome, Outcome::KeptOriginal);
    let scored = run(&file, &with_goal(Goal::MinScore(80.0)));
    assert!(scored.receipt.target_met && scored.receipt.score >= Some(80.0), "{:?}", scored.receipt);
    assert_eq!(frames(&scored.bytes).len(), 8);
}

#[test]
fn what_is_small_already_is_kept() {
    let once = run(&moving(6, false), &Settings::default()).bytes.into_owned();
    let again = run(&once, &with_goal(Goal::Lossless));
    assert!(again.bytes.len() <= once.len());
    assert_eq!(frames(&again.bytes), frames(&once));
}

#[test]
fn a_still_gif_becomes_smaller_too() {
    let file = moving(1, false);
    let out = run(&file, &with_goal(Goal::Quality(50)));
    assert_eq!((out.outcome, out.output.format), (Outcome::Compressed, Format::Gif));
    let out = run(&file, &Settings { max_width: Some(10), ..Settings::default() });
    assert_eq!((out.output.format, out.output.height), (Format::Gif, 10));
}

#[test]
fn a_gif_ends_before_its_first_damaged_frame() {
    let mut file = moving(6, false);
    let whole = frames(&file);
    // The data of the fifth frame: its code size is impossible.
    let starts: Vec<usize> = memchr::memmem::find_iter(&file, b"\x2c\0\0\0\0\x30\0\x30\0").collect();
    file[starts[4] + 10] = 40;
    let out = run(&file, &with_goal(Goal::Lossless));
    assert_eq!(out.warnings, ["Frame 5 of 6 is damaged. The animation ends before it."]);
    assert!(frames(&out.bytes) == whole[..4]);
    // Without a whole frame there is nothing to keep.
    file[starts[0] + 10] = 40;
    assert!(matches!(compress(&file, &Settings::default(), &Limits::default()), Err(Error::Corrupt(_))));
}

#[test]
fn a_png_with_a_damaged_animation_is_a_still_png() {
    let whole = pictures::apng();
    let list = png::chunks(&whole).unwrap();
    let first = open(&png::still(&whole).unwrap()).to_rgb8();
    let of = |name: &[u8; 4]| {
        list.iter().filter(|chunk| &chunk.name == name).map(|chunk| chunk.data.start).collect::<Vec<_>>()
    };
    // An impossible number of frames, none, a number that comes twice, one that is missing, and data that is none.
    let (count, headers, data) = (of(b"acTL")[0] + 3, of(b"fcTL"), of(b"fdAT")[0]);
    for (at, value) in [(count, 200), (count, 0), (headers[1] + 3, 0), (data + 3, 9), (data + 10, 0x55)] {
        let mut damaged = whole.clone();
        damaged[at] = value;
        // With a checksum that is right again.
        for chunk in &list {
            let crc = crc32fast::hash(&damaged[chunk.whole.start + 4..chunk.data.end]);
            damaged[chunk.data.end..chunk.whole.end].copy_from_slice(&crc.to_be_bytes());
        }
        for settings in
            [with_goal(Goal::Lossless), Settings { format: Some(Format::Webp), ..with_goal(Goal::Lossless) }]
        {
            let out = run(&damaged, &settings);
            assert_eq!(out.warnings.len(), 1, "{at}: {out:?}");
            assert!(out.warnings[0].starts_with("The animation is damaged."));
            assert!(open(&out.bytes).to_rgb8() == first, "{at}");
        }
    }
}

#[test]
fn frames_are_bounded_by_time_rather_than_memory() {
    let file = pictures::gif(30);
    let frame = 24 * 16;
    let fits = |max_pixels| compress(&file, &Settings::default(), &Limits { max_pixels, ..Limits::default() }).is_ok();
    // All frames together may have twenty times the pixels of one.
    assert!(fits(frame * 3 / 2));
    assert!(!fits(frame - 1) && !fits(frame * 29 / 20));
    let late = Limits { max_time: std::time::Duration::ZERO, ..Limits::default() };
    assert!(matches!(compress(&file, &Settings::default(), &late), Err(Error::TooSlow { .. })));
    let needed = |count| memory_needed(&moving(count, false), &Settings::default(), &Limits::default()).unwrap();
    assert!(needed(40) < needed(4) + (1 << 20));
}

#[test]
fn credits_and_profiles_stay_with_an_animation() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let apng = pictures::apng();
    let list = png::chunks(&apng).unwrap();
    let xmp = [b"XML:com.adobe.xmp\0\0\0\0\0", credits::tests::packet()].concat();
    let apng = png::rewrite(&apng, &list, |_| false, &[png::icc_chunk(&p3).unwrap(), (*b"iTXt", xmp)]);
    let settings = Settings { goal: Goal::Quality(40), keep_copyright: true, ..Settings::default() };
    let as_png = run(&apng, &Settings { max_width: Some(24), ..settings.clone() });
    let list = png::chunks(&as_png.bytes).unwrap();
    assert_eq!(png::profile(&as_png.bytes, &list).unwrap(), p3);
    assert!(memchr::memmem::find(&as_png.bytes, b"XML:com.adobe.xmp").is_some());
    let as_webp = run(&apng, &Settings { format: Some(Format::Webp), ..settings });
    let list = webp::chunks(&as_webp.bytes).unwrap();
    assert_eq!(webp::data(&as_webp.bytes, &list, b"ICCP").unwrap(), p3);
    assert!(webp::data(&as_webp.bytes, &list, b"XMP ").is_some());
    assert_eq!(frames(&as_webp.bytes).len(), 2);
}

#[test]
fn a_still_of_an_animation_is_its_first_picture() {
    let gif = moving(6, false);
    let (first, _) = &frames(&gif)[0];
    for source in [gif.clone(), converted(&gif, Format::Webp), converted(&gif, Format::Png)] {
        for max_width in [None, Some(20)] {
            let settings = Settings {
                goal: Goal::Lossless,
                format: Some(Format::Webp),
                still: true,
                max_width,
                ..Settings::default()
            };
            let out = run(&source, &settings);
            let shown = open(&out.bytes).to_rgba8();
            assert_eq!(shown.width(), max_width.unwrap_or(48));
            assert!(max_width.is_some() || shown == *first, "{:?}", out.source.format);
        }
    }
}
