//! Text → records of cells, on csv-core, with the physical line of every cell.
//!
//! Blank lines are skipped. A cell or a record over its bound is refused when the bound is reached; so is a quote that
//! never closes, or that closes lines later with text after it. Spaces before an opening quote do not make the quote part of the text.
//! An apostrophe in front of a cell, which may be one that we wrote (see `defuse`), does not count.

use std::io::Read;

use csv_core::ReadFieldResult;

use super::dialect::{self, Dialect};
use super::hints::Hints;
use super::lines::Lines;
use super::quoting::Quoting;
use super::record::Record;
use super::refusal::{Refusal, Stop};
use super::text::{Refill, Text};

/// Most cells in a record: what Excel and LibreOffice allow in a row.
const MAX_RECORD_CELLS: usize = 16_384;
/// The output buffer grows by at least this many bytes.
const GROWTH_BYTES: usize = 4 * 1024;

pub(super) struct Cells<R> {
    text: Text<R>,
    /// Text not yet parsed: `buf[at..]`.
    buf: Vec<u8>,
    at: usize,
    delimiter: u8,
    parser: csv_core::Reader,
    /// Another for cells that are written in a cell: to build one takes as long as to read a thousand cells.
    inner: Option<csv_core::Reader>,
    /// The line that `buf[at]` is on.
    lines: Lines,
    max_cell_bytes: usize,
    max_record_bytes: usize,
    /// Columns whose cells may be as long as a record.
    long: Vec<usize>,
    ended_by_line: bool,
    /// A line is a record, whatever its cells have in them: as in a workbook.
    lines_are_records: bool,
    /// Every record is one cell, with the record's cells in it.
    wrapped: bool,
    /// What was consumed since [`Cells::take_raw`], if it is kept: `raw`, then `buf[mark..at]`.
    keeps_raw: bool,
    raw: Vec<u8>,
    mark: usize,
    record_begins: usize,
    /// The current record: all cells one after the other in `bytes[..used]`, where each ends and on which line it began.
    bytes: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    begins: Vec<u64>,
    /// Which of its cells are in quotes.
    quoted: Vec<bool>,
}

impl<R: Read> Cells<R> {
    pub fn new(text: Text<R>, max_cell_bytes: usize, max_record_bytes: usize, delimiter: u8) -> Self {
        Cells {
            text,
            buf: Vec::new(),
            at: 0,
            delimiter,
            parser: parser(delimiter),
            inner: None,
            lines: Lines::new(),
            max_cell_bytes,
            max_record_bytes,
            long: Vec::new(),
            ended_by_line: false,
            lines_are_records: false,
            wrapped: false,
            keeps_raw: false,
            raw: Vec::new(),
            mark: 0,
            record_begins: 0,
            bytes: Vec::new(),
            used: 0,
            ends: Vec::new(),
            begins: Vec::new(),
            quoted: Vec::new(),
        }
    }

    pub fn text(&self) -> &Text<R> {
        &self.text
    }

    /// A line is a record from here on, as in a workbook.
    pub fn count_records(&mut self) {
        self.lines_are_records = true;
    }

    pub fn counts_records(&self) -> bool {
        self.lines_are_records
    }

    /// From here on what is read is kept until it is taken.
    pub fn keep_raw(&mut self) {
        self.keeps_raw = true;
    }

    /// Replaces `raw` by what was read since the last time; returns where the current record begins in it.
    pub fn take_raw(&mut self, raw: &mut Vec<u8>) -> usize {
        self.save_raw();
        raw.clear();
        std::mem::swap(raw, &mut self.raw);
        self.mark = self.at;
        std::mem::take(&mut self.record_begins)
    }

    /// Copies what was consumed before the buffer is used for what follows.
    fn save_raw(&mut self) {
        if self.keeps_raw {
            self.raw.extend_from_slice(&self.buf[self.mark..self.at]);
            self.mark = self.at;
        }
    }

    /// From here on the cells of these columns may be as long as a record.
    pub fn allow_long(&mut self, columns: Vec<usize>) {
        self.long = columns;
    }

    /// From here on every cell may be as long as a record.
    pub fn allow_all_long(&mut self) {
        self.max_cell_bytes = self.max_record_bytes;
    }

    /// The line reading has come to.
    pub fn line(&self) -> u64 {
        self.lines.current()
    }

    /// The current record.
    pub fn record(&self) -> Record<'_> {
        Record::new(&self.bytes, &self.ends, &self.begins, !self.lines_are_records)
    }

    /// Whether a cell of the current record is in quotes; none if it is a cell within a cell.
    pub fn is_quoted(&self, cell: usize) -> Option<bool> {
        self.quoted.get(cell).copied().filter(|_| self.quoted.len() == self.ends.len())
    }

    /// Whether the current record ended with its line, not with the input.
    pub fn ended_by_line(&self) -> bool {
        self.ended_by_line
    }

    /// Finds out from the beginning how the text is written, and uses that from here on. Steps over a `sep=` line. No more is
    /// read ahead than a cell may be long.
    pub fn detect_dialect(&mut self, hints: &Hints) -> Result<Dialect, Stop> {
        self.skip_line_ends()?;
        self.save_raw();
        self.buf.drain(..self.at);
        (self.at, self.mark) = (0, 0);
        let mut whole = false;
        while self.buf.len() < self.max_cell_bytes && !whole {
            // A fault comes again when its place is reached.
            whole = self.text.refill(&mut self.buf)? != Refill::More;
        }
        let whole = whole && self.buf.len() <= self.max_cell_bytes;
        let mut end = self.buf.len().min(self.max_cell_bytes);
        while end < self.buf.len() && self.buf[end] & 0xC0 == 0x80 {
            end -= 1; // Within a character.
        }
        let dialect = dialect::detect(&self.buf[..end], whole, hints);
        self.delimiter = dialect.delimiter;
        (self.parser, self.inner) = (parser(dialect.delimiter), None);
        self.at = dialect.declaration_bytes;
        self.wrapped = dialect.wrapped;
        Ok(dialect)
    }

    /// Reads the next record that is not blank; false at the end.
    pub fn next_record(&mut self) -> Result<bool, Stop> {
        while self.skip_line_ends()? {
            self.record_begins = self.raw.len() + self.at - if self.keeps_raw { self.mark } else { self.at };
            self.used = 0;
            self.ends.clear();
            self.begins.clear();
            self.quoted.clear();
            self.read_record()?;
            if self.wrapped && self.ends.len() == 1 {
                self.unwrap();
            }
            let begins = self.bytes[..self.used].first();
            if begins.is_some_and(u8::is_ascii_graphic) || !self.record().is_blank() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_record(&mut self) -> Result<(), Stop> {
        loop {
            let spaces = self.skip_spaces()?;
            let next = self.peek()?;
            if self.ends.is_empty() && matches!(next, None | Some(b'\r' | b'\n')) {
                return Ok(()); // A line of spaces.
            }
            if self.ends.len() == MAX_RECORD_CELLS {
                let has = format!("more than {MAX_RECORD_CELLS} cells");
                return Err(Refusal::row_too_long(self.record().line(), &has).into());
            }
            let start = self.used;
            let quoted = next == Some(b'"');
            if !quoted {
                self.reserve(spaces);
                self.bytes[start..start + spaces].fill(b' ');
                self.used += spaces;
            }
            let line = self.line();
            let ended = self.read_cell(start, quoted)?;
            self.ends.push(self.used);
            self.begins.push(line);
            self.quoted.push(quoted);
            if self.used > self.max_record_bytes {
                return Err(Refusal::row_over_bytes(self.record().line(), self.max_record_bytes).into());
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Cuts the record's only cell into the cells that are written in it. False if it is more than one record, which stays as
    /// it is.
    pub fn unwrap(&mut self) -> bool {
        let parser = self.inner.get_or_insert_with(|| parser(self.delimiter));
        parser.reset();
        start(parser);
        let inner = self.bytes[..self.used].to_vec();
        // Cells without their quotes are no longer than with them.
        let mut bytes = vec![0; inner.len() + 1];
        let (mut ends, mut at, mut used) = (Vec::new(), 0, 0);
        loop {
            let (result, read, written) = parser.read_field(&inner[at..], &mut bytes[used..]);
            (at, used) = (at + read, used + written);
            match result {
                ReadFieldResult::Field { record_end: false } if ends.len() < MAX_RECORD_CELLS => ends.push(used),
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::Field { record_end: true } if at == inner.len() => {
                    ends.push(used);
                    break;
                }
                ReadFieldResult::End => break,
                ReadFieldResult::Field { .. } | ReadFieldResult::OutputFull => return false,
            }
        }
        let line = self.record().line();
        self.begins = vec![line; ends.len()];
        (self.bytes, self.used, self.ends) = (bytes, used, ends);
        true
    }

    /// Appends the rest of a cell to the record; true if the record ends with it.
    fn read_cell(&mut self, start: usize, quoted: bool) -> Result<bool, Stop> {
        let line = self.line();
        let mut quoting = Quoting::default();
        self.lines.skip();
        if let Some(ended) = self.copy_plain_cell(start, quoted) {
            return Ok(ended);
        }
        loop {
            if self.peek()?.is_none() {
                self.check_quoting(&quoting, start, line)?;
                return self.close_cell(start, line, quoted);
            }
            self.reserve(1);
            // One byte past the bound, to tell a cell that just fits from one that does not.
            let bound = self.bytes.len().min(start + self.max_bytes(start) + 1);
            let (result, read, written) =
                self.parser.read_field(&self.buf[self.at..], &mut self.bytes[self.used..bound]);
            let from = self.at;
            self.at += read;
            self.used += written;
            let ended = match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => None,
                ReadFieldResult::Field { record_end } => Some(record_end),
                ReadFieldResult::End => Some(true),
            };
            if quoted {
                quoting.follow(&self.buf[from..self.at], self.delimiter);
                self.count_quoted_lines(from, ended == Some(true));
            } else if ended == Some(true) {
                self.count_last_byte();
            }
            if self.used - start > self.max_bytes(start) {
                return Err(self.cell_too_long(start, line, quoted).into());
            }
            if let Some(ended) = ended {
                self.check_quoting(&quoting, start, line)?;
                self.ended_by_line = ended;
                return Ok(ended);
            }
        }
    }

    /// How long the cell that begins at `start` may be.
    fn max_bytes(&self, start: usize) -> usize {
        let max = if self.long.contains(&self.ends.len()) { self.max_record_bytes } else { self.max_cell_bytes };
        max + usize::from(self.bytes[start..self.used].starts_with(b"'"))
    }

    /// Appends a cell that needs no parser, which most are: whole in the buffer and with no quotes but those around it.
    /// True if the record ends with it; none if it is another kind of cell.
    fn copy_plain_cell(&mut self, start: usize, quoted: bool) -> Option<bool> {
        let rest = &self.buf[self.at..];
        let (text, end) = if quoted {
            let length = memchr::memchr(b'"', rest.get(1..)?)?;
            (1..1 + length, length + 2)
        } else {
            let length = memchr::memchr3(self.delimiter, b'\r', b'\n', rest)?;
            (0..length, length)
        };
        let ending = *rest.get(end)?;
        let ended = matches!(ending, b'\r' | b'\n');
        if (!ended && ending != self.delimiter) || self.used - start + text.len() > self.max_cell_bytes {
            return None;
        }
        let (from, length) = (self.at, text.len());
        self.reserve(length);
        let text = &self.buf[from + text.start..from + text.end];
        self.bytes[self.used..self.used + length].copy_from_slice(text);
        self.used += length;
        self.at += end + 1;
        if quoted {
            self.count_quoted_lines(from, ended);
        } else if ended {
            self.count_last_byte();
        }
        self.ended_by_line = ended;
        Some(ended)
    }

    /// Ends the last cell of an input without a final line end.
    fn close_cell(&mut self, start: usize, line: u64, quoted: bool) -> Result<bool, Stop> {
        self.reserve(1);
        // A line end closes every cell but an open quoted one, into which it is copied: that tells them apart.
        let (result, _, _) = self.parser.read_field(b"\n", &mut self.bytes[self.used..]);
        if quoted && !matches!(result, ReadFieldResult::Field { .. }) {
            return Err(self.quote_left_open(start, line, "by the end of the file").into());
        }
        self.ended_by_line = false;
        Ok(true)
    }

    /// The next byte, reading on if need be; none at the end.
    fn peek(&mut self) -> Result<Option<u8>, Stop> {
        if self.at == self.buf.len() {
            self.save_raw();
            self.buf.clear();
            (self.at, self.mark) = (0, 0);
            if let Refill::Fault(fault) = self.text.refill(&mut self.buf)? {
                return Err(Refusal::unreadable(self.line(), fault).into());
            }
        }
        Ok(self.buf.get(self.at).copied())
    }

    /// True if anything follows.
    fn skip_line_ends(&mut self) -> Result<bool, Stop> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b'\r' | b'\n') {
                return Ok(true);
            }
            self.at += 1;
            self.count_last_byte();
        }
        Ok(false)
    }

    fn skip_spaces(&mut self) -> Result<usize, Stop> {
        let mut spaces = 0;
        while self.peek()? == Some(b' ') {
            self.at += 1;
            self.lines.skip();
            spaces += 1;
            if spaces > self.max_cell_bytes {
                return Err(self.cell_too_long(self.used, self.line(), false).into());
            }
        }
        Ok(spaces)
    }

    /// Makes room for at least `wanted` more bytes of the record.
    fn reserve(&mut self, wanted: usize) {
        if self.bytes.len() - self.used < wanted {
            self.bytes.resize((self.used + wanted.max(GROWTH_BYTES)).max(self.used * 2), 0);
        }
    }

    /// Counts the lines of a cell in quotes. `ended`: the record ends with it.
    fn count_quoted_lines(&mut self, from: usize, ended: bool) {
        if !self.lines_are_records {
            self.lines.count(&self.buf[from..self.at]);
        } else if ended {
            self.count_last_byte();
        }
    }

    fn count_last_byte(&mut self) {
        self.lines.count_byte(self.buf[self.at - 1]);
    }

    fn cell_too_long(&self, start: usize, line: u64, quoted: bool) -> Refusal {
        let limit = self.max_bytes(start);
        let text = &self.bytes[start..self.used];
        if quoted && memchr::memchr2(b'\r', b'\n', text).is_some() {
            return self.quote_left_open(start, line, &format!("within {limit} bytes"));
        }
        Refusal::cell_too_long(line, limit).about(self.ends.len(), text)
    }

    fn quote_left_open(&self, start: usize, line: u64, by: &str) -> Refusal {
        let text = &self.bytes[start..self.used];
        Refusal::quote_left_open(line, by).about(self.ends.len(), text)
    }

    fn check_quoting(&self, quoting: &Quoting, start: usize, line: u64) -> Result<(), Stop> {
        if !quoting.has_lost_its_end() {
            return Ok(());
        }
        let text = &self.bytes[start..self.used];
        Err(Refusal::quote_closed_late(line).about(self.ends.len(), text).into())
    }
}

fn parser(delimiter: u8) -> csv_core::Reader {
    let mut parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    start(&mut parser);
    parser
}

/// csv-core drops a byte order mark from its first read; ours is gone already, so a second one is text.
fn start(parser: &mut csv_core::Reader) {
    parser.read_field(b"\n", &mut [0]);
}
