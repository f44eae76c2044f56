//! Chooses the colours of a palette, and the one for each pixel.
//!
//! Boxes of colours are split where the error is largest, and their centres refined by k-means. Colours are compared as they are seen:
//! an error counts as much as it does on black and on white together.

use std::cmp::Ordering;

/// A colour on black and on white: brightness, two colour differences, and the part of alpha. Squared distances between two of these
/// are the mean of the squared distances on black and on white.
type Seen = [f32; 4];

/// What a palette can hold.
pub(crate) const MAX_COLOURS: usize = 256;
/// ITU-R BT.601's share of red, green and blue in brightness.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// How much the differences between red or blue and brightness count.
const CHROMA: [f32; 2] = [0.5, 0.4];
/// Passes of k-means. More gain nothing worth their time.
const REFINEMENTS: usize = 3;
/// More cells than this are merged before colours are chosen.
const MAX_CELLS: usize = 8_000;
/// How far from any palette colour a colour may be that is no accident, squared: a badge in a screenshot is small, but red.
const FAR: f32 = 24.0 * 24.0;
/// Pixels that are no accident.
const NO_ACCIDENT: f32 = 16.0;

pub(crate) const OPAQUE_CELLS: usize = 1 << 18;
const INVISIBLE: usize = OPAQUE_CELLS;
/// All cells there can be. Each that is met takes some hundred bytes.
pub(crate) const CELLS: usize = OPAQUE_CELLS + 1 + (1 << 19);

/// The cell of a colour: six bits for each sample of an opaque one; of a translucent one six bits of alpha, and four or five of each
/// premultiplied sample.
fn cell([r, g, b, a]: [u8; 4]) -> usize {
    match a {
        255 => usize::from(r >> 2) << 12 | usize::from(g >> 2) << 6 | usize::from(b >> 2),
        0 => INVISIBLE,
        _ => {
            let [r, g, b] = [r, g, b].map(|sample| u16::from(sample) * u16::from(a) / 255).map(usize::from);
            INVISIBLE + 1 + ((r >> 4) << 15 | (g >> 3) << 10 | (b >> 4) << 6 | usize::from(a >> 2))
        }
    }
}

fn seen([r, g, b, a]: [u8; 4]) -> Seen {
    let alpha = f32::from(a) / 255.0;
    seen_through([r, g, b].map(|sample| f32::from(sample) * alpha), alpha)
}

/// Of premultiplied samples.
fn seen_through([r, g, b]: [f32; 3], alpha: f32) -> Seen {
    let y = LUMA[0] * r + LUMA[1] * g + LUMA[2] * b;
    // On black y, on white y + 255 − 255 alpha: their mean, and half their difference.
    let half = alpha * 127.5;
    [y - half, (r - y) * CHROMA[0], (b - y) * CHROMA[1], half]
}

/// Back to samples. What is invisible is black.
fn shown([mean, red, blue, half]: Seen) -> [u8; 4] {
    let alpha = (half * 2.0).round().clamp(0.0, 255.0);
    if alpha == 0.0 {
        return [0; 4];
    }
    let y = mean + half;
    let (r, b) = (red / CHROMA[0] + y, blue / CHROMA[1] + y);
    let g = (y - LUMA[0] * r - LUMA[2] * b) / LUMA[1];
    let sample = |premultiplied: f32| (premultiplied * 255.0 / alpha).round().clamp(0.0, 255.0) as u8;
    [sample(r), sample(g), sample(b), alpha as u8]
}

fn distance(a: &Seen, b: &Seen) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Sums over the pixels of a cell: premultiplied samples times 255, alpha, and their number.
#[derive(Clone, Copy, Default)]
struct Sums([u64; 5]);

/// How many pixels have which colours, in cells.
pub(crate) struct Histogram {
    /// The place of each cell in `cells`, plus one.
    places: Vec<u32>,
    cells: Vec<(usize, Sums)>,
    /// Stretches of one colour that is not invisible, and the pixels in them.
    stretches: u64,
    visible: u64,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram { places: vec![0; CELLS], cells: Vec::new(), stretches: 0, visible: 0 }
    }

    pub fn add(&mut self, mut pixels: &[[u8; 4]]) {
        while let [first, ..] = pixels {
            let run = pixels.iter().take_while(|pixel| *pixel == first).count();
            pixels = &pixels[run..];
            let run = run as u64;
            let cell = cell(*first);
            let place = &mut self.places[cell];
            if *place == 0 {
                self.cells.push((cell, Sums::default()));
                *place = self.cells.len() as u32;
            }
            let Sums([r, g, b, a, count]) = &mut self.cells[*place as usize - 1].1;
            let alpha = u64::from(first[3]) * run;
            *r += u64::from(first[0]) * alpha;
            *g += u64::from(first[1]) * alpha;
            *b += u64::from(first[2]) * alpha;
            *a += alpha;
            *count += run;
            if cell != INVISIBLE {
                self.stretches += 1;
                self.visible += run;
            }
        }
    }

    /// Whether most visible pixels equal their left neighbour, as in drawings and screenshots.
    pub fn is_flat(&self) -> bool {
        self.stretches * 2 < self.visible
    }

    fn entries(&self) -> Vec<Entry> {
        let entries = self.cells.iter().map(|(_, sums)| Entry::of(sums));
        if self.cells.len() <= MAX_CELLS {
            return entries.collect();
        }
        // The lowest bit of each sample is left out.
        let coarse = |cell: usize| match cell {
            INVISIBLE => u64::MAX,
            0..INVISIBLE => (cell & 0o_767676) as u64,
            _ => ((cell - INVISIBLE - 1) & !(1 << 15 | 1 << 10 | 1 << 6 | 1)) as u64 | 1 << 32,
        };
        let mut cells: Vec<(u64, Sums)> = self.cells.iter().map(|(cell, sums)| (coarse(*cell), *sums)).collect();
        cells.sort_unstable_by_key(|(cell, _)| *cell);
        let groups = cells.chunk_by(|a, b| a.0 == b.0);
        let merged =
            groups.map(|group| Sums(std::array::from_fn(|at| group.iter().map(|(_, Sums(sums))| sums[at]).sum())));
        merged.map(|sums| Entry::of(&sums)).collect()
    }
}

/// The mean colour of a cell.
#[derive(Clone, Copy)]
struct Entry {
    at: Seen,
    count: f32,
}

impl Entry {
    fn of(Sums([r, g, b, a, count]): &Sums) -> Entry {
        let count = *count as f64;
        let mean = |sum: &u64| (*sum as f64 / 255.0 / count) as f32;
        Entry { at: seen_through([mean(r), mean(g), mean(b)], mean(a)), count: count as f32 }
    }
}

/// The colours of a picture, split into ever smaller boxes.
pub(crate) struct Splits {
    entries: Vec<Entry>,
    /// Which box is split next, and the centres of both parts: the first takes its place, the second comes last.
    splits: Vec<(usize, Seen, Seen)>,
    all: Seen,
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
        Splits { entries, splits, all }
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
            if is_last && away > FAR && entry.count >= NO_ACCIDENT {
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
            if is_last && f64::from(heaviest.count) * 2.0 > count {
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
            if centres[own..].iter().all(|added| distance(added, &at) > FAR) {
                centres.push(at);
            }
        }
        error / f64::max(total, 1.0)
    }
}

fn order(a: &Seen, b: &Seen) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
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

/// Colours, axis by axis, so that distances to several are computed at once.
struct Columns {
    axes: [Vec<f32>; 4],
}

/// Distances that are computed together.
const LANES: usize = 8;

impl Columns {
    fn of(colours: &[Seen]) -> Columns {
        // What fills the last lanes is far from everything.
        let padded = colours.len().next_multiple_of(LANES);
        let column = |axis: usize| {
            let mut column: Vec<f32> = colours.iter().map(|colour| colour[axis]).collect();
            column.resize(padded, 1e9);
            column
        };
        Columns { axes: std::array::from_fn(column) }
    }

    fn of_colours(colours: &[[u8; 4]]) -> Columns {
        Columns::of(&colours.iter().map(|colour| seen(*colour)).collect::<Vec<_>>())
    }

    /// The nearest colour, and some that are no more than `further` further away.
    fn near(&self, at: &Seen, further: f32) -> Near {
        let (nearest, away) = self.nearest(at);
        let most = (away.sqrt() + further).powi(2);
        let mut near = [nearest as u8; 4];
        let mut found = 1;
        self.each(at, |first, distances| {
            for (lane, away) in distances.into_iter().enumerate() {
                if away <= most && first + lane != nearest && found < near.len() {
                    near[found] = (first + lane) as u8;
                    found += 1;
                }
            }
        });
        near
    }

    /// Hands out the distances to the colours from `first` on.
    fn each(&self, at: &Seen, mut take: impl FnMut(usize, [f32; LANES])) {
        let [a, b, c, d] = self.axes.each_ref().map(|column| column.as_chunks::<LANES>().0);
        for (group, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
            let mut away = [0.0; LANES];
            for lane in 0..LANES {
                let off = [a[lane] - at[0], b[lane] - at[1], c[lane] - at[2], d[lane] - at[3]];
                away[lane] = off[0] * off[0] + off[1] * off[1] + off[2] * off[2] + off[3] * off[3];
            }
            take(group * LANES, away);
        }
    }

    fn nearest(&self, at: &Seen) -> (usize, f32) {
        let (mut least, mut group) = ([f32::MAX; LANES], [0_u32; LANES]);
        self.each(at, |first, away| {
            for lane in 0..LANES {
                let is_less = away[lane] < least[lane];
                group[lane] = if is_less { first as u32 } else { group[lane] };
                least[lane] = if is_less { away[lane] } else { least[lane] };
            }
        });
        let lane = (0..LANES).min_by(|a, b| least[*a].total_cmp(&least[*b])).unwrap_or(0);
        (group[lane] as usize + lane, least[lane])
    }
}

/// Colours, and how far a pixel usually is from the nearest of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Palette {
    pub colours: Vec<[u8; 4]>,
    usual: f32,
}

/// Finds the nearest colour.
pub(crate) struct Nearest {
    columns: Columns,
    /// By cell.
    known: Vec<Option<u8>>,
}

impl Nearest {
    pub fn of(palette: &Palette) -> Nearest {
        Nearest { columns: Columns::of_colours(&palette.colours), known: vec![None; CELLS] }
    }

    /// The nearest colour to a pixel, or to another one of its cell.
    pub fn index(&mut self, pixel: [u8; 4]) -> u8 {
        *self.known[cell(pixel)].get_or_insert_with(|| self.columns.nearest(&seen(pixel)).0 as u8)
    }
}

/// Which colours may stand for those of a cell, the nearest first; it is repeated where there are fewer.
type Near = [u8; 4];

/// Finds a colour for each pixel of a picture, without dithering.
pub(crate) struct Mapper<'a> {
    histogram: &'a Histogram,
    columns: Columns,
    usual: f32,
    /// For the cells of the histogram, in its order.
    near: Vec<Option<Near>>,
}

impl<'a> Mapper<'a> {
    pub fn new(histogram: &'a Histogram, palette: &Palette) -> Mapper<'a> {
        let (columns, near) = (Columns::of_colours(&palette.colours), vec![None; histogram.cells.len()]);
        Mapper { histogram, columns, usual: palette.usual, near }
    }

    /// The index of each pixel of whole rows. A neighbour's index is repeated where it is nearly as good as the best: at an equal
    /// score that saves a tenth of the bytes of a photograph.
    pub fn map(&mut self, pixels: &[[u8; 4]], width: usize, indices: &mut Vec<u8>) {
        let start = indices.len();
        for (at, pixel) in pixels.iter().enumerate() {
            let near = self.near(*pixel);
            let left = if at % width > 0 { indices.last().copied() } else { None };
            let above = if at >= width { Some(indices[start + at - width]) } else { None };
            let repeated = [left, above].into_iter().flatten().find(|index| near.contains(index));
            indices.push(repeated.unwrap_or(near[0]));
        }
    }

    fn near(&mut self, pixel: [u8; 4]) -> Near {
        let Mapper { histogram, columns, usual, near } = self;
        let place = match histogram.places[cell(pixel)] {
            0 => return [columns.nearest(&seen(pixel)).0 as u8; 4],
            place => place as usize - 1,
        };
        *near[place].get_or_insert_with(|| columns.near(&Entry::of(&histogram.cells[place].1).at, *usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::pixels::Layout;
    use crate::tests::pictures::photo;

    /// A cut-out: opaque, soft and invisible parts.
    fn pixels() -> Vec<[u8; 4]> {
        let mut pixels = photo(120, 80, Layout::Rgba).data.as_chunks::<4>().0.to_vec();
        for (at, pixel) in pixels.iter_mut().enumerate() {
            pixel[3] = [255, 255, 120, 0][at % 120 / 30];
        }
        pixels
    }

    fn histogram(pixels: &[[u8; 4]]) -> Histogram {
        let mut histogram = Histogram::new();
        histogram.add(pixels);
        histogram
    }

    fn error(pixels: &[[u8; 4]], palette: &Palette, indices: &[u8]) -> f64 {
        let away = |(pixel, index): (&[u8; 4], &u8)| {
            f64::from(distance(&seen(*pixel), &seen(palette.colours[usize::from(*index)])))
        };
        pixels.iter().zip(indices).map(away).sum::<f64>() / pixels.len() as f64
    }

    #[test]
    fn more_colours_leave_less_error() {
        let pixels = pixels();
        let histogram = histogram(&pixels);
        let splits = Splits::of(&histogram);
        let mut before = f64::MAX;
        for count in [4, 16, 64, 256] {
            let palette = splits.palette(count);
            assert!(palette.colours.len() <= count.max(16), "{count}: {}", palette.colours.len());
            let (mut near, mut nearest) = (Vec::new(), Nearest::of(&palette));
            Mapper::new(&histogram, &palette).map(&pixels, 120, &mut near);
            let nearest: Vec<u8> = pixels.iter().map(|pixel| nearest.index(*pixel)).collect();
            let (near, nearest) = (error(&pixels, &palette, &near), error(&pixels, &palette, &nearest));
            assert!(near < before / 2.0, "{count}: {near} after {before}");
            // An index is repeated where that is at most as far off again as a pixel usually is.
            assert!(near < nearest * 4.0 + 2.0, "{count}: {near} and {nearest}");
            before = near;
        }
    }

    #[test]
    fn what_is_seen_becomes_samples_again() {
        for colour in [[0, 0, 0, 255], [255, 255, 255, 255], [200, 30, 90, 255], [10, 250, 128, 128], [0, 0, 0, 0]] {
            let back = shown(seen(colour));
            assert!(colour.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 1), "{colour:?} {back:?}");
        }
        let half = distance(&seen([0, 0, 0, 255]), &seen([0; 4]));
        // Black and nothing are equal on black, and far apart on white.
        assert!((half - 255.0 * 255.0 / 2.0).abs() < 1.0, "{half}");
    }

    #[test]
    fn the_colour_of_a_small_badge_and_of_the_paper_stay() {
        let mut pixels = vec![[250, 251, 252, 255]; 100_000];
        for (at, pixel) in pixels.iter_mut().enumerate().step_by(7) {
            *pixel = [(at % 256) as u8, (at % 256) as u8, (at % 256) as u8, 255];
        }
        pixels[500..540].fill([230, 20, 30, 255]);
        let palette = Splits::of(&histogram(&pixels)).palette(6);
        assert!(palette.colours.contains(&[250, 251, 252, 255]), "{palette:?}");
        let is_red = |colour: &[u8; 4]| colour[0] > 200 && colour[1] < 50 && colour[2] < 60;
        assert!(palette.colours.iter().any(is_red), "{palette:?}");
    }

    #[test]
    fn the_colour_of_invisible_pixels_does_not_matter() {
        let hidden: Vec<[u8; 4]> = (0..1_000_u32).map(|at| [(at * 7) as u8, (at * 13) as u8, at as u8, 0]).collect();
        assert_eq!(Splits::of(&histogram(&hidden)).palette(256).colours, [[0; 4]]);
    }

    #[test]
    fn the_nearest_colour_is_found_among_any_number() {
        let mut random = crate::tests::pictures::Random(3);
        for count in [1, 2, 7, 8, 9, 100, 256] {
            let colours: Vec<Seen> = (0..count).map(|_| seen((random.next() as u32).to_le_bytes())).collect();
            let columns = Columns::of(&colours);
            for _ in 0..50 {
                let at = seen((random.next() as u32).to_le_bytes());
                let (index, away) = columns.nearest(&at);
                assert_eq!(away, distance(&at, &colours[index]));
                assert!(colours.iter().all(|colour| distance(&at, colour) >= away));
            }
        }
    }
}
