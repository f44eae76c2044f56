//! Which cells of a record belong to which columns, once URLs have spilled into cells of their own.
//!
//! Columns keep what is theirs: only cells that start as URLs, and for which there is room, push the others aside. Empty
//! cells at the end of a row make no room: spreadsheets and people add delimiters there. URLs spill from the last column of
//! images only; the others come before it and stay where they are.

use std::ops::Range;

use super::defuse::undo;
use super::header::Columns;
use super::plain;
use super::record::Record;
use super::spaces::{is_space, trim};
use super::urls;

/// A place in a record: a cell, and a byte of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub cell: usize,
    pub byte: usize,
}

/// One URL of a row's list, the line it is on and where it stands.
pub(super) struct Piece {
    pub text: String,
    pub line: u64,
    pub column: usize,
    /// Where its text begins and ends in the record.
    pub from: Spot,
    pub to: Spot,
    /// Where the text of each further cell begins, if it was cut at delimiters: in `text` and in the record.
    pub joins: Vec<(usize, Spot)>,
    /// Known to be a URL with nothing in it to repair.
    pub is_plain: bool,
}

impl Piece {
    /// Where a part of the text begins and ends in the record.
    pub fn spots(&self, part: Range<usize>) -> (Spot, Spot) {
        let spot = |byte: usize, is_before: &dyn Fn(usize) -> bool| {
            let (offset, spot) = self.joins.iter().rfind(|join| is_before(join.0)).copied().unwrap_or((0, self.from));
            Spot { cell: spot.cell, byte: spot.byte + byte - offset }
        };
        (spot(part.start, &|join| join <= part.start), spot(part.end, &|join| join < part.end))
    }
}

/// Which cells of one record belong to which columns.
pub(super) struct Layout {
    pub urls: usize,
    /// Cells after the first that hold URLs.
    pub spilled: Vec<usize>,
    /// How far the columns after the URLs are pushed to the right.
    shift: usize,
    /// Non-empty cells that belong to no column.
    pub unexpected: Vec<usize>,
    /// URLs follow a cell that is none: the row's cells are not where the header says.
    pub is_shifted: bool,
}
impl Layout {
    pub fn of(columns: &Columns, record: Record<'_>, delimiter: char) -> Layout {
        let mut layout =
            Layout { urls: columns.urls, spilled: Vec::new(), shift: 0, unexpected: Vec::new(), is_shifted: false };
        if columns.urls + 1 == columns.names.len() {
            layout.take_rest(record, delimiter);
        } else {
            layout.take_between(columns, record, delimiter);
        }
        layout.find_unnamed(columns, record);
        layout.is_shifted = !layout.spilled.is_empty() && is_piece_of_name(record, columns.urls);
        layout
    }

    /// No column comes after the URLs, so the rest of the row is theirs, as far as it is URLs: whole ones, and pieces of
    /// those with commas in them.
    fn take_rest(&mut self, record: Record<'_>, delimiter: char) {
        let mut next = self.urls + 1;
        while next < record.len() {
            let follows_url = delimiter == ',' && is_url(record, next - 1);
            let rest = if follows_url { rest_of_url(record, next) } else { 0 };
            if rest > 0 {
                self.spilled.extend(next..next + rest);
            } else if is_url(record, next) {
                self.spilled.push(next);
            } else if is_filled(record, next) {
                self.unexpected.push(next);
            }
            next += rest.max(1);
        }
    }

    /// Columns come after the URLs: only cells for which there is room are theirs, up to the last that starts as a URL
    /// or, in a row that is too long, surely ends a URL with commas in it.
    fn take_between(&mut self, columns: &Columns, record: Record<'_>, delimiter: char) {
        let (width, unnamed) = (columns.names.len(), columns.unnamed_after_urls());
        if unnamed == 0 && record.len() <= width {
            return; // No room.
        }
        let filled = (0..record.len()).rev().find(|&cell| is_filled(record, cell)).map_or(0, |last| last + 1);
        let too_many = filled.saturating_sub(width);
        let surplus = if delimiter == ',' { too_many } else { 0 };
        let mut taken = 0;
        let mut follows_url = is_url(record, self.urls);
        for (ahead, cell) in (self.urls + 1..).take(unnamed + too_many).enumerate() {
            let text = trim(record.cell(cell));
            if is_url(record, cell) {
                taken = ahead + 1;
                follows_url = true;
            } else if ahead >= surplus || !follows_url || !urls::may_go_on(trim(record.cell(cell - 1)), text) {
                break;
            } else if urls::goes_on_surely(text) {
                taken = ahead + 1;
            }
        }
        self.spilled.extend((self.urls + 1..).take(taken));
        self.shift = taken.saturating_sub(unnamed);
        self.unexpected.extend((width + self.shift..record.len()).filter(|&cell| is_filled(record, cell)));
    }

    fn find_unnamed(&mut self, columns: &Columns, record: Record<'_>) {
        let last_url = self.urls + self.spilled.len();
        let cells = columns
            .unnamed
            .iter()
            .map(|&column| self.cell_of(column))
            .filter(|cell| !(self.urls..=last_url).contains(cell));
        let mut found: Vec<usize> = cells.filter(|&cell| is_filled(record, cell)).collect();
        self.unexpected.append(&mut found);
        self.unexpected.sort_unstable();
    }

    /// The cell that holds a column.
    pub fn cell_of(&self, column: usize) -> usize {
        if column > self.urls { column + self.shift } else { column }
    }

    /// All pieces of the row's lists of URLs, column by column, whether they stand in one cell or in many.
    pub fn gather(&self, columns: &Columns, record: Record<'_>, delimiter: char) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &column in &columns.images {
            let first = undo(trim(record.cell(column)));
            let start = Start::of(0, column, first, record);
            if column != self.urls || self.spilled.is_empty() {
                cut(first, &[start], column, record, &mut pieces);
                continue;
            }
            let mut list = first.to_owned();
            let mut starts = vec![start];
            for &cell in &self.spilled {
                list.push(if is_url(record, cell) { ',' } else { delimiter });
                let text = undo(trim(record.cell(cell)));
                starts.push(Start::of(list.len(), cell, text, record));
                list.push_str(text);
            }
            cut(&list, &starts, column, record, &mut pieces);
        }
        pieces
    }
}

/// Where the text of a cell begins in a list that was put together from cells.
#[derive(Clone, Copy)]
struct Start {
    offset: usize,
    line: u64,
    spot: Spot,
}

impl Start {
    /// `text` is a part of the cell.
    fn of(offset: usize, cell: usize, text: &str, record: Record<'_>) -> Start {
        let byte = (text.as_ptr() as usize).saturating_sub(record.cell(cell).as_ptr() as usize);
        Start { offset, line: record.cell_line(cell), spot: Spot { cell, byte } }
    }
}

/// Splits a list that was put together from cells.
fn cut(list: &str, starts: &[Start], column: usize, record: Record<'_>, pieces: &mut Vec<Piece>) {
    let mut next = starts.iter().copied().peekable();
    let mut start = starts[0];
    let (mut at, mut line) = (0, start.line);
    if let [start] = starts {
        at = plain::split(list, |offset, text| {
            let spot = |byte| Spot { cell: start.spot.cell, byte: start.spot.byte + byte };
            let (from, to) = (spot(offset), spot(offset + text.len()));
            pieces.push(Piece { text: text.to_owned(), line, column, from, to, joins: Vec::new(), is_plain: true });
        });
    }
    let skipped = at;
    urls::split(&list[skipped..], |offset, text| {
        let offset = skipped + offset;
        while let Some(cell) = next.next_if(|start| start.offset <= offset) {
            start = cell;
            (at, line) = (cell.offset, cell.line);
        }
        line += record.line_ends(&list[at..offset]);
        at = offset;
        let from = Spot { cell: start.spot.cell, byte: start.spot.byte + offset - start.offset };
        let end = offset + text.len();
        let last = if starts.len() == 1 {
            start
        } else {
            starts.iter().rfind(|start| start.offset < end).copied().unwrap_or(start)
        };
        let to = Spot { cell: last.spot.cell, byte: last.spot.byte + end - last.offset };
        let joins = starts.iter().filter(|start| (offset + 1..end).contains(&start.offset));
        let joins = joins.map(|start| (start.offset - offset, start.spot)).collect();
        pieces.push(Piece { text: text.to_owned(), line, column, from, to, joins, is_plain: false });
    });
}
fn is_filled(record: Record<'_>, cell: usize) -> bool {
    !trim(record.cell(cell)).is_empty()
}

fn is_url(record: Record<'_>, cell: usize) -> bool {
    urls::starts_as_url(trim(record.cell(cell)))
}

/// How many cells, from one that follows a URL on, are the rest of that URL.
fn rest_of_url(record: Record<'_>, first: usize) -> usize {
    let mut rest = 0;
    let mut may_end_here = true;
    for cell in first..record.len() {
        let text = record.cell(cell);
        if is_url(record, cell) || !urls::may_go_on(trim(record.cell(cell - 1)), text) {
            break;
        }
        may_end_here &= urls::may_end(text);
        if may_end_here || urls::goes_on_surely(text) {
            rest = cell + 1 - first;
            may_end_here = true;
        }
    }
    rest
}

/// Whether the cell under the URLs, in front of URLs, is the end of a name with a delimiter in it: words, or a text with a
/// space in front where the cell before has none. Anything else is a URL gone wrong.
fn is_piece_of_name(record: Record<'_>, cell: usize) -> bool {
    let text = trim(record.cell(cell));
    if cell == 0 || text.is_empty() || text.contains('/') || is_url(record, cell) || urls::is_placeholder(text) {
        return false;
    }
    if urls::says_that_none_is_there(text) {
        return false;
    }
    let is_words = text.contains(is_space) || text.chars().all(char::is_alphabetic);
    is_words || (record.cell(cell).starts_with(' ') && !record.cell(cell - 1).starts_with(' '))
}
