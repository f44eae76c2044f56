//! GIF's LZW (GIF89a specification, appendix F), where a pixel may have several symbols.
//!
//! Each code stands for the string of the table that costs least for each pixel: bits, and how far its pixels are off. A pixel that
//! may stay as it is allows the transparent symbol beside its own, and where colours may be off, those near its own. What a pixel is
//! off is made good for in the next one, so that no area changes its colour.

use super::loss::square;

/// Codes there can be.
const CODES: usize = 1 << 12;
const NONE: u16 = u16::MAX;
/// Strings that are looked at for a code, beside one for each pixel of the longest.
const LOOKS: usize = 48;
/// Codes after which a full table is judged: it is given up once they stand for an eighth fewer pixels than the best so many did.
const JUDGED_AFTER: u32 = 128;
/// How much of what a pixel is off is made good for in the next one, in sixteenths.
const CARRIED: i32 = 12;

/// The pixels of a frame, and what they may become.
pub(super) struct Picture<'a> {
    pub width: usize,
    /// For each pixel the colour it is meant to have, the colour it has if nothing is drawn, and whether that will do.
    pub wanted: &'a [[u8; 4]],
    pub before: &'a [[u8; 4]],
    pub may_stay: &'a [bool],
    /// For each pixel the symbol of its own colour, or the transparent one where that has none.
    pub own: &'a [u8],
    /// The colours of the symbols, and which of these draws nothing.
    pub colours: &'a [[u8; 4]],
    pub transparent: Option<u8>,
    /// For each symbol those that may replace it, the nearest first; empty where nothing may be lost.
    pub near: &'a [Vec<u8>],
    /// The most that a pixel may be off, squared.
    pub limit: u32,
    /// How much a bit is worth, in squared differences.
    pub bit: u32,
}

/// How far a pixel is off.
type Off = [i16; 3];

impl Picture<'_> {
    /// The symbol that is tried first: of the pixels of a quiet area all have the same.
    fn first(&self, at: usize) -> u8 {
        match self.transparent {
            Some(transparent) if self.may_stay[at] => transparent,
            _ => self.own[at],
        }
    }

    /// Hands out the symbols a pixel may begin a string with.
    fn each(&self, at: usize, mut take: impl FnMut(u8)) {
        let (first, own) = (self.first(at), self.own[at]);
        take(first);
        if own != first {
            take(own);
        }
        if let Some(near) = self.near.get(usize::from(own)) {
            near.iter().copied().for_each(take);
        }
    }

    /// How far off a pixel is with a symbol, squared and as it is; `None` where it must not have the symbol. `carried` is what is to be
    /// made good for.
    fn try_symbol(&self, at: usize, symbol: u8, carried: Off) -> Option<(u32, Off)> {
        let is_transparent = Some(symbol) == self.transparent;
        let fits = symbol == self.own[at] || (is_transparent && self.may_stay[at]);
        if self.limit == 0 {
            return fits.then_some((0, [0; 3]));
        }
        let wanted = self.wanted[at];
        let colour = if is_transparent { self.before[at] } else { self.colours[usize::from(symbol)] };
        // No colour may become transparent, or the other way round.
        if is_transparent || wanted[3] == 0 || colour[3] == 0 {
            if !fits {
                return None;
            }
            if wanted[3] == 0 || colour[3] == 0 {
                return Some((0, [0; 3]));
            }
        }
        let away: [i32; 3] =
            std::array::from_fn(|n| i32::from(wanted[n]) + i32::from(carried[n]) - i32::from(colour[n]));
        let error = square(away);
        (fits || error <= self.limit).then(|| (error, away.map(|away| away.clamp(-255, 255) as i16)))
    }

    /// What a pixel makes good for: a part of what the one to its left is off.
    fn carry(&self, at: usize, off: Off) -> Off {
        if self.limit == 0 || at.is_multiple_of(self.width) {
            return [0; 3];
        }
        off.map(|off| ((i32::from(off) * CARRIED) >> 4) as i16)
    }
}

/// The strings that have codes.
struct Table {
    /// Of each string its first extension, the next extension of the same string, and its last symbol.
    child: [u16; CODES],
    sibling: [u16; CODES],
    symbol: [u8; CODES],
    /// The string without its last symbol.
    prefix: [u16; CODES],
}

impl Table {
    fn new() -> Box<Table> {
        Box::new(Table { child: [NONE; CODES], sibling: [NONE; CODES], symbol: [0; CODES], prefix: [NONE; CODES] })
    }

    fn reset(&mut self, symbols: usize) {
        self.child[..symbols].fill(NONE);
        for (at, symbol) in self.symbol.iter_mut().enumerate().take(symbols) {
            *symbol = at as u8;
        }
    }

    fn add(&mut self, code: usize, prefix: u16, symbol: u8) {
        self.symbol[code] = symbol;
        self.prefix[code] = prefix;
        self.child[code] = NONE;
        self.sibling[code] = self.child[usize::from(prefix)];
        self.child[usize::from(prefix)] = code as u16;
    }
}

/// A string that is being extended.
#[derive(Clone, Copy)]
struct Candidate {
    node: u16,
    root: u8,
    length: u32,
    error: u64,
    off: Off,
}

impl Candidate {
    /// Whether it costs less for each pixel: bits and errors.
    fn beats(&self, other: &Candidate, code: u64) -> bool {
        let ours = (code + self.error) * u64::from(other.length);
        let theirs = (code + other.error) * u64::from(self.length);
        ours < theirs || (ours == theirs && self.length > other.length)
    }
}

/// The coded pixels, as a frame holds them, and which symbol each pixel got.
pub(super) fn encode(picture: &Picture<'_>, bits: u8, chosen: &mut Vec<u8>) -> Vec<u8> {
    let clear = 1_u16 << bits;
    let mut table = Table::new();
    let mut out = Packer::new(bits);
    let start = || (u32::from(bits) + 1, usize::from(clear) + 2);
    let (mut width, mut next) = start();
    table.reset(usize::from(clear));
    out.put(clear, width);
    chosen.clear();
    let total = picture.own.len();
    let mut previous = NONE;
    let mut off = [0; 3];
    // Pixels and codes since the table was full, and the most pixels a stretch of codes had.
    let (mut pixels, mut codes, mut most) = (0_u32, 0_u32, 0_u32);
    let mut stack: Vec<Candidate> = Vec::new();

    while chosen.len() < total {
        let at = chosen.len();
        // The extension of the last string by this one's first symbol has the next code, but is not in the table yet.
        let pending = if previous != NONE && next < CODES { next as u16 } else { NONE };
        let code = u64::from(width) * u64::from(picture.bit);
        let mut best: Option<Candidate> = None;
        let mut longest = 0;
        let mut looks = 0;
        let carried = picture.carry(at, off);
        picture.each(at, |root| {
            if looks > LOOKS + longest {
                return;
            }
            let Some((error, off)) = picture.try_symbol(at, root, carried) else {
                return;
            };
            stack.clear();
            stack.push(Candidate { node: root.into(), root, length: 1, error: error.into(), off });
            while let Some(candidate) = stack.pop() {
                if best.is_none_or(|best| candidate.beats(&best, code)) {
                    best = Some(candidate);
                }
                longest = longest.max(candidate.length as usize);
                looks += 1;
                if looks > LOOKS + longest {
                    break;
                }
                let Candidate { node, length, .. } = candidate;
                let place = at + length as usize;
                if place >= total || node == pending {
                    continue;
                }
                let carried = picture.carry(place, candidate.off);
                let extended = |node: u16, symbol: u8| {
                    let (error, off) = picture.try_symbol(place, symbol, carried)?;
                    let error = candidate.error + u64::from(error);
                    Some(Candidate { node, root, length: length + 1, error, off })
                };
                if node == previous && pending != NONE {
                    stack.extend(extended(pending, root));
                }
                // What is tried first comes last onto the stack.
                let first = picture.first(place);
                let mut child = table.child[usize::from(node)];
                let mut favourite = NONE;
                while child != NONE {
                    let symbol = table.symbol[usize::from(child)];
                    if symbol == first {
                        favourite = child;
                    } else {
                        stack.extend(extended(child, symbol));
                    }
                    child = table.sibling[usize::from(child)];
                }
                if favourite != NONE {
                    stack.extend(extended(favourite, first));
                }
            }
        });
        // A pixel may always have its own symbol.
        let Some(Candidate { node: best, root, length, off: last, .. }) = best else {
            break;
        };
        if pending != NONE {
            table.add(next, previous, root);
        }
        out.put(best, width);
        if pending != NONE {
            // A decoder learns a string one code later, and widens codes once it has all that the width has room for.
            if next + 1 == 1 << width && width < 12 {
                width += 1;
            }
            next += 1;
        }
        chosen.resize(at + length as usize, 0);
        let mut node = best;
        for symbol in chosen[at..].iter_mut().rev() {
            *symbol = table.symbol[usize::from(node)];
            node = table.prefix[usize::from(node)];
        }
        off = last;
        previous = best;
        if next == CODES {
            pixels += length;
            codes += 1;
            if codes == JUDGED_AFTER {
                if pixels < most / 8 * 7 {
                    out.put(clear, width);
                    (width, next) = start();
                    table.reset(usize::from(clear));
                    previous = NONE;
                    most = 0;
                } else {
                    most = most.max(pixels);
                }
                (pixels, codes) = (0, 0);
            }
        }
    }
    out.put(clear + 1, width);
    out.finish()
}

/// Codes of growing width in blocks of at most 255 bytes.
struct Packer {
    bytes: Vec<u8>,
    /// Where the length of the current block is.
    block: usize,
    bits: u32,
    count: u32,
}

impl Packer {
    fn new(bits: u8) -> Packer {
        Packer { bytes: vec![bits, 0], block: 1, bits: 0, count: 0 }
    }

    fn put(&mut self, code: u16, width: u32) {
        self.bits |= u32::from(code) << self.count;
        self.count += width;
        while self.count >= 8 {
            self.byte();
        }
    }

    fn byte(&mut self) {
        if self.bytes[self.block] == 255 {
            self.block = self.bytes.len();
            self.bytes.push(0);
        }
        self.bytes.push(self.bits as u8);
        self.bytes[self.block] += 1;
        self.bits >>= 8;
        self.count = self.count.saturating_sub(8);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.byte();
        }
        if self.bytes[self.block] > 0 {
            self.bytes.push(0);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::gif;
    use crate::tests::pictures::Random;

    /// The symbols a decoder reads.
    fn decoded(data: &[u8], width: u16, height: u16) -> Vec<u8> {
        let mut file = gif::start(width, height, &[[7; 3]; 256], 1);
        let [left, top] = [0, 0];
        let frame = gif::Frame {
            left,
            top,
            width,
            height,
            delay: 0,
            is_cleared: false,
            transparent: None,
            colours: None,
            data,
        };
        gif::write(&mut file, &frame);
        gif::end(&mut file);
        let mut options = ::gif::DecodeOptions::new();
        options.check_lzw_end_code(true);
        let mut decoder = options.read_info(&file[..]).unwrap();
        decoder.read_next_frame().unwrap().unwrap().buffer.to_vec()
    }

    #[test]
    fn decoders_read_what_was_written() {
        let mut random = Random(5);
        // From a single pixel to several tables full; from noise to one colour.
        for (side, noise) in [(1, 256), (2, 3), (40, 1), (40, 4), (150, 256), (300, 16), (300, 2), (300, 1)] {
            let count = side * side;
            let own: Vec<u8> = (0..count).map(|at| (at / 9 + random.below(noise)) as u8).collect();
            let colours: Vec<[u8; 4]> = (0..=255).map(|shade| [shade, shade, shade, 255]).collect();
            let wanted: Vec<[u8; 4]> = own.iter().map(|symbol| colours[usize::from(*symbol)]).collect();
            let near: Vec<Vec<u8>> = (0..=255_u8).map(|shade| vec![shade ^ 1, shade ^ 2]).collect();
            for (limit, near) in [(0, &[][..]), (900, &near)] {
                let before = vec![[200, 200, 200, 255]; count];
                let may_stay: Vec<bool> = (0..count).map(|at| at % 100 > 70).collect();
                let picture = Picture {
                    width: side,
                    wanted: &wanted,
                    before: &before,
                    may_stay: &may_stay,
                    own: &own,
                    colours: &colours,
                    transparent: Some(255),
                    near,
                    limit,
                    bit: 100,
                };
                let mut chosen = Vec::new();
                let data = encode(&picture, 8, &mut chosen);
                assert_eq!(chosen.len(), count);
                assert!(decoded(&data, side as u16, side as u16) == chosen, "{side} {noise} {limit}");
                let suits = |at: usize| {
                    let (own, chosen) = (own[at], chosen[at]);
                    own == chosen
                        || (chosen == 255 && may_stay[at])
                        || (limit > 0 && (own ^ 1 == chosen || own ^ 2 == chosen))
                };
                // A string may hold any colour that is near.
                let off = (0..count).filter(|at| !suits(*at)).all(|at| limit > 0 && own[at].abs_diff(chosen[at]) < 100);
                assert!(off, "{side} {noise} {limit}");
            }
        }
    }
}
