//! The highest quality whose file fits into a limit, from a few sizes.

use super::{SearchResult, choice, searched};
use crate::contract::Error;
use crate::encode::Encoder;

/// About how much the logarithm of the size grows with each step of quality. Only the first guesses of a search depend on it.
const GROWTH: f64 = 0.022;
/// What is taken for it where sizes hardly differ.
const LEAST_GROWTH: f64 = 0.004;
/// Guesses by interpolation before plain halving.
const GUESSES: u32 = 4;

/// The highest quality whose file has at most `limit` bytes, or one whose file is close enough to that.
pub(super) fn within(encoder: &mut dyn Encoder, limit: u64) -> Result<SearchResult, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Encoded;

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
