//! Splits the colours of a picture into boxes, and refines their centres.

use super::colour::{Seen, distance, order, seen, shown};
use super::histogram::{Entry, Histogram};
use super::nearest::Columns;
use super::{MAX_COLOURS, Palette};

/// Passes of k-means. More gain nothing worth their time.
const REFINEMENTS: usize = 3;
/// How far from any palette colour a colour may be that is no accident, squared: a badge in a screenshot is small, but red.
const FAR: f32 = 24.0 * 24.0;
/// Pixels that are no accident.
const NO_ACCIDENT: f32 = 16.0;
/// The same in a drawing for an area of one colour, such as a bar of a chart: another hue would be seen.
const FAR_IN_DRAWINGS: f32 = 12.0 * 12.0;
const AREA: f32 = 256.0;
/// White, and what is hardly darker, is the brightest cell. A quarter of the pixels around it makes all of them white: grey paper
/// would be seen.
const WHITE: f32 = 251.0;
const WHITE_SHARE: f64 = 0.25;

/// The colours of a picture, split into ever smaller boxes.
pub(crate) struct Splits {
    entries: Vec<Entry>,
    /// Which box is split next, and the centres of both parts: the first takes its place, the second comes last.
    splits: Vec<(usize, Seen, Seen)>,
    all: Seen,
    is_drawing: bool,
}

impl Splits {
    pub fn of(histogram: &Histogram) -> Splits {
        let mut entries = histogram.entries();
        let mut boxes = vec![Part::of(&entries, 0, entries.len())];
        let all = boxes[0].mean;
        let mut splits = Vec::new();
        while boxes.len() < MAX_COLOURS {
            let divisible = (0..boxes.len()).filter(|at| boxes[*at].end - boxes[*at].start > 1);
            let Some(worst) = divisible.max_by(|a, b| boxes[*a].error.total_cmp(&boxes[*b].error)) else {
                break;
            };
            let Part { start, end, axis, .. } = boxes[worst];
            let part = &mut entries[start..end];
            part.sort_unstable_by(|a, b| a.at[axis].total_cmp(&b.at[axis]).then_with(|| order(&a.at, &b.at)));
            let middle = start + best_cut(part, axis);
            let halves = [Part::of(&entries, start, middle), Part::of(&entries, middle, end)];
            splits.push((worst, halves[0].mean, halves[1].mean));
            let [lower, upper] = halves;
            boxes[worst] = lower;
            boxes.push(upper);
        }
        Splits { entries, splits, all, is_drawing: histogram.is_flat() }
    }

    /// The most colours that can be chosen.
    pub fn most(&self) -> usize {
        self.splits.len() + 1
    }

    /// About `count` colours, sorted: a few more where some would be far from all of them.
    pub fn palette(&self, count: usize) -> Palette {
        let mut centres = vec![self.all];
        for (at, lower, upper) in &self.splits[..count.clamp(1, self.most()) - 1] {
            centres[*at] = *lower;
            centres.push(*upper);
        }
        let mut error = 0.0;
        for pass in 0..REFINEMENTS {
            error = self.refine(&mut centres, pass + 1 == REFINEMENTS);
        }
        let mut colours: Vec<[u8; 4]> = centres.into_iter().map(shown).collect();
        // Brightness by brightness, transparent ones first: tRNS is shorter, and neighbours have close indices.
        colours.sort_unstable_by(|a, b| {
            let opaque = |colour: &[u8; 4]| colour[3] == 255;
            opaque(a).cmp(&opaque(b)).then_with(|| order(&seen(*a), &seen(*b))).then_with(|| a.cmp(b))
        });
        colours.dedup();
        Palette { colours, usual: error.sqrt() as f32 }
    }

    /// Moves each centre to the mean of the entries nearest to it; at last, to the one of them that outweighs the others.
    /// Returns the mean squared error before.
    fn refine(&self, centres: &mut Vec<Seen>, is_last: bool) -> f64 {
        let colours = Columns::of(centres);
        let mut sums = vec![([0.0_f64; 4], 0.0_f64, Entry { at: [0.0; 4], count: 0.0 }); centres.len()];
        let mut left_out: Vec<(f32, Seen)> = Vec::new();
        let (mut error, mut total) = (0.0, 0.0);
        for entry in &self.entries {
            let (nearest, away) = colours.nearest(&entry.at);
            error += f64::from(away * entry.count);
            total += f64::from(entry.count);
            let is_missed = away > FAR && entry.count >= NO_ACCIDENT
                || self.is_drawing && away > FAR_IN_DRAWINGS && entry.count >= AREA;
            if is_last && is_missed {
                left_out.push((away * entry.count, entry.at));
            }
            let (sum, count, heaviest) = &mut sums[nearest];
            for (sum, value) in sum.iter_mut().zip(entry.at) {
                *sum += f64::from(value * entry.count);
            }
            *count += f64::from(entry.count);
            if entry.count > heaviest.count {
                *heaviest = *entry;
            }
        }
        for (centre, (sum, count, heaviest)) in centres.iter_mut().zip(sums) {
            let share = if is_white(&heaviest.at) { WHITE_SHARE } else { 0.5 };
            if is_last && f64::from(heaviest.count) > count * share {
                *centre = heaviest.at;
            } else if count > 0.0 {
                *centre = sum.map(|sum| (sum / count) as f32);
            }
        }
        left_out.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| order(&a.1, &b.1)));
        let own = centres.len();
        for (_, at) in left_out {
            if centres.len() == MAX_COLOURS {
                break;
            }
            let far = if self.is_drawing { FAR_IN_DRAWINGS } else { FAR };
            if centres[own..].iter().all(|added| distance(added, &at) > far) {
                centres.push(at);
            }
        }
        error / f64::max(total, 1.0)
    }
}

fn is_white(at: &Seen) -> bool {
    let [mean, red, blue, half] = *at;
    mean + half > WHITE && half > 127.0 && red.abs() < 1.0 && blue.abs() < 1.0
}

/// A box: some entries, their mean, the error if it stands for all of them, and the axis along which they differ most.
struct Part {
    start: usize,
    end: usize,
    mean: Seen,
    error: f64,
    axis: usize,
}

impl Part {
    fn of(entries: &[Entry], start: usize, end: usize) -> Part {
        let (mut count, mut sums, mut squares) = (0.0, [0.0; 4], [0.0; 4]);
        for entry in &entries[start..end] {
            let weight = f64::from(entry.count);
            count += weight;
            for at in 0..4 {
                let value = f64::from(entry.at[at]);
                sums[at] += value * weight;
                squares[at] += value * value * weight;
            }
        }
        let spread: [f64; 4] = std::array::from_fn(|at| (squares[at] - sums[at] * sums[at] / count).max(0.0));
        let axis = (0..4).max_by(|a, b| spread[*a].total_cmp(&spread[*b])).unwrap_or(0);
        Part { start, end, mean: sums.map(|sum| (sum / count) as f32), error: spread.iter().sum(), axis }
    }
}

/// How many of two or more entries in order go to the lower half, so that the least error along this axis is left.
fn best_cut(part: &[Entry], axis: usize) -> usize {
    let value = |entry: &Entry| f64::from(entry.count) * f64::from(entry.at[axis]);
    let count: f64 = part.iter().map(|entry| f64::from(entry.count)).sum();
    let sum: f64 = part.iter().map(value).sum();
    let (mut lower_count, mut lower_sum) = (0.0, 0.0);
    let (mut best, mut most) = (1, f64::MIN);
    for (at, entry) in part[..part.len() - 1].iter().enumerate() {
        lower_count += f64::from(entry.count);
        lower_sum += value(entry);
        let upper = sum - lower_sum;
        let gain = lower_sum * lower_sum / lower_count + upper * upper / (count - lower_count);
        if gain > most {
            (best, most) = (at + 1, gain);
        }
    }
    best
}
