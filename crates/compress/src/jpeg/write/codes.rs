//! Optimal Huffman codes of at most 16 bits for counted symbols (T.81, annexes C and K.2).
//!
//! The same counts always give the same codes, and no code consists of ones only, as C.2 demands.

use crate::jpeg::headers::tables::HuffmanSpec;

/// The longest code that a table may hold (B.2.4.2).
const MAX_BITS: usize = 16;

/// The codes of one table, for writing.
pub(crate) struct Codes {
    pub(crate) spec: HuffmanSpec,
    /// For each symbol, its code above the length in the low 8 bits; 0: no code.
    packed: [u32; 256],
}

impl Codes {
    /// The code of a symbol and its length in bits.
    #[inline(always)]
    pub(crate) fn get(&self, symbol: u32) -> (u32, u32) {
        let packed = self.packed[(symbol & 0xFF) as usize];
        (packed >> 8, packed & 0xFF)
    }

    /// Bits that a scan with these counts takes: each symbol's code, and the magnitude bits that its low half counts.
    pub(crate) fn cost(&self, counts: &[u32]) -> u64 {
        let bits = |(symbol, &count): (u32, &u32)| u64::from(count) * u64::from(self.get(symbol).1 + (symbol & 15));
        (0..).zip(counts).map(bits).sum()
    }

    /// Bytes of the table inside a define-Huffman-tables segment.
    pub(crate) fn table_len(&self) -> usize {
        1 + MAX_BITS + self.spec.symbols.len()
    }

    /// The best codes for these counts. With no count at all, the table has a single symbol, since an empty one is not
    /// accepted everywhere.
    pub(crate) fn optimal(counts: &[u32]) -> Self {
        let mut used: Vec<(u64, u8)> = counts
            .iter()
            .zip(0..=255)
            .filter(|&(&count, _)| count > 0)
            .map(|(&count, symbol)| (count.into(), symbol))
            .collect();
        if used.is_empty() {
            used.push((1, 0));
        }
        // Rarest first; among equals the higher symbol first, so that the outcome does not depend on sorting.
        used.sort_unstable_by_key(|&(count, symbol)| (count, 255 - symbol));
        // A place nobody uses, rarest of all, gets the code of all ones.
        let weights: Vec<u64> = std::iter::once(0).chain(used.iter().map(|&(count, _)| count)).collect();
        let lengths = limited_lengths(&weights);

        let mut counts = [0_u8; MAX_BITS];
        let mut by_length: Vec<(usize, u8)> =
            used.iter().zip(&lengths[1..]).map(|(&(_, symbol), &length)| (length, symbol)).collect();
        by_length.sort_unstable();
        for &(length, _) in &by_length {
            counts[length - 1] += 1;
        }
        let spec = HuffmanSpec { counts, symbols: by_length.iter().map(|&(_, symbol)| symbol).collect() };

        // Canonical codes (C.2): count up within a length, shift when it grows.
        let mut packed = [0; 256];
        let (mut code, mut previous) = (0_u32, 0);
        for &(length, symbol) in &by_length {
            code <<= length - previous;
            previous = length;
            packed[usize::from(symbol)] = code << 8 | length as u32;
            code += 1;
        }
        Self { spec, packed }
    }
}

/// Code lengths of at most [`MAX_BITS`] with the least total cost, for weights in rising order: the package-merge algorithm
/// (L. Larmore and D. Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990).
///
/// Annex K.2 shortens too long codes by a rule of thumb; this is exact and as short. A package is a set of symbols; level by
/// level the cheapest packages are paired and merged with the single symbols. A symbol's length is the number of times it is
/// part of the 2n − 2 cheapest packages of the last level.
fn limited_lengths(weights: &[u64]) -> Vec<usize> {
    let n = weights.len();
    // A package: its weight, and what it consists of. Levels are kept, so that packages can point into the one before.
    enum Part {
        Symbol(usize),
        Pair(usize),
    }
    let singles = || weights.iter().enumerate().map(|(i, &weight)| (weight, Part::Symbol(i)));
    let mut levels: Vec<Vec<(u64, Part)>> = vec![singles().collect()];
    for level in 1..MAX_BITS {
        let previous = &levels[level - 1];
        let mut pairs =
            previous.chunks_exact(2).enumerate().map(|(i, pair)| (pair[0].0 + pair[1].0, Part::Pair(2 * i))).peekable();
        let mut merged = Vec::with_capacity(n + previous.len() / 2);
        for single in singles() {
            while let Some(pair) = pairs.next_if(|pair| pair.0 < single.0) {
                merged.push(pair);
            }
            merged.push(single);
        }
        merged.extend(pairs);
        levels.push(merged);
    }
    // The chosen packages are always a prefix of their level: pairs of a prefix are a prefix of the level before.
    let mut lengths = vec![0; n];
    let mut chosen = 2 * n - 2;
    for level in levels.iter().rev() {
        let mut below = 0;
        for (_, part) in &level[..chosen.min(level.len())] {
            match *part {
                Part::Symbol(i) => lengths[i] += 1,
                Part::Pair(first) => below = first + 2,
            }
        }
        chosen = below;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_symbols_get_short_codes_and_ones_only_is_left_free() {
        let mut counts = [0; 256];
        (counts[0], counts[1], counts[2], counts[0xF0]) = (1000, 400, 300, 1);
        let codes = Codes::optimal(&counts);
        assert_eq!(codes.spec.symbols, [0, 1, 2, 0xF0]);
        assert_eq!(codes.get(0), (0b0, 1));
        assert_eq!(codes.get(1), (0b10, 2));
        assert_eq!(codes.get(2), (0b110, 3));
        assert_eq!(codes.get(0xF0), (0b1110, 4));
    }

    #[test]
    fn no_code_is_longer_than_sixteen_bits_and_all_fit() {
        // Fibonacci counts make the longest codes of all: 40 symbols would want 39 bits.
        let mut counts = [0_u32; 256];
        let (mut a, mut b) = (1_u32, 1_u32);
        for count in &mut counts[..40] {
            *count = a;
            (a, b) = (b, a + b);
        }
        let codes = Codes::optimal(&counts);
        let kraft: u32 = codes.spec.counts.iter().zip(1..).map(|(&n, bits)| u32::from(n) << (16 - bits)).sum();
        assert_eq!(codes.spec.symbols.len(), 40);
        assert_eq!(kraft, (1 << 16) - 1, "complete but for the reserved code");
    }

    #[test]
    fn without_symbols_there_is_still_a_table() {
        let codes = Codes::optimal(&[0; 16]);
        assert_eq!(codes.get(0), (0, 1));
    }

    #[test]
    fn all_256_symbols_fit() {
        let codes = Codes::optimal(&[7; 256]);
        assert_eq!(codes.spec.symbols.len(), 256);
    }
}
