//! Files to pixels: every accepted format, oriented, with what else must travel along.
//!
//! Limits have passed on the headers before this is called. A decoder that panics is a damaged image; a file that is cut short is an
//! error, also where the decoder would fill the rest with grey.

use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::jpeg::Colour;
use super::pixels::{Layout, Pixels};
use super::probe::{Probe, from_jpeg};
use super::{Error, Format, Limits, chunks, colour, gif, jpeg, orient, resize, riff, segments};

/// A still picture, upright.
pub(super) struct Decoded {
    pub pixels: Pixels,
    /// The profile the samples are in; `None` is sRGB.
    pub icc: Option<Vec<u8>>,
    /// The TIFF part of the source's EXIF.
    pub exif: Option<Vec<u8>>,
}

/// Decodes a still image and turns it upright.
pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    decode_for(bytes, probe, probe.displayed())
}

/// The same for a picture that will be resized to `size`: a huge one may be smaller than it is, though at least twice as large as that,
/// where its decoder can do this row by row.
pub(super) fn decode_for(bytes: &[u8], probe: &Probe, size: (u32, u32)) -> Result<Decoded, Error> {
    /// More pixels than this are huge.
    const HUGE: u64 = 20_000_000;
    let (width, height) = if probe.orientation >= 5 { (size.1, size.0) } else { size };
    let (width, height) = (width.saturating_mul(2), height.saturating_mul(2));
    let is_shrunk =
        probe.format == Format::Webp && probe.pixels() > HUGE && width <= probe.width && height <= probe.height;
    let (width, height) = if is_shrunk { (width, height) } else { (probe.width, probe.height) };
    guarded(|| {
        let decoded = match probe.format {
            Format::Jpeg => from_jpeg_file(bytes, probe),
            Format::Png => png(bytes),
            Format::Webp => webp(bytes, is_shrunk.then_some((width, height))),
            Format::Gif => gif(bytes),
            Format::Avif | Format::Tiff | Format::Bmp => Err(Error::unsupported(probe.format)),
        }?;
        let pixels = decoded.pixels;
        if (pixels.width, pixels.height) != (width, height) {
            return Err(Error::corrupt("the image contradicts itself about its size"));
        }
        Ok(Decoded { pixels: orient::apply(pixels, probe.orientation), ..decoded })
    })
}

/// Runs a decoder; its panic is the image's damage.
pub(super) fn guarded<T>(decoder: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|_| Err(Error::corrupt("its data makes no sense")))
}

fn from_jpeg_file(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    // The pixel decoder takes it for granted that no component is finer than the first, and mixes up rows and columns where one is.
    let is_finer = |own: &(u8, u8), first: &(u8, u8)| own.0 > first.0 || own.1 > first.1;
    if jpeg::header(bytes).is_ok_and(|header| header.sampling.iter().any(|own| is_finer(own, &header.sampling[0]))) {
        return component_by_component(bytes);
    }
    // The pixel decoder mixes up the components of sequential files with a scan for each; progressive ones it reads well.
    let is_interleaved =
        probe.is_progressive || segments::first_scan_components(bytes).is_none_or(|count| count >= probe.pixel_bytes);
    let strict = if is_interleaved { jpeg_scans(bytes, bytes) } else { Err(Error::corrupt("its scans are apart")) };
    // Where the strict pixel decoder gives up, the requantiser may still see a whole file, and writes a plain one of it. Its word on
    // what is wrong is the last.
    strict.or_else(|_| written_anew(bytes, !is_interleaved)).or_else(|_| component_by_component(bytes))
}

/// The pixels have been judged on the header.
fn unlimited() -> jpeg::Limits {
    Limits { max_pixels: u64::MAX, max_side: u32::MAX }.for_jpeg()
}

/// The pixels of a JPEG after its coefficients were written as another JPEG, which loses nothing.
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
            *pixel = rgb(*pixel);
        }
        stored = ColorSpace::RGB;
    }
    in_srgb_or_profile(size, data, stored, bytes)
}

/// The pixel decoder's word for them.
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
    // Browsers decide as libjpeg does: JFIF's word counts for more than the names of the components.
    if jpeg::header(file).is_ok_and(|header| colours(header.colour) != stored) {
        return Err(Error::corrupt("the JPEG contradicts itself about its colours"));
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
    let icc = segments::icc(file);
    let exif = segments::exif(file).map(|range| file[range].to_vec());
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
/// files; browsers and Pillow take every file for one of its kind, marked or not, and so a picture looks here as it does there.
fn inks(mut data: Vec<u8>, stored: ColorSpace) -> Vec<u8> {
    let (pixels, _) = data.as_chunks_mut::<4>();
    for pixel in pixels {
        if stored == ColorSpace::YCCK {
            // The transform gives RGB, the complement of CMY.
            let [y, cb, cr, k] = *pixel;
            let [r, g, b] = rgb([y, cb, cr]);
            *pixel = [255 - r, 255 - g, 255 - b, k];
        }
        *pixel = pixel.map(|sample| 255 - sample);
    }
    data
}

/// T.871, 7.
fn rgb(pixel: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = pixel.map(f32::from);
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
        .map(|sample| sample.round().clamp(0.0, 255.0) as u8)
}

/// A PNG's rows, ready to be read.
pub(super) fn png_reader(
    bytes: &[u8],
    transformations: png::Transformations,
) -> Result<png::Reader<Cursor<&[u8]>>, Error> {
    let list = chunks::chunks(bytes)?;
    if chunks::data(bytes, &list, b"PLTE").is_some_and(|palette| palette.len() % 3 != 0) {
        return Err(Error::corrupt("the palette ends in the middle of a colour"));
    }
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(transformations);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(png_error)
}

fn png(bytes: &[u8]) -> Result<Decoded, Error> {
    let list = chunks::chunks(bytes)?;
    let mut reader = png_reader(bytes, png::Transformations::normalize_to_color8())?;
    let size = reader.output_buffer_size().ok_or_else(|| Error::corrupt("the PNG has an impossible size"))?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(png_error)?;
    data.truncate(frame.buffer_size());
    let icc = png_profile(reader.info(), chunks::profile(bytes, &list));
    reader.finish().map_err(png_error)?;
    let layout = png_layout(frame.color_type)?;
    Ok(Decoded {
        pixels: Pixels::new(frame.width, frame.height, layout, data)?,
        icc,
        exif: chunks::exif(bytes, &list).map(Cow::into_owned),
    })
}

/// What is wrong, for those who do not know the format.
pub(super) fn png_error(error: png::DecodingError) -> Error {
    Error::corrupt(match error {
        png::DecodingError::IoError(_) => "the PNG ends early",
        png::DecodingError::Format(detail) if detail.to_string().starts_with("CRC error") => {
            "a checksum of the PNG is wrong"
        }
        _ => "the PNG is not put together as it must be",
    })
}

/// The layout of expanded rows.
pub(super) fn png_layout(colour: png::ColorType) -> Result<Layout, Error> {
    match colour {
        png::ColorType::Grayscale => Ok(Layout::Grey),
        png::ColorType::GrayscaleAlpha => Ok(Layout::GreyAlpha),
        png::ColorType::Rgb => Ok(Layout::Rgb),
        png::ColorType::Rgba => Ok(Layout::Rgba),
        png::ColorType::Indexed => Err(Error::failed("a palette was not expanded")),
    }
}

/// The profile that the code points stand for, the embedded one, or one made of the gamma and primaries that stand in its place:
/// PNG's order of precedence.
fn png_profile(info: &png::Info<'_>, embedded: Option<Vec<u8>>) -> Option<Vec<u8>> {
    if let Some(code) = &info.coding_independent_code_points {
        return colour::profile_of_code_points(
            code.color_primaries,
            code.transfer_function,
            code.is_video_full_range_image,
        );
    }
    if embedded.is_some() {
        return embedded;
    }
    if info.srgb.is_some() {
        return None;
    }
    let gamma = info.gama_chunk?.into_value();
    let primaries = info
        .chrm_chunk
        .map(|chrm| [chrm.white, chrm.red, chrm.green, chrm.blue].map(|(x, y)| [x.into_value(), y.into_value()]));
    colour::profile_of(gamma, primaries)
}

/// Brightness and two colour differences of half the size, as a lossy WebP holds them and a lossless one can be shown; upright.
/// Transparency is decoded and dropped.
pub(super) fn webp_planes(bytes: &[u8], probe: &Probe) -> Result<[jpeg::SamplePlane; 3], Error> {
    guarded(|| {
        let planes = webp_decoder(bytes)?.decode_yuv().map_err(damaged_webp)?;
        let (width, height) = (planes.width, planes.height);
        let half = (width.div_ceil(2), height.div_ceil(2));
        let is_plain =
            (planes.y_stride, planes.u_stride, planes.v_stride) == (width as usize, half.0 as usize, half.0 as usize);
        if (width, height) != (probe.width, probe.height) || !is_plain {
            return Err(Error::corrupt("the image contradicts itself about its size"));
        }
        let upright = |width, height, data| {
            let plane = Pixels::new(width, height, Layout::Grey, data)?;
            let Pixels { width, height, data, .. } = orient::apply(plane, probe.orientation);
            Ok(jpeg::SamplePlane { width, height, data })
        };
        Ok([upright(width, height, planes.y)?, upright(half.0, half.1, planes.u)?, upright(half.0, half.1, planes.v)?])
    })
}

/// libwebp finds the picture in the container by itself.
fn webp_decoder(bytes: &[u8]) -> Result<webpx::Decoder<'_>, Error> {
    // The pixels have been judged on the header.
    let config = webpx::DecoderConfig::new().limits(webpx::Limits::none());
    Ok(webpx::Decoder::new(bytes).map_err(damaged_webp)?.config(config))
}

fn damaged_webp(_: webpx::At<webpx::Error>) -> Error {
    Error::corrupt("the picture in the WebP cannot be decoded")
}

fn webp(bytes: &[u8], scaled: Option<(u32, u32)>) -> Result<Decoded, Error> {
    let list = riff::chunks(bytes)?;
    let decoder = webp_decoder(bytes)?;
    let (width, height) = (decoder.info().width, decoder.info().height);
    // An extended header that announces no alpha outweighs alpha data, as in browsers.
    let has_alpha = riff::header(bytes, &list)?.has_alpha && decoder.info().has_alpha;
    let layout = if has_alpha { Layout::Rgba } else { Layout::Rgb };
    let (width, height, data) = match scaled {
        Some((width, height)) => {
            let decoder = decoder.scale(width, height);
            let decoded = if has_alpha { decoder.decode_rgba_raw() } else { decoder.decode_rgb_raw() };
            let (data, width, height) = decoded.map_err(damaged_webp)?;
            (width, height, data)
        }
        None => {
            let row = width as usize * layout.channels();
            let mut data = vec![0; row * height as usize];
            // At most 16,384 pixels of four bytes.
            let decoded = if has_alpha {
                decoder.decode_rgba_into(&mut data, row as u32)
            } else {
                decoder.decode_rgb_into(&mut data, row as u32)
            };
            decoded.map_err(damaged_webp)?;
            (width, height, data)
        }
    };
    Ok(Decoded {
        pixels: Pixels::new(width, height, layout, data)?,
        icc: riff::data(bytes, &list, b"ICCP").map(<[u8]>::to_vec),
        exif: riff::exif(bytes, &list).map(<[u8]>::to_vec),
    })
}

/// Frames as palette indices: a byte a pixel.
fn gif_reader(bytes: &[u8]) -> Result<::gif::Decoder<Cursor<&[u8]>>, Error> {
    let mut options = ::gif::DecodeOptions::new();
    options.set_color_output(::gif::ColorOutput::Indexed);
    options.read_info(Cursor::new(bytes)).map_err(broken_frame)
}

/// The first frame, where it lies on the transparent screen.
fn gif(bytes: &[u8]) -> Result<Decoded, Error> {
    let plain = gif::plain(bytes)?;
    let mut reader = gif_reader(&plain)?;
    let frame = reader.next_frame_info().map_err(broken_frame)?;
    let frame = frame.ok_or_else(|| Error::corrupt("the GIF holds no picture"))?;
    let [left, top, across] = [frame.left, frame.top, frame.width].map(usize::from);
    let transparent = frame.transparent;
    let mut indices = vec![0; reader.buffer_size()];
    reader.read_into_buffer(&mut indices).map_err(broken_frame)?;
    let (width, height) = (usize::from(reader.width()), usize::from(reader.height()));
    let (colours, _) = reader.palette().map_err(broken_frame)?.as_chunks::<3>();
    let mut data = vec![0; width * height * 4];
    let (pixels, _) = data.as_chunks_mut::<4>();
    let screen = pixels.chunks_exact_mut(width.max(1)).skip(top);
    for (row, line) in screen.zip(indices.chunks(across.max(1))) {
        for (pixel, index) in row.iter_mut().skip(left).zip(line) {
            // A colour that is not in the palette shows nothing.
            if let Some([r, g, b]) = colours.get(usize::from(*index))
                && transparent != Some(*index)
            {
                *pixel = [*r, *g, *b, 255];
            }
        }
    }
    let (width, height) = (reader.width().into(), reader.height().into());
    Ok(Decoded { pixels: Pixels::new(width, height, Layout::Rgba, data)?, icc: None, exif: None })
}

fn broken_frame(_: impl std::error::Error) -> Error {
    Error::corrupt("a frame cannot be decoded")
}

/// Decodes every frame of an animation, one at a time, and keeps none: proof that the file is whole.
pub(super) fn prove_animation(bytes: &[u8], probe: &Probe) -> Result<(), Error> {
    guarded(|| match probe.format {
        Format::Gif => {
            let plain = gif::plain(bytes)?;
            let mut reader = gif_reader(&plain)?;
            let (mut frames, mut indices) = (0, Vec::new());
            while reader.next_frame_info().map_err(broken_frame)?.is_some() {
                indices.resize(reader.buffer_size(), 0);
                reader.read_into_buffer(&mut indices).map_err(broken_frame)?;
                frames += 1;
            }
            if frames == probe.frames { Ok(()) } else { Err(Error::corrupt("not all of its frames decode")) }
        }
        Format::Webp => {
            // One by one: what is shown of them together takes four bytes a pixel, more than once.
            for frame in riff::frames(bytes, &riff::chunks(bytes)?)? {
                let decoder = WebPDecoder::new(Cursor::new(frame?)).map_err(broken_frame)?;
                // The pixels have been judged on the header.
                let mut pixels = vec![0; decoder.total_bytes() as usize];
                decoder.read_image(&mut pixels).map_err(broken_frame)?;
            }
            Ok(())
        }
        Format::Png => {
            let mut decoder = png::Decoder::new(Cursor::new(bytes));
            decoder.set_ignore_text_chunk(true);
            decoder.set_ignore_iccp_chunk(true);
            let mut reader = decoder.read_info().map_err(png_error)?;
            let mut data = vec![0; reader.output_buffer_size().unwrap_or(0)];
            // A default image may stand before the frames that acTL counts.
            for _ in 0..probe.frames {
                reader.next_frame(&mut data).map_err(png_error)?;
            }
            reader.finish().map_err(png_error)
        }
        _ => Err(Error::unsupported(probe.format)),
    })
}
