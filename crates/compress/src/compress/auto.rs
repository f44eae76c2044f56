//! The format of the smallest file, for each image: of its own, WebP, JPEG where nothing is transparent, and AVIF where that is allowed.
//!
//! The file of the source's own format is made first, by the goal. It says how good the others have to look; at which quality they do is
//! found on a mosaic of the picture (`looks`), so that each costs one encode. A goal in bytes or a score is then met in the best format.

use super::looks::Looks;
use super::run;
use crate::contract::{Alternative, Compressed, Error, Format, Goal, Settings};
use crate::decide::job::Job;
use crate::decide::memory_estimate;
use crate::decide::plan::Plan;
use crate::decide::search::QUALITY_FLOOR;
use crate::encode::palette::aim;
use crate::jpeg;

/// A file whose score is this much below the others' looks as good.
const TOLERANCE: f64 = 1.5;
/// Files of a format before it is given up.
const MAX_TRIED: u32 = 3;
/// About what a step of quality adds to the score.
const POINTS_A_QUALITY: f64 = 0.5;

pub(super) fn smallest<'a>(job: &Job<'a, '_>) -> Result<Compressed<'a>, Error> {
    let settings = Settings { auto_format: false, allow_avif: false, ..job.settings.clone() };
    let own = run(&Job { settings: &settings, ..*job })?;
    let others = memory_estimate::others(job.bytes, &job.probe, job.settings, job.limits);
    // What fits without any loss cannot be better.
    let is_done = is_of_bytes(settings.goal) && own.receipt.target_met && own.receipt.quality.is_none();
    if others.is_empty() || is_done {
        return Ok(own);
    }
    let own_format = own.output.format;
    let mut files = vec![own];
    files.extend(made(job, &settings, &files[0], others)?);
    let tried = files.iter().map(|file| file.receipt.encodes_tried).sum();
    let sizes: Vec<Alternative> =
        files.iter().map(|file| Alternative { format: file.output.format, bytes: file.bytes.len() as u64 }).collect();
    // The first of equal ones, so the source's own format.
    let Some(smallest) = (0..files.len()).min_by_key(|at| sizes[*at].bytes) else {
        return Err(Error::failed("no format was tried"));
    };
    let mut chosen = files.swap_remove(smallest);
    chosen.receipt.encodes_tried = tried;
    let is_searched = is_of_bytes(settings.goal) || matches!(settings.goal, Goal::MinScore(_));
    if is_searched && chosen.output.format != own_format {
        let own = files.swap_remove(0);
        chosen = searched(job, &settings, own, chosen)?;
    }
    let format = chosen.output.format;
    chosen.receipt.alternatives = sizes.into_iter().filter(|size| size.format != format).collect();
    chosen.receipt.decision = explained(&chosen);
    Ok(chosen)
}

/// Files of other formats that look like the one of the source's own format.
fn made<'a>(
    job: &Job<'a, '_>,
    settings: &Settings,
    own: &Compressed<'a>,
    others: Vec<Format>,
) -> Result<Vec<Compressed<'a>>, Error> {
    let Job { bytes, ref probe, deadline, .. } = *job;
    let plan = Plan::new(probe, settings);
    let looks = Looks::of(bytes, probe, plan.size, deadline)?;
    let target = match settings.goal {
        Goal::Lossless => None,
        Goal::MinScore(score) => Some(score),
        _ if own.receipt.quality.is_some() => Some(looks.score(&own.bytes)?),
        Goal::Quality(quality) => Some(aim(quality)),
        Goal::RelativeQuality(share) => {
            let own = jpeg::estimated_quality(bytes).unwrap_or(100);
            Some(aim((share * f64::from(own)).round().clamp(1.0, 100.0) as u8))
        }
        Goal::TargetRatio(_) | Goal::MaxBytes(_) => Some(aim(QUALITY_FLOOR)),
    };
    let mut files = Vec::new();
    for format in others {
        deadline.check()?;
        if format == own.output.format || format == Format::Jpeg && !looks.is_opaque() {
            continue;
        }
        let goal = match target {
            None => Goal::Lossless,
            Some(score) => match looks.quality(format, score)? {
                Some(quality) => Goal::Quality(quality),
                None => continue,
            },
        };
        let asked = Settings { format: Some(format), goal, ..settings.clone() };
        files.extend(as_good(job, asked, target, &looks)?);
    }
    Ok(files)
}

/// A file that scores `target`, where that can be measured. `None` of a format that cannot hold this image.
fn as_good<'a>(
    job: &Job<'a, '_>,
    mut settings: Settings,
    target: Option<f64>,
    looks: &Looks,
) -> Result<Option<Compressed<'a>>, Error> {
    let mut tried = 0;
    loop {
        let mut file = match run(&Job { settings: &settings, ..*job }) {
            Ok(file) if Some(file.output.format) == settings.format => file,
            Ok(_) | Err(Error::Failed(_) | Error::UnsupportedFormat { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        tried += file.receipt.encodes_tried;
        file.receipt.encodes_tried = tried;
        let (Some(target), Goal::Quality(quality)) = (target, settings.goal) else {
            return Ok(Some(file));
        };
        // The whole picture may be coded in another way than its tiles: with fewer colours, or without loss.
        let is_unknown = !file.output.format.is_readable() || file.receipt.quality.is_none();
        let missing = if is_unknown { 0.0 } else { target - looks.score(&file.bytes)? };
        if missing <= TOLERANCE {
            return Ok(Some(file));
        }
        if tried >= MAX_TRIED || quality == 100 {
            return Ok(None);
        }
        let more = (missing / POINTS_A_QUALITY).ceil().clamp(1.0, 50.0) as u8;
        settings.goal = Goal::Quality((quality + more).min(100));
    }
}

/// The file that meets the goal in the format of `best`, or else the one of the source's own format.
fn searched<'a>(
    job: &Job<'a, '_>,
    settings: &Settings,
    own: Compressed<'a>,
    best: Compressed<'a>,
) -> Result<Compressed<'a>, Error> {
    let settings = Settings { format: Some(best.output.format), ..settings.clone() };
    let mut found = run(&Job { settings: &settings, ..*job })?;
    let is_better = match (own.receipt.target_met, found.receipt.target_met) {
        (own, found) if own != found => found,
        // Within the same bytes the format that needs fewer of them looks better.
        (true, _) if is_of_bytes(settings.goal) => true,
        _ => found.bytes.len() < own.bytes.len(),
    };
    let tried = best.receipt.encodes_tried + found.receipt.encodes_tried;
    if !is_better {
        found = own;
    }
    found.receipt.encodes_tried = tried;
    Ok(found)
}

fn is_of_bytes(goal: Goal) -> bool {
    matches!(goal, Goal::TargetRatio(_) | Goal::MaxBytes(_))
}

/// What was decided, and what the others would have taken.
fn explained(chosen: &Compressed) -> String {
    let receipt = &chosen.receipt;
    let others: Vec<String> =
        receipt.alternatives.iter().map(|other| format!("{} would take {} bytes", other.format, other.bytes)).collect();
    if others.is_empty() {
        return receipt.decision.clone();
    }
    format!("{} The format is {}; at the same score {}.", receipt.decision, chosen.output.format, others.join(", "))
}
