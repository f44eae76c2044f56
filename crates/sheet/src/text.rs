//! Bytes → blocks of valid UTF-8 without NUL, whatever encoding they came in.
//!
//! One block is held at a time. A final Ctrl-Z, with which DOS ended texts, is dropped. How the input cuts its bytes into reads makes no difference. A fault is told only
//! after all text before it, so the caller knows its line by counting.

use std::io::{self, ErrorKind, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, WINDOWS_1252};

use super::source::Unreadable;

const DAMAGED: &str = "The compressed data in this file is damaged. Compress it again, or upload the CSV itself.";
/// Bytes in which a file of another kind is recognised.
const KIND_BYTES: usize = 16;

/// Bytes read at a time.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// Why no more text comes although the input goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not text in the encoding that the beginning promised.
    Undecodable { encoding: &'static str },
    /// A spreadsheet program's own file format.
    Workbook,
    /// A NUL character.
    Nul,
    /// A file of another kind, or a container that cannot be read; and what to do.
    OtherKind(&'static str),
    /// More bytes than the limit.
    TooLarge { max_bytes: u64 },
}

/// What [`Text::refill`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refill {
    /// At least one byte was appended.
    More,
    End,
    Fault(Fault),
}

enum Form {
    /// Nothing but ASCII so far: the first other character decides.
    Ascii,
    Utf8,
    Other(Decoder),
}

pub(super) struct Text<R> {
    input: R,
    block_bytes: usize,
    max_bytes: u64,
    byte_size: u64,
    /// Bytes read and not yet turned into text; between refills at most an unfinished character.
    raw: Vec<u8>,
    form: Form,
    at_start: bool,
    byte_order_mark: &'static [u8],
    at_end: bool,
    fault: Option<Fault>,
    /// A Ctrl-Z that may be the final one.
    holds_ctrl_z: bool,
}

const CTRL_Z: u8 = 0x1A;

impl<R: Read> Text<R> {
    pub fn new(input: R, max_bytes: u64, block_bytes: usize) -> Self {
        Text {
            input,
            // A byte order mark and the longest character must fit.
            block_bytes: block_bytes.max(4),
            max_bytes,
            byte_size: 0,
            raw: Vec::new(),
            form: Form::Ascii,
            at_start: true,
            byte_order_mark: &[],
            at_end: false,
            fault: None,
            holds_ctrl_z: false,
        }
    }

    /// Bytes read so far.
    pub fn byte_size(&self) -> u64 {
        self.byte_size
    }

    /// The encoding as it is known so far, by its WHATWG name.
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Ascii | Form::Utf8 => UTF_8.name(),
            Form::Other(decoder) => decoder.encoding().name(),
        }
    }

    /// The byte order mark that the text began with.
    pub fn byte_order_mark(&self) -> &'static [u8] {
        self.byte_order_mark
    }

    /// Whether the text ended with a Ctrl-Z, which was dropped.
    pub fn ended_with_ctrl_z(&self) -> bool {
        self.at_end && self.holds_ctrl_z
    }

    /// Appends the next block of text to `out`.
    pub fn refill(&mut self, out: &mut Vec<u8>) -> io::Result<Refill> {
        let before = out.len();
        while out.len() == before {
            if self.at_end {
                return Ok(self.fault.map_or(Refill::End, Refill::Fault));
            }
            self.read_block()?;
            if self.holds_ctrl_z {
                out.push(CTRL_Z);
            }
            let decoded = out.len();
            self.decode(out);
            if let Some(at) = memchr::memchr(0, &out[decoded..]) {
                out.truncate(decoded + at);
                self.stop(Fault::Nul);
            }
            self.holds_ctrl_z = out.len() > before && out.last() == Some(&CTRL_Z);
            if self.holds_ctrl_z {
                out.pop();
            }
        }
        Ok(Refill::More)
    }

    fn stop(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.at_end = true;
    }

    fn read_block(&mut self) -> io::Result<()> {
        let block_bytes = if self.at_start { self.block_bytes.max(KIND_BYTES) } else { self.block_bytes };
        let wanted = (block_bytes - self.raw.len()) as u64;
        // One byte past the limit, to tell a file that just fits from one that does not.
        let wanted = wanted.min((self.max_bytes - self.byte_size).saturating_add(1));
        self.raw.reserve(wanted as usize);
        let before = self.raw.len();
        if let Err(error) = (&mut self.input).take(wanted).read_to_end(&mut self.raw) {
            // Only what unpacks gives errors of these kinds.
            let message = match (error.kind(), error.get_ref().and_then(|cause| cause.downcast_ref::<Unreadable>())) {
                (_, Some(Unreadable(message))) => message,
                (ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof, None) => DAMAGED,
                _ => return Err(error),
            };
            self.byte_size += (self.raw.len() - before) as u64;
            self.stop(Fault::OtherKind(message));
            return Ok(());
        }
        let read = (self.raw.len() - before) as u64;
        self.at_end = read < wanted;
        self.byte_size += read;
        if self.byte_size > self.max_bytes {
            self.raw.pop();
            self.stop(Fault::TooLarge { max_bytes: self.max_bytes });
        }
        Ok(())
    }

    fn decode(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.at_start) {
            if is_workbook(&self.raw) {
                return self.stop(Fault::Workbook);
            }
            if let Some(message) = other_kind(&self.raw) {
                self.raw.clear();
                return self.stop(Fault::OtherKind(message));
            }
            if let Some((encoding, mark_bytes)) = Encoding::for_bom(&self.raw) {
                self.raw.drain(..mark_bytes);
                self.byte_order_mark = match encoding.name() {
                    "UTF-16LE" => b"\xFF\xFE",
                    "UTF-16BE" => b"\xFE\xFF",
                    _ => b"\xEF\xBB\xBF",
                };
                self.form = if encoding == UTF_8 {
                    Form::Utf8
                } else {
                    Form::Other(encoding.new_decoder_without_bom_handling())
                };
            }
        }
        match self.form {
            Form::Ascii | Form::Utf8 => self.decode_utf8(out),
            Form::Other(_) => self.decode_other(out),
        }
    }

    fn decode_utf8(&mut self, out: &mut Vec<u8>) {
        let (valid, broken) = match std::str::from_utf8(&self.raw) {
            Ok(text) => (text.len(), false),
            Err(error) => {
                let cut_short = error.error_len().is_none();
                // A character cut off by the size limit is no fault of the encoding.
                let broken = !cut_short || (self.at_end && self.fault.is_none());
                (error.valid_up_to(), broken)
            }
        };
        if matches!(self.form, Form::Ascii) && !self.raw[..valid].is_ascii() {
            self.form = Form::Utf8;
        }
        out.extend_from_slice(&self.raw[..valid]);
        self.raw.drain(..valid);
        if !broken {
            return;
        }
        if matches!(self.form, Form::Ascii) {
            self.form = Form::Other(WINDOWS_1252.new_decoder_without_bom_handling());
            self.decode_other(out);
        } else {
            self.stop(Fault::Undecodable { encoding: UTF_8.name() });
        }
    }

    fn decode_other(&mut self, out: &mut Vec<u8>) {
        let Form::Other(decoder) = &mut self.form else {
            return;
        };
        let encoding = decoder.encoding();
        let mut fault = None;
        if encoding == WINDOWS_1252
            && let Some(at) = self.raw.iter().position(|byte| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D))
        {
            // Bytes without a meaning in Windows-1252: the text is in an encoding that cannot be told.
            self.raw.truncate(at);
            fault = Some(Fault::Undecodable { encoding: encoding.name() });
        }
        let before = out.len();
        let Some(room) = decoder.max_utf8_buffer_length_without_replacement(self.raw.len()) else {
            return;
        };
        out.resize(before + room, 0);
        let last = self.at_end && self.fault.is_none();
        let (result, _, written) = decoder.decode_to_utf8_without_replacement(&self.raw, &mut out[before..], last);
        out.truncate(before + written);
        self.raw.clear();
        if matches!(result, DecoderResult::Malformed(..)) {
            fault = Some(Fault::Undecodable { encoding: encoding.name() });
        }
        if let Some(fault) = fault {
            self.stop(fault);
        }
    }
}

/// Whether these are the first bytes of an `.xlsx` (a zip archive) or an `.xls` (an OLE container).
fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0])
}

/// What to do with a file that is no table, by its first bytes.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let image = [&b"\x89PNG"[..], b"\xFF\xD8\xFF", b"GIF8", b"BM\x36", b"II*\0", b"MM\0*"]
        .iter()
        .any(|magic| bytes.starts_with(magic))
        || (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"));
    if image {
        return Some("This is an image, not a CSV. Upload a CSV that contains the image's address.");
    }
    if bytes.starts_with(b"%PDF") {
        return Some("This is a PDF, not a CSV. Upload the table it was made from, saved as \"CSV UTF-8\".");
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start().to_ascii_lowercase();
    if [&b"<!doctype html"[..], b"<html", b"<table", b"<head", b"<body", b"<meta"]
        .iter()
        .any(|tag| text.starts_with(&tag[..tag.len().min(text.len().max(5))]))
    {
        return Some(
            "This is HTML, not a CSV, whatever its name says. Open it in a spreadsheet program, save it as \"CSV UTF-8\" and upload that.",
        );
    }
    if text.starts_with(b"<?xml") || text.starts_with(b"<rss") || text.starts_with(b"<feed") {
        return Some(
            "This is XML, not a CSV. Export the catalogue as CSV instead, or as a feed of tab-separated text.",
        );
    }
    let mut signs = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (signs.next(), signs.next()) {
        (Some(b'{'), Some(b'"')) | (Some(b'['), Some(b'{')) => {
            Some("This is JSON, not a CSV. Export the catalogue as CSV, or convert it, and upload that.")
        }
        _ => None,
    }
}
