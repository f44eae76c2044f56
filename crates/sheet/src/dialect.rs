//! Which character separates the cells, which record is the header, and which columns hold images by their content: all
//! asked of the beginning of the file.
//!
//! A `sep=` line declares the delimiter. Else the one under which a record is most of a header wins; then the one with the
//! most known columns; then the one with the most cells. The header is the first record that names images, or, where
//! several such follow each other (Amazon has one for people and one for programs), the last of them.

use super::cells::Cells;
use super::header::{self, Likeness};
use super::hints::Hints;
use super::spaces::{is_space, trim};
use super::text::{BLOCK_BYTES, Text};
use super::urls;
use super::vocabulary;

/// In order of preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Records among which the header is looked for.
const MAX_HEADER_RECORDS: usize = 30;
/// Records that are looked at for what their columns hold.
const MAX_SAMPLE_RECORDS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    /// Bytes of a `sep=` line before the header, without its line end.
    pub declaration_bytes: usize,
    /// Records before the header.
    pub records_above: usize,
    /// Columns that hold URLs of images.
    pub image_columns: Vec<usize>,
    /// Every line is one quoted cell, with the line's cells in it.
    pub wrapped: bool,
}

/// Judges the beginning of a file. `whole`: nothing follows it.
pub(super) fn detect(head: &[u8], whole: bool, hints: &Hints) -> Dialect {
    let first_line = memchr::memchr2(b'\r', b'\n', head).map_or(head, |end| &head[..end]);
    let (candidates, declaration_bytes) = match declared(first_line) {
        Some(delimiter) => (vec![delimiter], first_line.len()),
        None => (DELIMITERS.to_vec(), 0),
    };
    let head = &head[declaration_bytes..];
    let mut best: Option<(Score, Dialect)> = None;
    for delimiter in candidates {
        for wrapped in [false, true] {
            let Some(sample) = Sample::read(head, delimiter, wrapped, whole) else { continue };
            let (records_above, score) = sample.header(hints);
            if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                let image_columns = sample.image_columns(records_above);
                best = Some((score, Dialect { delimiter, declaration_bytes, records_above, image_columns, wrapped }));
            }
        }
    }
    best.map_or_else(
        || {
            let delimiter = declared(first_line).unwrap_or(b',');
            Dialect { delimiter, declaration_bytes, records_above: 0, image_columns: Vec::new(), wrapped: false }
        },
        |(_, dialect)| dialect,
    )
}

/// How much of a header a table's beginning has, with commas between its cells.
pub(super) fn likeness(head: &[u8], hints: &Hints) -> Likeness {
    let sample = Sample::read(head, b',', false, false);
    sample.map_or(Likeness::None, |sample| sample.header(hints).1.likeness)
}

/// The delimiter that a line such as `sep=;` declares: Excel's convention for "this file uses that one".
fn declared(line: &[u8]) -> Option<u8> {
    let line = line.trim_ascii_end();
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (key, value) = line.split_at_checked(4)?;
    if !key.eq_ignore_ascii_case(b"sep=") {
        return None;
    }
    match value {
        // The end of the line was trimmed, and the tab with it.
        [] => Some(b'\t'),
        [delimiter] if delimiter.is_ascii_punctuation() && !matches!(delimiter, b'"' | b'\'') => Some(*delimiter),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    likeness: Likeness,
    known_columns: usize,
    cells: usize,
}

/// The first records of a file, read with one delimiter.
struct Sample {
    records: Vec<Vec<String>>,
    lines: Vec<u64>,
}

impl Sample {
    /// None if there is no record with anything but delimiters, or if a file is not wrapped that should be. Of a record that
    /// cannot be read to its end: the cells before that.
    fn read(head: &[u8], delimiter: u8, wrapped: bool, whole: bool) -> Option<Sample> {
        let text = Text::new(head, head.len() as u64, BLOCK_BYTES);
        let mut cells = Cells::new(text, head.len(), head.len(), delimiter);
        let mut sample = Sample { records: Vec::new(), lines: Vec::new() };
        while sample.records.len() < MAX_SAMPLE_RECORDS {
            let (read, ended) = match cells.next_record() {
                Ok(true) => (true, cells.ended_by_line()),
                Ok(false) => break,
                Err(_) => (false, false),
            };
            if wrapped && (cells.record().len() != 1 || !cells.unwrap()) {
                return None;
            }
            // What the end of the sample cuts off is not looked at, unless there is nothing else.
            if ended || (read && whole) || sample.records.is_empty() {
                let record = cells.record();
                sample.lines.push(record.line());
                sample.records.push(record.cells().map(str::to_owned).collect());
            }
            if !ended {
                break;
            }
        }
        let has_text = sample.records.iter().flatten().any(|cell| !is_empty(cell));
        (has_text && !(wrapped && sample.records.iter().all(|record| record.len() < 2))).then_some(sample)
    }

    /// How many records stand above the header, and how much of one it is.
    fn header(&self, hints: &Hints) -> (usize, Score) {
        if let Some(wanted) = hints.header_line {
            let at = self.lines.iter().position(|line| *line >= wanted).unwrap_or(self.lines.len());
            return (at, self.score(at, hints));
        }
        let candidates = self.records.len().min(MAX_HEADER_RECORDS);
        let scores: Vec<Score> = (0..candidates).map(|at| self.score(at, hints)).collect();
        let filled = |at: usize| self.records[at].iter().filter(|cell| !is_empty(cell)).count();
        let at_least = |likeness: Likeness| {
            // A title may be called as a column is: it stands alone.
            (0..candidates).find(|&at| scores[at].likeness >= likeness && (at == 0 || filled(at) > 1))
        };
        let named = at_least(Likeness::Images).map(|first| match at_least(Likeness::Full) {
            // A title above it may have the word.
            Some(full) if filled(first) == 1 => full,
            _ => first,
        });
        let mut at = named.or_else(|| at_least(Likeness::Some)).or_else(|| self.first_filled()).unwrap_or(0);
        while named.is_some() && at + 1 < candidates && self.repeats_header(at, hints) {
            at += 1;
        }
        (at, self.score(at, hints))
    }

    /// The first record with more than delimiters in it.
    fn first_filled(&self) -> Option<usize> {
        self.records.iter().position(|record| !record.iter().all(|cell| is_empty(cell)))
    }

    fn score(&self, at: usize, hints: &Hints) -> Score {
        let Some(record) = self.records.get(at) else {
            return Score { likeness: Likeness::None, known_columns: 0, cells: 0 };
        };
        let names: Vec<String> = record.iter().map(|cell| trim(cell).to_owned()).collect();
        let (likeness, known_columns) = header::judge(&names, hints);
        Score { likeness, known_columns, cells: names.len() }
    }

    /// Whether the record after a header is a header too, with the product name and the images in the same columns.
    fn repeats_header(&self, at: usize, hints: &Hints) -> bool {
        let (this, next) = (&self.records[at], &self.records[at + 1]);
        let pairs = this.iter().zip(next).filter(|(a, b)| {
            let (a, b) = (header::judge(std::slice::from_ref(a), hints), header::judge(std::slice::from_ref(b), hints));
            a.0 == b.0 && a.0 > Likeness::None
        });
        let mut found = [false; 2];
        for (cell, _) in pairs {
            match header::judge(std::slice::from_ref(cell), hints).0 {
                Likeness::Images => found[1] = true,
                _ => found[0] = true,
            }
        }
        found == [true; 2] && self.score(at + 1, hints).likeness == Likeness::Full
    }

    /// Columns of the records below the header whose cells are URLs of images; columns of links to pages, by their names,
    /// only where there is no other.
    fn image_columns(&self, header: usize) -> Vec<usize> {
        let Some(names) = self.records.get(header) else { return Vec::new() };
        let rows = &self.records[header + 1..];
        let is_of_images = |column: &usize| {
            let cells = rows.iter().filter_map(|row| row.get(*column)).map(|cell| trim(cell));
            let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
            let urls = cells.iter().filter(|cell| urls::holds_url(cell)).count();
            let of_images = cells.iter().filter(|cell| urls::is_likely_image(cell)).count();
            urls > 0 && urls * 10 >= cells.len() * 6 && of_images * 2 > urls
        };
        let found: Vec<usize> =
            (0..names.len()).filter(|&column| !trim(&names[column]).is_empty()).filter(is_of_images).collect();
        let (pages, images): (Vec<usize>, Vec<usize>) =
            found.into_iter().partition(|&column| vocabulary::names_pages(&names[column]));
        if images.is_empty() { pages } else { images }
    }
}

/// Whether a cell would be empty if another delimiter were in use.
fn is_empty(cell: &str) -> bool {
    cell.chars().all(|c| is_space(c) || u8::try_from(c).is_ok_and(|c| DELIMITERS.contains(&c)))
}
