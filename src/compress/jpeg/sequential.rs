//! Decodes a sequential scan (T.81, F.2) straight into requantised tokens, in one pass and without planes or pixels.
//!
//! Errs on any symbol that is no code, any coefficient outside its block, missing data and missing restarts.

use super::bits::{Bits, Feed, Window};
use super::error::{Error, corrupt};
use super::lookup::{Entry, Lookup, no_code};
use super::quality::Quantiser;
use super::tokens::{BlockWriter, TokenScan, magnitude_behind};

/// What the decoder needs to know of one component.
pub(super) struct Decoder<'t> {
    pub(super) dc: &'t Lookup,
    pub(super) ac: &'t Lookup,
    pub(super) quantiser: &'t Quantiser,
    /// Which of the scan's two pairs of Huffman tables its symbols will be written with.
    pub(super) class: usize,
}

/// The DC value before, as read and as written (F.1.1.5.1).
#[derive(Clone, Copy, Default)]
struct Predictions {
    read: i32,
    written: i32,
}

/// Largest DC value taken. Real ones stay within ±2^11; this one keeps every difference in the 15 bits a token can hold.
const MAX_DC: u32 = 16_383;

/// Decodes `scan.layout.mcus` MCUs. `decoders` is indexed as the frame's components are; those not in the scan are `None`.
#[inline(never)]
pub(super) fn decode(
    feed: &mut Feed,
    decoders: &[Option<Decoder>; 4],
    restart_interval: usize,
    scan: &mut TokenScan,
) -> Result<(), Error> {
    let mut predictions = [Predictions::default(); 4];
    for mcu in 0..scan.layout.mcus {
        if restart_interval > 0 && mcu > 0 && mcu % restart_interval == 0 {
            feed.restart(mcu / restart_interval - 1)?;
            for prediction in &mut predictions {
                // What is written has no restarts, so its predictions run on.
                prediction.read = 0;
            }
        }
        feed.top_up();
        scan.tokens.reserve(scan.layout.mcu.len());
        for &component in &scan.layout.mcu {
            let Some(decoder) = &decoders[component & 3] else {
                return Err(corrupt("a scan without its tables"));
            };
            let counts = &mut scan.counts[decoder.class & 1];
            let writer = BlockWriter::new(&mut scan.tokens, counts);
            let (bits, len) = block(
                feed.bits,
                &feed.window,
                decoder,
                &mut predictions[component & 3],
                writer,
            )?;
            feed.bits = bits;
            scan.tokens.keep(len);
        }
        feed.check()?;
    }
    Ok(())
}

/// One block. Returns the bits that follow it and the number of tokens written.
///
/// The loop is the whole program's hottest. What bounds it is the chain from one symbol's length to the next symbol, so
/// everything else hangs off that chain, free of branches: a refill gives 56 bits, and the first of two symbols takes at most
/// 10 + 15 of them, which leaves the 31 that the second may need.
#[inline(always)]
fn block(
    mut bits: Bits,
    window: &Window,
    decoder: &Decoder,
    prediction: &mut Predictions,
    mut out: BlockWriter,
) -> Result<(Bits, usize), Error> {
    bits.refill(window);
    let entry = decoder.dc.symbol(bits.peek());
    if entry.is_invalid() {
        return Err(no_code());
    }
    let (value, negative) = magnitude_behind(bits.peek(), entry.code_bits(), entry.size());
    bits.consume(entry.total_bits());
    prediction.read += (value ^ negative).wrapping_sub(negative) as i32;
    if prediction.read.unsigned_abs() > MAX_DC {
        return Err(corrupt("a DC coefficient is out of range"));
    }
    let dc = decoder.quantiser.dc(prediction.read);
    out.dc(dc - prediction.written);
    prediction.written = dc;

    let mut k = 0;
    macro_rules! coefficient {
        ($entry:expr) => {
            let (value, negative) = magnitude_behind(bits.peek(), $entry.code_bits(), $entry.size());
            bits.consume($entry.total_bits());
            k += $entry.step();
            if k > 63 {
                break;
            }
            out.ac(k, decoder.quantiser.ac(k, value), negative);
        };
    }
    while k < 63 {
        bits.refill(window);
        let first = decoder.ac.entry(bits.peek());
        if !first.is_invalid() {
            coefficient!(first);
            if k == 63 {
                break;
            }
        }
        // After a long code this is the first of its round, with more bits at hand than it needs.
        let second = decoder.ac.symbol(bits.peek());
        if second.is_invalid() {
            return Err(no_code());
        }
        coefficient!(second);
    }
    if (64..Entry::END_OF_BLOCK).contains(&k) {
        return Err(corrupt("a coefficient lies outside its block"));
    }
    Ok((bits, out.finish()))
}
