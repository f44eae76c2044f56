//! One record of a CSV, borrowed from where it was read.
//!
//! Asking for a cell that the record does not have gives an empty one.

use super::spaces::{is_space, trim};

/// A record's cells, one after the other, where each ends and which line it begins on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    text: &'a str,
    ends: &'a [usize],
    lines: &'a [u64],
    has_lines: bool,
}

impl<'a> Record<'a> {
    /// `has_lines`: line breaks in its cells begin lines of the file. `bytes` are UTF-8, because the text is that was cut into cells, and the cuts are at ASCII characters.
    pub fn new(bytes: &'a [u8], ends: &'a [usize], lines: &'a [u64], has_lines: bool) -> Self {
        let bytes = &bytes[..ends.last().copied().unwrap_or(0)];
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        Record { text, ends, lines, has_lines }
    }

    /// All cells, one after the other.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Where a byte of a cell stands in the text of all.
    pub fn offset(&self, cell: usize, byte: usize) -> usize {
        byte + if cell == 0 { 0 } else { self.ends.get(cell - 1).copied().unwrap_or(0) }
    }

    /// How many cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The line the record begins on.
    pub fn line(&self) -> u64 {
        self.lines.first().copied().unwrap_or(1)
    }

    /// The text of a cell; empty where the record has none.
    pub fn cell(&self, index: usize) -> &'a str {
        let Some(&end) = self.ends.get(index) else {
            return "";
        };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start..end).unwrap_or_default()
    }

    /// The line the text of a cell begins on, or the cell where it is empty; the record's where it has no such cell.
    pub fn cell_line(&self, index: usize) -> u64 {
        let Some(line) = self.lines.get(index) else {
            return self.line();
        };
        let text = self.cell(index);
        if text.as_bytes().first().is_some_and(u8::is_ascii_graphic) {
            return *line; // As most do, which a byte tells.
        }
        match text.trim_start_matches(is_space) {
            "" => *line,
            trimmed => line + self.line_ends(&text[..text.len() - trimmed.len()]),
        }
    }

    /// Lines of the file that end in a part of a cell.
    pub fn line_ends(&self, text: &str) -> u64 {
        if self.has_lines && !text.is_empty() { line_ends(text) } else { 0 }
    }

    pub fn cells(self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(move |index| self.cell(index))
    }

    pub fn is_blank(&self) -> bool {
        trim(self.text).is_empty()
    }
}

/// Line ends in a text: CRLF, LF and CR each count once.
fn line_ends(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let ends = memchr::memchr2_iter(b'\r', b'\n', bytes);
    ends.filter(|&at| bytes[at] == b'\r' || at == 0 || bytes[at - 1] != b'\r').count() as u64
}
