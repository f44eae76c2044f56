//! Entropy-coded bytes to bits: removes byte stuffing, stops at markers, reads up to 56 bits at a time.
//!
//! Never reads outside the input. Past the end of a segment it yields zeros, and [`Feed::check`] reports that as damage.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::marker::{RST0, RST7, SOF0};

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
    /// Where restart markers need not be what they must be.
    resync: Option<Resync>,
}

/// Restart markers that are lost or misnumbered.
#[derive(Default)]
struct Resync {
    /// Some marker was not the expected one.
    happened: bool,
    /// The data between the last restart and the next is lost.
    is_lost: bool,
}

impl<'a> Feed<'a> {
    /// `input` starts right after the scan header.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        let window = Box::new([0; WINDOW + 8]);
        let mut feed = Self { input, at: 0, window, filled: 0, ended: false, bits: Bits::default(), resync: None };
        feed.top_up();
        feed
    }

    /// From now on restart markers may be lost or misnumbered.
    pub(crate) fn allow_resync(&mut self) {
        self.resync = Some(Resync::default());
    }

    pub(crate) fn may_resync(&self) -> bool {
        self.resync.is_some()
    }

    /// Some restart marker was lost or misnumbered.
    pub(crate) fn was_resynced(&self) -> bool {
        self.resync.as_ref().is_some_and(|resync| resync.happened)
    }

    /// The data of this restart interval is lost: nothing is to be read before the next restart.
    pub(crate) fn is_lost(&self) -> bool {
        self.resync.as_ref().is_some_and(|resync| resync.is_lost)
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
        if let Some(resync) = self.resync.take() {
            return self.restart_anyhow(resync, (number % 8) as u8);
        }
        while !self.ended && self.bits.at <= self.filled && self.filled < self.bits.at + MARGIN {
            self.fill();
        }
        let expected = RST0 + (number % 8) as u8;
        if !self.ended || self.input.get(self.at + 1) != Some(&expected) {
            return Err(corrupt("a restart marker is missing"));
        }
        self.start_afresh(2);
        Ok(())
    }

    /// Starts afresh after a marker of so many bytes.
    fn start_afresh(&mut self, marker: usize) {
        self.at += marker;
        self.bits = Bits::default();
        self.filled = 0;
        self.ended = false;
        self.top_up();
    }

    /// Passes the next restart marker where `expected` is lost or has another number. Decides as libjpeg does
    /// (`jpeg_resync_to_restart`): one of the next two numbers means that the data between is lost; one of the last two is passed
    /// over with its data; any other is taken for the expected one.
    fn restart_anyhow(&mut self, resync: Resync, expected: u8) -> Result<(), Error> {
        let unread = (self.filled + (self.bits.count / 8) as usize).saturating_sub(self.bits.at);
        let mut is_skipping = unread > 0;
        let Resync { mut happened, .. } = resync;
        let is_lost = loop {
            let marker = self.marker_at(self.at).ok_or_else(|| corrupt("the image data ends too early"))?;
            is_skipping |= marker > self.at;
            self.at = marker;
            match self.input[marker + 1] {
                code @ RST0..=RST7 => match (code - RST0).wrapping_sub(expected) & 7 {
                    0 => break false,
                    1 | 2 => break true,
                    6 | 7 => {}
                    _ => {
                        happened = true;
                        break false;
                    }
                },
                // The end of the scan. One marker may be lost, and with it what was just passed over; more was cut off.
                SOF0.. if is_skipping => break true,
                SOF0.. => return Err(corrupt("the image data ends too early")),
                _ => {}
            }
            happened = true;
            is_skipping = true;
            self.at += 2;
        };
        self.resync = Some(Resync { happened: happened || is_lost, is_lost });
        self.start_afresh(if is_lost { 0 } else { 2 });
        Ok(())
    }

    /// Where the next marker is, from a place on.
    fn marker_at(&self, from: usize) -> Option<usize> {
        let starts = memchr::memchr_iter(0xFF, &self.input[from..]).map(|at| from + at);
        starts.into_iter().find(|at| !matches!(self.input.get(at + 1), None | Some(0x00 | 0xFF)))
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
