//! Finds the quality that meets a goal, from a few sizes or scores, and writes that file.
//!
//! The search assumes that size and score grow with quality; where they do not quite, the file returned still keeps the promise it is
//! reported to keep.

use std::collections::BTreeMap;

use crate::contract::{Deadline, Error, Goal, Receipt};
use crate::decide::job::Job;
use crate::decide::score::Judge;
use crate::encode::{Encoded, Encoder, Slack};
use crate::picture::pixels::Pixels;

/// No search goes below this: a target in bytes is missed rather than the picture ruined.
pub(crate) const QUALITY_FLOOR: u8 = 10;
/// About how much the logarithm of the size grows with each step of quality. Only the first guesses of a search depend on it.
const GROWTH: f64 = 0.022;
/// What is taken for it where sizes hardly differ.
const LEAST_GROWTH: f64 = 0.004;
/// About how much the score grows with each step of quality, from 70 at quality 50. Only first guesses depend on it.
const SCORE_GROWTH: f64 = 0.6;
/// Guesses by interpolation before plain halving, for a size and for a score.
const GUESSES: u32 = 4;
const SCORE_GUESSES: u32 = 6;
/// Scores of a large picture after which the best one so far is taken.
const MAX_SCORES: u32 = 4;

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

/// The highest quality whose file has at most `limit` bytes, or one whose file is close enough to that.
fn within(encoder: &mut dyn Encoder, limit: u64) -> Result<SearchResult, Error> {
    let steps = searched(encoder);
    let enough = (limit as f64 * (1.0 - encoder.slack().bytes)).ceil() as u64;
    let mut tried = 0;
    let mut size_at = |at: usize| {
        tried += 1;
        encoder.size_at(steps[at])
    };
    // Everything below `fits` fits, nothing from `exceeds` on does; beside each, the size measured there.
    let (mut fits, mut exceeds) = (0, steps.len());
    let (mut under, mut over) = (None, None);
    let mut growth = GROWTH;
    let mut at = steps.partition_point(|quality| *quality < 50).min(steps.len() - 1);
    let mut guesses = 0;
    while fits < exceeds {
        let size = size_at(at)?.max(1);
        let point = (f64::from(steps[at]), (size as f64).ln());
        if size <= limit {
            fits = at + 1;
            growth = growth_between(under.replace(point), point).unwrap_or(growth);
            if size >= enough && enough < limit {
                break;
            }
        } else {
            exceeds = at;
            growth = growth_between(over.replace(point), point).unwrap_or(growth);
        }
        if fits < exceeds {
            guesses += 1;
            // The highest quality is a case of its own, often without loss: it is tried when the one below fits.
            let highest = if over.is_none() { exceeds.saturating_sub(2).max(fits) } else { exceeds - 1 };
            at = if guesses <= GUESSES {
                let aim = interpolate(under, over, (limit.max(1) as f64).ln(), growth);
                steps.partition_point(|quality| f64::from(*quality) <= aim).saturating_sub(1).clamp(fits, highest)
            } else {
                fits + (exceeds - fits) / 2
            };
        }
    }
    let chosen = fits.saturating_sub(1);
    let mut encoded = encoder.encode(steps[chosen])?;
    // Size need not grow at every single step: step down until the promise holds.
    for lower in steps[..chosen].iter().rev() {
        if encoded.bytes.len() as u64 <= limit {
            break;
        }
        tried += 1;
        encoded = encoder.encode(*lower)?;
    }
    let size = encoded.bytes.len() as u64;
    let is_met = size <= limit;
    let quality = match encoded.quality {
        Some(quality) => format!("quality {quality}"),
        None => "lossless".to_owned(),
    };
    let decision = if is_met && fits < exceeds {
        format!("{size} bytes at {quality}, close to the {limit} bytes allowed.")
    } else if is_met {
        format!("{size} bytes at {quality}, the best that fits into {limit} bytes.")
    } else {
        format!("{size} bytes at {quality}, the lowest that is tried; {limit} bytes cannot be reached.")
    };
    Ok(choice(encoded, None, is_met, tried, decision))
}

/// How steep the line through two points on the same side of a limit is, within bounds.
fn growth_between(before: Option<(f64, f64)>, (quality, size): (f64, f64)) -> Option<f64> {
    let (other, known) = before?;
    Some(((size - known) / (quality - other)).clamp(LEAST_GROWTH, GROWTH))
}

/// The quality at which the logarithm of the size should be `target`: on the line through both points, or through one with this
/// slope.
fn interpolate(under: Option<(f64, f64)>, over: Option<(f64, f64)>, target: f64, growth: f64) -> f64 {
    match (under, over) {
        (Some((low, small)), Some((high, large))) if large > small => {
            low + (target - small) / (large - small) * (high - low)
        }
        (Some((quality, size)), _) | (None, Some((quality, size))) => quality + (target - size) / growth,
        (None, None) => 50.0,
    }
}

/// The lowest quality whose file scores at least `target`.
///
/// Guesses lead, scores decide: each score corrects the guess that the search then looks for.
fn looking_like(encoder: &mut dyn Encoder, target: f64, judge: &Judge) -> Result<SearchResult, Error> {
    let steps = searched(encoder);
    let count = steps.len();
    let slack = encoder.slack().points;
    let mut look = Look { encoder, judge, slack, steps, guesses: BTreeMap::new(), latest: None, tried: 0 };
    let (mut low, mut high) = (0, count);
    let mut aim = target;
    let mut best: Option<(Encoded, f64)> = None;
    let mut scores = 0;
    while low < high && (best.is_none() || scores < MAX_SCORES) {
        let at = look.first(aim, low, high)?;
        if at == high {
            break;
        }
        let (encoded, guess) = look.at(at)?;
        let score = if judge.guesses_are_scores() { guess } else { judge.score(&look.encoder.shown(&encoded)?)? };
        scores += 1;
        aim = target + guess - score;
        if score >= target {
            high = at;
            best = Some((encoded, score));
            if score <= target + slack && slack > 0.0 {
                break;
            }
        } else {
            low = at + 1;
        }
    }
    let Look { encoder, mut tried, .. } = look;
    let (encoded, score) = match best {
        Some(best) => best,
        None => {
            let encoded = match encoder.lossless()? {
                Some(encoded) => encoded,
                None => encoder.encode(100)?,
            };
            tried += 1;
            let score = judge.score(&encoder.shown(&encoded)?)?;
            (encoded, score)
        }
    };
    let is_met = score >= target;
    let quality = match encoded.quality {
        Some(quality) => format!("Quality {quality}"),
        None => "Lossless".to_owned(),
    };
    let decision = if is_met {
        format!("{quality} scores {score:.1}: the smallest file found that reaches {target}.")
    } else {
        format!("{quality} scores {score:.1}; {target} cannot be reached in this format.")
    };
    Ok(choice(encoded, Some(score), is_met, tried, decision))
}

/// A search by guesses.
struct Look<'a> {
    encoder: &'a mut dyn Encoder,
    judge: &'a Judge,
    slack: f64,
    steps: Vec<u8>,
    /// Of the steps that were tried.
    guesses: BTreeMap<usize, f64>,
    /// The latest file that was guessed to be good enough.
    latest: Option<(usize, Encoded)>,
    tried: u32,
}

impl Look<'_> {
    /// The first step of a range whose guess is at least `aim`, or one that is close enough; the range's end if there is none.
    fn first(&mut self, aim: f64, mut low: usize, mut high: usize) -> Result<usize, Error> {
        for (&at, &guess) in self.guesses.range(low..high) {
            if guess < aim {
                low = at + 1;
            } else {
                high = high.min(at);
            }
        }
        let mut guesses = 0;
        // How many guesses in a row were good enough, and how many were not. On a curve the line always errs to the same side, so
        // each more of them goes a step further.
        let (mut good, mut bad) = (0, 0);
        while low < high {
            guesses += 1;
            let at = if guesses <= SCORE_GUESSES {
                (self.nearest(aim, low, high) + bad).saturating_sub(good).clamp(low, high - 1)
            } else {
                low + (high - low) / 2
            };
            let (encoded, guess) = self.guess(at)?;
            if guess >= aim {
                high = at;
                self.latest = Some((at, encoded));
                if guess < aim + self.slack {
                    break;
                }
                (good, bad) = (good + 1, 0);
            } else {
                low = at + 1;
                (good, bad) = (0, bad + 1);
            }
        }
        Ok(high)
    }

    /// The step of a range whose guess should be nearest above `aim`, by those on both sides of the range.
    fn nearest(&self, aim: f64, low: usize, high: usize) -> usize {
        let point = |(at, guess): (&usize, &f64)| (f64::from(self.steps[*at]), *guess);
        let below = self.guesses.range(..low).next_back().map(point);
        let above = self.guesses.range(high..).next().map(point);
        let quality = match (below, above) {
            (Some((from, worse)), Some((to, better))) if better > worse => {
                from + (aim - worse) / (better - worse) * (to - from)
            }
            (Some((quality, score)), _) | (None, Some((quality, score))) => quality + (aim - score) / SCORE_GROWTH,
            (None, None) => 50.0 + (aim - 70.0) / SCORE_GROWTH,
        };
        self.steps.partition_point(|step| f64::from(*step) < quality).clamp(low, high - 1)
    }

    fn guess(&mut self, at: usize) -> Result<(Encoded, f64), Error> {
        let encoded = self.encode(at)?;
        let guess = self.judge.guess(&self.encoder.shown(&encoded)?)?;
        self.guesses.insert(at, guess);
        Ok((encoded, guess))
    }

    /// The file of a step, and the guess.
    fn at(&mut self, at: usize) -> Result<(Encoded, f64), Error> {
        let Some(&guess) = self.guesses.get(&at) else {
            return self.guess(at);
        };
        match self.latest.take() {
            Some((latest, encoded)) if latest == at => Ok((encoded, guess)),
            _ => Ok((self.encode(at)?, guess)),
        }
    }

    fn encode(&mut self, at: usize) -> Result<Encoded, Error> {
        self.tried += 1;
        self.encoder.encode(self.steps[at])
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of some sizes.
    struct Sizes(fn(u8) -> f64);

    impl Encoder for Sizes {
        fn own_quality(&self) -> u8 {
            100
        }

        fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
            let bytes = vec![0; self.0(quality) as usize];
            Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
        }

        fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
            Ok(None)
        }
    }

    #[test]
    fn a_limit_takes_few_sizes_however_steep_they_are() {
        let drawing = |quality: u8| if quality == 100 { 5_000.0 } else { 1_000.0 + 2.0 * f64::from(quality) };
        let gentle = |quality: u8| 10_000.0 * (0.009 * (f64::from(quality) - 50.0)).exp();
        let steep = |quality: u8| 10_000.0 * (0.03 * (f64::from(quality) - 50.0)).exp();
        for (sizes, limit, quality, most) in [
            (drawing as fn(u8) -> f64, 2_000, 99, 4),
            (drawing, 9_000, 100, 4),
            (drawing, 900, 10, 4),
            (gentle, 8_000, 25, 5),
            (gentle, 13_000, 79, 5),
            (steep, 5_000, 26, 5),
        ] {
            let SearchResult { receipt, .. } = within(&mut Sizes(sizes), limit).unwrap();
            assert_eq!((receipt.quality, receipt.target_met), (Some(quality), limit != 900), "{limit}");
            assert!(receipt.encodes_tried <= most, "{limit}: {}", receipt.encodes_tried);
        }
    }
}
