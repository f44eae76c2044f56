//! AVIF sources: what other encoders write, what browsers show of it, and what becomes of it.
//!
//! The constants are of 24 × 16 pixels by libavif 0.11: red, green, blue and nearly white quarters.

use crate::encode::Encoder;
use crate::encode::avif_out::AvifEncoder;
use crate::metadata::{exif, location};
use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::photo;
use crate::tests::*;

/// Ten bits, limited range, colour of half the width and height.
const TEN_BITS: &str = "00000020667479706176696600000000617669666d6966316d6961664d413142000000f26d657461000000000000002868646c72000000\
    0000000000706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f6300000000\
    440000010001000000010000011a0000002f0000002869696e660000000000010000001a696e6665020000000001000061763031436f6c\
    6f72000000006a697072700000004b6970636f0000001469737065000000000000001800000010000000107069786900000000030a0a0a\
    0000000c6176314381004c0000000013636f6c726e636c780001000d0006000000001769706d6100000000000000010001040102830400\
    0000376d64617412000a091810efecd010d060403220447000001010da714fadf13b78b000d5201248066a4b7cb71a230bbb2f0d9f20";
/// Twelve bits, colour of half the width.
const TWELVE_BITS: &str = "0000001c667479706176696600000000617669666d6966316d696166000000f26d657461000000000000002868646c7200000000000000\
    00706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f630000000044000001\
    00010000000100000116000000330000002869696e660000000000010000001a696e6665020000000001000061763031436f6c6f720000\
    00006a697072700000004b6970636f0000001469737065000000000000001800000010000000107069786900000000030c0c0c0000000c\
    617631438140680000000013636f6c726e636c780001000d0006800000001769706d610000000000000001000104010283040000003b6d\
    64617412000a095810efece8086836203224447000001010da7144b63e80ecb2467f08ca8108acde3286a59f3b347f7649bb18bfd13b";
/// Green, blue and red without loss.
const IDENTITY: &str = "00000020667479706176696600000000617669666d6966316d6961664d413141000000f26d657461000000000000002868646c72000000\
    0000000000706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f6300000000\
    440000010001000000010000011a000000290000002869696e660000000000010000001a696e6665020000000001000061763031436f6c\
    6f72000000006a697072700000004b6970636f000000146973706500000000000000180000001000000010706978690000000003080808\
    0000000c617631438120000000000013636f6c726e636c780001000d0000800000001769706d6100000000000000010001040102830400\
    0000316d64617412000a083810efeca021a004321b440000dc7faa760fe3bdbe8b8d296a03db08f03b593fb9debd62d3";
/// A quarter turn with the clock, then mirrored left to right.
const TURNED: &str = "00000020667479706176696600000000617669666d6966316d6961664d413141000001066d657461000000000000002868646c72000000\
    0000000000706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f6300000000\
    440000010001000000010000012e0000002b0000002869696e660000000000010000001a696e6665020000000001000061763031436f6c\
    6f72000000007e697072700000005d6970636f000000146973706500000000000000180000001000000010706978690000000003080808\
    0000000c617631438120000000000013636f6c726e636c780001000d0006800000000969726f740300000009696d697201000000196970\
    6d610000000000000001000106010283048586000000336d64617412000a083810efeca021a0d2321d447000001010da714488c3d6f578\
    f8b0b4648a5fc7251e99b6fdd43ce5";
/// In the colours of Display P3.
const DISPLAY_P3: &str = "00000020667479706176696600000000617669666d6966316d6961664d413141000000f26d657461000000000000002868646c72000000\
    0000000000706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f6300000000\
    440000010001000000010000011a0000002c0000002869696e660000000000010000001a696e6665020000000001000061763031436f6c\
    6f72000000006a697072700000004b6970636f000000146973706500000000000000180000001000000010706978690000000003080808\
    0000000c617631438120000000000013636f6c726e636c78000c000d0001800000001769706d6100000000000000010001040102830400\
    0000346d64617412000a083810efeca181a032321e447000001010da711ecb1c892e899f5a5a324492f904411ccd3cec9e7280";
/// The green is half transparent, and the colours are multiplied by that.
const PREMULTIPLIED: &str = "00000020667479706176696600000000617669666d6966316d6961664d4131410000019b6d657461000000000000002868646c72000000\
    0000000000706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000002c696c6f6300000000\
    44000002000100000001000001d90000002b000200000001000001c3000000160000004269696e660000000000020000001a696e666502\
    0000000001000061763031436f6c6f72000000001a696e6665020000000002000061763031416c70686100000000286972656600000000\
    0000000e7072656d0001000100020000000e6175786c000200010001000000c3697072700000009d6970636f0000001469737065000000\
    000000001800000010000000107069786900000000030808080000000c617631438120000000000013636f6c726e636c780001000d0006\
    800000000e706978690000000001080000000c6176314381001c0000000038617578430000000075726e3a6d7065673a6d706567423a63\
    6963703a73797374656d733a617578696c696172793a616c706861000000001e69706d6100000000000000020001040102830400020401\
    058607000000496d64617412000a051810efecaa320b440000de3819d28bcfbcc012000a083810efeca021a0d2321d447000001010da70\
    fcad83050736f373a4e0c3f7c7251e99b6fdd43ce5";
/// Grey.
const GREY: &str = "0000001c667479706176696600000000617669666d6966316d696166000000f06d657461000000000000002868646c7200000000000000\
    00706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f630000000044000001\
    000100000001000001140000001e0000002869696e660000000000010000001a696e6665020000000001000061763031436f6c6f720000\
    00006869707270000000496970636f00000014697370650000000000000018000000100000000e706978690000000001080000000c6176\
    314381001c0000000013636f6c726e636c780001000d0006800000001769706d61000000000000000100010401028304000000266d6461\
    7412000a081810efecb010d06a32104470000044de369f702865fd8584c720";
/// Grey, with a location in XMP.
const LOCATED: &str = "0000001c667479706176696600000000617669666d6966316d696166000001446d657461000000000000002868646c7200000000000000\
    00706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000002c696c6f630000000044000002\
    000100000001000002320000001e00020000000100000168000000ca0000005469696e660000000000020000001a696e66650200000000\
    01000061763031436f6c6f72000000002c696e666502000000000200006d696d65584d50006170706c69636174696f6e2f7264662b786d\
    6c000000001a69726566000000000000000e636473630002000100010000006869707270000000496970636f0000001469737065000000\
    0000000018000000100000000e706978690000000001080000000c6176314381001c0000000013636f6c726e636c780001000d00068000\
    00001769706d61000000000000000100010401028304000000f06d6461743c783a786d706d65746120786d6c6e733a783d2261646f6265\
    3a6e733a6d6574612f223e3c723a52444620786d6c6e733a723d22687474703a2f2f7777772e77332e6f72672f313939392f30322f3232\
    2d7264662d73796e7461782d6e73232220786d6c6e733a657869663d22687474703a2f2f6e732e61646f62652e636f6d2f657869662f31\
    2e302f223e3c723a4465736372697074696f6e20657869663a4750534c617469747564653d2235322c33314e222f3e3c2f723a5244463e\
    3c2f783a786d706d6574613e12000a081810efecb010d06a32104470000044de369f702865fd8584c720";
/// In the curve of high dynamic range.
const PQ: &str = "00000020667479706176696600000000617669666d6966316d6961664d413141000000f26d657461000000000000002868646c72000000\
    0000000000706963740000000000000000000000006c696261766966000000000e7069746d0000000000010000001e696c6f6300000000\
    440000010001000000010000011a0000002f0000002869696e660000000000010000001a696e6665020000000001000061763031436f6c\
    6f72000000006a697072700000004b6970636f0000001469737065000000000000001800000010000000107069786900000000030a0a0a\
    0000000c617631438120400000000013636f6c726e636c78000900100009800000001769706d6100000000000000010001040102830400\
    0000376d64617412000a083810efece12201323221447000001010da7133a577333348a8c0c565a32441606df590055b0634961e7280";
const QUARTERS: [[u8; 4]; 4] = [[200, 30, 40, 255], [20, 160, 60, 255], [30, 50, 180, 255], [230, 220, 210, 255]];

fn bytes(constant: &str) -> Vec<u8> {
    hex::decode(constant).unwrap()
}

fn as_png(file: &[u8]) -> image::DynamicImage {
    let settings = Settings { goal: Goal::Lossless, format: Some(Format::Png), ..Settings::default() };
    open(&run(file, &settings).bytes)
}

/// The middle of each quarter.
fn quarters(picture: &image::DynamicImage) -> [[u8; 4]; 4] {
    let (width, height) = (picture.width(), picture.height());
    let picture = picture.to_rgba8();
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| picture.get_pixel(x * width / 4, y * height / 4).0)
}

fn assert_near(seen: [[u8; 4]; 4], expected: [[u8; 4]; 4]) {
    let furthest = seen.iter().flatten().zip(expected.iter().flatten()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(furthest <= 3, "{seen:?}, not {expected:?}");
}

#[test]
fn every_depth_range_and_sampling_shows_the_same_colours() {
    for file in [TEN_BITS, TWELVE_BITS, IDENTITY] {
        assert_near(quarters(&as_png(&bytes(file))), QUARTERS);
    }
    let exact = quarters(&as_png(&bytes(IDENTITY)));
    assert_eq!(exact, QUARTERS);
    let [[grey, ..], ..] = quarters(&as_png(&bytes(GREY)));
    // BT.601's luma of the red.
    assert!(grey.abs_diff(82) <= 1, "{grey}");
}

#[test]
fn it_is_shown_upright_whatever_its_exif_says() {
    let picture = as_png(&bytes(TURNED));
    assert_eq!((picture.width(), picture.height()), (16, 24));
    let [red, green, blue, white] = QUARTERS;
    assert_near(quarters(&picture), [red, blue, green, white]);
    let mut encoder = AvifEncoder::new(photo(40, 20, Layout::Rgb), exif::minimal(None, 6, false)).unwrap();
    let file = encoder.encode(80).unwrap().bytes;
    assert_eq!(as_png(&file).width(), 40);
}

#[test]
fn colours_of_another_space_become_those_of_srgb() {
    // 200, 30, 40 in Display P3 is beyond the red of sRGB: green is cut off.
    assert_near(
        quarters(&as_png(&bytes(DISPLAY_P3))),
        [[220, 0, 29, 255], [0, 163, 41, 255], [23, 51, 186, 255], [231, 220, 209, 255]],
    );
}

#[test]
fn transparency_is_read_and_taken_out_of_the_colours() {
    let [red, [r, g, b, _], blue, white] = QUARTERS;
    assert_near(quarters(&as_png(&bytes(PREMULTIPLIED))), [red, [r, g, b, 128], blue, white]);
}

#[test]
fn a_file_shows_what_its_encoder_reconstructed() {
    for layout in [Layout::Rgb, Layout::Rgba, Layout::Grey] {
        for quality in [30, 95] {
            let mut encoder = AvifEncoder::new(photo(65, 47, layout), None).unwrap();
            let encoded = encoder.encode(quality).unwrap();
            let shown = encoder.shown(&encoded).unwrap().to_layout(Layout::Rgba);
            assert!(as_png(&encoded.bytes).to_rgba8().into_raw() == shown.data, "{layout:?} {quality}");
        }
    }
}

#[test]
fn it_becomes_a_jpeg_or_png_if_that_is_smaller() {
    let avif = |layout, quality| AvifEncoder::new(photo(120, 90, layout), None).unwrap().encode(quality).unwrap().bytes;
    let (fine, coarse) = (avif(Layout::Rgb, 100), avif(Layout::Rgb, 20));
    let made = run(&fine, &Settings::default());
    assert_eq!((made.outcome, made.output.format), (Outcome::Compressed, Format::Jpeg));
    assert!(made.bytes.len() < fine.len());
    let kept = run(&coarse, &Settings::default());
    assert_eq!((kept.outcome, kept.output.format), (Outcome::KeptOriginal, Format::Avif));
    assert_eq!(kept.receipt.decision, "Kept: as JPEG it would not be smaller. Request AVIF to compress it again.");
    assert!(*kept.bytes == coarse);
    let kept = run(&coarse, &with_goal(Goal::Lossless));
    assert_eq!(kept.receipt.decision, "Kept: as PNG it would not be smaller.");
    // What is asked for is made.
    let asked = run(&coarse, &Settings { format: Some(Format::Webp), ..Settings::default() });
    assert_eq!((asked.outcome, asked.output.format), (Outcome::Compressed, Format::Webp));
    let smaller = run(&coarse, &Settings { max_width: Some(60), ..Settings::default() });
    assert_eq!((smaller.output.format, smaller.output.width), (Format::Jpeg, 60));
    let again = run(&fine, &Settings { format: Some(Format::Avif), ..Settings::default() });
    assert_eq!((again.outcome, again.output.format), (Outcome::Compressed, Format::Avif));
    assert!(again.bytes.len() < fine.len());
    let transparent = avif(Layout::Rgba, 100);
    let transparent = run(&transparent, &with_goal(Goal::Quality(20)));
    assert_ne!(transparent.output.format, Format::Jpeg);
}

#[test]
fn a_file_that_is_kept_loses_its_location() {
    let mut encoder = AvifEncoder::new(photo(240, 180, Layout::Rgb), Some(exif::tests::located())).unwrap();
    let with_exif = encoder.encode(5).unwrap().bytes;
    let kept = run(&with_exif, &Settings::default());
    assert_eq!(kept.outcome, Outcome::KeptOriginal);
    assert!(kept.receipt.decision.ends_with("The location was removed from its metadata."));
    // 52 degrees as EXIF holds them, and as XMP names them.
    let degrees = [52, 0, 0, 0, 1, 0, 0, 0, 31];
    for (file, clean, place) in [
        (&with_exif, kept.bytes.into_owned(), &degrees[..]),
        (&bytes(LOCATED), location::remove(&bytes(LOCATED), Format::Avif).into_owned(), b"GPS"),
    ] {
        assert_eq!(clean.len(), file.len());
        assert!(memchr::memmem::find(file, place).is_some());
        assert!(memchr::memmem::find(&clean, place).is_none());
        assert_eq!(as_png(&clean), as_png(file));
    }
}

#[test]
fn what_has_no_still_picture_in_ordinary_colours_is_refused_by_name() {
    let reason = |file: &[u8]| match compress(file, &Settings::default(), &Limits::default()) {
        Err(Error::UnsupportedFormat { format, reason: Some(reason) }) if format == "AVIF" => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&bytes(PQ)), "a high dynamic range");
    let mut animation = bytes(GREY);
    animation[8..12].copy_from_slice(b"avis");
    assert_eq!(reason(&animation), "an animation");
    let mut cropped = bytes(TURNED);
    let at = memchr::memmem::find(&cropped, b"irot").unwrap();
    cropped[at..at + 4].copy_from_slice(b"clap");
    assert_eq!(reason(&cropped), "an unusual coding");
    let mut grid = bytes(GREY);
    let at = memchr::memmem::find(&grid, b"av01").unwrap();
    grid[at..at + 4].copy_from_slice(b"grid");
    assert_eq!(reason(&grid), "a picture put together from others");
}

#[test]
fn a_stream_of_many_frames_is_not_decoded() {
    let file = bytes(GREY);
    let data = memchr::memmem::find(&file, b"mdat").unwrap() + 4;
    let with = |frames: usize| {
        // Everything after the temporal delimiter and the sequence header, again and again.
        let (start, stream) = file[data..].split_at(2 + 2 + usize::from(file[data + 3]));
        let stream = [start, &stream.repeat(frames)].concat();
        let mut file = file[..data].to_vec();
        // The length of the only item's only extent is the last number of `iloc` (ISO/IEC 14496-12, 8.11.3).
        let at = memchr::memmem::find(&file, b"iinf").unwrap() - 8;
        file[at..at + 4].copy_from_slice(&(stream.len() as u32).to_be_bytes());
        let at = data - 8;
        file[at..at + 4].copy_from_slice(&(stream.len() as u32 + 8).to_be_bytes());
        [file, stream].concat()
    };
    assert_eq!(with(1), file);
    assert_eq!(as_png(&with(2)), as_png(&file));
    let none = with(0);
    let empty = compress(&none, &Settings::default(), &Limits::default());
    assert!(matches!(empty, Err(Error::Corrupt(_))), "{empty:?}");
    let many = with(5);
    let refused = compress(&many, &Settings::default(), &Limits::default());
    assert!(matches!(refused, Err(Error::UnsupportedFormat { .. })), "{refused:?}");
}

fn boxed(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32 + 8).to_be_bytes(), &name[..], data].concat()
}

#[test]
fn a_picture_in_pieces_inside_the_boxes_is_read() {
    let mut encoder = AvifEncoder::new(photo(33, 21, Layout::Rgb), None).unwrap();
    let file = encoder.encode(60).unwrap().bytes;
    let stream = &file[memchr::memmem::find(&file, b"mdat").unwrap() + 4..];
    let at = memchr::memmem::find(&file, b"iprp").unwrap() - 4;
    let properties = &file[at..at + u32::from_be_bytes(*file[at..].first_chunk().unwrap()) as usize];
    // One item, kept in `idat` in two pieces; the second is all that is left (ISO/IEC 14496-12, 8.11.3).
    let cut = (stream.len() / 3) as u16;
    let [high, low] = cut.to_be_bytes();
    let pieces = [1, 0, 0, 0, 0x22, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, high, low, high, low, 0, 0];
    let item = boxed(b"infe", b"\x02\0\0\0\0\x01\0\0av01\0");
    let meta = [
        &[0; 4][..],
        &boxed(b"pitm", &[0, 0, 0, 0, 0, 1]),
        &boxed(b"iloc", &pieces),
        &boxed(b"iinf", &[&[0, 0, 0, 0, 0, 1], &item[..]].concat()),
        properties,
        &boxed(b"idat", stream),
    ];
    let own = [boxed(b"ftyp", b"avif\0\0\0\0avifmif1"), boxed(b"meta", &meta.concat())].concat();
    assert_eq!(as_png(&own), as_png(&file));
}

#[test]
fn damage_anywhere_is_an_error_or_a_picture() {
    for file in [bytes(PREMULTIPLIED), bytes(TEN_BITS)] {
        for at in 0..file.len() {
            let _ = compress(&file[..at], &Settings::default(), &Limits::default());
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= change;
                let _ = compress(&damaged, &Settings::default(), &Limits::default());
            }
        }
        let cut = compress(&file[..file.len() - 20], &Settings::default(), &Limits::default());
        assert!(matches!(cut, Err(Error::Corrupt(_))), "{cut:?}");
    }
}

#[test]
fn its_memory_is_estimated() {
    let file = AvifEncoder::new(Pixels::new(600, 400, Layout::Grey, vec![9; 240_000]).unwrap(), None)
        .unwrap()
        .encode(50)
        .unwrap()
        .bytes;
    let tight = Limits { max_memory: 3 << 20, ..Limits::default() };
    assert!(matches!(compress(&file, &Settings::default(), &tight), Err(Error::TooMuchMemory { .. })));
}
