//! Fewer bytes and nothing else: the same format at the same size.
//!
//! A JPEG is decoded to pixels only if the requantiser does not support its kind; PNG and WebP keep their colour profile. The source
//! is read to its end, so damage is found even when the source is kept.

use std::borrow::Cow;

use crate::container::{png, vp8, webp};
use crate::contract::{Error, Format, Goal, Receipt, Settings};
use crate::decide::job::Job;
use crate::decide::plan::EncodedImage;
use crate::decide::score::Judge;
use crate::decide::search::{SearchResult, search_quality};
use crate::encode::Encoded;
use crate::encode::credited::Credited;
use crate::encode::jpeg_out::{JpegEncoder, PixelEncoder};
use crate::encode::png_bands::{self, BandedPng};
use crate::encode::png_out::{COLOUR_CHUNKS, Original, PackedPng};
use crate::encode::png_rows::Rows;
use crate::encode::png_steps::PngEncoder;
use crate::encode::webp_out::{self, WebpEncoder};
use crate::header::probe::{for_jpeg, from_jpeg};
use crate::jpeg;
use crate::metadata::credits::Credits;
use crate::metadata::{exif, profile};
use crate::picture::{colour, decode};

/// An interlaced PNG of sixteen bits is kept above this: it would have to be held whole.
const KEEP_DEEP_ABOVE_PIXELS: u64 = 8_000_000;

/// The result.
pub(crate) enum Recompressed {
    Encoded(EncodedImage),
    /// The source is whole and stays.
    Kept(KeptBecause),
}

/// Why a source is kept without a try.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeptBecause {
    /// A lossy WebP has no smaller lossless form.
    NothingToGain,
    /// It would take too much memory.
    TooLarge,
}

pub(crate) fn recompress(job: &Job) -> Result<Recompressed, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let credits = if settings.keep_copyright { Credits::read(bytes, probe.format) } else { Credits::default() };
    match probe.format {
        Format::Jpeg => jpeg(job, &credits).map(Recompressed::Encoded),
        Format::Png => png(job, &credits),
        Format::Webp => webp(job, &credits),
        other => Err(Error::unsupported(other)),
    }
}

fn jpeg(job: &Job, credits: &Credits) -> Result<EncodedImage, Error> {
    let Job { ref probe, .. } = *job;
    let choice = match in_the_dct_domain(job, credits) {
        Ok(choice) => choice?,
        Err(jpeg::Error::Unsupported(reason)) => {
            // What neither decoder can read is a rare kind rather than damage.
            return through_pixels(job, credits).map_err(|error| match error {
                Error::Corrupt(_) => Error::unsupported_because("JPEG", reason),
                other => other,
            });
        }
        Err(error) => return Err(from_jpeg(error)),
    };
    Ok(EncodedImage { choice, size: (probe.width, probe.height), format: probe.format })
}

/// The outer error is the requantiser's refusal of the source.
fn in_the_dct_domain(job: &Job, credits: &Credits) -> Result<Result<SearchResult, Error>, jpeg::Error> {
    let Job { bytes, ref probe, settings, limits, .. } = *job;
    let Settings { progressive, keep_copyright, .. } = *settings;
    let options = jpeg::Options { progressive, keep_copyright };
    if let Goal::Quality(quality) = settings.goal
        && !progressive
    {
        // One streaming pass: no coefficients are held.
        let encoded = jpeg::requantise(bytes, quality, &options, &for_jpeg(limits))?;
        let credited = credits.put(encoded.bytes, Format::Jpeg);
        return Ok(credited.map(|bytes| SearchResult {
            encoded: Encoded { bytes, quality: Some(quality), warnings: encoded.warnings },
            receipt: Receipt {
                quality: Some(quality),
                score: None,
                target_met: true,
                encodes_tried: 1,
                decision: format!("Encoded at quality {quality}."),
                alternatives: Vec::new(),
            },
        }));
    }
    let mut encoder = JpegEncoder::over_source(bytes, options, &for_jpeg(limits))?;
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Jpeg };
    Ok(search_quality(&mut encoder, settings.goal, job, &mut || Ok(Judge::new(&decode::decode(bytes, probe)?.pixels))))
}

/// For kinds of JPEG that the requantiser does not support but the pixel decoder does.
fn through_pixels(job: &Job, credits: &Credits) -> Result<EncodedImage, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let decoded = decode::decode(bytes, probe)?;
    let mut pixels = decoded.pixels;
    if let Some(icc) = &decoded.icc {
        colour::to_srgb(&mut pixels, icc);
    }
    let credit = exif::minimal(decoded.exif.as_deref(), 1, settings.keep_copyright);
    let mut encoder = PixelEncoder::new(&pixels, 0, credit.as_deref(), settings.progressive)?;
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Jpeg };
    let choice = search_quality(&mut encoder, settings.goal, job, &mut || Ok(Judge::new(&pixels)))?;
    Ok(EncodedImage { choice, size: probe.displayed(), format: probe.format })
}

fn png(job: &Job, credits: &Credits) -> Result<Recompressed, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let list = png::chunks(bytes)?;
    let header = png::header(bytes, &list)?;
    if png_bands::is_large(probe.pixels(), probe.pixel_bytes) && !(header.is_interlaced && header.depth == 16) {
        return large_png(job, credits);
    }
    if probe.pixels() > KEEP_DEEP_ABOVE_PIXELS {
        decode::decode(bytes, probe)?;
        return Ok(Recompressed::Kept(KeptBecause::TooLarge));
    }
    let decoded = decode::decode(bytes, probe)?;
    let mut pixels = decoded.pixels;
    let has_grey_profile = matches!(header.colour, 0 | 4) && png::data(bytes, &list, b"iCCP").is_some();
    let mut extra: Vec<_> = match &decoded.icc {
        // A grey profile cannot describe a palette: its effect goes into the samples.
        Some(icc) if has_grey_profile && colour::to_srgb(&mut pixels, icc) => Vec::new(),
        _ => COLOUR_CHUNKS.iter().filter_map(|name| Some((*name, png::data(bytes, &list, name)?.to_vec()))).collect(),
    };
    let source_exif = decoded.exif.as_deref();
    if let Some(credit) = exif::minimal(source_exif, 1, settings.keep_copyright) {
        extra.push((*b"eXIf", credit));
    }
    let original = Original { bytes, exif: exif::minimal(source_exif, probe.orientation, settings.keep_copyright) };
    let mut judge = Judge::before(settings.goal, &pixels);
    let mut encoder = PngEncoder::over(PackedPng::new(pixels, extra, Some(original)));
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Png };
    let choice = search_quality(&mut encoder, settings.goal, job, &mut judge)?;
    // The source's own samples keep their rows and the orientation tag; a palette is written upright.
    let written = png::header(&choice.encoded.bytes, &png::chunks(&choice.encoded.bytes)?)?;
    let size = (written.width, written.height);
    Ok(Recompressed::Encoded(EncodedImage { choice, size, format: Format::Png }))
}

/// A large PNG is written from its rows, as they are stored and with the orientation tag, unless the file is interlaced and had to be
/// decoded whole.
fn large_png(job: &Job, credits: &Credits) -> Result<Recompressed, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let list = png::chunks(bytes)?;
    let header = png::header(bytes, &list)?;
    let has_grey_profile = matches!(header.colour, 0 | 4) && png::data(bytes, &list, b"iCCP").is_some();
    let mut extra: Vec<_> =
        COLOUR_CHUNKS.iter().filter_map(|name| Some((*name, png::data(bytes, &list, name)?.to_vec()))).collect();
    let (rows, size, orientation) = if header.is_interlaced {
        (Rows::Pixels(decode::decode(bytes, probe)?.pixels), probe.displayed(), 1)
    } else {
        (Rows::File(bytes), (probe.width, probe.height), probe.orientation)
    };
    if let Some(exif) = exif::minimal(png::exif(bytes, &list).as_deref(), orientation, settings.keep_copyright) {
        extra.push((*b"eXIf", exif));
    }
    let mut encoder =
        PngEncoder::over(BandedPng::new(rows, size, extra, !has_grey_profile, Some(bytes), job.deadline)?);
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Png };
    let mut judge = || Ok(Judge::new(&decode::decode(bytes, probe)?.pixels));
    let choice = search_quality(&mut encoder, settings.goal, job, &mut judge)?;
    Ok(Recompressed::Encoded(EncodedImage { choice, size, format: Format::Png }))
}

fn webp(job: &Job, credits: &Credits) -> Result<Recompressed, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let list = webp::chunks(bytes)?;
    let header = webp::header(bytes, &list)?;
    let is_large = probe.pixels() > webp_out::KEEP_ABOVE_PIXELS;
    if settings.goal == Goal::Lossless && (!header.is_lossless || is_large) {
        decode::webp_planes(bytes, probe)?;
        return Ok(Recompressed::Kept(if header.is_lossless {
            KeptBecause::TooLarge
        } else {
            KeptBecause::NothingToGain
        }));
    }
    let credit = exif::minimal(webp::exif(bytes, &list), 1, settings.keep_copyright);
    let icc = webp::data(bytes, &list, b"ICCP").and_then(profile::smallest).map(Cow::into_owned);
    let own_quality = webp::data(bytes, &list, b"VP8 ").and_then(vp8::quality).unwrap_or(100);
    let alpha = webp::alpha(bytes, &list).filter(|_| header.has_alpha && !header.is_lossless);
    let goes_by_planes = if header.is_lossless {
        // Colour loses half its resolution either way, here with a plainer filter than libwebp's, but in less memory.
        is_large && !header.has_alpha
    } else {
        // Transparency is not turned, and not left unpacked if it can be packed.
        let is_plain = probe.orientation == 1 && (is_large || alpha.is_none_or(is_packed));
        // A turn keeps each colour sample amid its four pixels only if no row or column is left over.
        is_plain || alpha.is_none() && (is_large || probe.width.is_multiple_of(2) && probe.height.is_multiple_of(2))
    };
    let mut judge = || Ok(Judge::new(&decode::decode(bytes, probe)?.pixels));
    // Scoring holds all four samples of the decoded output, besides the planes.
    let is_too_much = header.has_alpha
        && probe.pixels() > webp_out::PLANES_ABOVE_PIXELS
        && matches!(settings.goal, Goal::MinScore(_));
    let mut encoder = if goes_by_planes && !is_too_much {
        WebpEncoder::over_source(decode::webp_planes(bytes, probe)?, alpha, icc, credit, own_quality, job.deadline)
    } else if is_large {
        decode::webp_planes(bytes, probe)?;
        return Ok(Recompressed::Kept(KeptBecause::TooLarge));
    } else {
        WebpEncoder::new(decode::decode(bytes, probe)?.pixels, icc, credit, own_quality, job.deadline)?
    };
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Webp };
    let choice = search_quality(&mut encoder, settings.goal, job, &mut judge)?;
    Ok(Recompressed::Encoded(EncodedImage { choice, size: probe.displayed(), format: probe.format }))
}

/// Whether coded transparency is packed (WebP container specification, "Alpha": the two lowest bits of its header).
fn is_packed(alpha: &[u8]) -> bool {
    alpha.first().is_some_and(|header| header & 3 != 0)
}
