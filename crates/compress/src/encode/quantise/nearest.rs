//! The nearest colours of a palette.

use super::Palette;
use super::colour::{Seen, seen};
use super::histogram::{CELLS, Entry, Histogram, cell};

/// Colours, axis by axis, so that distances to several are computed at once.
pub(super) struct Columns {
    axes: [Vec<f32>; 4],
}

/// Distances that are computed together.
const LANES: usize = 8;

impl Columns {
    pub(super) fn of(colours: &[Seen]) -> Columns {
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

    pub(super) fn nearest(&self, at: &Seen) -> (usize, f32) {
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

    /// Among these.
    pub fn of_colours(colours: &[[u8; 4]]) -> Nearest {
        Nearest { columns: Columns::of_colours(colours), known: vec![None; CELLS] }
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
    further: f32,
    /// For the cells of the histogram, in its order.
    near: Vec<Option<Near>>,
    /// The row before.
    above: Vec<u8>,
}

impl<'a> Mapper<'a> {
    /// `further` is how much further away a repeated colour may be than the nearest one, as a share of how far a pixel usually is.
    pub fn new(histogram: &'a Histogram, palette: &Palette, further: f32) -> Mapper<'a> {
        let (columns, near) = (Columns::of_colours(&palette.colours), vec![None; histogram.cells.len()]);
        Mapper { histogram, columns, further: palette.usual * further, near, above: Vec::new() }
    }

    /// The index of each pixel of whole rows. A neighbour's index is repeated where it is nearly as good as the best: at an equal
    /// score that saves a tenth of the bytes of a photograph. What repeats the row above goes on doing so.
    pub fn map(&mut self, pixels: &[[u8; 4]], width: usize, indices: &mut Vec<u8>) {
        for row in pixels.chunks_exact(width) {
            let start = indices.len();
            let (mut left, mut is_above) = (None, false);
            for (x, pixel) in row.iter().enumerate() {
                let above = self.above.get(x).copied();
                let is_repeated = x > 0 && *pixel == row[x - 1] && (!is_above || left == above);
                let index = match left {
                    Some(index) if is_repeated => index,
                    _ => {
                        let near = self.near(*pixel);
                        let order = if is_above { [above, left] } else { [left, above] };
                        order.into_iter().flatten().find(|index| near.contains(index)).unwrap_or(near[0])
                    }
                };
                is_above = Some(index) == above && (is_above || Some(index) != left);
                left = Some(index);
                indices.push(index);
            }
            self.above.clear();
            self.above.extend_from_slice(&indices[start..]);
        }
    }

    fn near(&mut self, pixel: [u8; 4]) -> Near {
        let Mapper { histogram, columns, further, near, .. } = self;
        let place = match histogram.places[cell(pixel)] {
            0 => return [columns.nearest(&seen(pixel)).0 as u8; 4],
            place => place as usize - 1,
        };
        *near[place].get_or_insert_with(|| columns.near(&Entry::of(&histogram.cells[place].1).at, *further))
    }
}
