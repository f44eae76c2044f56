//! Markers: cuts a JPEG file into its segments (ITU-T T.81, annex B).
//!
//! Every slice handed out lies inside the input; a length that points past the end is an error, never a panic.

use crate::jpeg::error::{Error, corrupt};

// Marker codes, T.81 table B.1.
pub(crate) const SOF0: u8 = 0xC0;
pub(crate) const SOF1: u8 = 0xC1;
pub(crate) const SOF2: u8 = 0xC2;
pub(crate) const DHT: u8 = 0xC4;
pub(crate) const RST0: u8 = 0xD0;
pub(crate) const RST7: u8 = 0xD7;
pub(crate) const SOI: u8 = 0xD8;
pub(crate) const EOI: u8 = 0xD9;
pub(crate) const SOS: u8 = 0xDA;
pub(crate) const DQT: u8 = 0xDB;
pub(crate) const DRI: u8 = 0xDD;
pub(crate) const APP0: u8 = 0xE0;
pub(crate) const APP1: u8 = 0xE1;
pub(crate) const APP2: u8 = 0xE2;
pub(crate) const APP14: u8 = 0xEE;
pub(crate) const APP15: u8 = 0xEF;
const TEM: u8 = 0x01;

/// One marker and the bytes that its length field covers (without the length itself).
pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    pub(crate) body: &'a [u8],
}

/// Walks over the segments. Between a start of scan and the next marker lies entropy-coded data, which
/// [`Reader::rest`] gives to the scan decoder and [`Reader::skip`] steps over.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Checks the start-of-image marker.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes {
            [0xFF, SOI, ..] => Ok(Self { bytes, at: 2 }),
            _ => Err(corrupt("it does not start with a start-of-image marker")),
        }
    }

    /// The next segment. Stray bytes before a marker are skipped, as every decoder does; a missing marker is an error,
    /// and so a file without its end-of-image marker is never taken for a whole one.
    pub(crate) fn next(&mut self) -> Result<Segment<'a>, Error> {
        let marker = loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr(0xFF, rest) else {
                return Err(corrupt("it ends before its end-of-image marker"));
            };
            match rest.get(found + 1) {
                None => return Err(corrupt("it ends before its end-of-image marker")),
                // FF FF is a fill byte (B.1.1.2): look again from the second FF.
                Some(0xFF) => self.at += found + 1,
                // FF 00 is entropy-coded data; restarts and TEM stand alone and carry nothing.
                Some(&(0x00 | TEM | RST0..=RST7)) => self.at += found + 2,
                Some(&marker) => {
                    self.at += found + 2;
                    break marker;
                }
            }
        };
        if marker == EOI || marker == SOI {
            return Ok(Segment { marker, body: &[] });
        }
        let rest = &self.bytes[self.at..];
        let [high, low, ..] = *rest else {
            return Err(corrupt("it ends inside a segment"));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(corrupt("a segment is shorter than its own length field"));
        }
        let body = rest.get(2..length).ok_or_else(|| corrupt("it ends inside a segment"))?;
        self.at += length;
        Ok(Segment { marker, body })
    }

    /// Everything after the last segment: entropy-coded data, after a start of scan.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Steps over `used` bytes of [`Reader::rest`].
    pub(crate) fn skip(&mut self, used: usize) {
        self.at = (self.at + used).min(self.bytes.len());
    }
}

/// Appends a marker, the length, and the parts of its body; the parts together are at most 65,533 bytes.
pub(crate) fn segment(out: &mut Vec<u8>, marker: u8, parts: &[&[u8]]) {
    let length = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&[0xFF, marker]);
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}
