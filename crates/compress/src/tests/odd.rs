//! Files that break a rule and are shown by everybody all the same: accepted, whatever is asked for, and shown as they are there.

use crate::container::{gif, png, raw_profile};
use crate::metadata::exif;
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

/// Every way through the module that a still picture can take.
fn all_ways() -> Vec<Settings> {
    let goals = [Goal::Quality(50), Goal::Lossless, Goal::TargetRatio(0.5)];
    let formats = [Format::Jpeg, Format::Png, Format::Webp];
    let mut ways: Vec<Settings> = goals.into_iter().map(with_goal).collect();
    ways.extend(formats.map(|format| Settings {
        format: Some(format),
        goal: Goal::Quality(95),
        ..Settings::default()
    }));
    ways.push(Settings { max_width: Some(20), ..Settings::default() });
    ways
}

fn converted(file: &[u8], format: Format) -> image::DynamicImage {
    open(&run(file, &Settings { format: Some(format), goal: Goal::Quality(95), ..Settings::default() }).bytes)
}

/// A PNG of these samples, packed as given.
fn png_of(width: u8, height: u8, depth: u8, colour: u8, idat: &[u8]) -> Vec<u8> {
    let mut file = png::SIGNATURE.to_vec();
    png::write(&mut file, b"IHDR", &[0, 0, 0, width, 0, 0, 0, height, depth, colour, 0, 0, 0]);
    png::write(&mut file, b"IDAT", idat);
    png::write(&mut file, b"IEND", b"");
    file
}

fn packed(samples: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, samples).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_png_is_read_to_its_last_pixel_whatever_comes_behind() {
    let mut random = pictures::Random(5);
    for depth in [8, 16] {
        let row = 1 + 30 * 3 * usize::from(depth) / 8;
        let mut rows: Vec<u8> = (0..row * 20).map(|_| random.next() as u8 & 0x3F).collect();
        rows.chunks_mut(row).for_each(|row| row[0] = 0);
        let plain = png_of(30, 20, depth, 2, &packed(&rows));
        let mut wrong_sum = packed(&rows);
        *wrong_sum.last_mut().unwrap() ^= 1;
        let more_rows = packed(&[&rows[..], &vec![0; 20_000_000]].concat());
        for odd in [wrong_sum, more_rows] {
            let odd = png_of(30, 20, depth, 2, &odd);
            for settings in all_ways() {
                run(&odd, &settings);
            }
            let lossless = run(&odd, &with_goal(Goal::Lossless));
            assert_eq!(open(&lossless.bytes), open(&plain), "{depth}");
        }
    }
}

#[test]
fn frames_behind_the_image_of_a_png_are_no_animation() {
    let pixels = photo(40, 30, Layout::Rgb);
    let png = pictures::png(&pixels);
    let list = png::chunks(&png).unwrap();
    let end = list.last().unwrap().whole.start;
    let mut late = png[..end].to_vec();
    png::write(&mut late, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    png::write(&mut late, b"fcTL", &[0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0]);
    late.extend(&png[end..]);
    for settings in all_ways() {
        assert_eq!(run(&late, &settings).outcome, Outcome::Compressed, "{settings:?}");
    }
}

#[test]
fn an_orientation_in_any_place_of_a_png_turns_it() {
    let pixels = photo(40, 30, Layout::Rgb);
    let tiff = exif::minimal(None, 6, false).unwrap();
    let prefixed = [b"Exif\0\0", &tiff[..]].concat();
    for extra in [
        (*b"eXIf", tiff.clone()),
        (*b"eXIf", prefixed.clone()),
        (*b"tEXt", raw_profile::tests::text("exif", &prefixed)),
        (*b"tEXt", raw_profile::tests::text("APP1", &prefixed)),
    ] {
        let png = pictures::png(&pixels);
        let png = png::rewrite(&png, &png::chunks(&png).unwrap(), |_| false, &[extra]);
        let turned = converted(&png, Format::Webp);
        assert_eq!((turned.width(), turned.height()), (30, 40));
        let packed = run(&png, &with_goal(Goal::Lossless));
        let list = png::chunks(&packed.bytes).unwrap();
        assert_eq!(exif::orientation(&png::exif(&packed.bytes, &list).unwrap()), 6);
    }
}

#[test]
fn code_points_decide_how_a_png_looks() {
    let pixels = Pixels::new(40, 30, Layout::Rgb, [200, 60, 50].repeat(40 * 30)).unwrap();
    let with = |code: [u8; 4]| {
        let png = pictures::png(&pixels);
        png::rewrite(&png, &png::chunks(&png).unwrap(), |_| false, &[(*b"cICP", code.to_vec())])
    };
    let webp = Settings { format: Some(Format::Webp), goal: Goal::Lossless, ..Settings::default() };
    let red = |code| open(&run(&with(code), &webp).bytes).to_rgb8().get_pixel(9, 9)[0];
    assert_eq!(red([1, 13, 0, 1]), 200);
    assert!(red([12, 13, 0, 1]) > 205);
    let warnings = |code| run(&with(code), &webp).warnings;
    assert!(warnings([12, 13, 0, 1]).is_empty());
    assert_eq!(warnings([9, 16, 0, 1]), ["The colour profile could not be read and was ignored."]);
}

/// A JPEG with the components of `pixels` as they are, under these identifiers, sampled as given.
fn jpeg_of(components: &[(u8, u8)], adobe: Option<u8>) -> Vec<u8> {
    let (width, height) = (48_u8, 32_u8);
    let mut file = b"\xff\xd8".to_vec();
    if let Some(transform) = adobe {
        file.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
        file.push(transform);
    }
    file.extend(b"\xff\xdb\0\x43\0");
    file.extend([1; 64]);
    let count = components.len() as u8;
    file.extend([0xff, 0xc0, 0, 8 + 3 * count, 8, 0, height, 0, width, count]);
    file.extend(components.iter().flat_map(|(id, sampling)| [*id, *sampling, 0]));
    file.extend([0xff, 0xda, 0, 6 + 2 * count, count]);
    file.extend(components.iter().flat_map(|(id, _)| [*id, 0]));
    file.extend([0, 63, 0]);
    let most = |shift: u8| components.iter().map(|(_, sampling)| sampling >> shift & 15).max().unwrap();
    let mcus = u32::from(width).div_ceil(u32::from(most(4)) * 8) * u32::from(height).div_ceil(u32::from(most(0)) * 8);
    // The first block of each component has its own shade, by annex K's codes: the 9 bits of a difference, behind 1111110, and an
    // end of block, 1010. All others are as the one before: 00 and an end of block.
    let mut bits = String::new();
    for mcu in 0..mcus {
        for (at, (_, sampling)) in components.iter().enumerate() {
            for block in 0..(sampling >> 4) * (sampling & 15) {
                if mcu == 0 && block == 0 {
                    bits += &format!("1111110{:09b}1010", 300 + 60 * at);
                } else {
                    bits += "001010";
                }
            }
        }
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        file.push(byte);
        if byte == 0xff {
            file.push(0);
        }
    }
    file.extend(b"\xff\xd9");
    file
}

/// The samples of [`jpeg_of`]'s components: an eighth of the DC value, from the middle.
const SHADES: [u8; 4] = [166, 173, 181, 188];

#[test]
fn an_rgb_jpeg_is_converted_with_its_colours() {
    for file in [
        jpeg_of(&[(1, 0x11), (2, 0x11), (3, 0x11)], Some(0)),
        jpeg_of(&[(b'R', 0x11), (b'G', 0x11), (b'B', 0x11)], None),
        jpeg_of(&[(1, 0x22), (2, 0x11), (3, 0x11)], Some(0)),
    ] {
        for settings in all_ways() {
            run(&file, &settings);
        }
        let pixel = converted(&file, Format::Png).to_rgb8().get_pixel(20, 20).0;
        assert!(pixel.iter().zip(SHADES).all(|(a, b)| a.abs_diff(b) <= 2), "{pixel:?}");
    }
}

#[test]
fn jfif_counts_for_more_than_the_names_of_components() {
    let plain = jpeg_of(&[(1, 0x11), (2, 0x11), (3, 0x11)], None);
    let named = jpeg_of(&[(b'R', 0x11), (b'G', 0x11), (b'B', 0x11)], None);
    let jfif = [&named[..2], b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0", &named[2..]].concat();
    let pixel = |file: &[u8]| converted(file, Format::Png).to_rgb8().get_pixel(20, 20).0;
    assert_ne!(pixel(&named), pixel(&plain));
    assert!(pixel(&jfif).iter().zip(pixel(&plain)).all(|(a, b)| a.abs_diff(b) <= 1));
}

#[test]
fn a_jpeg_sampled_unusually_is_converted() {
    // 173 and 181 are 45 and 53 above the middle.
    let expected = [166.0 + 1.402 * 53.0, 166.0 - 0.344 * 45.0 - 0.714 * 53.0, 166.0 + 1.772 * 45.0];
    for components in [
        [(1, 0x11), (2, 0x22), (3, 0x22)],
        [(1, 0x11), (2, 0x21), (3, 0x12)],
        [(1, 0x31), (2, 0x11), (3, 0x11)],
        [(1, 0x32), (2, 0x11), (3, 0x11)],
        [(1, 0x11), (2, 0x31), (3, 0x11)],
    ] {
        let file = jpeg_of(&components, None);
        for settings in all_ways() {
            run(&file, &settings);
        }
        let pixel = converted(&file, Format::Png).to_rgb8().get_pixel(20, 20).0;
        let is_close = |(a, b): (&u8, f64)| (f64::from(*a) - b.min(255.0)).abs() <= 3.0;
        assert!(pixel.iter().zip(expected).all(is_close), "{components:?} {pixel:?}");
    }
}

#[test]
fn inks_are_stored_inverted_with_or_without_a_marker() {
    for adobe in [None, Some(0)] {
        let file = jpeg_of(&[(1, 0x11), (2, 0x11), (3, 0x11), (4, 0x11)], adobe);
        for settings in all_ways() {
            run(&file, &settings);
        }
        let pixel = converted(&file, Format::Png).to_rgb8().get_pixel(20, 20).0;
        let expected = SHADES.map(|shade| u32::from(shade) * u32::from(SHADES[3]) / 255);
        assert!(pixel.iter().zip(expected).all(|(a, b)| u32::from(*a).abs_diff(b) <= 3), "{pixel:?} {expected:?}");
    }
}

#[test]
fn alpha_that_a_webp_does_not_announce_is_ignored() {
    let webp = pictures::webp(&photo(40, 30, Layout::Rgba), 90.0);
    let flags = memchr::memmem::find(&webp, b"VP8X").unwrap() + 8;
    let mut silent = webp.clone();
    silent[flags] = 0;
    let left = |file: &[u8]| converted(file, Format::Png).to_rgba8().get_pixel(0, 0)[3];
    assert_eq!((left(&webp), left(&silent)), (0, 255));
}

#[test]
fn a_peculiar_gif_is_converted_and_compressed() {
    let gif = pictures::gif(1);
    let body = &gif[..gif.len() - 1];
    let shown = open(&gif).to_rgba8();
    for odd in [
        body.to_vec(),
        [body, b"\0\0\0;"].concat(),
        [body, b"\x21\x99\x02ab\0;"].concat(),
        [&gif[..6], &[0; 4], &gif[10..]].concat(),
    ] {
        assert!(open(&run(&odd, &Settings::default()).bytes).to_rgba8() == shown);
        assert!(converted(&odd, Format::Png).to_rgba8() == shown);
    }
    let animation = pictures::gif(3);
    let odd = [&animation[..animation.len() - 1], b"\0\x21\x99\0"].concat();
    let out = run(&odd, &Settings::default());
    assert_eq!(gif::header(&out.bytes).unwrap().frames, 3);
}
