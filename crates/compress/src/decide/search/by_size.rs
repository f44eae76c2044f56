//! The highest quality whose file fits into a limit, from a few sizes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{SearchResult, choice, searched};
use crate::contract::Error;
use crate::encode::Encoder;

/// About how much the logarithm of the size grows with each step of quality. Only the first guesses of a search depend on it.
const GROWTH: f64 = 0.022;
/// What is taken for it where sizes hardly differ.
const LEAST_GROWTH: f64 = 0.004;
/// Files that are tried before plain halving, and guesses before each of them.
const TRIES: u32 = 5;
const GUESSES: u32 = 4;

/// The highest quality whose file has at most `limit` bytes, or one whose file is close enough to that.
pub(super) fn within(encoder: &mut dyn Encoder, limit: u64) -> Result<SearchResult, Error> {
    let steps = searched(encoder);
    let slack = encoder.slack().bytes;
    let enough = (limit as f64 * (1.0 - slack)).ceil() as u64;
    let target = logarithm(limit);
    let mut tried = 0;
    // Everything below `fits` fits, nothing from `exceeds` on does; beside each, the size measured there.
    let (mut fits, mut exceeds) = (0, steps.len());
    let (mut under, mut over) = (None, None);
    let mut growth = GROWTH;
    let mut guesses = Guesses { steps: &steps, slack, known: BTreeMap::new(), correction: 0.0 };
    while fits < exceeds {
        // The highest quality is a case of its own, often without loss: it is tried when the one below fits.
        let highest = if over.is_none() { exceeds.saturating_sub(2).max(fits) } else { exceeds - 1 };
        let at = if tried >= TRIES {
            fits + (exceeds - fits) / 2
        } else if let Some(at) = guesses.best(encoder, fits..exceeds, target)? {
            if at < fits {
                break;
            }
            at
        } else {
            below(&steps, interpolate(under, over, target, growth)).clamp(fits, highest)
        };
        tried += 1;
        let size = encoder.size_at(steps[at])?;
        let point = (f64::from(steps[at]), logarithm(size));
        guesses.correct(at, point.1);
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

/// Guesses of sizes, as logarithms, by step.
struct Guesses<'a> {
    steps: &'a [u8],
    /// How much less than the target is close enough.
    slack: f64,
    known: BTreeMap<usize, f64>,
    /// How much more the size was than the guess at the step that was tried last.
    correction: f64,
}

impl Guesses<'_> {
    /// The highest step of a range whose file should have at most `target`. If none should, the step before the range, or the first
    /// of all. `None` if the encoder makes no guess.
    fn best(&mut self, encoder: &mut dyn Encoder, range: Range<usize>, target: f64) -> Result<Option<usize>, Error> {
        let aim = target - self.correction - self.slack / 2.0;
        let is_close = |guess: f64| guess <= aim && guess >= aim - self.slack / 2.0;
        for _ in 0..GUESSES {
            let point = |(at, guess): (&usize, &f64)| (f64::from(self.steps[*at]), *guess);
            let under = self.known.iter().rev().find(|(_, guess)| **guess <= aim);
            let over = self.known.iter().find(|(_, guess)| **guess > aim);
            let low = under.map_or(0, |(at, _)| at + 1).max(range.start);
            let high = over.map_or(self.steps.len(), |(at, _)| *at).min(range.end);
            if low >= high || under.is_some_and(|(_, guess)| is_close(*guess)) {
                break;
            }
            let quality = interpolate(under.map(point), over.map(point), aim, GROWTH);
            let at = below(self.steps, quality).clamp(low, high - 1);
            let Some(guess) = encoder.guessed_size(self.steps[at])? else {
                return Ok(None);
            };
            self.known.insert(at, logarithm(guess));
        }
        let best = self.known.iter().rev().find(|(_, guess)| **guess <= aim).map_or(0, |(at, _)| *at);
        // A guess may be wrong by a tenth.
        let might_fit = self.known.get(&range.start).is_none_or(|guess| *guess <= target - self.correction + 0.1);
        let least = if might_fit { range.start } else { range.start.saturating_sub(1) };
        Ok(Some(best.clamp(least, range.end - 1)))
    }

    fn correct(&mut self, at: usize, size: f64) {
        if let Some(guess) = self.known.get(&at) {
            self.correction = size - guess;
        }
    }
}

fn logarithm(size: u64) -> f64 {
    (size.max(1) as f64).ln()
}

/// The highest step of at most this quality.
fn below(steps: &[u8], quality: f64) -> usize {
    steps.partition_point(|step| f64::from(*step) <= quality).saturating_sub(1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Encoded, Slack};

    /// Files of some sizes, and guesses of them.
    struct Sizes {
        size: fn(u8) -> f64,
        guess: Option<fn(u8) -> f64>,
    }

    impl Encoder for Sizes {
        fn own_quality(&self) -> u8 {
            100
        }

        fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
            let bytes = vec![0; (self.size)(quality) as usize];
            Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
        }

        fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error> {
            Ok(self.guess.filter(|_| quality < 100).map(|guess| guess(quality) as u64))
        }

        fn slack(&self) -> Slack {
            Slack { bytes: if self.guess.is_some() { 0.05 } else { 0.0 }, points: 0.0 }
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
        for (size, limit, quality, most) in [
            (drawing as fn(u8) -> f64, 2_000, 99, 4),
            (drawing, 9_000, 100, 4),
            (drawing, 900, 10, 4),
            (gentle, 8_000, 25, 5),
            (gentle, 13_000, 79, 5),
            (steep, 5_000, 26, 5),
        ] {
            let SearchResult { receipt, .. } = within(&mut Sizes { size, guess: None }, limit).unwrap();
            assert_eq!((receipt.quality, receipt.target_met), (Some(quality), limit != 900), "{limit}");
            assert!(receipt.encodes_tried <= most, "{limit}: {}", receipt.encodes_tried);
        }
    }

    #[test]
    fn guesses_that_are_off_alike_leave_few_files_to_try() {
        let size = |quality: u8| 10_000.0 * (0.03 * (f64::from(quality) - 50.0)).exp();
        let twice: fn(u8) -> f64 = |quality| 20_000.0 * (0.03 * (f64::from(quality) - 50.0)).exp();
        let half: fn(u8) -> f64 = |quality| 5_000.0 * (0.028 * (f64::from(quality) - 50.0)).exp();
        for guess in [twice, half] {
            for limit in [4_000, 9_000, 20_000] {
                let SearchResult { encoded, receipt } = within(&mut Sizes { size, guess: Some(guess) }, limit).unwrap();
                let bytes = encoded.bytes.len() as u64;
                assert!(receipt.target_met && bytes <= limit && bytes * 100 >= limit * 92, "{limit}: {bytes}");
                assert!(receipt.encodes_tried <= 3, "{limit}: {}", receipt.encodes_tried);
            }
        }
    }
}
