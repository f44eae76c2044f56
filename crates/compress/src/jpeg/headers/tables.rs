//! Quantisation and Huffman tables as a file defines them, and the ones it may leave out (T.81, B.2.4, K.3).
//!
//! Steps are kept in zigzag order, as everything else in this module.

use crate::jpeg::error::{Error, corrupt};

/// Steps of a quantisation table, in zigzag order. A file's own may be zero until its first scan.
pub(crate) type Steps = [u16; 64];

/// `ZIGZAG[k]` is the row-major index (8 × row + column) of the k-th coefficient (T.81, figure A.6).
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// A Huffman table as files define it (B.2.4.2): how many codes there are of each length, and their symbols in code order.
#[derive(Clone)]
pub(crate) struct HuffmanSpec {
    pub(crate) counts: [u8; 16],
    pub(crate) symbols: Vec<u8>,
}

/// The tables in force at some point of the file.
pub(crate) struct Tables {
    pub(crate) quantisation: [Option<Steps>; 4],
    pub(crate) dc: [Option<HuffmanSpec>; 4],
    pub(crate) ac: [Option<HuffmanSpec>; 4],
    /// MCUs between restart markers; 0: none.
    pub(crate) restart_interval: usize,
}

impl Tables {
    /// Files made of motion-JPEG frames leave the Huffman tables out and mean those of annex K: start with them.
    pub(crate) fn new() -> Self {
        Self {
            quantisation: [None; 4],
            dc: [Some(standard(DC_LUMA)), Some(standard(DC_CHROMA)), None, None],
            ac: [Some(standard(AC_LUMA)), Some(standard(AC_CHROMA)), None, None],
            restart_interval: 0,
        }
    }

    /// A define-quantisation-tables segment (B.2.4.1).
    pub(crate) fn read_dqt(&mut self, mut body: &[u8]) -> Result<(), Error> {
        while let [selector, rest @ ..] = body {
            let (wide, table) = (selector >> 4, usize::from(selector & 15));
            if wide > 1 || table > 3 {
                return Err(corrupt("a quantisation table has an unknown kind"));
            }
            let length = 64 << wide;
            if rest.len() < length {
                return Err(corrupt("a quantisation table is cut short"));
            }
            let (values, after) = rest.split_at(length);
            let mut steps = [0; 64];
            for (step, value) in steps.iter_mut().zip(values.chunks_exact(1 << wide)) {
                *step = value.iter().fold(0, |sum, &byte| sum << 8 | u16::from(byte));
            }
            self.quantisation[table] = Some(steps);
            body = after;
        }
        Ok(())
    }

    /// A define-Huffman-tables segment (B.2.4.2).
    pub(crate) fn read_dht(&mut self, mut body: &[u8]) -> Result<(), Error> {
        while let [selector, rest @ ..] = body {
            let (class, table) = (selector >> 4, usize::from(selector & 15));
            if class > 1 || table > 3 {
                return Err(corrupt("a Huffman table has an unknown kind"));
            }
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return Err(corrupt("a Huffman table is cut short"));
            };
            let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
            if total > 256 || rest.len() < total {
                return Err(corrupt("a Huffman table is cut short"));
            }
            let (symbols, after) = rest.split_at(total);
            let spec = HuffmanSpec { counts: *counts, symbols: symbols.to_vec() };
            let place = if class == 0 { &mut self.dc } else { &mut self.ac };
            place[table] = Some(spec);
            body = after;
        }
        Ok(())
    }

    /// A define-restart-interval segment (B.2.4.4).
    pub(crate) fn read_dri(&mut self, body: &[u8]) -> Result<(), Error> {
        let [high, low] = *body else {
            return Err(corrupt("the restart interval has the wrong length"));
        };
        self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
        Ok(())
    }
}

fn standard((counts, symbols): ([u8; 16], &[u8])) -> HuffmanSpec {
    HuffmanSpec { counts, symbols: symbols.to_vec() }
}

/// T.81, table K.3.
const DC_LUMA: ([u8; 16], &[u8]) =
    ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
/// T.81, table K.4.
const DC_CHROMA: ([u8; 16], &[u8]) =
    ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
/// T.81, table K.5.
const AC_LUMA: ([u8; 16], &[u8]) = (
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D],
    &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
        0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
        0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
        0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
        0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
        0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
        0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
    ],
);
/// T.81, table K.6.
const AC_CHROMA: ([u8; 16], &[u8]) = (
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
    &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
        0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
        0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
        0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
        0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
        0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
        0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
        0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
        0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
    ],
);
