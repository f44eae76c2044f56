//! The lowest quality whose file scores enough.
//!
//! Guesses lead, scores decide: each score corrects the guess that the search then looks for.

use std::collections::BTreeMap;

use super::{SearchResult, choice, searched};
use crate::contract::Error;
use crate::decide::score::Judge;
use crate::encode::{Encoded, Encoder};

/// About how much the score grows with each step of quality, from 70 at quality 50. Only first guesses depend on it.
const SCORE_GROWTH: f64 = 0.6;
/// Where between the target and what is close enough the next file should score.
const MARGIN: f64 = 0.3;
/// Guesses by interpolation before plain halving.
const GUESSES: u32 = 6;
/// Scores of a large picture after which the best one so far is taken.
const MAX_SCORES: u32 = 4;

/// The lowest quality whose file scores at least `target`.
pub(super) fn looking_like(encoder: &mut dyn Encoder, target: f64, judge: &Judge) -> Result<SearchResult, Error> {
    let steps = searched(encoder);
    let count = steps.len();
    let slack = encoder.slack().points;
    let mut look =
        Look { encoder, judge, slack, steps, guesses: BTreeMap::new(), latest: None, is_foreseen: false, tried: 0 };
    let (mut low, mut high) = (0, count);
    let mut aim = target;
    // What the best of the files that score too little and the worst of the others were guessed and scored.
    let (mut below, mut above) = (None, None);
    let mut best: Option<(usize, Option<Encoded>, f64)> = None;
    let mut scores = 0;
    while low < high && (best.is_none() || scores < MAX_SCORES) {
        let at = look.first(aim, low, high)?;
        if at == high {
            break;
        }
        let (encoded, guess, score) = look.score(at)?;
        scores += 1;
        if score >= target {
            above = Some((guess, score));
            high = look.first_alike(at, low)?;
            best = Some((at, encoded, score));
            if score <= target + slack && slack > 0.0 {
                break;
            }
        } else {
            below = Some((guess, score));
            low = look.last_alike(at, high)? + 1;
        }
        // Barely too little would be tried for nothing.
        let wanted = target + slack * MARGIN;
        aim = match (below, above) {
            (Some((guess, score)), Some((better_guess, better))) if better_guess > guess => {
                guess + (wanted - score) / (better - score) * (better_guess - guess)
            }
            _ => wanted + guess - score,
        };
    }
    let best = best.map(|(at, encoded, score)| look.written(at, encoded, score)).transpose()?;
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
    /// The latest file that was guessed to be good enough, if it had to be written for that.
    latest: Option<(usize, Encoded)>,
    /// Whether the encoder guesses, without writing files.
    is_foreseen: bool,
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
            let at = if guesses <= GUESSES {
                (self.nearest(aim, low, high) + bad).saturating_sub(good).clamp(low, high - 1)
            } else {
                low + (high - low) / 2
            };
            let (encoded, guess) = self.guess(at)?;
            if guess >= aim {
                high = at;
                self.latest = encoded.map(|encoded| (at, encoded));
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

    /// The guess at a step, and its file if one had to be written.
    fn guess(&mut self, at: usize) -> Result<(Option<Encoded>, f64), Error> {
        if let Some(guess) = self.foreseen(at)? {
            return Ok((None, guess));
        }
        let encoded = self.encode(at)?;
        let guess = self.judge.guess(&self.encoder.shown(&encoded)?)?;
        self.guesses.insert(at, guess);
        Ok((Some(encoded), guess))
    }

    /// The first step from `low` on whose file is that of `at`: the same colours are guessed to score the same.
    fn first_alike(&mut self, mut at: usize, low: usize) -> Result<usize, Error> {
        while at > low && self.is_alike(at - 1, at)? {
            at -= 1;
        }
        Ok(at)
    }

    /// The last step before `high` whose file is that of `at`.
    fn last_alike(&mut self, mut at: usize, high: usize) -> Result<usize, Error> {
        while at + 1 < high && self.is_alike(at + 1, at)? {
            at += 1;
        }
        Ok(at)
    }

    fn is_alike(&mut self, at: usize, known: usize) -> Result<bool, Error> {
        if !self.is_foreseen {
            return Ok(false);
        }
        let guess = self.foreseen(at)?;
        Ok(guess.is_some() && guess == self.guesses.get(&known).copied())
    }

    /// The guess at a step that needs no file, where there is one.
    fn foreseen(&mut self, at: usize) -> Result<Option<f64>, Error> {
        let guess = self.encoder.guessed_score(self.steps[at])?;
        self.is_foreseen = guess.is_some();
        self.guesses.extend(guess.map(|guess| (at, guess)));
        Ok(guess)
    }

    /// The guess and the score of a step, and its file if one had to be written.
    fn score(&mut self, at: usize) -> Result<(Option<Encoded>, f64, f64), Error> {
        let (encoded, guess) = match self.guesses.get(&at) {
            Some(guess) => (self.latest.take_if(|(latest, _)| *latest == at).map(|(_, encoded)| encoded), *guess),
            None => self.guess(at)?,
        };
        if encoded.is_none()
            && let Some(pixels) = self.encoder.preview(self.steps[at])?
        {
            return Ok((None, guess, self.judge.score(&pixels)?));
        }
        let encoded = match encoded {
            Some(encoded) => encoded,
            None => self.encode(at)?,
        };
        let is_score = self.judge.guesses_are_scores() && !self.is_foreseen;
        let score = if is_score { guess } else { self.judge.score(&self.encoder.shown(&encoded)?)? };
        Ok((Some(encoded), guess, score))
    }

    /// The file of a step whose score is known, and the score that it has.
    fn written(&mut self, at: usize, encoded: Option<Encoded>, score: f64) -> Result<(Encoded, f64), Error> {
        if let Some(encoded) = encoded {
            return Ok((encoded, score));
        }
        let encoded = self.encode(at)?;
        // Where that takes no more bytes, it became a file without loss.
        let score = if encoded.quality.is_none() { self.judge.score(&self.encoder.shown(&encoded)?)? } else { score };
        Ok((encoded, score))
    }

    fn encode(&mut self, at: usize) -> Result<Encoded, Error> {
        self.tried += 1;
        self.encoder.encode(self.steps[at])
    }
}
