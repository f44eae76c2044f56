//! The source file again, byte for byte, with URLs replaced where they stand.
//!
//! The source is read as [`Reader`] reads it, and what it was read from is kept until the row is written: delimiters,
//! quotes, spaces, line ends, encoding and everything that is no replaced URL stay as they are.

use std::io::{self, Read, Seek, Write};

use encoding_rs::WINDOWS_1252;

use super::Limits;
use super::hints::Hints;
use super::reader::{Mode, Reader, Step};
use super::record::Record;
use super::report::Report;
use super::row::{Row, Span};
use super::source::{Container, Source};
use super::text::BLOCK_BYTES;

/// Reads a source row by row and writes it again.
pub struct Updater<R, W: Write> {
    reader: Reader<R>,
    out: W,
    /// What the last row was read from, until it is written.
    raw: Vec<u8>,
    begun: bool,
    container: Container,
}

impl<'a, W: Write> Updater<Source<'a>, W> {
    /// Reads up to the header. A file that was accepted once may be read with limits of a later day, so only those that
    /// bound memory apply.
    pub fn open<F: Read + Seek + Send + 'a>(file: F, limits: &Limits, hints: &Hints, out: W) -> io::Result<Self> {
        let source = Source::open(file, limits, hints)?;
        let container = source.container();
        let mode = Mode { keeps_raw: true, ..Mode::of(&source) };
        let limits = Limits {
            max_bytes: u64::MAX,
            max_rows: u64::MAX,
            max_images: u64::MAX,
            max_images_per_product: usize::MAX / limits.max_url_bytes.max(1) / 4,
            ..limits.clone()
        };
        let reader = Reader::begin(source, &limits, hints, BLOCK_BYTES, mode)?;
        Ok(Updater { reader, out, raw: Vec::new(), begun: false, container })
    }

    /// What the file is. A workbook is written as CSV.
    pub fn container(&self) -> Container {
        self.container
    }
}

impl<R: Read, W: Write> Updater<R, W> {
    /// The next row; what stands between it and the one before is written.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        self.pass()?;
        loop {
            let step = self.reader.step()?;
            let row_begins = self.reader.take_raw(&mut self.raw);
            match step {
                Step::Row(row) => {
                    self.write(row_begins)?;
                    self.raw.drain(..row_begins);
                    return Ok(Some(row));
                }
                Step::Skipped => self.pass()?,
                Step::End => {
                    self.pass()?;
                    return Ok(None);
                }
            }
        }
    }

    /// Writes the row that was read last with these URLs in the places of its own; none leaves a URL as it is.
    pub fn write_row(&mut self, row: &Row, urls: &[Option<&str>]) -> io::Result<()> {
        let record = self.reader.record();
        let mut finder = Finder { raw: &self.raw, record, text_at: 0, raw_at: 0, found: 0 };
        let mut replaced = Vec::with_capacity(self.raw.len());
        let mut from = 0;
        for &Span { place, from: first, to: end, .. } in &row.spans {
            let Some(url) = urls.get(place).copied().flatten() else { continue };
            let start = finder.find(record.offset(first.cell, first.byte));
            let last = finder.find(record.offset(end.cell, end.byte).saturating_sub(1));
            let (Some(start), Some(last)) = (start, last) else { break };
            let quotes = self.raw[start..=last].iter().filter(|byte| **byte == b'"').count();
            // An odd number of them begins or ends the quotes of a cell, and one must stay, but not beside one of the text.
            let (before, after) = match (quotes % 2, self.reader.is_quoted(first.cell)) {
                (0, _) => ("", ""),
                (_, Some(true)) if self.raw.get(last + 1) != Some(&b'"') => ("", "\""),
                (_, Some(false)) if first.byte == 0 => ("\"", ""),
                _ => continue,
            };
            replaced.extend_from_slice(&self.raw[from..start]);
            replaced.extend_from_slice(before.as_bytes());
            push_url(url, self.reader.delimiter(), &mut replaced);
            replaced.extend_from_slice(after.as_bytes());
            from = last + 1;
        }
        replaced.extend_from_slice(&self.raw[from..]);
        self.raw = replaced;
        self.pass()
    }

    /// Writes what is left. The report says whether the source could be read to its end.
    pub fn finish(mut self) -> io::Result<(W, Report)> {
        while self.next_row()?.is_some() {}
        if self.reader.ends_with_ctrl_z() {
            self.raw = vec![0x1A];
            self.write(1)?;
        }
        self.begin()?;
        self.out.flush()?;
        Ok((self.out, self.reader.into_report()))
    }

    /// Writes what was read and not yet written as it is.
    fn pass(&mut self) -> io::Result<()> {
        self.write(self.raw.len())?;
        self.raw.clear();
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.write_all(self.reader.byte_order_mark())?;
        }
        Ok(())
    }

    /// Writes the first bytes of what was read, in the encoding of the source.
    fn write(&mut self, bytes: usize) -> io::Result<()> {
        self.begin()?;
        let raw = &self.raw[..bytes];
        let text = || String::from_utf8_lossy(raw);
        match self.reader.encoding() {
            "UTF-16LE" => self.out.write_all(&text().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            "UTF-16BE" => self.out.write_all(&text().encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()),
            "windows-1252" => self.out.write_all(&WINDOWS_1252.encode(&text()).0),
            _ => self.out.write_all(raw),
        }
    }
}

/// Finds the bytes of a record's text in what it was read from, which has quotes, delimiters, spaces and line ends besides.
/// Of all other characters both have the same, in the same order.
struct Finder<'a> {
    raw: &'a [u8],
    record: Record<'a>,
    text_at: usize,
    raw_at: usize,
    found: usize,
}

impl Finder<'_> {
    /// Where the byte at this offset of the text stands. Offsets may only grow.
    fn find(&mut self, offset: usize) -> Option<usize> {
        let text = self.record.text().as_bytes();
        while self.text_at <= offset {
            let wanted = *text.get(self.text_at)?;
            self.raw_at += memchr::memchr(wanted, self.raw.get(self.raw_at..)?)?;
            self.found = self.raw_at;
            self.text_at += 1;
            self.raw_at += 1;
        }
        Some(self.found)
    }
}

/// A URL as it may stand in any cell, of any encoding: without quotes, delimiters and line ends.
fn push_url(url: &str, delimiter: char, out: &mut Vec<u8>) {
    for c in url.chars() {
        if c == delimiter && !c.is_ascii_alphanumeric()
            || matches!(c, '"' | '\'' | ',' | ';' | '|' | ' ' | '<' | '>' | '(' | ')')
            || c.is_control()
            || !c.is_ascii()
        {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        } else {
            let mut bytes = [0; 4];
            out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
        }
    }
}
