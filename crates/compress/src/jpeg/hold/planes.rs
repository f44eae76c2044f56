//! Coefficient planes: every quantised coefficient of an image, for files that deliver them in many scans.
//!
//! Beside its 64 coefficients every block has a mask of those that are not zero, so that passes over the image touch only
//! what is there. 138 bytes a block at most, and far fewer in most pictures: the positions lie in groups, each with the blocks of
//! the whole picture one after the other, and a page of a group that only ever holds zeros is never touched, so never resident.
//! Callers check limits before asking for planes.

use crate::jpeg::headers::frame::{Frame, Layout, MAX_BLOCKS_PER_MCU, blocks_per_mcu};
use crate::jpeg::hold::quality::Quantiser;
use crate::jpeg::hold::tokens::{BlockWriter, TokenReader, TokenScan, Tokens, magnitude};

/// Positions of a block that lie side by side: measured, fewer save little memory more, and more cost a third of it.
const GROUP: usize = 8;

/// The AC coefficients of one block, by their zigzag positions; place 0 is not used.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    coefficients: &'a [i16],
    place: Place,
}

impl Block<'_> {
    #[inline(always)]
    pub(crate) fn get(&self, k: u32) -> i16 {
        self.coefficients[self.place.of(k)]
    }
}

/// The same, to write.
pub(crate) struct BlockMut<'a> {
    coefficients: &'a mut [i16],
    place: Place,
}

impl BlockMut<'_> {
    #[inline(always)]
    pub(crate) fn at(&mut self, k: u32) -> &mut i16 {
        &mut self.coefficients[self.place.of(k)]
    }
}

/// Where a block lies in each group of positions.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    /// From one group to the next.
    stride: usize,
}

impl Place {
    #[inline(always)]
    fn of(self, k: u32) -> usize {
        let k = k as usize & 63;
        k / GROUP * self.stride + self.first + k % GROUP
    }
}

/// One component.
pub(crate) struct Plane {
    /// DC coefficients, apart from the others: whole scans deal with them alone. Row-major, [`Plane::stride`] to a row, padding
    /// up to whole MCUs included.
    pub(crate) dc: Vec<i16>,
    /// AC coefficients: group by group, in each block by block in the same order. Plain numbers, because only of those memory is to
    /// be had that is zero already.
    coefficients: Vec<i16>,
    /// For each block, a bit for each AC coefficient that is not zero. Bit 0 is not used.
    pub(crate) masks: Vec<u64>,
    pub(crate) stride: usize,
}

impl Plane {
    #[inline(always)]
    pub(crate) fn block(&self, at: usize) -> Block<'_> {
        Block { coefficients: &self.coefficients, place: self.place(at) }
    }

    /// A block and its mask, to write.
    #[inline(always)]
    pub(crate) fn block_mut(&mut self, at: usize) -> (BlockMut<'_>, &mut u64) {
        let place = self.place(at);
        (BlockMut { coefficients: &mut self.coefficients, place }, &mut self.masks[at])
    }

    #[inline(always)]
    fn place(&self, at: usize) -> Place {
        Place { first: at * GROUP, stride: self.masks.len() * GROUP }
    }
}

/// All components of a frame, zero at first.
pub(crate) fn empty(frame: &Frame) -> Vec<Plane> {
    let plane = |c: &crate::jpeg::headers::frame::Component| {
        let blocks = c.padded_columns * c.padded_rows;
        Plane {
            dc: vec![0; blocks],
            coefficients: vec![0; 64 * blocks],
            masks: vec![0; blocks],
            stride: c.padded_columns,
        }
    };
    frame.components.iter().map(plane).collect()
}

/// Calls `visit` with component and block index for every block of a scan, in the order of T.81, A.2, until it errs.
pub(crate) fn for_each_block<E>(
    frame: &Frame,
    components: &[usize],
    mut visit: impl FnMut(usize, usize) -> Result<(), E>,
) -> Result<(), E> {
    if let [one] = *components {
        let c = &frame.components[one];
        for row in 0..c.rows {
            for column in 0..c.columns {
                visit(one, row * c.padded_columns + column)?;
            }
        }
        return Ok(());
    }
    for mcu_row in 0..frame.mcu_rows {
        for mcu_column in 0..frame.mcu_columns {
            for &component in components {
                let c = &frame.components[component];
                let (h, v) = (usize::from(c.h), usize::from(c.v));
                for row in mcu_row * v..(mcu_row + 1) * v {
                    for column in mcu_column * h..(mcu_column + 1) * h {
                        visit(component, row * c.padded_columns + column)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Gives padding blocks their left or upper neighbour's DC, which makes them cheap to code. They hold no pixels.
pub(crate) fn pad(frame: &Frame, planes: &mut [Plane]) {
    for (c, plane) in frame.components.iter().zip(planes) {
        for row in 0..c.padded_rows {
            let start = if row < c.rows { c.columns } else { 0 };
            for column in start..c.padded_columns {
                let at = row * plane.stride + column;
                let neighbour = if row < c.rows { at - 1 } else { at - plane.stride };
                plane.dc[at] = plane.dc[neighbour];
            }
        }
    }
}

/// The scans of a sequential image: one for all components, or one each when an MCU would hold too many blocks.
pub(crate) fn sequential_scans(frame: &Frame) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..frame.components.len()).collect();
    if blocks_per_mcu(frame, all.iter().copied()) <= MAX_BLOCKS_PER_MCU {
        vec![all]
    } else {
        all.into_iter().map(|component| vec![component]).collect()
    }
}

/// Rounds the coefficients of the given components and lists them as the tokens of one scan. See
/// [`tokens::requantise`](crate::jpeg::hold::tokens::requantise) for `keep`.
pub(crate) fn tokens(
    frame: &Frame,
    planes: &[Plane],
    components: &[usize],
    quantisers: &[Quantiser],
    classes: &[usize],
    keep: bool,
) -> TokenScan {
    let mut scan = TokenScan {
        components: components.to_vec(),
        layout: Layout::new(frame, components),
        tokens: Tokens::default(),
        counts: Default::default(),
    };
    let mut before = [0; 4];
    let visited: Result<(), std::convert::Infallible> = for_each_block(frame, components, |component, at| {
        let (plane, quantiser) = (&planes[component], &quantisers[component]);
        scan.tokens.reserve(1);
        let mut out = BlockWriter::new(scan.tokens.space(), &mut scan.counts[classes[component]]);
        let dc = quantiser.dc(plane.dc[at].into());
        out.dc(dc - before[component]);
        before[component] = dc;
        let mut mask = plane.masks[at];
        let block = plane.block(at);
        while mask != 0 {
            let k = mask.trailing_zeros();
            mask &= mask - 1;
            let value = i32::from(block.get(k));
            out.ac(k, quantiser.ac(k, value.unsigned_abs()), (value >> 31) as u32);
        }
        let len = out.finish();
        scan.tokens.keep(if keep { len } else { 0 });
        Ok(())
    });
    let Ok(()) = visited;
    scan
}

/// Puts the coefficients of a sequential scan into planes.
pub(crate) fn fill(frame: &Frame, planes: &mut [Plane], scan: &TokenScan) {
    let mut reader = TokenReader::new(&scan.tokens);
    let mut before = [0_i32; 4];
    let visited: Result<(), std::convert::Infallible> = for_each_block(frame, &scan.components, |component, at| {
        let plane = &mut planes[component];
        let (size, bits) = reader.next();
        before[component] += signed(bits, size);
        plane.dc[at] = before[component] as i16;
        let (mut block, mask) = plane.block_mut(at);
        let mut k = 0;
        while k < 63 {
            let (symbol, bits) = reader.next();
            if symbol == 0 {
                break;
            }
            k += (symbol >> 4) + 1;
            if symbol & 15 > 0 {
                *block.at(k) = signed(bits, symbol & 15) as i16;
                *mask |= 1 << (k & 63);
            }
        }
        Ok(())
    });
    let Ok(()) = visited;
}

pub(crate) fn signed(bits: u32, size: u32) -> i32 {
    let (value, negative) = magnitude(bits, size);
    (value ^ negative).wrapping_sub(negative) as i32
}
