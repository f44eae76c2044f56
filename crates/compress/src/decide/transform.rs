//! Another size or another format: pixels are turned upright, converted to sRGB, resized and encoded.
//!
//! The result replaces the source even when it is larger, because it was asked for.

use crate::container::png;
use crate::contract::{Error, Format, Goal};
use crate::decide::job::Job;
use crate::decide::jpeg_planes;
use crate::decide::plan::{EncodedImage, Plan};
use crate::decide::score::Judge;
use crate::decide::search::{QUALITY_FLOOR, search_quality};
use crate::encode::Encoder;
#[cfg(feature = "avif")]
use crate::encode::avif_out::{self, AvifEncoder};
use crate::encode::credited::Credited;
use crate::encode::jpeg_out::PixelEncoder;
use crate::encode::png_bands::{self, BandedPng};
use crate::encode::png_out::PackedPng;
use crate::encode::png_rows::Rows;
use crate::encode::png_steps::PngEncoder;
use crate::encode::webp_out::{self, WebpEncoder};
use crate::header::guarded::guarded;
use crate::header::probe::{Probe, for_jpeg, from_jpeg};
use crate::jpeg;
use crate::metadata::credits::Credits;
use crate::metadata::exif;
use crate::picture::animation::Animation;
use crate::picture::pixels::Decoded;
use crate::picture::{colour, decode, resize};

/// Decodes, prepares and encodes.
pub(crate) fn transform(job: &Job, plan: &Plan) -> Result<EncodedImage, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    #[cfg(feature = "avif")]
    if plan.format == Format::Avif {
        avif_out::check_size(plan.size, settings.goal)?;
    }
    let credits = if settings.keep_copyright { Credits::read(bytes, probe.format) } else { Credits::default() };
    if let Some(made) = jpeg_planes::transform(job, plan, &credits)? {
        return Ok(made);
    }
    let own_quality = guarded(|| own_quality(job))?;
    let decoded = if probe.is_animated { first_picture(job)? } else { decode::decode_for(bytes, probe, plan.size)? };
    let mut warnings = Vec::new();
    let mut pixels = decoded.pixels;
    if let Some(icc) = &decoded.icc
        && !colour::to_srgb(&mut pixels, icc)
    {
        warnings.push("The colour profile could not be read and was ignored.".to_owned());
    }
    let is_opaque = !pixels.is_translucent();
    let format = if is_opaque { plan.without_transparency(probe, settings) } else { plan.format };
    if plan.size != (pixels.width, pixels.height) {
        pixels = resize::resize(pixels.into_opaque(), plan.size)?;
    }
    if format == Format::Jpeg && pixels.layout.has_alpha() {
        pixels = pixels.flatten(settings.background);
    }
    let credit = exif::minimal(decoded.exif.as_deref(), 1, settings.keep_copyright);
    let goal = match settings.goal {
        // The encoder works on new pixels; the share is of the source's quality.
        Goal::RelativeQuality(share) => {
            let quality = (share * f64::from(own_quality)).round().clamp(1.0, 100.0);
            Goal::Quality(quality as u8)
        }
        other => other,
    };
    let size = (pixels.width, pixels.height);
    if format == Format::Webp && goal == Goal::Lossless && area(size) > webp_out::MAX_PIXELS {
        return Err(webp_out::too_large("lossless WebP output"));
    }
    let mut judge = Judge::before(goal, &pixels);
    let mut finish = |encoder: &mut dyn Encoder| {
        let mut encoder = Credited { encoder, credits: &credits, format };
        search_quality(&mut encoder, goal, job, &mut judge)
    };
    let mut choice = match format {
        Format::Jpeg => {
            let quality = match goal {
                Goal::Quality(quality) => quality,
                Goal::Lossless => 100,
                _ => QUALITY_FLOOR,
            };
            let mut encoder = PixelEncoder::new(&pixels, quality, credit.as_deref(), settings.progressive)?;
            finish(&mut encoder)?
        }
        Format::Png => {
            let extra = credit.into_iter().map(|credit| (*b"eXIf", credit)).collect();
            if png_bands::is_large(area(size), pixels.layout.channels() as u8) {
                finish(&mut PngEncoder::over(BandedPng::new(
                    Rows::Pixels(pixels),
                    size,
                    extra,
                    true,
                    None,
                    job.deadline,
                )?))?
            } else {
                finish(&mut PngEncoder::over(PackedPng::new(pixels, extra, None)))?
            }
        }
        Format::Webp => {
            // A JPEG's noise is not worth coding without loss, and the memory for that was not reserved.
            let own_quality = if probe.format == Format::Jpeg { own_quality.min(99) } else { own_quality };
            finish(&mut WebpEncoder::new(pixels, None, credit, own_quality, job.deadline)?)?
        }
        #[cfg(feature = "avif")]
        Format::Avif => finish(&mut AvifEncoder::new(pixels, credit)?)?,
        other => return Err(Error::unsupported(other)),
    };
    choice.encoded.warnings.extend(warnings);
    if goal == Goal::Lossless && choice.receipt.target_met && is_deep(bytes, probe) {
        choice.receipt.target_met = false;
        choice.receipt.decision = "Encoded without further loss, except that 16 bits per sample became 8.".to_owned();
    }
    Ok(EncodedImage { choice, size, format })
}

/// Of an animation, as if it were all there is.
fn first_picture(job: &Job) -> Result<Decoded, Error> {
    let animation = Animation::new(job.bytes, &job.probe, job.probe.displayed(), job.deadline);
    let shown = animation.reel()?.next()?.ok_or_else(|| Error::corrupt("the animation has no frames"))?;
    Ok(Decoded { pixels: shown.pixels.into_opaque(), icc: None, exif: None })
}

/// Whether the source's samples have more bits than those that are worked on.
fn is_deep(bytes: &[u8], probe: &Probe) -> bool {
    probe.format == Format::Png
        && png::chunks(bytes).and_then(|list| png::header(bytes, &list)).is_ok_and(|header| header.depth == 16)
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The source's own quality. For a JPEG this reads it to its end, which is what finds a truncated one.
fn own_quality(job: &Job) -> Result<u8, Error> {
    let Job { bytes, ref probe, limits, .. } = *job;
    if probe.format != Format::Jpeg {
        return Ok(100);
    }
    match jpeg::decode(bytes, &for_jpeg(limits)) {
        Ok(source) => Ok(source.estimated_quality().clamp(1, 100)),
        Err(jpeg::Error::Unsupported(_)) => Ok(100),
        Err(error) => Err(from_jpeg(error)),
    }
}
