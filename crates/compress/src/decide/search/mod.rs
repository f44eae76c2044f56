//! Finds the quality that meets a goal, from a few sizes or scores, and writes that file.
//!
//! The search assumes that size and score grow with quality; where they do not quite, the file returned still keeps the promise it is
//! reported to keep.

mod by_score;
mod by_size;

use self::by_score::looking_like;
use self::by_size::within;
use crate::contract::{Deadline, Error, Goal, Receipt};
use crate::decide::job::Job;
use crate::decide::score::Judge;
use crate::encode::{Encoded, Encoder, Slack};
use crate::picture::pixels::Pixels;

/// No search goes below this: a target in bytes is missed rather than the picture ruined.
pub(crate) const QUALITY_FLOOR: u8 = 10;

/// The file for a goal, with its receipt.
pub(crate) struct SearchResult {
    pub encoded: Encoded,
    pub receipt: Receipt,
}

/// Meets `goal` with `encoder`. `judge` knows the pixels a score compares with.
pub(crate) fn search_quality(
    encoder: &mut dyn Encoder,
    goal: Goal,
    job: &Job,
    judge: &mut dyn FnMut() -> Result<Judge, Error>,
) -> Result<SearchResult, Error> {
    let encoder = &mut Timed { encoder, deadline: job.deadline };
    match goal {
        Goal::Quality(quality) => at_quality(encoder, quality, format!("Encoded at quality {quality}.")),
        Goal::RelativeQuality(share) => {
            let own = encoder.own_quality();
            let quality = (share * f64::from(own)).round().clamp(1.0, 100.0) as u8;
            at_quality(
                encoder,
                quality,
                format!("Encoded at quality {quality}, {:.0} % of the source's {own}.", share * 100.0),
            )
        }
        Goal::TargetRatio(share) => {
            let limit = (share * job.size as f64).floor() as u64;
            within(encoder, limit)
        }
        Goal::MaxBytes(limit) => within(encoder, limit),
        Goal::MinScore(score) => looking_like(encoder, score, &judge()?),
        Goal::Lossless => lossless(encoder),
    }
}

fn at_quality(encoder: &mut dyn Encoder, quality: u8, decision: String) -> Result<SearchResult, Error> {
    let encoded = encoder.encode(quality)?;
    let decision = match encoded.quality {
        Some(used) if used == quality => decision,
        Some(used) => format!("Encoded at quality {used}: at a lower one the loss would be visible."),
        None => format!("Lossless: at quality {quality}, a loss would be visible or would save nothing."),
    };
    Ok(choice(encoded, None, true, 1, decision))
}

fn lossless(encoder: &mut dyn Encoder) -> Result<SearchResult, Error> {
    if let Some(encoded) = encoder.lossless()? {
        let decision = "Recompressed without loss.".to_owned();
        return Ok(choice(encoded, None, true, 1, decision));
    }
    let encoded = encoder.encode(100)?;
    let decision = "Encoded at quality 100: this format cannot store the pixels unchanged.".to_owned();
    Ok(choice(encoded, None, false, 1, decision))
}

/// The encoder's qualities from the floor up; at least one.
fn searched(encoder: &dyn Encoder) -> Vec<u8> {
    let all = encoder.qualities();
    // The highest one at or below the floor is the lowest that is tried.
    let start = all.partition_point(|quality| *quality <= QUALITY_FLOOR).saturating_sub(1);
    all[start..].to_vec()
}

/// An encoder that stops when its time is over.
struct Timed<'a> {
    encoder: &'a mut dyn Encoder,
    deadline: Deadline,
}

impl Encoder for Timed<'_> {
    fn qualities(&self) -> &'static [u8] {
        self.encoder.qualities()
    }

    fn own_quality(&self) -> u8 {
        self.encoder.own_quality()
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        self.deadline.check()?;
        self.encoder.encode(quality)
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        self.deadline.check()?;
        self.encoder.size_at(quality)
    }

    fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error> {
        self.deadline.check()?;
        self.encoder.guessed_size(quality)
    }

    fn slack(&self) -> Slack {
        self.encoder.slack()
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        self.deadline.check()?;
        self.encoder.lossless()
    }

    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        self.deadline.check()?;
        self.encoder.shown(encoded)
    }

    fn preview(&mut self, quality: u8) -> Result<Option<Pixels>, Error> {
        self.deadline.check()?;
        self.encoder.preview(quality)
    }

    fn guessed_score(&mut self, quality: u8) -> Result<Option<f64>, Error> {
        self.deadline.check()?;
        self.encoder.guessed_score(quality)
    }
}

fn choice(
    encoded: Encoded,
    score: Option<f64>,
    target_met: bool,
    encodes_tried: u32,
    decision: String,
) -> SearchResult {
    let alternatives = Vec::new();
    let receipt = Receipt { quality: encoded.quality, score, target_met, encodes_tried, decision, alternatives };
    SearchResult { receipt, encoded }
}
