//! Entropy-coded bytes to bits: removes byte stuffing, stops at markers, reads up to 56 bits at a time.
//!
//! Never reads outside the input. Past the end of a segment it yields zeros, and [`Feed::check`] reports that as damage.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::marker::{RST0, RST7};

/// Bytes in the window of unstuffed data. A power of two, so that a mask keeps an index inside it.
const WINDOW: usize = 32 * 1024;
const MASK: usize = WINDOW - 1;

/// Bytes that one MCU may read before [`Feed::top_up`] runs again: 10 blocks × 64 coefficients × (16 bits of code + 15 of
/// magnitude) are 2,480 bytes.
const MARGIN: usize = 4096;

/// The window: [`WINDOW`] bytes and room for the last 8-byte load.
pub(crate) type Window = [u8; WINDOW + 8];

/// The bits at hand, left-justified. `Copy`, so that a hot loop can hold it in registers and put it back afterwards.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bits {
    acc: u64,
    count: u32,
    /// Index of the next byte in the window.
    at: usize,
}

impl Bits {
    /// Tops up to at least 56 bits, without a branch: eight bytes are OR-ed in below those present, and the position advances
    /// by the whole bytes that fitted. The bits of a byte that did not fit are OR-ed again next time, to the same value.
    #[inline(always)]
    pub(crate) fn refill(&mut self, window: &Window) {
        let i = self.at & MASK;
        let mut word = [0; 8];
        word.copy_from_slice(&window[i..i + 8]);
        self.acc |= u64::from_be_bytes(word).wrapping_shr(self.count);
        self.at += (63_u32.wrapping_sub(self.count) >> 3) as usize;
        self.count |= 56;
    }

    /// All bits, the next one on top. At least as many are valid as [`Bits::refill`] promised less those consumed.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        self.acc
    }

    /// Drops `n` ≤ 63 bits, at most as many as are valid.
    #[inline(always)]
    pub(crate) fn consume(&mut self, n: u32) {
        self.acc <<= n & 63;
        self.count = self.count.wrapping_sub(n);
    }

    /// Takes `n` ≤ 32 bits as a number; zero bits give 0.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: u32) -> u32 {
        let value = (self.acc >> 1 >> (63 - (n & 63))) as u32;
        self.consume(n);
        value
    }
}

/// The entropy-coded data of one scan.
pub(crate) struct Feed<'a> {
    input: &'a [u8],
    at: usize,
    pub(crate) window: Box<Window>,
    filled: usize,
    /// A marker, or the end of the input, was reached.
    ended: bool,
    pub(crate) bits: Bits,
}

impl<'a> Feed<'a> {
    /// `input` starts right after the scan header.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        let mut feed =
            Self { input, at: 0, window: Box::new([0; WINDOW + 8]), filled: 0, ended: false, bits: Bits::default() };
        feed.top_up();
        feed
    }

    /// Call before each MCU: afterwards [`MARGIN`] bytes can be read.
    #[inline(always)]
    pub(crate) fn top_up(&mut self) {
        if !self.ended && self.filled < self.bits.at + MARGIN {
            self.fill();
        }
    }

    /// Moves what is unread to the front of the window and unstuffs more after it: FF 00 stands for FF (B.1.1.5), FF FF is
    /// fill, FF with anything else is a marker and ends the segment.
    #[inline(never)]
    fn fill(&mut self) {
        let start = self.bits.at.min(self.filled);
        self.window.copy_within(start..self.filled, 0);
        self.bits.at -= start;
        self.filled -= start;
        while self.filled < WINDOW - MARGIN {
            let room = WINDOW - MARGIN - self.filled;
            let rest = &self.input[self.at..];
            let chunk = &rest[..rest.len().min(room)];
            let plain = memchr::memchr(0xFF, chunk).unwrap_or(chunk.len());
            self.window[self.filled..self.filled + plain].copy_from_slice(&chunk[..plain]);
            self.filled += plain;
            self.at += plain;
            if plain < chunk.len() {
                match rest.get(plain + 1) {
                    Some(0x00) => {
                        self.window[self.filled] = 0xFF;
                        self.filled += 1;
                        self.at += 2;
                    }
                    Some(0xFF) => self.at += 1,
                    _ => self.ended = true,
                }
            } else if plain == rest.len() {
                self.ended = true;
            }
            if self.ended {
                // As far as an MCU can read before it is noticed.
                self.window[self.filled..self.filled + MARGIN + 8].fill(0);
                break;
            }
        }
    }

    /// Errs when more bits were consumed than the segment holds. Call after each MCU.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.bits.at * 8 > self.filled * 8 + self.bits.count as usize {
            return Err(corrupt("the image data ends too early"));
        }
        Ok(())
    }

    /// Passes the restart marker that must come next, `number` modulo 8 (E.2.4), and starts afresh after it.
    pub(crate) fn restart(&mut self, number: usize) -> Result<(), Error> {
        while !self.ended && self.bits.at <= self.filled && self.filled < self.bits.at + MARGIN {
            self.fill();
        }
        let expected = RST0 + (number % 8) as u8;
        if !self.ended || self.input.get(self.at + 1) != Some(&expected) {
            return Err(corrupt("a restart marker is missing"));
        }
        self.at += 2;
        self.bits = Bits::default();
        self.filled = 0;
        self.ended = false;
        self.top_up();
        Ok(())
    }

    /// After the last MCU: how many bytes of the input the scan took, up to the next marker that is no restart.
    pub(crate) fn finish(self) -> usize {
        let mut at = self.at;
        while let Some(found) = memchr::memchr(0xFF, &self.input[at..]) {
            match self.input.get(at + found + 1) {
                Some(0x00 | 0xFF | RST0..=RST7) => at += found + 1,
                _ => return at + found,
            }
        }
        self.input.len()
    }
}
