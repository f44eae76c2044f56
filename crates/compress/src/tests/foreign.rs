//! TIFF, BMP and ICO are read, and become another format.

use image::{DynamicImage, ImageFormat};

use crate::picture::pixels::Layout;
use crate::tests::pictures::photo;
use crate::tests::*;

fn picture(layout: Layout) -> DynamicImage {
    let pixels = photo(64, 48, layout);
    match layout {
        Layout::Grey => image::GrayImage::from_raw(64, 48, pixels.data).unwrap().into(),
        Layout::GreyAlpha => image::GrayAlphaImage::from_raw(64, 48, pixels.data).unwrap().into(),
        Layout::Rgb => image::RgbImage::from_raw(64, 48, pixels.data).unwrap().into(),
        Layout::Rgba => image::RgbaImage::from_raw(64, 48, pixels.data).unwrap().into(),
    }
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

#[test]
fn what_is_opaque_becomes_a_jpeg_and_what_is_not_a_png() {
    let opaque = picture(Layout::Rgb);
    let clear = picture(Layout::Rgba);
    for (source, format, becomes) in [
        (&opaque, ImageFormat::Tiff, Format::Jpeg),
        (&opaque, ImageFormat::Bmp, Format::Jpeg),
        (&picture(Layout::Grey), ImageFormat::Tiff, Format::Jpeg),
        (&clear, ImageFormat::Tiff, Format::Png),
        (&clear, ImageFormat::Bmp, Format::Png),
        (&clear, ImageFormat::Ico, Format::Png),
    ] {
        let file = file(source, format);
        let out = run(&file, &with_goal(Goal::Quality(80)));
        assert_eq!((out.output.format, out.outcome), (becomes, Outcome::Compressed), "{format:?}");
        assert_eq!(sniff(&out.bytes), Ok(becomes));
        assert_eq!((out.source.width, out.source.height), (64, 48));
        let (before, after) = (source.to_rgba8(), open(&out.bytes).to_rgba8());
        let off: u64 = before.as_raw().iter().zip(after.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(off / (before.as_raw().len() as u64) < 10, "{format:?}: {off}");
        // Without loss, and in another size and format.
        let exact = run(&file, &with_goal(Goal::Lossless));
        assert_eq!(exact.output.format, Format::Png);
        assert!(open(&exact.bytes).to_rgba8() == before, "{format:?}");
        let settings = Settings { format: Some(Format::Webp), max_width: Some(32), ..Settings::default() };
        assert_eq!(run(&file, &settings).output, Facts { format: Format::Webp, width: 32, height: 24 });
    }
}

#[test]
fn sixteen_bits_become_eight() {
    let deep = DynamicImage::from(picture(Layout::Rgb).to_rgb16());
    let file = file(&deep, ImageFormat::Tiff);
    let out = run(&file, &with_goal(Goal::Lossless));
    assert!(open(&out.bytes).to_rgb8() == deep.to_rgb8());
}

#[test]
fn what_is_cut_short_is_corrupt_and_what_is_huge_is_refused() {
    for format in [ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Ico] {
        let layout = if format == ImageFormat::Ico { Layout::Rgba } else { Layout::Rgb };
        let file = file(&picture(layout), format);
        for cut in [file.len() / 3, file.len() / 2, file.len() - 20] {
            let result = compress(&file[..cut], &Settings::default(), &Limits::default());
            assert!(matches!(result, Err(Error::Corrupt(_))), "{format:?} {cut}: {result:?}");
        }
        let limits = Limits { max_pixels: 3_000, ..Limits::default() };
        assert!(
            matches!(compress(&file, &Settings::default(), &limits), Err(Error::TooManyPixels { .. })),
            "{format:?}"
        );
    }
    let mut bomb = file(&picture(Layout::Rgb), ImageFormat::Bmp);
    // 40,000 by 40,000.
    bomb[18..26].copy_from_slice(&[0x40, 0x9c, 0, 0, 0x40, 0x9c, 0, 0]);
    assert!(matches!(compress(&bomb, &Settings::default(), &Limits::default()), Err(Error::TooManyPixels { .. })));
}

#[test]
fn the_raw_files_of_cameras_are_refused_by_name() {
    let is_raw = |bytes: &[u8]| {
        let result = compress(bytes, &Settings::default(), &Limits::default());
        assert!(
            matches!(&result, Err(Error::UnsupportedFormat { format, .. }) if format == "Camera raw"),
            "{result:?}"
        );
    };
    // A directory of one entry: the first picture is a preview; the file is a DNG; samples behind a colour filter.
    for (tag, kind, value) in [(254_u16, 4_u16, 1_u32), (50706, 1, 0x0401), (262, 3, 32803)] {
        let mut file = b"II*\0\x08\0\0\0\x01\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
        file.extend([0; 4]);
        is_raw(&file);
    }
    is_raw(b"II*\0\x10\0\0\0CR\x02\0............");
    is_raw(b"FUJIFILMCCD-RAW 0201");
    is_raw(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom");
}
