//! One image: look, decide, compress, and keep the source when that is better.
//!
//! Every way out of here upholds the promise "never larger" and says in its receipt what was decided.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::contract::{Compressed, Error, Facts, Format, Goal, Limits, Outcome, Receipt, Settings};
use crate::decide::plan::{EncodedImage, Plan};
use crate::decide::recompress::{self, KeptBecause, Recompressed};
use crate::decide::transform;
use crate::header::guarded::guarded;
use crate::header::probe::{Probe, check_limits, probe};
use crate::header::sniff::sniff;
use crate::jpeg;
use crate::metadata::location;
use crate::picture::decode;

/// An output must be at least this much smaller to be worth replacing the source, as a share of it.
const MIN_SAVING: f64 = 0.01;

/// Compresses one image.
///
/// Never panics: a decoder that does is a damaged image.
///
/// # Errors
///
/// See [`Error`]. Missing a target is not an error.
pub fn compress<'a>(bytes: &'a [u8], settings: &Settings, limits: &Limits) -> Result<Compressed<'a>, Error> {
    settings.check().map_err(|problems| Error::Failed(problems.join("; ")))?;
    // Decoders have a net of their own (`guarded`): what falls into this one is our fault.
    catch_unwind(AssertUnwindSafe(|| {
        let probe = guarded(|| probe(bytes, sniff(bytes)?))?;
        check_limits(&probe, limits)?;
        run(bytes, &probe, settings, limits)
    }))
    .unwrap_or_else(|_| Err(Error::failed("an encoder broke down")))
}

fn run<'a>(bytes: &'a [u8], probe: &Probe, settings: &Settings, limits: &Limits) -> Result<Compressed<'a>, Error> {
    let plan = Plan::new(probe, settings);
    if probe.is_animated {
        decode::prove_animation(bytes, probe)?;
        let warning = "The animation is kept as it is, with all its frames.".to_owned();
        return Ok(keep(bytes, probe, settings, 0, "Kept: animations are not re-encoded.", vec![warning]));
    }
    if plan.format == Format::Gif {
        decode::prove_animation(bytes, probe)?;
        let warnings = if plan.is_same {
            vec![]
        } else {
            vec!["A GIF is not resized; ask for PNG or WEBP output to have it smaller.".to_owned()]
        };
        return Ok(keep(bytes, probe, settings, 0, "Kept: nothing makes a GIF smaller without harm.", warnings));
    }
    if !plan.is_same {
        let mut made = transform::transform(bytes, probe, &plan, settings, limits)?;
        if probe.format == Format::Jpeg {
            made.choice.encoded.warnings.extend(jpeg::warnings(bytes));
        }
        return Ok(replace(probe, plan.format, made));
    }
    let answer = recompress::recompress(bytes, probe, settings, limits)?;
    if let Goal::MaxBytes(limit) = settings.goal
        && bytes.len() as u64 <= limit
    {
        return Ok(keep(bytes, probe, settings, 0, "Kept: the source fits already.", vec![]));
    }
    let made = match answer {
        Recompressed::Encoded(made) => made,
        Recompressed::Kept(KeptBecause::NothingToGain) => {
            return Ok(keep(bytes, probe, settings, 0, "Kept: its pixels cannot be packed better.", vec![]));
        }
        Recompressed::Kept(KeptBecause::TooLarge) => {
            let warning =
                "So large a picture is kept as it is; set maxWidth or maxHeight to have it smaller.".to_owned();
            let decision = "Kept: compressing so large a picture would take too much memory.";
            return Ok(keep(bytes, probe, settings, 0, decision, vec![warning]));
        }
    };
    let most = bytes.len() as f64 * (1.0 - MIN_SAVING);
    if made.choice.encoded.bytes.len() as f64 > most {
        let tried = made.choice.receipt.encodes_tried;
        return Ok(keep(
            bytes,
            probe,
            settings,
            tried,
            "Kept: compressing would not make it at least 1 % smaller.",
            vec![],
        ));
    }
    Ok(replace(probe, plan.format, made))
}

fn replace(probe: &Probe, format: Format, made: EncodedImage) -> Compressed<'static> {
    Compressed {
        bytes: Cow::Owned(made.choice.encoded.bytes),
        source: facts(probe),
        output: Facts { format, width: made.size.0, height: made.size.1 },
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
        receipt: Receipt { quality: None, score: None, target_met, encodes_tried, decision },
        warnings,
    }
}

fn facts(probe: &Probe) -> Facts {
    Facts { format: probe.format, width: probe.width, height: probe.height }
}
