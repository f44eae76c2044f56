//! Fewer bytes and nothing else: the same format at the same size.
//!
//! JPEG never becomes pixels unless its kind forces it to; PNG and WebP keep their colour profile. The source is read to its end, so a
//! damaged file is found here even when the source is kept.

use super::credits::{Credited, Credits};
use super::encode::Encoded;
use super::jpeg_out::{JpegEncoder, PixelEncoder};
use super::plan::Made;
use super::png_out::{COLOUR_CHUNKS, Original, PngEncoder};
use super::probe::{Probe, from_jpeg};
use super::search::{Choice, reach};
use super::webp_out::WebpEncoder;
use super::{Error, Format, Goal, Limits, Receipt, Settings, chunks, colour, decode, exif, jpeg, riff, vp8};

/// `None`: there is nothing to gain, keep the source.
pub(super) fn same(bytes: &[u8], probe: &Probe, settings: &Settings, limits: &Limits) -> Result<Option<Made>, Error> {
    let credits = if settings.keep_copyright { Credits::read(bytes, probe.format) } else { Credits::default() };
    match probe.format {
        Format::Jpeg => jpeg(bytes, probe, settings, &credits, limits).map(Some),
        Format::Png => png(bytes, probe, settings, &credits).map(Some),
        Format::Webp => webp(bytes, probe, settings, &credits),
        other => Err(Error::unsupported(other)),
    }
}

fn jpeg(bytes: &[u8], probe: &Probe, settings: &Settings, credits: &Credits, limits: &Limits) -> Result<Made, Error> {
    let choice = match in_the_dct_domain(bytes, probe, settings, credits, limits) {
        Ok(choice) => choice?,
        Err(jpeg::Error::Unsupported(reason)) => {
            // What neither decoder understands is a rare kind rather than damage.
            return through_pixels(bytes, probe, settings, credits).map_err(|error| match error {
                Error::Corrupt(_) => Error::unsupported_because("JPEG", reason),
                other => other,
            });
        }
        Err(error) => return Err(from_jpeg(error)),
    };
    Ok(Made { choice, size: (probe.width, probe.height) })
}

/// The outer error is the requantiser's refusal of the source.
fn in_the_dct_domain(
    bytes: &[u8],
    probe: &Probe,
    settings: &Settings,
    credits: &Credits,
    limits: &Limits,
) -> Result<Result<Choice, Error>, jpeg::Error> {
    let Settings { progressive, keep_copyright, .. } = *settings;
    let options = jpeg::Options { progressive, keep_copyright };
    if let Goal::Quality(quality) = settings.goal
        && !progressive
    {
        // One streaming pass: no coefficients are held.
        let encoded = jpeg::requantise(bytes, quality, &options, &limits.for_jpeg())?;
        let credited = credits.put(encoded.bytes, Format::Jpeg);
        return Ok(credited.map(|bytes| Choice {
            encoded: Encoded { bytes, quality: Some(quality), warnings: encoded.warnings },
            receipt: Receipt {
                quality: Some(quality),
                score: None,
                target_met: true,
                encodes_tried: 1,
                decision: format!("Encoded at quality {quality}."),
            },
        }));
    }
    let mut encoder = JpegEncoder::over_source(bytes, options, &limits.for_jpeg())?;
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Jpeg };
    Ok(reach(&mut encoder, settings.goal, bytes.len() as u64, &mut || Ok(decode::decode(bytes, probe)?.pixels)))
}

/// For kinds of JPEG the requantiser does not know but the pixel decoder does.
fn through_pixels(bytes: &[u8], probe: &Probe, settings: &Settings, credits: &Credits) -> Result<Made, Error> {
    let decoded = decode::decode(bytes, probe)?;
    let mut pixels = decoded.pixels;
    if let Some(icc) = &decoded.icc {
        colour::to_srgb(&mut pixels, icc);
    }
    let credit = exif::minimal(decoded.exif.as_deref(), 1, settings.keep_copyright);
    let mut encoder = PixelEncoder::new(&pixels, 0, credit.as_deref(), settings.progressive)?;
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Jpeg };
    let choice = reach(&mut encoder, settings.goal, bytes.len() as u64, &mut || Ok(pixels.clone()))?;
    Ok(Made { choice, size: probe.displayed() })
}

fn png(bytes: &[u8], probe: &Probe, settings: &Settings, credits: &Credits) -> Result<Made, Error> {
    let list = chunks::chunks(bytes)?;
    let decoded = decode::decode(bytes, probe)?;
    let mut pixels = decoded.pixels;
    let has_grey_profile =
        matches!(chunks::header(bytes, &list)?.colour, 0 | 4) && chunks::data(bytes, &list, b"iCCP").is_some();
    let mut extra: Vec<_> = match &decoded.icc {
        // A grey profile cannot describe a palette: its effect goes into the samples.
        Some(icc) if has_grey_profile && colour::to_srgb(&mut pixels, icc) => Vec::new(),
        _ => {
            COLOUR_CHUNKS.iter().filter_map(|name| Some((*name, chunks::data(bytes, &list, name)?.to_vec()))).collect()
        }
    };
    let source_exif = decoded.exif.as_deref();
    if let Some(credit) = exif::minimal(source_exif, 1, settings.keep_copyright) {
        extra.push((*b"eXIf", credit));
    }
    let original = Original { bytes, exif: exif::minimal(source_exif, probe.orientation, settings.keep_copyright) };
    let size = (pixels.width, pixels.height);
    let mut encoder = PngEncoder::new(pixels.clone(), extra, Some(original));
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Png };
    let choice = reach(&mut encoder, settings.goal, bytes.len() as u64, &mut || Ok(pixels.clone()))?;
    // Lossless output keeps the stored rows and the orientation tag; a palette is written upright.
    let is_upright = choice.encoded.quality.is_some();
    Ok(Made { choice, size: if is_upright { size } else { (probe.width, probe.height) } })
}

fn webp(bytes: &[u8], probe: &Probe, settings: &Settings, credits: &Credits) -> Result<Option<Made>, Error> {
    let list = riff::chunks(bytes)?;
    let header = riff::header(bytes, &list)?;
    let decoded = decode::decode(bytes, probe)?;
    if settings.goal == Goal::Lossless && !header.is_lossless {
        return Ok(None);
    }
    let credit = exif::minimal(decoded.exif.as_deref(), 1, settings.keep_copyright);
    let pixels = decoded.pixels;
    let own_quality = riff::data(bytes, &list, b"VP8 ").and_then(vp8::quality).unwrap_or(100);
    let mut encoder = WebpEncoder::new(&pixels, decoded.icc, credit, own_quality)?;
    let mut encoder = Credited { encoder: &mut encoder, credits, format: Format::Webp };
    let choice = reach(&mut encoder, settings.goal, bytes.len() as u64, &mut || Ok(pixels.clone()))?;
    Ok(Some(Made { choice, size: (pixels.width, pixels.height) }))
}
