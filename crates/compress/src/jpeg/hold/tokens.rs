//! Coefficients between decoding and encoding: a compact list of the symbols to write, and how often each occurs.
//!
//! A token is 16 bits: the Huffman symbol (zero run and size, T.81 F.1.2.2) above the magnitude's bits. Magnitudes of more
//! than 8 bits, which are rare, put theirs into a second token. A block is its DC token, then AC tokens until an end of block
//! or coefficient 63: exactly what an entropy-coded scan holds, with the codes still open.

use crate::jpeg::headers::frame::Layout;
use crate::jpeg::hold::quality::Quantiser;

/// The most tokens of one block: 64 coefficients of two each.
pub(crate) const BLOCK_TOKENS: usize = 128;

/// Symbols whose code needs no run or size: the end of block and sixteen zeros (F.1.2.2.1).
pub(crate) const EOB: u8 = 0x00;
pub(crate) const ZRL: u8 = 0xF0;

/// The tokens of one or more blocks; grows by whole MCUs.
#[derive(Default)]
pub(crate) struct Tokens {
    data: Vec<u16>,
    used: usize,
}

impl Tokens {
    /// Everything kept so far.
    pub(crate) fn as_slice(&self) -> &[u16] {
        &self.data[..self.used]
    }

    /// Makes room for `blocks` more blocks.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, blocks: usize) {
        if self.data.len() < self.used + blocks * BLOCK_TOKENS {
            self.grow(blocks);
        }
    }

    #[inline(never)]
    fn grow(&mut self, blocks: usize) {
        const STEP: usize = 1 << 16;
        self.data.resize(self.used + blocks * BLOCK_TOKENS + STEP, 0);
    }

    /// Where the next block goes. [`Tokens::reserve`] must have made room; without it nothing is overwritten but the start.
    #[inline(always)]
    pub(crate) fn space(&mut self) -> &mut [u16; BLOCK_TOKENS] {
        if self.data.len() < self.used + BLOCK_TOKENS {
            self.grow(1);
        }
        match self.data[self.used..].first_chunk_mut() {
            Some(space) => space,
            None => unreachable!("grown above"),
        }
    }
}

/// How often each symbol of one pair of Huffman tables occurs. Counts of AC symbols without size, other than the two that
/// exist, are not meaningful: see [`BlockWriter::ac`].
#[derive(Clone)]
pub(crate) struct Counts {
    pub(crate) dc: [u32; 16],
    ac: [u32; 256],
    end_of_block: u32,
    sixteen_zeros: u32,
}

impl Default for Counts {
    fn default() -> Self {
        Self { dc: [0; 16], ac: [0; 256], end_of_block: 0, sixteen_zeros: 0 }
    }
}

impl Counts {
    /// Adds those of another component.
    pub(crate) fn add(&mut self, other: &Self) {
        let add = |sum: &mut [u32], more: &[u32]| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        add(&mut self.dc, &other.dc);
        add(&mut self.ac, &other.ac);
        self.end_of_block += other.end_of_block;
        self.sixteen_zeros += other.sixteen_zeros;
    }

    /// Occurrences of the AC symbols.
    pub(crate) fn ac(&self) -> [u32; 256] {
        std::array::from_fn(|symbol| match symbol as u8 {
            EOB => self.end_of_block,
            ZRL => self.sixteen_zeros,
            symbol if symbol & 15 == 0 => 0,
            symbol => self.ac[usize::from(symbol)],
        })
    }
}

/// Turns the coefficients of one block into tokens. Give the DC difference, then AC coefficients by rising position, then
/// call [`BlockWriter::finish`].
pub(crate) struct BlockWriter<'a> {
    out: &'a mut [u16; BLOCK_TOKENS],
    len: usize,
    /// Position of the last coefficient that was not zero.
    last: u32,
    counts: &'a mut Counts,
}

/// Bits of a magnitude (F.1.2.1.1): 0 for 0, 1 for 1, 2 for 2 and 3. Below 2^31.
#[inline(always)]
pub(crate) fn size_of(magnitude: u32) -> u32 {
    // The bit added below spares the processor a special case for zero.
    (magnitude << 1 | 1).ilog2()
}

/// For magnitudes up to 255: the size in the high byte, a mask of as many bits in the low one.
static SIZES: [u16; 256] = {
    let mut sizes = [0; 256];
    let mut magnitude = 1_usize;
    while magnitude < 256 {
        let size = magnitude.ilog2() as u16 + 1;
        sizes[magnitude] = size << 8 | ((1 << size) - 1);
        magnitude += 1;
    }
    sizes
};

impl<'a> BlockWriter<'a> {
    #[inline(always)]
    pub(crate) fn new(out: &'a mut [u16; BLOCK_TOKENS], counts: &'a mut Counts) -> Self {
        Self { out, len: 0, last: 0, counts }
    }

    #[inline(always)]
    fn push(&mut self, token: u16) {
        self.out[self.len & (BLOCK_TOKENS - 1)] = token;
        self.len += 1;
    }

    /// The difference to the DC value before; below 2^15.
    #[inline(always)]
    pub(crate) fn dc(&mut self, difference: i32) {
        let magnitude = difference.unsigned_abs();
        let size = size_of(magnitude);
        let bits = (magnitude ^ (difference >> 31) as u32) & ((1 << size) - 1);
        self.counts.dc[(size & 15) as usize] += 1;
        if size > 8 {
            self.push((size << 8) as u16);
            self.push(bits as u16);
        } else {
            self.push((size << 8 | bits) as u16);
        }
    }

    /// The coefficient at position `k`, as a magnitude below 2^15 and a mask that is all ones when it is negative. Zeros may be
    /// given; they are taken without a branch, because whether a small coefficient survives is a coin toss that no processor
    /// predicts: the token is written but not kept, and counted under a symbol that nothing reads.
    #[inline(always)]
    pub(crate) fn ac(&mut self, k: u32, magnitude: u32, negative: u32) {
        let mut run = k - self.last - 1;
        if run > 15 {
            if magnitude == 0 {
                return;
            }
            while run > 15 {
                self.push(u16::from(ZRL) << 8);
                self.counts.sixteen_zeros += 1;
                run -= 16;
            }
        }
        if magnitude > 255 {
            let size = size_of(magnitude);
            let symbol = run << 4 | size;
            self.counts.ac[(symbol & 0xFF) as usize] += 1;
            self.push((symbol << 8) as u16);
            self.push(((magnitude ^ negative) & ((1 << size) - 1)) as u16);
            self.last = k;
        } else {
            // The size in the second byte from below, and after it as many bits as it says.
            let size = u32::from(SIZES[(magnitude & 0xFF) as usize]);
            let token = run << 12 | (size & (magnitude ^ negative | 0xFF00));
            self.counts.ac[(token >> 8 & 0xFF) as usize] += 1;
            self.out[self.len & (BLOCK_TOKENS - 1)] = token as u16;
            self.len += usize::from(magnitude != 0);
            self.last = if magnitude != 0 { k } else { self.last };
        }
    }

    /// Ends the block; returns how many tokens it has.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> usize {
        if self.last < 63 {
            self.push(u16::from(EOB) << 8);
            self.counts.end_of_block += 1;
        }
        self.len
    }
}

impl Tokens {
    /// Keeps the block that was just written into [`Tokens::space`].
    #[inline(always)]
    pub(crate) fn keep(&mut self, len: usize) {
        self.used += len;
    }
}

/// The tokens of one scan of a sequential image.
pub(crate) struct TokenScan {
    /// Components of the scan, as indices into the frame.
    pub(crate) components: Vec<usize>,
    pub(crate) layout: Layout,
    pub(crate) tokens: Tokens,
    /// For each of the scan's two pairs of Huffman tables, see [`classes`](crate::jpeg::headers::colour_model::classes).
    pub(crate) counts: [Counts; 2],
}

/// Reads the tokens of a scan one symbol at a time.
pub(crate) struct TokenReader<'a> {
    tokens: std::slice::Iter<'a, u16>,
}

impl<'a> TokenReader<'a> {
    pub(crate) fn new(tokens: &'a Tokens) -> Self {
        Self { tokens: tokens.as_slice().iter() }
    }

    /// The next symbol and its magnitude bits. Past the end: an end of block.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> (u32, u32) {
        let token = u32::from(self.tokens.next().copied().unwrap_or_default());
        let symbol = token >> 8;
        if symbol & 15 > 8 {
            (symbol, u32::from(self.tokens.next().copied().unwrap_or_default()))
        } else {
            (symbol, token & 0xFF)
        }
    }
}

/// Magnitude bits back to a magnitude and a sign mask (F.1.2.1.1, table F.1: a leading zero bit means negative).
#[inline(always)]
pub(crate) fn magnitude(bits: u32, size: u32) -> (u32, u32) {
    let negative = if size > 0 && bits >> (size - 1) == 0 { u32::MAX } else { 0 };
    ((bits ^ negative) & ((1 << size) - 1), negative)
}

/// Walks the tokens of a scan, rounds every coefficient with its component's quantiser, and gives the new scan.
/// With `keep` false only the counts are right and the tokens stay empty: enough to know the size.
pub(crate) fn requantise(scan: &TokenScan, quantisers: &[Quantiser], classes: &[usize], keep: bool) -> TokenScan {
    let mut out = TokenScan {
        components: scan.components.clone(),
        layout: scan.layout.clone(),
        tokens: Tokens::default(),
        counts: Default::default(),
    };
    let mut reader = TokenReader::new(&scan.tokens);
    let mut before = [0_i32; 4];
    let mut after = [0_i32; 4];
    for _ in 0..scan.layout.mcus {
        out.tokens.reserve(scan.layout.mcu.len());
        for &component in &scan.layout.mcu {
            let quantiser = &quantisers[component];
            let mut block = BlockWriter::new(out.tokens.space(), &mut out.counts[classes[component]]);
            let (size, bits) = reader.next();
            let (value, negative) = magnitude(bits, size);
            before[component] += (value ^ negative).wrapping_sub(negative) as i32;
            let dc = quantiser.dc(before[component]);
            block.dc(dc - after[component]);
            after[component] = dc;
            let mut k = 0;
            while k < 63 {
                let (symbol, bits) = reader.next();
                if symbol == u32::from(EOB) {
                    break;
                }
                k += (symbol >> 4) + 1;
                let size = symbol & 15;
                if size > 0 {
                    let (value, negative) = magnitude(bits, size);
                    block.ac(k, quantiser.ac(k, value), negative);
                }
            }
            let len = block.finish();
            out.tokens.keep(if keep { len } else { 0 });
        }
    }
    out
}
