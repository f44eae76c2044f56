//! How many pixels of a picture have which colours, gathered in cells.

use super::colour::{Seen, seen_through};

/// More cells than this are merged before colours are chosen.
const MAX_CELLS: usize = 8_000;

pub(crate) const OPAQUE_CELLS: usize = 1 << 18;
const INVISIBLE: usize = OPAQUE_CELLS;
/// All cells there can be. Each that is met takes some hundred bytes.
pub(crate) const CELLS: usize = OPAQUE_CELLS + 1 + (1 << 19);

/// The cell of a colour: six bits for each sample of an opaque one; of a translucent one six bits of alpha, and four or five of each
/// premultiplied sample.
pub(super) fn cell([r, g, b, a]: [u8; 4]) -> usize {
    match a {
        255 => usize::from(r >> 2) << 12 | usize::from(g >> 2) << 6 | usize::from(b >> 2),
        0 => INVISIBLE,
        _ => {
            let [r, g, b] = [r, g, b].map(|sample| u16::from(sample) * u16::from(a) / 255).map(usize::from);
            INVISIBLE + 1 + ((r >> 4) << 15 | (g >> 3) << 10 | (b >> 4) << 6 | usize::from(a >> 2))
        }
    }
}

/// Sums over the pixels of a cell: premultiplied samples times 255, alpha, and their number.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums([u64; 5]);

/// How many pixels have which colours, in cells.
pub(crate) struct Histogram {
    /// The place of each cell in `cells`, plus one.
    pub(super) places: Vec<u32>,
    pub(super) cells: Vec<(usize, Sums)>,
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

    pub(super) fn entries(&self) -> Vec<Entry> {
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
pub(super) struct Entry {
    pub(super) at: Seen,
    pub(super) count: f32,
}

impl Entry {
    pub(super) fn of(Sums([r, g, b, a, count]): &Sums) -> Entry {
        let count = *count as f64;
        let mean = |sum: &u64| (*sum as f64 / 255.0 / count) as f32;
        Entry { at: seen_through([mean(r), mean(g), mean(b)], mean(a)), count: count as f32 }
    }
}
