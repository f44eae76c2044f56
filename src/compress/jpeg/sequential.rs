//! Decodes a sequential scan (T.81, F.2) straight into requantised tokens, in one pass and without planes or pixels.
//!
//! Errs on any symbol that is no code, any coefficient outside its block, missing data and missing restarts.

use super::bits::{Bits, Feed, Window};
use super::error::{Error, corrupt};
use super::frame::Layout;
use super::lookup::{Entry, Joined, LOOK, Lookup, no_code};
use super::quality::Quantiser;
use super::tokens::{BLOCK_TOKENS, BlockWriter, Counts, Tokens};

/// One component's tables and state, side by side so that the hot loop reaches all of it from one address.
pub(super) struct Decoder {
    dc: Lookup,
    ac: Lookup,
    joined: Joined,
    quantiser: Quantiser,
    counts: Counts,
    /// The DC value before, as read and as written (F.1.1.5.1).
    read: i32,
    written: i32,
}

impl Decoder {
    pub(super) fn new(dc: Lookup, ac: Lookup, quantiser: Quantiser) -> Self {
        let joined = Joined::new(&ac, &std::array::from_fn(|k| quantiser.least(k as u32)));
        Self { dc, ac, joined, quantiser, counts: Counts::default(), read: 0, written: 0 }
    }

    /// How often the component's symbols occurred.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// Largest DC value taken. Real ones stay within ±2^11; this one keeps every difference in the 15 bits a token can hold.
const MAX_DC: u32 = 16_383;

/// Decodes `layout.mcus` MCUs. `decoders` is indexed as the frame's components are; those not in the scan are `None`.
#[inline(never)]
pub(super) fn decode(
    feed: &mut Feed,
    decoders: &mut [Option<Box<Decoder>>; 4],
    restart_interval: usize,
    layout: &Layout,
) -> Result<Tokens, Error> {
    let mut tokens = Tokens::default();
    let mut until_restart = restart_interval;
    let mut restarts = 0;
    for _ in 0..layout.mcus {
        if restart_interval > 0 {
            if until_restart == 0 {
                feed.restart(restarts)?;
                restarts += 1;
                until_restart = restart_interval;
                // What is written has no restarts: there, predictions run on.
                decoders.iter_mut().flatten().for_each(|decoder| decoder.read = 0);
            }
            until_restart -= 1;
        }
        feed.top_up();
        tokens.reserve(layout.mcu.len());
        for &component in &layout.mcu {
            let Some(decoder) = &mut decoders[component & 3] else {
                return Err(corrupt("a scan without its tables"));
            };
            let (bits, len) = block(feed.bits, &feed.window, decoder, tokens.space())?;
            feed.bits = bits;
            tokens.keep(len);
        }
        feed.check()?;
    }
    Ok(tokens)
}

/// One block. Returns the bits that follow it and the number of tokens written.
///
/// The loop is the whole program's hottest. What bounds it is the chain from one symbol's length to the next symbol, so
/// everything else hangs off that chain, free of branches: a refill gives 56 bits, and the first of two symbols takes at most
/// 10 + 15 of them, which leaves the 31 that the second may need. Coefficients that come to nothing are skipped with the
/// symbol behind them where that is possible ([`Joined`]).
#[inline(always)]
fn block(
    mut bits: Bits,
    window: &Window,
    decoder: &mut Decoder,
    space: &mut [u16; BLOCK_TOKENS],
) -> Result<(Bits, usize), Error> {
    let Decoder { dc, ac, joined, quantiser, counts, read, written } = decoder;
    let mut out = BlockWriter::new(space, counts);
    bits.refill(window);
    let entry = dc.symbol(bits.peek());
    if entry.is_invalid() {
        return Err(no_code());
    }
    let (value, negative) = entry.magnitude(bits.peek());
    bits.consume(entry.total_bits());
    *read += (value ^ negative).wrapping_sub(negative) as i32;
    if read.unsigned_abs() > MAX_DC {
        return Err(corrupt("a DC coefficient is out of range"));
    }
    let rounded = quantiser.dc(*read);
    out.dc(rounded - *written);
    *written = rounded;

    let single = ac.fast();
    let mut k = 0;
    let (value, negative) = loop {
        macro_rules! coefficient {
            ($entry:expr) => {
                let (value, negative) = $entry.magnitude(bits.peek());
                bits.consume($entry.total_bits());
                k += $entry.step();
                // The end, by a symbol that says so or because there is no more.
                if k >= 63 {
                    break (value, negative);
                }
                out.ac(k, quantiser.ac(k, value), negative);
            };
        }
        bits.refill(window);
        let first = joined.or(single, k)[(bits.peek() >> (64 - LOOK)) as usize];
        if !first.is_invalid() {
            coefficient!(first);
        }
        // After a long code this is the first of its round, with more bits at hand than it needs.
        let mut second = joined.or(single, k)[(bits.peek() >> (64 - LOOK)) as usize];
        if second.is_invalid() {
            second = ac.long(bits.peek());
            if second.is_invalid() {
                return Err(no_code());
            }
        }
        coefficient!(second);
    };
    if k == 63 {
        out.ac(k, quantiser.ac(k, value), negative);
    }
    if (64..Entry::END_OF_BLOCK).contains(&k) {
        return Err(corrupt("a coefficient lies outside its block"));
    }
    Ok((bits, out.finish()))
}
