//! Colour profiles are bytes too.

use crate::container::{jpeg_segments, png};
use crate::picture::pixels::Layout;
use crate::tests::pictures::{self, photo};
use crate::tests::*;

/// A profile of tables, as scanners have them: those of sRGB.
fn of_tables() -> Vec<u8> {
    const GRID: u16 = 20;
    let lab = |rgb: [f64; 3]| {
        let [r, g, b] = rgb.map(|v| if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
        // Over the white of D50 (ICC.1).
        let xyz = [
            (0.4361 * r + 0.3851 * g + 0.1431 * b) / 0.9642,
            0.2225 * r + 0.7169 * g + 0.0606 * b,
            (0.0139 * r + 0.0971 * g + 0.7141 * b) / 0.8249,
        ];
        let [x, y, z] = xyz.map(|t| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
        let [l, a, b] = [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)];
        [l * 652.8, (a + 128.0) * 256.0, (b + 128.0) * 256.0].map(|v| v.round().clamp(0.0, 65_535.0) as u16)
    };
    let mut table = b"mft2\0\0\0\0\x03\x03".to_vec();
    table.extend([GRID as u8, 0]);
    table.extend([1, 0, 0, 0, 1, 0, 0, 0, 1_u32].iter().flat_map(|unit| (unit << 16).to_be_bytes()));
    table.extend([0, 2, 0, 2]);
    let straight = [0, 0, 0xff, 0xff].repeat(3);
    table.extend(&straight);
    let step = |at: u16| f64::from(at) / f64::from(GRID - 1);
    for red in 0..GRID {
        for green in 0..GRID {
            for blue in 0..GRID {
                table.extend(lab([red, green, blue].map(step)).iter().flat_map(|value| value.to_be_bytes()));
            }
        }
    }
    table.extend(&straight);
    let white = b"XYZ \0\0\0\0\0\0\xf6\xd6\0\x01\0\0\0\0\xd3\x2d";
    let tags = [(b"wtpt", &white[..]), (b"A2B0", &table[..])];
    let mut data: Vec<u8> = 2_u32.to_be_bytes().to_vec();
    let mut at = 128 + 4 + 24;
    for (name, tag) in tags {
        data.extend(name);
        data.extend([at as u32, tag.len() as u32].iter().flat_map(|word| word.to_be_bytes()));
        at += tag.len();
    }
    data.extend(tags.iter().flat_map(|(_, tag)| *tag));
    let mut icc = (at as u32).to_be_bytes().to_vec();
    icc.extend(b"\0\0\0\0\x02\x40\0\0scnrRGB Lab ");
    icc.resize(36, 0);
    icc.extend(b"acsp");
    icc.resize(128, 0);
    icc.extend(data);
    icc
}

fn jpeg_with(icc: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 92);
    encoder.add_icc_profile(icc).unwrap();
    let pixels = photo(240, 180, Layout::Rgb);
    encoder.encode(&pixels.data, 240, 180, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

fn png_with(icc: &[u8]) -> Vec<u8> {
    let file = pictures::png(&photo(240, 180, Layout::Rgb));
    png::rewrite(&file, &png::chunks(&file).unwrap(), |_| false, &[png::icc_chunk(icc).unwrap()])
}

/// The mean difference of samples.
fn off(a: &[u8], b: &[u8]) -> f64 {
    let [a, b] = [a, b].map(|bytes| open(bytes).into_rgb8().into_raw());
    let sum: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.len() as f64
}

#[test]
fn a_large_profile_of_tables_goes_into_the_colours() {
    let icc = of_tables();
    assert!(icc.len() > 40_000);
    for (source, plain, limit) in [
        (jpeg_with(&icc), pictures::jpeg(240, 180), 4_000),
        (png_with(&icc), pictures::png(&photo(240, 180, Layout::Rgb)), 15_000),
    ] {
        let output = run(&source, &with_goal(Goal::Quality(50)));
        let expected = run(&plain, &with_goal(Goal::Quality(50))).bytes;
        assert!(output.bytes.len() < expected.len() * 11 / 10 + 200, "{} {}", output.bytes.len(), expected.len());
        assert!(output.receipt.decision.contains("converted to sRGB"), "{:?}", output.receipt);
        assert_eq!(output.output.format, output.source.format);
        assert!(off(&output.bytes, &plain) < 8.0, "{}", off(&output.bytes, &plain));
        // A target counts all bytes, and what it leaves is for the pixels.
        let output = run(&source, &with_goal(Goal::MaxBytes(limit)));
        assert!(output.receipt.target_met && output.bytes.len() as u64 <= limit, "{:?}", output.receipt);
        assert!(output.receipt.quality > Some(10), "{:?}", output.receipt);
        // Identical pixels under the same profile.
        let output = run(&source, &with_goal(Goal::Lossless));
        assert_eq!(open(&output.bytes), open(&source));
        let kept = match output.output.format {
            Format::Jpeg => jpeg_segments::icc(&output.bytes),
            _ => png::profile(&output.bytes, &png::chunks(&output.bytes).unwrap()),
        };
        assert_eq!(kept.unwrap(), icc);
    }
}

#[test]
fn a_profile_of_curves_becomes_short_and_the_coefficients_stay() {
    let table = |gamma: f32| {
        let value = |at: u16| ((f32::from(at) / 1_023.0).powf(gamma) * 65_535.0).round() as u16;
        moxcms::ToneReprCurve::Lut((0..1_024).map(value).collect())
    };
    let with_curve = |mut profile: moxcms::ColorProfile, gamma: f32| {
        for curve in [&mut profile.red_trc, &mut profile.green_trc, &mut profile.blue_trc] {
            *curve = Some(table(gamma));
        }
        profile.encode().unwrap()
    };
    let adobe = with_curve(moxcms::ColorProfile::new_adobe_rgb(), 2.2);
    for goal in [Goal::Quality(50), Goal::Lossless] {
        let without = run(&pictures::jpeg(240, 180), &with_goal(goal)).bytes.into_owned();
        let output = run(&jpeg_with(&adobe), &with_goal(goal)).bytes.into_owned();
        let short = jpeg_segments::icc(&output).unwrap();
        assert!(short.len() <= 512 && short.len() < adobe.len() / 8, "{}", short.len());
        assert_eq!(jpeg_segments::with_icc(&output, None).unwrap(), without);
        let output = run(&png_with(&adobe), &with_goal(goal)).bytes.into_owned();
        let kept = png::profile(&output, &png::chunks(&output).unwrap()).unwrap();
        assert_eq!(kept, short);
        // sRGB needs none.
        let srgb = moxcms::ColorProfile::new_srgb().encode().unwrap();
        assert_eq!(run(&jpeg_with(&srgb), &with_goal(goal)).bytes, without);
        let output = run(&png_with(&srgb), &with_goal(goal)).bytes.into_owned();
        assert!(png::data(&output, &png::chunks(&output).unwrap(), b"iCCP").is_none());
    }
}
