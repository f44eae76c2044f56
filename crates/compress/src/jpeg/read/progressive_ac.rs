//! Decodes a band of AC coefficients of a progressive scan (T.81, G.1.2.2 and G.1.2.3) into a coefficient plane.
//!
//! Blocks without anything new cost a few instructions at most: end-of-band runs skip over blocks, and refinements walk the mask
//! of non-zero coefficients instead of the coefficients. Errs as the sequential decoder does.

use std::ops::Range;

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::frame::ScanHeader;
use crate::jpeg::hold::planes::{BlockMut, Plane};
use crate::jpeg::read::bits::{Bits, Feed, Window};
use crate::jpeg::read::lookup::{Entry, Lookup, no_code};

/// The blocks of an AC scan: those of one component that hold samples, row by row.
pub(crate) struct Walk {
    pub(crate) columns: usize,
    pub(crate) blocks: usize,
    /// Blocks between restarts; 0: none.
    pub(crate) interval: usize,
}

impl Walk {
    /// Calls `segment` with the feed and the block numbers of each restart interval.
    fn intervals(
        &self,
        feed: &mut Feed,
        mut segment: impl FnMut(&mut Feed, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut start = 0;
        while start < self.blocks {
            if start > 0 {
                feed.restart(start / self.interval - 1)?;
            }
            let end = if self.interval == 0 { self.blocks } else { self.blocks.min(start + self.interval) };
            if !feed.is_lost() {
                segment(feed, start..end)?;
            }
            start = end;
        }
        Ok(())
    }
}

/// From a block's number in a scan to its index in a plane, whose rows may be longer; cheap when numbers only grow.
struct Cursor {
    columns: usize,
    /// Blocks of padding at the end of each row, and of all rows passed.
    padding: usize,
    passed: usize,
    row_end: usize,
}

impl Cursor {
    fn new(walk: &Walk, plane: &Plane) -> Self {
        Self { columns: walk.columns, padding: plane.stride - walk.columns, passed: 0, row_end: walk.columns }
    }

    #[inline(always)]
    fn at(&mut self, n: usize) -> usize {
        while n >= self.row_end {
            self.row_end += self.columns;
            self.passed += self.padding;
        }
        n + self.passed
    }
}

/// G.1.2.2: the first bits of a band. `least` says for each position which magnitude is the smallest that counts: at least 1.
#[inline(never)]
pub(crate) fn first_bits(
    feed: &mut Feed,
    header: &ScanHeader,
    table: &Lookup,
    plane: &mut Plane,
    walk: &Walk,
    least: &[u32; 64],
) -> Result<(), Error> {
    let (first, last, low) = (u32::from(header.first), u32::from(header.last), u32::from(header.low));
    let least = if low == 0 { least } else { &[1; 64] };
    let mut cursor = Cursor::new(walk, plane);
    walk.intervals(feed, |feed, blocks| {
        let mut n = blocks.start;
        while n < blocks.end {
            feed.top_up();
            let at = cursor.at(n);
            let (mut bits, window) = (feed.bits, &*feed.window);
            let (mut block, known) = plane.block_mut(at);
            let mut mask = 0_u64;
            // Blocks that this one settles: itself, or as many as the end-of-band run says.
            let mut settled = 1;
            let mut k = first - 1;
            while k < last {
                bits.refill(window);
                let entry = table.symbol(bits.peek());
                if entry.is_invalid() {
                    return Err(no_code());
                }
                if entry.step() >= Entry::END_OF_BLOCK {
                    bits.consume(entry.code_bits());
                    settled = run_length(&mut bits, entry);
                    break;
                }
                let (magnitude, negative) = entry.magnitude(bits.peek());
                bits.consume(entry.total_bits());
                k += entry.step();
                if k > last || entry.size() + low > 15 {
                    return Err(corrupt("a coefficient lies outside its band or range"));
                }
                // Sixteen zeros come as a zero.
                if magnitude >= least[(k & 63) as usize] {
                    *block.at(k) = signed(magnitude << low, negative) as i16;
                    mask |= 1 << (k & 63);
                }
            }
            *known |= mask;
            feed.bits = bits;
            feed.check()?;
            n += settled;
        }
        if n > blocks.end { Err(corrupt("an end-of-band run passes the end of its interval")) } else { Ok(()) }
    })
}

/// G.1.2.3: one more bit of the non-zero coefficients of a band, and those that become ±1 with it. If that was the last bit, ±1
/// counts where `least` says so.
///
/// The correction bits lie between the symbols. They are only gathered on the way, in the order of the mask's bits, and applied
/// when the block is through: applying each batch at once would mean a loop of unforeseeable length after every symbol.
#[inline(never)]
pub(crate) fn next_bit(
    feed: &mut Feed,
    header: &ScanHeader,
    table: &Lookup,
    plane: &mut Plane,
    walk: &Walk,
    least: &[u32; 64],
) -> Result<(), Error> {
    let (first, last) = (u32::from(header.first), u32::from(header.last));
    let bit = 1_i16 << header.low;
    let band = u64::MAX << header.first & u64::MAX >> (63 - header.last);
    let counts = (0..64).filter(|&k| header.low > 0 || least[k] <= 1).fold(0_u64, |mask, k| mask | 1 << k);
    let mut cursor = Cursor::new(walk, plane);
    walk.intervals(feed, |feed, blocks| {
        // Blocks that still only receive correction bits.
        let mut run = 0;
        for n in blocks {
            let (mut block, mask) = plane.block_mut(cursor.at(n));
            let known = *mask & band;
            if run > 0 {
                run -= 1;
                if known != 0 {
                    feed.top_up();
                    feed.bits.refill(&feed.window);
                    let count = known.count_ones();
                    let corrections = gather(&mut feed.bits, &feed.window, count);
                    correct(&mut block, known, corrections, count, bit);
                    feed.check()?;
                }
                continue;
            }
            feed.top_up();
            let (mut bits, window) = (feed.bits, &*feed.window);
            let (mut corrections, mut corrected) = (0_u64, 0);
            let mut added = 0_u64;
            // The position that comes next, and the known coefficients from there on.
            let mut next = first;
            let mut ahead = known;
            while next <= last {
                bits.refill(window);
                let entry = table.symbol(bits.peek());
                if entry.is_invalid() {
                    return Err(no_code());
                }
                bits.consume(entry.code_bits());
                if entry.step() >= Entry::END_OF_BLOCK {
                    run = run_length(&mut bits, entry) - 1;
                    bits.refill(window);
                    let count = ahead.count_ones();
                    corrections = corrections << count | gather(&mut bits, window, count);
                    corrected += count;
                    break;
                }
                if entry.size() > 1 {
                    return Err(corrupt("a refinement of more than one bit"));
                }
                let positive = bits.take(entry.size());
                // The coefficient meant is the step-th of those that were zero; the known ones on the way are corrected.
                let mut k = next + entry.step() - 1;
                let mut passed = 0;
                while ahead != 0 && ahead.trailing_zeros() <= k {
                    ahead &= ahead - 1;
                    passed += 1;
                    k += 1;
                }
                if k > last {
                    return Err(corrupt("a coefficient lies outside its band"));
                }
                corrections = corrections << passed | gather(&mut bits, window, passed);
                corrected += passed;
                if entry.size() == 1 && counts >> (k & 63) & 1 == 1 {
                    *block.at(k) = if positive == 1 { bit } else { -bit };
                    added |= 1 << (k & 63);
                }
                next = k + 1;
            }
            correct(&mut block, known, corrections, corrected, bit);
            *mask |= added;
            feed.bits = bits;
            feed.check()?;
        }
        if run > 0 { Err(corrupt("an end-of-band run passes the end of its interval")) } else { Ok(()) }
    })
}

/// Reads `count` ≤ 63 correction bits. At least 32 bits must be at hand.
#[inline(always)]
fn gather(bits: &mut Bits, window: &Window, count: u32) -> u64 {
    if count <= 32 {
        return bits.take(count).into();
    }
    let high = u64::from(bits.take(32));
    bits.refill(window);
    high << (count - 32) | u64::from(bits.take(count - 32))
}

/// Moves the coefficients in `mask`, `left` many, away from zero by `bit` where their correction says so. The first one's
/// correction is the highest bit.
#[inline(always)]
fn correct(block: &mut BlockMut, mut mask: u64, corrections: u64, mut left: u32, bit: i16) {
    while mask != 0 {
        left -= 1;
        let value = block.at(mask.trailing_zeros());
        mask &= mask - 1;
        let away = (bit ^ (*value >> 15)) - (*value >> 15);
        *value = value.wrapping_add(away & ((corrections >> left & 1) as i16).wrapping_neg());
    }
}

/// Blocks that an end-of-band symbol settles, this one included: 2^r and r more bits (G.1.2.2).
fn run_length(bits: &mut Bits, entry: Entry) -> usize {
    let r = entry.step() - Entry::END_OF_BLOCK;
    (1 << r) + bits.take(r) as usize
}

/// A magnitude and a sign mask to a value.
#[inline(always)]
pub(crate) fn signed(magnitude: u32, negative: u32) -> i32 {
    (magnitude ^ negative).wrapping_sub(negative) as i32
}
