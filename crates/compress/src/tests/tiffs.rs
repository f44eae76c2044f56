//! TIFFs in the colours and codings that writers use.

use tiff::encoder::colortype::{CMYK8, ColorType, Gray16, RGB8, RGB16};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, TiffValue};
use tiff::tags::Predictor;

use crate::picture::pixels::Layout;
use crate::tests::pictures::photo;
use crate::tests::*;

const WIDTH: u32 = 40;
const HEIGHT: u32 = 24;

/// What is shown, after it was written without loss.
fn shown(file: &[u8]) -> image::DynamicImage {
    run(file, &Settings::default());
    open(&run(file, &Settings { format: Some(Format::Png), ..with_goal(Goal::Lossless) }).bytes)
}

/// One strip of samples with the tags that say what they are; each has one number, or is a list of words.
fn tiff_of(photometric: u16, bits: &[u16], compression: u16, data: &[u8], more: &[(u16, &[u16])]) -> Vec<u8> {
    let samples = [bits.len() as u16];
    let words = |value: u32| [value as u16, (value >> 16) as u16];
    let (strip, length) = (words(8), words(data.len() as u32));
    let mut tags: Vec<(u16, &[u16])> = vec![
        (256, &[WIDTH as u16]),
        (257, &[HEIGHT as u16]),
        (258, bits),
        (259, std::slice::from_ref(&compression)),
        (262, std::slice::from_ref(&photometric)),
        (273, &strip),
        (277, &samples),
        (278, &[HEIGHT as u16]),
        (279, &length),
    ];
    tags.extend(more);
    tags.sort_by_key(|(tag, _)| *tag);
    let mut file = b"II*\0".to_vec();
    file.extend((8 + data.len() as u32).to_le_bytes());
    file.extend(data);
    file.extend((tags.len() as u16).to_le_bytes());
    let mut behind = Vec::new();
    let start = file.len() + tags.len() * 12 + 4;
    for (tag, values) in tags {
        // Offsets are numbers of four bytes, everything else of two.
        let is_long = matches!(tag, 273 | 279);
        file.extend(tag.to_le_bytes());
        file.extend(if is_long { 4_u16 } else { 3 }.to_le_bytes());
        file.extend((if is_long { 1 } else { values.len() as u32 }).to_le_bytes());
        let mut bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        if bytes.len() > 4 {
            file.extend(((start + behind.len()) as u32).to_le_bytes());
            behind.extend(bytes);
        } else {
            bytes.resize(4, 0);
            file.extend(bytes);
        }
    }
    file.extend([0; 4]);
    file.extend(behind);
    file
}

/// Of four bits, with nothing but its first colour.
pub(crate) fn with_palette() -> Vec<u8> {
    tiff_of(3, &[4], 1, &[0; (WIDTH * HEIGHT / 2) as usize], &[(320, &[0x2345; 3 * 16])])
}

#[test]
fn palettes_of_every_depth_show_their_colours() {
    for bits in [1_u16, 2, 4, 8] {
        let count = 1_usize << bits;
        let colour = |index: usize| [index * 255 / (count - 1), 255 - index * 200 / count, index * 37 % 256];
        let index = |x: usize, y: usize| (x / 3 + y * 5) % count;
        let mut rows = Vec::new();
        for y in 0..HEIGHT as usize {
            let row: String =
                (0..WIDTH as usize).map(|x| format!("{:0w$b}", index(x, y), w = usize::from(bits))).collect();
            rows.extend(
                row.as_bytes()
                    .chunks(8)
                    .map(|byte| u8::from_str_radix(&format!("{:0<8}", std::str::from_utf8(byte).unwrap()), 2).unwrap()),
            );
        }
        for scale in [257, 1] {
            let map: Vec<u16> =
                (0..3).flat_map(|plane| (0..count).map(move |at| (colour(at)[plane] * scale) as u16)).collect();
            let picture = shown(&tiff_of(3, &[bits], 1, &rows, &[(320, &map)])).to_rgb8();
            for (x, y, pixel) in picture.enumerate_pixels() {
                assert_eq!(pixel.0.map(usize::from), colour(index(x as usize, y as usize)), "{bits} bits at {x}, {y}");
            }
        }
        // A map that is too short is an error, not a panic.
        let short = tiff_of(3, &[bits], 1, &rows, &[(320, &[7; 3])]);
        assert!(compress(&short, &Settings::default(), &Limits::default()).is_err());
    }
}

#[test]
fn a_jpeg_in_a_tiff_shows_the_jpeg() {
    let pixels = photo(WIDTH, HEIGHT, Layout::Rgb);
    for (sampling, factors) in
        [(jpeg_encoder::SamplingFactor::F_2_2, [2, 2]), (jpeg_encoder::SamplingFactor::F_1_1, [1, 1])]
    {
        let mut jpeg = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 92);
        encoder.set_sampling_factor(sampling);
        encoder.encode(&pixels.data, WIDTH as u16, HEIGHT as u16, jpeg_encoder::ColorType::Rgb).unwrap();
        let file = tiff_of(6, &[8; 3], 7, &jpeg, &[(530, &factors)]);
        let (shown, expected) = (shown(&file).to_rgb8(), open(&jpeg).to_rgb8());
        assert!(shown.iter().zip(expected.iter()).all(|(a, b)| a.abs_diff(*b) <= 3), "{factors:?}");
    }
    let grey = photo(WIDTH, HEIGHT, Layout::Grey);
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 92);
    encoder.encode(&grey.data, WIDTH as u16, HEIGHT as u16, jpeg_encoder::ColorType::Luma).unwrap();
    assert_eq!(shown(&tiff_of(1, &[8], 7, &jpeg, &[])).to_luma8(), open(&jpeg).to_luma8());
}

#[test]
fn grey_keeps_its_transparency_where_it_is_some() {
    let pixels = photo(WIDTH, HEIGHT, Layout::GreyAlpha);
    for (kind, is_transparent) in [(2, true), (0, false)] {
        let picture = shown(&tiff_of(1, &[8; 2], 1, &pixels.data, &[(338, &[kind])])).to_luma_alpha8();
        for (pixel, source) in picture.pixels().zip(pixels.data.chunks(2)) {
            assert_eq!(pixel.0, [source[0], if is_transparent { source[1] } else { 255 }]);
        }
    }
}

fn encoded<C: ColorType>(samples: &[C::Inner], compression: Compression, predictor: Predictor) -> Vec<u8>
where
    [C::Inner]: TiffValue,
{
    let mut file = std::io::Cursor::new(Vec::new());
    let encoder = TiffEncoder::new(&mut file).unwrap().with_compression(compression).with_predictor(predictor);
    { encoder }.write_image::<C>(WIDTH, HEIGHT, samples).unwrap();
    file.into_inner()
}

#[test]
fn every_compression_and_depth_is_read() {
    let rgb = photo(WIDTH, HEIGHT, Layout::Rgb).data;
    let deep: Vec<u16> = rgb.iter().map(|sample| u16::from(*sample) * 257).collect();
    let grey: Vec<u16> =
        photo(WIDTH, HEIGHT, Layout::Grey).data.iter().map(|sample| u16::from(*sample) * 257).collect();
    let inks: Vec<u8> = rgb.chunks(3).flat_map(|pixel| [255 - pixel[0], 255 - pixel[1], 255 - pixel[2], 0]).collect();
    for compression in [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(DeflateLevel::Balanced),
        Compression::Packbits,
    ] {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            for file in [
                encoded::<RGB8>(&rgb, compression, predictor),
                encoded::<RGB16>(&deep, compression, predictor),
                encoded::<CMYK8>(&inks, compression, predictor),
            ] {
                assert!(shown(&file).to_rgb8().into_raw() == rgb);
            }
            let luma = shown(&encoded::<Gray16>(&grey, compression, predictor)).to_luma16().into_raw();
            assert!(luma == grey);
        }
    }
}

/// Black where `(x / 3 + y) % 2` is 0, 16 × 8 pixels, coded by libtiff as a fax of group 4.
const FAX: &str = "49492a002e00000031189410204081283040812820408102506081025040810204a0c10204a081020409400400400900000103000100\
    000010000000010103000100000008000000020103000100000001000000030103000100000004000000060103000100000001000000\
    1101040001000000080000001601030001000000080000001701040001000000260000001c010300010000000100000000000000";

#[test]
fn a_fax_is_read() {
    let picture = shown(&hex::decode(FAX).unwrap()).to_luma8();
    assert_eq!(picture.dimensions(), (16, 8));
    for (x, y, pixel) in picture.enumerate_pixels() {
        assert_eq!(pixel.0[0], if (x / 3 + y) % 2 == 0 { 0 } else { 255 }, "{x} {y}");
    }
}
