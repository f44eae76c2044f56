//! One image: look, decide, compress, and keep the source when that is better.
//!
//! Every way out of here upholds the promise "never larger" and says in its receipt what was decided.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::decode::guarded;
use super::probe::{Probe, check_limits, probe};
use super::same::{Answer, Reason};
use super::search::Choice;
use super::sniff::sniff;
use super::{
    Compressed, Error, Facts, Format, Goal, Limits, Outcome, Receipt, Settings, decode, jpeg, location, resize, rework,
    same,
};

/// An output must be at least this much smaller to be worth replacing the source, as a share of it.
const WORTHWHILE: f64 = 0.01;

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

/// What is to change besides the size in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The output's format.
    pub format: Format,
    /// The output's displayed size.
    pub size: (u32, u32),
    /// Nothing but bytes: same format, same size.
    pub is_same: bool,
}

impl Plan {
    pub fn new(probe: &Probe, settings: &Settings) -> Plan {
        let format = settings.format.unwrap_or(probe.format);
        let size = resize::fit(probe.displayed(), settings.max_width, settings.max_height);
        Plan { format, size, is_same: format == probe.format && size == probe.displayed() }
    }
}

/// Where a new file came from.
pub(super) struct Made {
    pub choice: Choice,
    /// Pixels of the new file, as stored.
    pub size: (u32, u32),
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
        let mut made = rework::rework(bytes, probe, &plan, settings, limits)?;
        if probe.format == Format::Jpeg {
            made.choice.encoded.warnings.extend(jpeg::warnings(bytes));
        }
        return Ok(replace(probe, plan.format, made));
    }
    let answer = same::same(bytes, probe, settings, limits)?;
    if let Goal::MaxBytes(limit) = settings.goal
        && bytes.len() as u64 <= limit
    {
        return Ok(keep(bytes, probe, settings, 0, "Kept: the source fits already.", vec![]));
    }
    let made = match answer {
        Answer::Made(made) => made,
        Answer::Kept(Reason::Packed) => {
            return Ok(keep(bytes, probe, settings, 0, "Kept: its pixels cannot be packed better.", vec![]));
        }
        Answer::Kept(Reason::TooLarge) => {
            let warning =
                "So large a picture is kept as it is; set maxWidth or maxHeight to have it smaller.".to_owned();
            let decision = "Kept: compressing so large a picture would take too much memory.";
            return Ok(keep(bytes, probe, settings, 0, decision, vec![warning]));
        }
    };
    let most = bytes.len() as f64 * (1.0 - WORTHWHILE);
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

fn replace(probe: &Probe, format: Format, made: Made) -> Compressed<'static> {
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
