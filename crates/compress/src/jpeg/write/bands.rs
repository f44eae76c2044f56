//! Writes the image data progressively (T.81, annex G): DC first, then AC in bands, coarse bits before fine ones.
//!
//! Every scan is gone through twice, to count its symbols and to write them with the codes that fit the counts. Of several ways
//! to divide a component into scans the smallest is written.

use crate::jpeg::headers::frame::Frame;
use crate::jpeg::headers::marker::{DHT, segment};
use crate::jpeg::hold::planes::{Block, Plane, for_each_block, sequential_scans};
use crate::jpeg::hold::tokens::{ZRL, size_of};
use crate::jpeg::write::codes::Codes;
use crate::jpeg::write::emit::{BitWriter, scan_header, table};

/// A scan of AC coefficients: component, first and last coefficient, bit position before (0: none) and after.
#[derive(Clone, Copy)]
struct Band {
    component: usize,
    first: u8,
    last: u8,
    high: u8,
    low: u8,
}

/// Ways to divide the AC coefficients of a component: last of the first band (63: one band is all), and bits held back for a
/// refinement. A small first band shows the picture early; holding back a bit makes the runs of empty blocks longer. Which one
/// is smallest differs from picture to picture by a few percent, so all are tried.
const DIVISIONS: [(u8, u8); 4] = [(5, 0), (5, 1), (63, 0), (63, 1)];

/// A scan with the codes that fit it.
struct Planned {
    band: Band,
    codes: [Codes; 2],
    /// Of the data, tables and headers, about.
    bytes: u64,
}

/// Appends all scans of an image. `classes` says which components share statistics.
pub(crate) fn write(out: &mut Vec<u8>, frame: &Frame, planes: &[Plane], classes: &[usize]) {
    for components in sequential_scans(frame) {
        write_dc(out, frame, planes, &components, classes);
    }
    let mut scans: Vec<Planned> =
        planes.iter().enumerate().flat_map(|(component, plane)| cheapest(frame, plane, component)).collect();
    // First bits before refinements, low bands before high ones.
    scans.sort_by_key(|scan| (scan.band.high > 0, scan.band.first, scan.band.component));
    for scan in scans {
        write_band(out, frame, &planes[scan.band.component], &scan);
    }
}

/// The scans of the best division of a component.
fn cheapest(frame: &Frame, plane: &Plane, component: usize) -> Vec<Planned> {
    let plan = |(split, low): (u8, u8)| -> Vec<Planned> {
        let band = |first, last, high, low| plan_band(frame, plane, Band { component, first, last, high, low });
        let mut scans = vec![band(1, split, 0, low)];
        if split < 63 {
            scans.push(band(split + 1, 63, 0, low));
        }
        if low > 0 {
            scans.push(band(1, 63, low, low - 1));
        }
        scans
    };
    let plans = DIVISIONS.map(plan);
    plans.into_iter().min_by_key(|scans| scans.iter().map(|scan| scan.bytes).sum::<u64>()).unwrap_or_default()
}

fn plan_band(frame: &Frame, plane: &Plane, band: Band) -> Planned {
    let mut counter = Counter::new();
    walk(frame, plane, &band, &mut counter);
    let codes = counter.counts.map(|counts| Codes::optimal(&counts));
    // Codes, whatever bits follow them, the table and two headers.
    let symbols: u64 = (0..).zip(&counter.counts[0]).map(|(s, &n)| u64::from(n) * u64::from(codes[0].get(s).1)).sum();
    let bytes = (symbols + counter.bits) / 8 + codes[0].table_len() as u64 + 14;
    Planned { band, codes, bytes }
}

/// What the symbols of a scan are given to: first a [`Counter`], then a [`Coder`].
trait Sink {
    /// A Huffman symbol of table `class`, and the `size` bits that follow it.
    fn symbol(&mut self, class: usize, symbol: u32, bits: u32, size: u32);
    /// A single bit.
    fn bit(&mut self, bit: bool);
}

struct Counter {
    counts: [[u32; 256]; 2],
    bits: u64,
}

impl Counter {
    fn new() -> Self {
        Self { counts: [[0; 256]; 2], bits: 0 }
    }
}

impl Sink for Counter {
    #[inline(always)]
    fn symbol(&mut self, class: usize, symbol: u32, _bits: u32, size: u32) {
        self.counts[class][(symbol & 0xFF) as usize] += 1;
        self.bits += u64::from(size);
    }

    #[inline(always)]
    fn bit(&mut self, _bit: bool) {
        self.bits += 1;
    }
}

struct Coder<'a> {
    codes: &'a [Codes; 2],
    writer: BitWriter<'a>,
}

impl Sink for Coder<'_> {
    #[inline(always)]
    fn symbol(&mut self, class: usize, symbol: u32, bits: u32, size: u32) {
        self.writer.symbol(self.codes[class].get(symbol), bits, size);
    }

    #[inline(always)]
    fn bit(&mut self, bit: bool) {
        self.writer.put(u32::from(bit), 1);
    }
}

/// The DC values of all given components, at full precision (G.1.2.1).
fn write_dc(out: &mut Vec<u8>, frame: &Frame, planes: &[Plane], components: &[usize], classes: &[usize]) {
    let mut counter = Counter::new();
    dc(frame, planes, components, classes, &mut counter);
    let codes = counter.counts.map(|counts| Codes::optimal(&counts));
    let mut body = Vec::new();
    for (codes, class) in codes.iter().zip(0_u8..) {
        if components.iter().any(|&c| classes[c] == usize::from(class)) {
            table(&mut body, class, codes);
        }
    }
    segment(out, DHT, &[&body]);
    let selectors = components.iter().map(|&c| (frame.components[c].id, (classes[c] << 4) as u8));
    scan_header(out, selectors, [0, 0, 0]);
    let mut coder = Coder { codes: &codes, writer: BitWriter::new(out, (counter.bits / 8) as usize) };
    dc(frame, planes, components, classes, &mut coder);
    coder.writer.finish();
}

fn dc(frame: &Frame, planes: &[Plane], components: &[usize], classes: &[usize], sink: &mut impl Sink) {
    let mut before = [0; 4];
    let visited: Result<(), std::convert::Infallible> = for_each_block(frame, components, |component, at| {
        let value = i32::from(planes[component].dc[at]);
        let difference = value - before[component];
        before[component] = value;
        let size = size_of(difference.unsigned_abs());
        let bits = (difference.unsigned_abs() ^ (difference >> 31) as u32) & ((1 << size) - 1);
        sink.symbol(classes[component], size, bits, size);
        Ok(())
    });
    let Ok(()) = visited;
}

fn write_band(out: &mut Vec<u8>, frame: &Frame, plane: &Plane, scan: &Planned) {
    let Planned { band, codes, bytes } = scan;
    let mut body = Vec::new();
    table(&mut body, 1 << 4, &codes[0]);
    segment(out, DHT, &[&body]);
    let selectors = std::iter::once((frame.components[band.component].id, 0));
    scan_header(out, selectors, [band.first, band.last, band.high << 4 | band.low]);
    let mut coder = Coder { codes, writer: BitWriter::new(out, *bytes as usize) };
    walk(frame, plane, band, &mut coder);
    coder.writer.finish();
}

fn walk(frame: &Frame, plane: &Plane, band: &Band, sink: &mut impl Sink) {
    let mut pending = Pending { blocks: 0, corrections: Vec::new() };
    let mask = u64::MAX << band.first & u64::MAX >> (63 - band.last);
    let visited: Result<(), std::convert::Infallible> = for_each_block(frame, &[band.component], |_, at| {
        let (block, mask) = (plane.block(at), plane.masks[at] & mask);
        if band.high == 0 {
            first_bits(block, mask, band, &mut pending, sink);
        } else {
            next_bit(block, mask, band, &mut pending, sink);
        }
        Ok(())
    });
    let Ok(()) = visited;
    pending.flush(sink);
}

/// Blocks at the end of which nothing new comes, and the correction bits that they owe.
struct Pending {
    blocks: u32,
    corrections: Vec<bool>,
}

/// The longest run one symbol can state (G.1.2.2): 14 bits after a symbol for 2^14 and more.
const LONGEST_RUN: u32 = 0x7FFF;

impl Pending {
    /// One more block ends here.
    #[inline(always)]
    fn end_of_block(&mut self, sink: &mut impl Sink) {
        self.blocks += 1;
        if self.blocks == LONGEST_RUN {
            self.flush(sink);
        }
    }

    /// States the run so far, and its corrections.
    #[inline(always)]
    fn flush(&mut self, sink: &mut impl Sink) {
        if self.blocks > 0 {
            let r = self.blocks.ilog2();
            sink.symbol(0, r << 4, self.blocks - (1 << r), r);
            self.blocks = 0;
            for bit in self.corrections.drain(..) {
                sink.bit(bit);
            }
        }
    }
}

/// G.1.2.2: what of a block's coefficients is visible above the bits held back.
#[inline(always)]
fn first_bits(block: Block, mut mask: u64, band: &Band, pending: &mut Pending, sink: &mut impl Sink) {
    let mut next = u32::from(band.first);
    while mask != 0 {
        let k = mask.trailing_zeros();
        mask &= mask - 1;
        let value = i32::from(block.get(k));
        let magnitude = value.unsigned_abs() >> band.low;
        if magnitude == 0 {
            continue;
        }
        pending.flush(sink);
        let mut run = k - next;
        while run > 15 {
            sink.symbol(0, ZRL.into(), 0, 0);
            run -= 16;
        }
        let size = size_of(magnitude);
        let bits = (magnitude ^ (value >> 31) as u32) & ((1 << size) - 1);
        sink.symbol(0, run << 4 | size, bits, size);
        next = k + 1;
    }
    if next <= u32::from(band.last) {
        pending.end_of_block(sink);
    }
}

/// G.1.2.3: one more bit. Coefficients that become visible are symbols; those that were are corrected, each by a bit that
/// follows the next symbol.
#[inline(always)]
fn next_bit(block: Block, mask: u64, band: &Band, pending: &mut Pending, sink: &mut impl Sink) {
    let magnitude = |k: u32| i32::from(block.get(k)).unsigned_abs() >> band.low;
    // The last coefficient that becomes visible: after it, zeros need no symbol.
    let mut last_new = 0;
    let mut rest = mask;
    while rest != 0 {
        let k = 63 - rest.leading_zeros();
        if magnitude(k) == 1 {
            last_new = k;
            break;
        }
        rest &= !(1 << k);
    }
    // Corrections of this block that wait for its next symbol; bit 0 is the latest.
    let (mut corrections, mut waiting) = (0_u64, 0_u32);
    let mut zeros = 0;
    let mut next = u32::from(band.first);
    let mut rest = mask;
    while rest != 0 {
        let k = rest.trailing_zeros();
        rest &= rest - 1;
        let magnitude = magnitude(k);
        if magnitude == 0 {
            continue;
        }
        zeros += k - next;
        next = k + 1;
        while zeros > 15 && k <= last_new {
            pending.flush(sink);
            sink.symbol(0, ZRL.into(), 0, 0);
            zeros -= 16;
            release(&mut corrections, &mut waiting, sink);
        }
        if magnitude > 1 {
            corrections = corrections << 1 | u64::from(magnitude & 1);
            waiting += 1;
        } else {
            pending.flush(sink);
            sink.symbol(0, zeros << 4 | 1, u32::from(block.get(k) > 0), 1);
            release(&mut corrections, &mut waiting, sink);
            zeros = 0;
        }
    }
    zeros += u32::from(band.last) + 1 - next;
    if zeros > 0 || waiting > 0 {
        pending.corrections.extend((0..waiting).rev().map(|bit| corrections >> bit & 1 == 1));
        pending.end_of_block(sink);
    }
}

fn release(corrections: &mut u64, waiting: &mut u32, sink: &mut impl Sink) {
    for bit in (0..*waiting).rev() {
        sink.bit(*corrections >> bit & 1 == 1);
    }
    (*corrections, *waiting) = (0, 0);
}
