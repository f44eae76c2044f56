//! AVIF to pixels of eight bits, by rav1d.

use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use re_rav1d::dav1d::{
    Decoder, Error as Fault, Picture, PixelLayout, PlanarImageComponent as Component, Settings, pixel,
};

use crate::container::avif::{self, Coding};
use crate::contract::{Error, Format};
use crate::picture::pixels::{Decoded, Layout, Pixels};
use crate::picture::yuv::{self, Matrix, Plane};

// Numbers of ITU-T H.273, tables 2 to 4.
const UNSPECIFIED: u16 = 2;
const BT709: u16 = 1;
const SRGB: u16 = 13;
const IDENTITY: u16 = 0;

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let file = avif::read(bytes)?;
    let (width, height) = (file.width, file.height);
    let picture = frame(&file.colour, (width, height))?;
    // The container's word counts, then that of AV1.
    let coding = file.coding.unwrap_or_else(|| stated(&picture));
    let mut pixels = coloured(&picture, coding)?;
    drop(picture);
    if let Some(alpha) = &file.alpha {
        let alpha = frame(alpha, (width, height))?;
        let is_full_range = stated(&alpha).is_full_range;
        let alpha = plane(&alpha, Component::Y, is_full_range).samples;
        pixels = with_alpha(&pixels, &alpha, file.is_premultiplied);
    }
    Ok(Decoded {
        icc: file.icc.map(<[u8]>::to_vec).or_else(|| profile(coding)),
        exif: avif::metadata(bytes).0.and_then(|range| bytes.get(range)).map(<[u8]>::to_vec),
        pixels,
    })
}

/// The one picture of an AV1 stream.
fn frame(stream: &[u8], size: (u32, u32)) -> Result<Picture, Error> {
    /// A still picture is one frame, or its up to four layers. More would only take time.
    const MAX_FRAMES: usize = 4;
    match frames(stream) {
        None | Some(0) => return Err(damaged(Fault::InvalidArgument)),
        Some(1..=MAX_FRAMES) => {}
        Some(_) => return Err(unusual()),
    }
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    // The pixels have been judged on the container's header.
    settings.set_frame_size_limit(size.0.saturating_mul(size.1));
    let mut decoder = Decoder::with_settings(&settings).map_err(damaged)?;
    let mut sent = decoder.send_data(stream.to_vec(), None, None, None);
    let picture = loop {
        let is_all_sent = match sent {
            Ok(()) => true,
            Err(Fault::Again) => false,
            Err(fault) => return Err(damaged(fault)),
        };
        match decoder.get_picture() {
            Ok(picture) => break picture,
            Err(Fault::Again) if !is_all_sent => sent = decoder.send_pending_data(),
            Err(fault) => return Err(damaged(fault)),
        }
    };
    if (picture.width(), picture.height()) != size {
        return Err(Error::corrupt("its headers disagree about its size"));
    }
    Ok(picture)
}

/// How many frames a stream announces, by the headers of its units (AV1 specification, 5.3). `None` where these are damaged.
fn frames(mut stream: &[u8]) -> Option<usize> {
    const FRAME_HEADER: u8 = 3;
    const FRAME: u8 = 6;
    let mut count = 0;
    while let Some((&header, mut rest)) = stream.split_first() {
        let (has_extension, has_size) = (header >> 2 & 1 == 1, header >> 1 & 1 == 1);
        if has_extension {
            rest = rest.get(1..)?;
        }
        let mut size = if has_size { 0 } else { rest.len() };
        for at in 0..if has_size { 8 } else { 0 } {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            size |= usize::from(byte & 0x7f).checked_shl(7 * at)?;
            if byte < 0x80 {
                break;
            }
        }
        count += usize::from(matches!(header >> 3 & 15, FRAME_HEADER | FRAME));
        stream = rest.get(size..)?;
    }
    Some(count)
}

fn damaged(fault: Fault) -> Error {
    match fault {
        Fault::UnsupportedBitstream => unusual(),
        _ => Error::corrupt("the picture in the AVIF cannot be decoded"),
    }
}

fn unusual() -> Error {
    Error::unsupported_because(Format::Avif, "an unusual coding")
}

/// How the AV1 stream says that its colours are coded.
fn stated(picture: &Picture) -> Coding {
    Coding {
        primaries: picture.color_primaries() as u16,
        transfer: picture.transfer_characteristic() as u16,
        matrix: picture.matrix_coefficients() as u16,
        is_full_range: picture.color_range() == pixel::YUVRange::Full,
    }
}

/// Grey or RGB.
fn coloured(picture: &Picture, coding: Coding) -> Result<Pixels, Error> {
    let matrix = match coding.matrix {
        BT709 => Some(Matrix::of(0.2126, 0.0722)),
        UNSPECIFIED | 5 | 6 => Some(Matrix::of(0.299, 0.114)),
        4 => Some(Matrix::of(0.30, 0.11)),
        7 => Some(Matrix::of(0.212, 0.087)),
        9 => Some(Matrix::of(0.2627, 0.0593)),
        IDENTITY => None,
        _ => return Err(unusual()),
    };
    let (width, height) = (picture.width(), picture.height());
    let luma = plane(picture, Component::Y, coding.is_full_range);
    if picture.pixel_layout() == PixelLayout::I400 {
        return Pixels::new(width, height, Layout::Grey, luma.samples);
    }
    if let Some(matrix) = matrix {
        let planes = [
            luma,
            plane(picture, Component::U, coding.is_full_range),
            plane(picture, Component::V, coding.is_full_range),
        ];
        return yuv::coloured(width, height, &planes, matrix);
    }
    if picture.pixel_layout() != PixelLayout::I444 {
        return Err(unusual());
    }
    // Green, blue and red as they are.
    let [blue, red] = [Component::U, Component::V]
        .map(|component| rows(picture, component, &values(picture, coding.is_full_range, LUMA)).samples);
    let colours = luma.samples.into_iter().zip(blue).zip(red);
    Pixels::new(width, height, Layout::Rgb, colours.flat_map(|((green, blue), red)| [red, green, blue]).collect())
}

/// The limited range of a plane in eight bits (ITU-T H.273, 8.3), and what its zero is in the full one.
struct Limited {
    zero: f64,
    span: f64,
    full_zero: f64,
}

const LUMA: Limited = Limited { zero: 16.0, span: 219.0, full_zero: 0.0 };
const DIFFERENCE: Limited = Limited { zero: 128.0, span: 224.0, full_zero: 128.0 };

/// One plane in eight bits and full range.
fn plane(picture: &Picture, component: Component, is_full_range: bool) -> Plane {
    let limited = if component == Component::Y { LUMA } else { DIFFERENCE };
    rows(picture, component, &values(picture, is_full_range, limited))
}

/// What each sample is in eight bits and full range.
fn values(picture: &Picture, is_full_range: bool, Limited { zero, span, full_zero }: Limited) -> Vec<u8> {
    let depth = picture.bit_depth().clamp(8, 12);
    let most = (1_u16 << depth) - 1;
    let value = |sample: u16| {
        if is_full_range {
            f64::from(sample) * 255.0 / f64::from(most)
        } else {
            (f64::from(sample) / f64::from(1 << (depth - 8)) - zero) * 255.0 / span + full_zero
        }
    };
    (0..=most).map(|sample| value(sample).round().clamp(0.0, 255.0) as u8).collect()
}

/// A plane through a table of values.
fn rows(picture: &Picture, component: Component, values: &[u8]) -> Plane {
    let (stride, height) = picture.plane_data_geometry(component);
    let is_half = component != Component::Y && matches!(picture.pixel_layout(), PixelLayout::I420 | PixelLayout::I422);
    let width = if is_half { picture.width().div_ceil(2) } else { picture.width() } as usize;
    let data = picture.plane(component);
    let value = |sample: usize| values[sample.min(values.len() - 1)];
    let mut samples = Vec::with_capacity(width * height as usize);
    for row in data.chunks_exact(stride as usize) {
        if picture.bit_depth() == 8 {
            samples.extend(row[..width].iter().map(|sample| value(usize::from(*sample))));
        } else {
            let (wide, _) = row[..width * 2].as_chunks::<2>();
            samples.extend(wide.iter().map(|sample| value(usize::from(u16::from_ne_bytes(*sample)))));
        }
    }
    Plane { width, height: height as usize, samples }
}

fn with_alpha(opaque: &Pixels, alpha: &[u8], is_premultiplied: bool) -> Pixels {
    let is_grey = opaque.layout == Layout::Grey;
    let mut pixels = opaque.to_layout(if is_grey { Layout::GreyAlpha } else { Layout::Rgba });
    for (pixel, alpha) in pixels.data.chunks_exact_mut(pixels.layout.channels()).zip(alpha) {
        if let Some((last, colours)) = pixel.split_last_mut() {
            *last = *alpha;
            if is_premultiplied {
                let divisor = u16::from((*alpha).max(1));
                colours
                    .iter_mut()
                    .for_each(|colour| *colour = ((u16::from(*colour) * 255 + divisor / 2) / divisor).min(255) as u8);
            }
        }
    }
    pixels
}

/// The profile of colours that are not those of sRGB.
fn profile(coding: Coding) -> Option<Vec<u8>> {
    // A browser shows the curves of BT.709 and its kin as that of sRGB.
    let is_srgb = matches!(coding.primaries, BT709 | UNSPECIFIED) && is_curve_of_srgb(coding.transfer);
    if is_srgb {
        return None;
    }
    let transfer = if is_curve_of_srgb(coding.transfer) { SRGB } else { coding.transfer };
    let primaries = if coding.primaries == UNSPECIFIED { BT709 } else { coding.primaries };
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: CicpColorPrimaries::try_from(u8::try_from(primaries).ok()?).ok()?,
        transfer_characteristics: TransferCharacteristics::try_from(u8::try_from(transfer).ok()?).ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    profile.encode().ok()
}

fn is_curve_of_srgb(transfer: u16) -> bool {
    matches!(transfer, 1 | UNSPECIFIED | 6 | SRGB | 14 | 15)
}
