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
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    // The pixels have been judged on the container's header.
    settings.set_frame_size_limit(size.0.saturating_mul(size.1));
    let mut decoder = Decoder::with_settings(&settings).map_err(damaged)?;
    match decoder.send_data(stream.to_vec(), None, None, None) {
        Ok(()) | Err(Fault::Again) => {}
        Err(fault) => return Err(damaged(fault)),
    }
    let picture = loop {
        match decoder.get_picture() {
            Ok(picture) => break picture,
            Err(Fault::Again) => match decoder.send_pending_data() {
                Ok(()) => break decoder.get_picture().map_err(damaged)?,
                Err(Fault::Again) => {}
                Err(fault) => return Err(damaged(fault)),
            },
            Err(fault) => return Err(damaged(fault)),
        }
    };
    if (picture.width(), picture.height()) != size {
        return Err(Error::corrupt("its headers disagree about its size"));
    }
    Ok(picture)
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
        .map(|component| rows(picture, component, &brightness(picture, coding.is_full_range)));
    let colours = luma.samples.into_iter().zip(blue.samples).zip(red.samples);
    Pixels::new(width, height, Layout::Rgb, colours.flat_map(|((green, blue), red)| [red, green, blue]).collect())
}

/// One plane in eight bits and full range.
fn plane(picture: &Picture, component: Component, is_full_range: bool) -> Plane {
    let values = match component {
        Component::Y => brightness(picture, is_full_range),
        Component::U | Component::V => values(picture, is_full_range, 128.0, 224.0),
    };
    rows(picture, component, &values)
}

fn brightness(picture: &Picture, is_full_range: bool) -> Vec<u8> {
    values(picture, is_full_range, 16.0, 219.0)
}

/// What each sample is in eight bits and full range. In the limited one `zero` stays the same colour, and `span` is all of the range:
/// 16 is black, 128 is no colour.
fn values(picture: &Picture, is_full_range: bool, zero: f64, span: f64) -> Vec<u8> {
    let depth = picture.bit_depth().clamp(8, 12);
    let count = 1 << depth;
    let shown = if zero == 16.0 { 0.0 } else { zero };
    let value = |sample: usize| {
        if is_full_range {
            return sample as f64 * 255.0 / f64::from(count - 1);
        }
        let sample = sample as f64 / f64::from(1 << (depth - 8));
        (sample - zero) * 255.0 / span + shown
    };
    (0..count as usize).map(|sample| value(sample).round().clamp(0.0, 255.0) as u8).collect()
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
