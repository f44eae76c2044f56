//! Huffman decoding tables: the next bits of the stream to a symbol (T.81, annex C and F.2.2.3).
//!
//! A table that over-subscribes its codes is refused; a bit pattern without a code gives [`Lookup::INVALID`].

use std::ops::Range;

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::tables::HuffmanSpec;

/// Codes up to this many bits are found in one step. Typical photos have fewer than 1 in 100 longer ones.
pub(crate) const LOOK: u32 = 10;

/// What a table's symbols stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The number of bits of a DC difference.
    Dc,
    /// Zero run and number of bits of an AC coefficient; an end of block is a step past the block.
    Ac,
    /// As [`Kind::Ac`], where the end of block also says for how many blocks (G.1.2.2).
    AcProgressive,
}

/// One decoded symbol, packed so that a hot loop needs a single load.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry(u32);

impl Entry {
    fn new(symbol: u8, code_bits: u32, kind: Kind) -> Self {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let step = match kind {
            Kind::Dc => 0,
            Kind::Ac if size == 0 && run < 15 => Self::END_OF_BLOCK,
            Kind::AcProgressive if size == 0 && run < 15 => Self::END_OF_BLOCK + run,
            _ => run + 1,
        };
        Self((code_bits + size) | code_bits << 8 | (63 - size) << 16 | step << 24)
    }

    /// Added to the position by an end of block: beyond any coefficient.
    pub(crate) const END_OF_BLOCK: u32 = 128;

    /// Bits of the code and of the magnitude after it, together.
    #[inline(always)]
    pub(crate) fn total_bits(self) -> u32 {
        self.0 & 0xFF
    }

    /// Bits of the code alone.
    #[inline(always)]
    pub(crate) fn code_bits(self) -> u32 {
        self.0 >> 8 & 0xFF
    }

    /// Bits of the magnitude, 0 to 15.
    #[inline(always)]
    pub(crate) fn size(self) -> u32 {
        63 - (self.0 >> 16 & 63)
    }

    /// The magnitude after the code at the head of `bits`, and a mask that is all ones when the coefficient is negative
    /// (F.1.2.1.1, table F.1). A leading zero bit means negative, and then all bits are inverted; so after undoing that the
    /// highest is always one.
    #[inline(always)]
    pub(crate) fn magnitude(self, bits: u64) -> (u32, u32) {
        let rest = bits << (self.0 >> 8 & 63);
        let negative = !(rest as i64 >> 63) as u64;
        (((rest ^ negative) >> 1 >> (self.0 >> 16 & 63)) as u32, negative as u32)
    }

    /// How far the zigzag position moves: the zero run and the coefficient itself, or [`Entry::END_OF_BLOCK`] and more.
    #[inline(always)]
    pub(crate) fn step(self) -> u32 {
        self.0 >> 24
    }

    /// Both, one after the other, as one symbol that skips the coefficient of the first.
    fn then(self, next: Self) -> Self {
        let skipped = self.total_bits();
        Self((next.0 + (skipped | skipped << 8)) + (self.step() << 24))
    }

    /// No code of 10 bits or fewer starts like this: see [`Lookup::long`].
    #[inline(always)]
    pub(crate) fn is_invalid(self) -> bool {
        self.0 == 0
    }
}

/// A decoding table.
pub(crate) struct Lookup {
    fast: [Entry; 1 << LOOK],
    /// For each code length, the first left-justified 16-bit pattern beyond its codes.
    limit: [u32; 17],
    /// For each code length, what to add to a code to get its index in `entries`.
    offset: [i32; 17],
    entries: Vec<Entry>,
}

impl Lookup {
    /// The entry of a bit pattern that is no code.
    pub(crate) const INVALID: Entry = Entry(0);

    /// Assigns the canonical codes (C.2) and spreads the short ones over the fast table.
    pub(crate) fn new(spec: &HuffmanSpec, kind: Kind) -> Result<Self, Error> {
        let mut table = Self {
            fast: [Self::INVALID; 1 << LOOK],
            limit: [0; 17],
            offset: [0; 17],
            entries: Vec::with_capacity(spec.symbols.len()),
        };
        let mut code = 0_u32;
        let mut symbols = spec.symbols.iter();
        for length in 1..=16_u32 {
            let count = u32::from(spec.counts[length as usize - 1]);
            table.offset[length as usize] = table.entries.len() as i32 - code as i32;
            if code + count > 1 << length {
                return Err(corrupt("a Huffman table has more codes than fit"));
            }
            for (&symbol, code) in symbols.by_ref().take(count as usize).zip(code..) {
                if kind == Kind::Dc && symbol > 15 {
                    return Err(corrupt("a DC Huffman table has a symbol above 15"));
                }
                let entry = Entry::new(symbol, length, kind);
                table.entries.push(entry);
                if length <= LOOK {
                    let first = (code << (LOOK - length)) as usize;
                    table.fast[first..first + (1 << (LOOK - length))].fill(entry);
                }
            }
            code += count;
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// The table of short codes, by the next [`LOOK`] bits.
    #[inline(always)]
    pub(crate) fn fast(&self) -> &[Entry; 1 << LOOK] {
        &self.fast
    }

    /// The symbol at the head of `bits` (left-justified).
    #[inline(always)]
    pub(crate) fn entry(&self, bits: u64) -> Entry {
        self.fast[(bits >> (64 - LOOK)) as usize]
    }

    /// The symbol at the head of `bits` when its code is longer than [`LOOK`], or [`Lookup::INVALID`] (F.16).
    #[cold]
    #[inline(never)]
    pub(crate) fn long(&self, bits: u64) -> Entry {
        let pattern = (bits >> 48) as u32;
        for length in LOOK + 1..=16 {
            if pattern < self.limit[length as usize] {
                let index = self.offset[length as usize] + (pattern >> (16 - length)) as i32;
                return usize::try_from(index).ok().and_then(|i| self.entries.get(i)).copied().unwrap_or(Self::INVALID);
            }
        }
        Self::INVALID
    }

    /// [`Lookup::entry`], or else [`Lookup::long`]; possibly [`Lookup::INVALID`].
    #[inline(always)]
    pub(crate) fn symbol(&self, bits: u64) -> Entry {
        let entry = self.entry(bits);
        if entry.is_invalid() { self.long(bits) } else { entry }
    }
}

/// A table for places where small coefficients are rounded to zero anyway.
///
/// Such a coefficient is no more than a longer run of zeros, so one look-up takes it together with the symbol after it. At usual
/// qualities that is true of most coefficients of a photo: a whole recompression takes 5 % less time.
pub(crate) struct Joined {
    fast: Box<[Entry; 1 << LOOK]>,
    /// The positions (of the coefficient before) at which the table may be used.
    at: Range<u32>,
}

impl Joined {
    /// The furthest that the coefficients which are skipped may lead.
    const MAX_REACH: u32 = 15;

    /// For a table of [`Kind::Ac`]. `least` says for each place in zigzag order which magnitude is the smallest that counts.
    pub(crate) fn new(table: &Lookup, least: &[u32; 64]) -> Self {
        // How many bits of magnitude never count, and from which place on: the fewer bits, the more places.
        let start =
            |bits: u32| 1 + least[1..].iter().rposition(|&least| least < 1 << bits).map_or(0, |at| at as u32 + 1);
        let (bits, start) = [(3, 6), (2, 10), (1, 63)]
            .into_iter()
            .map(|(bits, latest)| (bits, start(bits), latest))
            .find(|&(_, start, latest)| start <= latest)
            .map_or((0, 64), |(bits, start, _)| (bits, start));
        let mut fast = Box::new(*table.fast());
        if start > 63 {
            return Self { fast, at: 0..0 };
        }
        let mut reach = 0;
        for (pattern, entry) in (0_u64..).zip(fast.iter_mut()) {
            let rest = pattern << (64 - LOOK);
            let mut skipped = 0;
            while !entry.is_invalid() && entry.step() < Entry::END_OF_BLOCK && entry.size() <= bits {
                let next = table.fast[(rest << entry.total_bits() >> (64 - LOOK)) as usize];
                let is_known = !next.is_invalid() && entry.total_bits() + next.code_bits() <= LOOK;
                if !is_known || entry.step() > Self::MAX_REACH {
                    break;
                }
                skipped = entry.step();
                *entry = entry.then(next);
            }
            reach = reach.max(skipped);
        }
        // A block can end with its last coefficient and no symbol that says so: nothing may be joined after that one.
        Self { fast, at: start - 1..63 - reach }
    }

    /// The table to use for the symbol after position `k`: this one, or that of single symbols.
    #[inline(always)]
    pub(crate) fn or<'a>(&'a self, single: &'a [Entry; 1 << LOOK], k: u32) -> &'a [Entry; 1 << LOOK] {
        if self.at.contains(&k) { &self.fast } else { single }
    }
}

/// A bit pattern that no code starts with.
#[cold]
#[inline(never)]
pub(crate) fn no_code() -> Error {
    corrupt("a bit pattern that is not a Huffman code")
}
