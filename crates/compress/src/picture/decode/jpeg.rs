//! JPEG files to pixels.

use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::container::jpeg_segments;
use crate::contract::{Error, Limits};
use crate::header::probe::{Probe, for_jpeg, from_jpeg};
use crate::jpeg::{self, Colour};
use crate::picture::pixels::{Decoded, Layout, Pixels};
use crate::picture::{colour, resize};

pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    // The pixel decoder assumes that no component is finer than the first, and mixes up rows and columns where one is.
    let is_finer = |own: &(u8, u8), first: &(u8, u8)| own.0 > first.0 || own.1 > first.1;
    if jpeg::header(bytes).is_ok_and(|header| header.sampling.iter().any(|own| is_finer(own, &header.sampling[0]))) {
        return component_by_component(bytes);
    }
    // The pixel decoder mixes up the components of sequential files with a scan for each; progressive ones it reads well.
    let is_interleaved = probe.is_progressive
        || jpeg_segments::first_scan_components(bytes).is_none_or(|count| count >= probe.pixel_bytes);
    let strict = if is_interleaved {
        jpeg_scans(bytes, bytes)
    } else {
        Err(Error::corrupt("its components are in separate scans"))
    };
    // Where the strict pixel decoder gives up, the requantiser may still read the file and write a plain one of it. Its error is the
    // one reported.
    strict.or_else(|_| written_anew(bytes, !is_interleaved)).or_else(|_| component_by_component(bytes))
}

/// The pixels have been judged on the header.
fn unlimited() -> jpeg::Limits {
    for_jpeg(&Limits { max_pixels: u64::MAX, max_side: u32::MAX, ..Limits::default() })
}

/// The pixels of a JPEG, by way of a plain JPEG with the same coefficients.
fn written_anew(bytes: &[u8], progressive: bool) -> Result<Decoded, Error> {
    let options = jpeg::Options { progressive, keep_copyright: false };
    let source = jpeg::decode(bytes, &unlimited()).map_err(from_jpeg)?;
    jpeg_scans(&source.lossless(&options).bytes, bytes)
}

/// For samplings and colours the pixel decoder does not know, such as a third or untransformed RGB: each component is decoded and
/// brought to the picture's size by itself.
fn component_by_component(bytes: &[u8]) -> Result<Decoded, Error> {
    let header = jpeg::header(bytes).map_err(from_jpeg)?;
    let size = (header.width, header.height);
    let samples = jpeg::samples(bytes, &unlimited(), &[8; 4]).map_err(from_jpeg)?;
    let mut planes = Vec::with_capacity(samples.len());
    for (component, plane) in samples.into_iter().enumerate() {
        let (across, down) = header.extent(component);
        planes.push(resize::resize_part(plane, (0.0, 0.0, across, down), size)?.data);
    }
    let mut data = Vec::with_capacity(planes.iter().map(Vec::len).sum());
    for at in 0..planes[0].len() {
        data.extend(planes.iter().map(|plane| plane[at]));
    }
    drop(planes);
    let mut stored = colours(header.colour);
    if stored == ColorSpace::YCbCr {
        for pixel in data.as_chunks_mut::<3>().0 {
            *pixel = jpeg::rgb(*pixel);
        }
        stored = ColorSpace::RGB;
    }
    in_srgb_or_profile(size, data, stored, bytes)
}

/// The pixel decoder's name for them.
fn colours(colour: Colour) -> ColorSpace {
    match colour {
        Colour::Grey => ColorSpace::Luma,
        Colour::YCbCr => ColorSpace::YCbCr,
        Colour::Rgb => ColorSpace::RGB,
        Colour::Cmyk => ColorSpace::CMYK,
        Colour::Ycck => ColorSpace::YCCK,
    }
}

/// Pixels from the scans of `bytes`; the profile and EXIF are those of `file`.
fn jpeg_scans(bytes: &[u8], file: &[u8]) -> Result<Decoded, Error> {
    // Strict: lenient decoding would pass a picture whose end is missing.
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(Error::corrupt)?;
    let stored = decoder.input_colorspace().ok_or_else(|| Error::corrupt("the JPEG has no header"))?;
    // Browsers decide as libjpeg does: a JFIF header outweighs the identifiers of the components.
    if jpeg::header(file).is_ok_and(|header| colours(header.colour) != stored) {
        return Err(Error::corrupt("its headers disagree about its colours"));
    }
    let wanted = match stored {
        ColorSpace::Luma | ColorSpace::CMYK | ColorSpace::YCCK => stored,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let data = decoder.decode().map_err(Error::corrupt)?;
    let (width, height) = decoder
        .dimensions()
        .and_then(|(w, h)| Some((u32::try_from(w).ok()?, u32::try_from(h).ok()?)))
        .ok_or_else(|| Error::corrupt("the JPEG has no size"))?;
    in_srgb_or_profile((width, height), data, wanted, file)
}

/// `file` has the profile and the EXIF.
fn in_srgb_or_profile(
    (width, height): (u32, u32),
    data: Vec<u8>,
    stored: ColorSpace,
    file: &[u8],
) -> Result<Decoded, Error> {
    let icc = jpeg_segments::icc(file);
    let exif = jpeg_segments::exif(file).map(|range| file[range].to_vec());
    let (pixels, icc) = match stored {
        ColorSpace::Luma => (Pixels::new(width, height, Layout::Grey, data)?, icc),
        ColorSpace::RGB => (Pixels::new(width, height, Layout::Rgb, data)?, icc),
        _ => {
            let inks = inks(data, stored);
            (colour::cmyk_to_srgb(width, height, &inks, icc.as_deref())?, None)
        }
    };
    Ok(Decoded { pixels, icc, exif })
}

/// Stored four-component samples as ink, 255 full. Photoshop stores the complement (libjpeg's libjpeg.txt, "CMYK") and marks its
/// files; browsers and Pillow treat all files so, marked or not, and so does this.
fn inks(mut data: Vec<u8>, stored: ColorSpace) -> Vec<u8> {
    let (pixels, _) = data.as_chunks_mut::<4>();
    for pixel in pixels {
        if stored == ColorSpace::YCCK {
            // The transform gives RGB, the complement of CMY.
            let [y, cb, cr, k] = *pixel;
            let [r, g, b] = jpeg::rgb([y, cb, cr]);
            *pixel = [255 - r, 255 - g, 255 - b, k];
        }
        *pixel = pixel.map(|sample| 255 - sample);
    }
    data
}
