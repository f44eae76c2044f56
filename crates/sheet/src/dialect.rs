//! Which character separates the cells: asked of a `sep=` line, else of the header.
//!
//! The delimiter under which the header names the most known columns wins; then the one with the most cells.

use super::cells::Cells;
use super::header;
use super::spaces::is_space;
use super::text::{BLOCK_BYTES, Text};

/// In order of preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    /// Bytes of a `sep=` line before the header, without its line end.
    pub declaration_bytes: usize,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { delimiter: b',', declaration_bytes: 0 }
    }
}

/// Judges the beginning of a file. None: more of it is needed to tell, which never happens when it is `whole`.
pub(super) fn detect(head: &[u8], whole: bool) -> Option<Dialect> {
    let first_line = match memchr::memchr2(b'\r', b'\n', head) {
        Some(end) => &head[..end],
        None if whole => head,
        None => return None,
    };
    if let Some(delimiter) = declared(first_line) {
        return Some(Dialect { delimiter, declaration_bytes: first_line.len() });
    }
    let mut best: Option<(Score, u8)> = None;
    for delimiter in DELIMITERS {
        let Some(names) = first_record(head, delimiter, whole) else {
            if whole {
                continue;
            }
            return None;
        };
        let score = Score::of(&names);
        if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
            best = Some((score, delimiter));
        }
    }
    Some(Dialect { delimiter: best.map_or(b',', |(_, delimiter)| delimiter), declaration_bytes: 0 })
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    known_columns: usize,
    cells: usize,
}

impl Score {
    fn of(names: &[String]) -> Self {
        Score { known_columns: names.iter().filter(|name| header::is_known(name)).count(), cells: names.len() }
    }
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

/// The first record with anything but delimiters in it; none if the text ends before it does, unless it is `whole`.
/// Of a record that cannot be read to its end: the cells before that.
fn first_record(head: &[u8], delimiter: u8, whole: bool) -> Option<Vec<String>> {
    let text = Text::new(head, head.len() as u64, BLOCK_BYTES);
    let mut cells = Cells::new(text, head.len(), head.len(), delimiter);
    loop {
        let ended = match cells.next_record() {
            Ok(true) => cells.ended_by_line(),
            Ok(false) => return None,
            Err(_) => false,
        };
        if !whole && !ended {
            return None;
        }
        let record = cells.record();
        if !ended || !record.cells().all(is_empty) {
            return Some(record.cells().map(str::to_owned).collect());
        }
    }
}

/// Whether a cell would be empty if another delimiter were in use.
fn is_empty(cell: &str) -> bool {
    cell.chars().all(|c| is_space(c) || u8::try_from(c).is_ok_and(|c| DELIMITERS.contains(&c)))
}
