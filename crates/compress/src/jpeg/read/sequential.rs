//! Decodes a sequential scan (T.81, F.2) block by block, in one pass and without keeping anything itself.
//!
//! Errs on any symbol that is no code, any coefficient outside its block, missing data and missing restarts.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::frame::Layout;
use crate::jpeg::headers::tables::HuffmanSpec;
use crate::jpeg::read::bits::{Bits, Feed, Window};
use crate::jpeg::read::lookup::{Entry, Joined, Kind, LOOK, Lookup, no_code};

/// Takes the coefficients of one block: the DC value, then AC coefficients by rising position, zeros among them.
pub(crate) trait Sink {
    /// The value itself, not its difference to the one before.
    fn dc(&mut self, value: i32);
    /// The coefficient at position `k`: a magnitude, and a mask that is all ones when it is negative.
    fn ac(&mut self, k: u32, magnitude: u32, negative: u32);
}

/// One component's tables and state, side by side so that the hot loop reaches all of it from one address.
pub(crate) struct Decoder<T> {
    code: Code,
    /// What its coefficients become.
    pub(crate) target: T,
}

impl<T> Decoder<T> {
    /// `least` says for each position which magnitude is the smallest that counts for the target.
    pub(crate) fn new(dc: Lookup, ac: Lookup, least: &[u32; 64], target: T) -> Box<Self> {
        let joined = Joined::new(&ac, least);
        Box::new(Self { code: Code { dc, ac, joined, before: 0 }, target })
    }
}

/// The tables of a component, and its DC value before (F.1.1.5.1).
pub(crate) struct Code {
    dc: Lookup,
    ac: Lookup,
    joined: Joined,
    before: i32,
}

/// Largest DC value taken. Real ones stay within ±2^11; this one keeps every difference in the 15 bits a token can hold.
const MAX_DC: u32 = 16_383;

/// Decodes `layout.mcus` MCUs. `decoders` is indexed as the frame's components are; those not in the scan are `None`. For each
/// block `next` is called with its component's tables and target, and says which bits follow it: it calls [`Code::block`].
#[inline(always)]
pub(crate) fn decode<T>(
    feed: &mut Feed,
    decoders: &mut [Option<Box<Decoder<T>>>; 4],
    restart_interval: usize,
    layout: &Layout,
    mut next: impl FnMut(&mut Code, &mut T, Bits, &Window) -> Result<Bits, Error>,
) -> Result<(), Error> {
    let mut until_restart = restart_interval;
    let mut restarts = 0;
    for _ in 0..layout.mcus {
        if restart_interval > 0 {
            if until_restart == 0 {
                feed.restart(restarts)?;
                restarts += 1;
                until_restart = restart_interval;
                decoders.iter_mut().flatten().for_each(|decoder| decoder.code.before = 0);
            }
            until_restart -= 1;
        }
        feed.top_up();
        for &component in &layout.mcu {
            let Some(decoder) = &mut decoders[component & 3] else {
                return Err(corrupt("a scan without its tables"));
            };
            feed.bits = next(&mut decoder.code, &mut decoder.target, feed.bits, &feed.window)?;
        }
        feed.check()?;
    }
    Ok(())
}

/// What is called for each block: see [`decode`].
pub(crate) type Next<'a, T> = dyn FnMut(&mut Code, &mut T, Bits, &Window) -> Result<Bits, Error> + 'a;

/// The same for a file whose restart markers may be lost: all coefficients of an interval without data are zero. Apart from
/// [`decode`], whose loop would become a fifth slower.
#[cold]
pub(crate) fn decode_with_gaps<T>(
    feed: &mut Feed,
    decoders: &mut [Option<Box<Decoder<T>>>; 4],
    restart_interval: usize,
    layout: &Layout,
    next: &mut Next<'_, T>,
) -> Result<(), Error> {
    let mut zeros = Code::zeros()?;
    for mcu in 0..layout.mcus {
        if restart_interval > 0 && mcu > 0 && mcu % restart_interval == 0 {
            feed.restart(mcu / restart_interval - 1)?;
            decoders.iter_mut().flatten().for_each(|decoder| decoder.code.before = 0);
        }
        feed.top_up();
        for &component in &layout.mcu {
            let Some(decoder) = &mut decoders[component & 3] else {
                return Err(corrupt("a scan without its tables"));
            };
            if feed.is_lost() {
                next(&mut zeros, &mut decoder.target, Bits::default(), &EMPTY)?;
            } else {
                feed.bits = next(&mut decoder.code, &mut decoder.target, feed.bits, &feed.window)?;
            }
        }
        feed.check()?;
    }
    Ok(())
}

/// A window without data.
static EMPTY: Window = [0; size_of::<Window>()];

impl Code {
    /// Tables by which a bit of zero is a DC difference of zero, and the next one ends the block.
    #[cold]
    fn zeros() -> Result<Box<Self>, Error> {
        let spec = HuffmanSpec { counts: std::array::from_fn(|length| u8::from(length == 0)), symbols: vec![0] };
        let (dc, ac) = (Lookup::new(&spec, Kind::Dc)?, Lookup::new(&spec, Kind::Ac)?);
        let joined = Joined::new(&ac, &[1; 64]);
        Ok(Box::new(Self { dc, ac, joined, before: 0 }))
    }

    /// Decodes one block. Returns the bits that follow it.
    ///
    /// The loop is the whole program's hottest. What bounds it is the chain from one symbol's length to the next symbol, so
    /// everything else hangs off that chain, free of branches: a refill gives 56 bits, and the first of two symbols takes at
    /// most 10 + 15 of them, which leaves the 31 that the second may need. Coefficients that come to nothing are skipped with
    /// the symbol after them where that is possible ([`Joined`]).
    #[inline(always)]
    pub(crate) fn block(&mut self, mut bits: Bits, window: &Window, out: &mut impl Sink) -> Result<Bits, Error> {
        let Self { dc, ac, joined, before } = self;
        bits.refill(window);
        let entry = dc.symbol(bits.peek());
        if entry.is_invalid() {
            return Err(no_code());
        }
        let (value, negative) = entry.magnitude(bits.peek());
        bits.consume(entry.total_bits());
        *before += (value ^ negative).wrapping_sub(negative) as i32;
        if before.unsigned_abs() > MAX_DC {
            return Err(corrupt("a DC coefficient is out of range"));
        }
        out.dc(*before);

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
                    out.ac(k, value, negative);
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
            out.ac(k, value, negative);
        }
        if (64..Entry::END_OF_BLOCK).contains(&k) {
            return Err(corrupt("a coefficient lies outside its block"));
        }
        Ok(bits)
    }
}
