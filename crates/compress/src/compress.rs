//! One image from start to end: probe, decide, compress, and keep the source where that is better.
//!
//! Every result keeps the promise "never larger", and its receipt says what was decided.

mod auto;
mod looks;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::container::png;
use crate::contract::{Compressed, Deadline, Error, Facts, Format, Goal, Limits, Outcome, Receipt, Settings};
use crate::decide::animate;
use crate::decide::heavy_profile;
use crate::decide::job::Job;
use crate::decide::memory_estimate::memory_needed;
use crate::decide::plan::{EncodedImage, Plan};
use crate::decide::recompress::{self, KeptBecause, Recompressed};
use crate::decide::transform;
use crate::header::guarded::guarded;
use crate::header::probe::{Probe, check_limits, for_jpeg, from_jpeg, probe};
use crate::header::sniff::sniff;
use crate::jpeg;
use crate::metadata::location;
use crate::metadata::profile::Embedded;

/// An output must be at least this much smaller than the source to replace it, as a share of the source.
const MIN_SAVING: f64 = 0.01;

/// Compresses one image.
///
/// Never panics: a decoder that does is a damaged image.
///
/// # Errors
///
/// See [`Error`]. Missing a target is not an error.
pub fn compress<'a>(bytes: &'a [u8], settings: &Settings, limits: &Limits) -> Result<Compressed<'a>, Error> {
    settings.check().map_err(|problems| {
        let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        Error::Failed(messages.join(" "))
    })?;
    // Decoder panics are already caught by `guarded`; a panic caught here is a bug in our own code.
    catch_unwind(AssertUnwindSafe(|| {
        let deadline = Deadline::after(limits.max_time);
        match checked(bytes, settings, limits, deadline) {
            Err(Error::Corrupt(reason)) => {
                as_browsers_show(bytes, settings, limits, deadline).unwrap_or(Err(Error::Corrupt(reason)))
            }
            other => other,
        }
    }))
    .unwrap_or_else(|_| Err(Error::failed("an encoder failed unexpectedly")))
}

fn checked<'a>(
    bytes: &'a [u8],
    settings: &Settings,
    limits: &Limits,
    deadline: Deadline,
) -> Result<Compressed<'a>, Error> {
    let probe = guarded(|| probe(bytes, sniff(bytes)?))?;
    check_limits(&probe, limits)?;
    memory_needed(bytes, settings, limits)?;
    let job = Job { bytes, size: bytes.len() as u64, probe, settings, limits, deadline };
    if settings.auto_format { auto::smallest(&job) } else { run(&job) }
}

/// What browsers show of a damaged file; `None` where that is nothing or not all of a picture.
fn as_browsers_show(
    bytes: &[u8],
    settings: &Settings,
    limits: &Limits,
    deadline: Deadline,
) -> Option<Result<Compressed<'static>, Error>> {
    let (sound, flaws) = sound(bytes, limits)?;
    match checked(&sound, settings, limits, deadline) {
        Err(Error::Corrupt(_)) => None,
        Err(error) => Some(Err(error)),
        Ok(mut made) => {
            made.warnings.extend(flaws);
            if made.outcome == Outcome::KeptOriginal && sound.len() < bytes.len() {
                made.outcome = Outcome::Compressed;
                made.receipt.decision = "The damage was repaired; nothing else made the file smaller.".to_owned();
            } else if made.output == made.source && made.bytes.len() >= bytes.len() {
                made.bytes = location::remove(bytes, made.source.format);
                made.outcome = Outcome::KeptOriginal;
                made.receipt.decision = "Kept: a repaired file would be larger.".to_owned();
            }
            Some(Ok(Compressed { bytes: Cow::Owned(made.bytes.into_owned()), ..made }))
        }
    }
}

/// A sound file with the same picture, and what was wrong with this one: the still image of a PNG whose animation is damaged, a JPEG
/// that breaks a rule.
fn sound(bytes: &[u8], limits: &Limits) -> Option<(Vec<u8>, Vec<String>)> {
    if let Some(still) = png::still(bytes) {
        let warning = "The animation is damaged. Only its still image was kept, as browsers show it.";
        return Some((still, vec![warning.to_owned()]));
    }
    let repaired = guarded(|| jpeg::repair(bytes, &for_jpeg(limits)).map_err(from_jpeg)).ok()?;
    // What had no flaw failed for another reason.
    (!repaired.warnings.is_empty()).then_some((repaired.bytes, repaired.warnings))
}

fn run<'a>(job: &Job<'a, '_>) -> Result<Compressed<'a>, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let plan = Plan::new(probe, settings);
    // An animation that is out of order: without it the file is a still image.
    if probe.format == Format::Png && !probe.is_animated && png::still(bytes).is_some() {
        return Err(Error::corrupt("the frames of the PNG are out of order"));
    }
    // Colour profiles are bytes too: one that can be shorter is, before anything else.
    let embedded = Embedded::of(bytes, probe.format);
    let slim = embedded.as_ref().and_then(|embedded| embedded.slimmed(bytes, probe.format));
    let slim = Job { bytes: slim.as_deref().unwrap_or(bytes), ..*job };
    if animate::is_animated(probe, &plan, settings) {
        return animated(job, &slim, &plan);
    }
    // Browsers show it, and it is small: unless another format or size is requested, only a smaller file replaces it.
    let is_free_avif = probe.format == Format::Avif
        && settings.format.is_none_or(|format| format == probe.format)
        && plan.size == probe.displayed();
    if (!plan.is_same || probe.is_animated) && !is_free_avif {
        return Ok(replace(probe, transformed(job, &plan)?));
    }
    let answer = if is_free_avif {
        Recompressed::Encoded(transformed(job, &plan)?)
    } else if embedded.is_some_and(|embedded| heavy_profile::is_heavy(job, &embedded)) {
        let mut made = transformed(job, &plan)?;
        let why = " The colours were converted to sRGB, because the colour profile took a large part of the file.";
        made.choice.receipt.decision.push_str(why);
        Recompressed::Encoded(made)
    } else {
        recompress::recompress(&slim)?
    };
    if let Goal::MaxBytes(limit) = settings.goal
        && bytes.len() as u64 <= limit
    {
        return Ok(keep(bytes, probe, settings, 0, "Kept: the source already fits.", vec![]));
    }
    let made = match answer {
        Recompressed::Encoded(made) => made,
        Recompressed::Kept(KeptBecause::NothingToGain) => {
            return Ok(keep(
                bytes,
                probe,
                settings,
                0,
                "Kept: a lossy WebP cannot be made smaller without further loss.",
                vec![],
            ));
        }
        Recompressed::Kept(KeptBecause::TooLarge) => {
            let warning =
                "An image this large was kept unchanged. Set maxWidth or maxHeight to get a smaller image.".to_owned();
            let decision = "Kept: compressing an image this large would take too much memory.";
            return Ok(keep(bytes, probe, settings, 0, decision, vec![warning]));
        }
    };
    Ok(smaller(job, made))
}

fn transformed(job: &Job, plan: &Plan) -> Result<EncodedImage, Error> {
    let mut made = transform::transform(job, plan)?;
    if job.probe.format == Format::Jpeg {
        made.choice.encoded.warnings.extend(jpeg::warnings(job.bytes));
    }
    Ok(made)
}

/// The new file where it is notably smaller than its source, else the source.
fn smaller<'a>(job: &Job<'a, '_>, made: EncodedImage) -> Compressed<'a> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let most = bytes.len() as f64 * (1.0 - MIN_SAVING);
    if made.choice.encoded.bytes.len() as f64 > most {
        let tried = made.choice.receipt.encodes_tried;
        let decision = if made.format == probe.format {
            "Kept: the result would be less than 1 % smaller.".to_owned()
        } else {
            let kept = format!("Kept: as {} it would not be smaller.", made.format);
            let hint = format!(" Request {} to compress it again.", probe.format);
            // That always loses something.
            if settings.goal == Goal::Lossless { kept } else { kept + &hint }
        };
        return keep(bytes, probe, settings, tried, &decision, made.choice.encoded.warnings);
    }
    replace(probe, made)
}

/// `slim` is the same job with a shorter profile.
fn animated<'a>(job: &Job<'a, '_>, slim: &Job, plan: &Plan) -> Result<Compressed<'a>, Error> {
    let Job { bytes, ref probe, settings, .. } = *job;
    let Some(made) = animate::animate(slim, plan)? else {
        let warning = format!(
            "{} cannot be animated. The animation was kept unchanged, with all its frames. Choose WEBP to get a smaller one.",
            plan.format
        );
        return Ok(keep(
            bytes,
            probe,
            settings,
            0,
            "Kept: the source is an animation, and this format cannot be animated.",
            vec![warning],
        ));
    };
    if plan.is_same
        && let Goal::MaxBytes(limit) = settings.goal
        && bytes.len() as u64 <= limit
    {
        return Ok(keep(bytes, probe, settings, 0, "Kept: the source already fits.", made.choice.encoded.warnings));
    }
    if plan.is_same { Ok(smaller(job, made)) } else { Ok(replace(probe, made)) }
}

fn replace(probe: &Probe, made: EncodedImage) -> Compressed<'static> {
    Compressed {
        bytes: Cow::Owned(made.choice.encoded.bytes),
        source: facts(probe),
        output: Facts { format: made.format, width: made.size.0, height: made.size.1 },
        outcome: Outcome::Compressed,
        receipt: made.choice.receipt,
        warnings: made.choice.encoded.warnings,
    }
}

/// The source, without its location.
fn keep<'a>(
    bytes: &'a [u8],
    probe: &Probe,
    settings: &Settings,
    encodes_tried: u32,
    decision: &str,
    warnings: Vec<String>,
) -> Compressed<'a> {
    let size = bytes.len() as u64;
    let target_met = match settings.goal {
        Goal::MaxBytes(limit) => size <= limit,
        Goal::TargetRatio(share) => share >= 1.0,
        // The source looks exactly like itself, and is as good as any quality asked for.
        Goal::Quality(_) | Goal::RelativeQuality(_) | Goal::MinScore(_) | Goal::Lossless => true,
    };
    let bytes = location::remove(bytes, probe.format);
    let decision = match &bytes {
        Cow::Borrowed(_) => decision.to_owned(),
        Cow::Owned(_) => format!("{decision} The location was removed from its metadata."),
    };
    Compressed {
        bytes,
        source: facts(probe),
        output: facts(probe),
        outcome: Outcome::KeptOriginal,
        receipt: Receipt { quality: None, score: None, target_met, encodes_tried, decision, alternatives: Vec::new() },
        warnings,
    }
}

fn facts(probe: &Probe) -> Facts {
    Facts { format: probe.format, width: probe.width, height: probe.height }
}
