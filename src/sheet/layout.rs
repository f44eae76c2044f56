//! Which cells of a record belong to which columns, once URLs have spilled into cells of their own.
//!
//! Columns keep what is theirs: only cells that start as URLs, and for which there is room, push the others aside.

use super::defuse::undo;
use super::header::Columns;
use super::record::{Record, line_ends};
use super::urls;

/// One URL of a row's list and the line it is on.
pub(super) struct Piece {
    pub text: String,
    pub line: u64,
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
        let first = record.cell(columns.urls).trim();
        layout.is_shifted =
            !layout.spilled.is_empty() && !first.is_empty() && !urls::starts_as_url(first) && !first.contains('/');
        layout
    }

    /// No column comes after the URLs, so the rest of the row is theirs. A piece that does not start as a URL is the
    /// rest of one with a delimiter in it, unless there is a space to show that it is something else.
    fn take_rest(&mut self, record: Record<'_>, delimiter: char) {
        let mut continues = is_url(record, self.urls);
        for cell in self.urls + 1..record.len() {
            let text = record.cell(cell);
            let is_rest = continues && delimiter != '\t' && !text.is_empty() && !text.contains(char::is_whitespace);
            continues = is_rest || is_url(record, cell);
            if continues {
                self.spilled.push(cell);
            } else if is_filled(record, cell) {
                self.unexpected.push(cell);
            }
        }
    }

    /// Columns come after the URLs: only cells for which there is room are theirs, up to the last that starts as a URL
    /// or, in a row that is too long, has a slash and so ends a URL with delimiters in it.
    fn take_between(&mut self, columns: &Columns, record: Record<'_>, delimiter: char) {
        let (width, unnamed) = (columns.names.len(), columns.unnamed_after_urls());
        let room = unnamed + record.len().saturating_sub(width);
        let filled = (0..record.len()).rev().find(|&cell| is_filled(record, cell)).map_or(0, |last| last + 1);
        let surplus = if delimiter == '\t' { 0 } else { filled.saturating_sub(width) };
        let mut taken = 0;
        for (ahead, cell) in (self.urls + 1..).take(room).enumerate() {
            let text = record.cell(cell).trim();
            if is_url(record, cell) {
                taken = ahead + 1;
            } else if ahead >= surplus || text.is_empty() || text.contains(char::is_whitespace) {
                break;
            } else if text.contains('/') {
                taken = ahead + 1;
            }
        }
        self.spilled.extend((self.urls + 1..).take(taken));
        self.shift = taken.saturating_sub(unnamed);
        self.unexpected.extend((width + self.shift..record.len()).filter(|&cell| is_filled(record, cell)));
    }

    fn find_unnamed(&mut self, columns: &Columns, record: Record<'_>) {
        let last_url = self.urls + self.spilled.len();
        let unnamed = (0..columns.names.len()).filter(|&column| columns.names[column].is_empty());
        let cells = unnamed.map(|column| self.cell_of(column)).filter(|cell| !(self.urls..=last_url).contains(cell));
        let mut found: Vec<usize> = cells.filter(|&cell| is_filled(record, cell)).collect();
        self.unexpected.append(&mut found);
        self.unexpected.sort_unstable();
    }

    /// The cell that holds a column.
    pub fn cell_of(&self, column: usize) -> usize {
        if column > self.urls { column + self.shift } else { column }
    }

    /// All pieces of the row's list of URLs, whether they stand in one cell or in many.
    pub fn gather(&self, record: Record<'_>, delimiter: char) -> Vec<Piece> {
        let first = undo(record.cell(self.urls).trim());
        if self.spilled.is_empty() {
            return pieces(first, &[(0, record.cell_line(self.urls))]);
        }
        let mut list = first.to_owned();
        let mut lines = vec![(0, record.cell_line(self.urls))];
        for &cell in &self.spilled {
            list.push(if is_url(record, cell) { ',' } else { delimiter });
            lines.push((list.len(), record.cell_line(cell)));
            list.push_str(undo(record.cell(cell).trim()));
        }
        pieces(&list, &lines)
    }
}

fn is_filled(record: Record<'_>, cell: usize) -> bool {
    !record.cell(cell).trim().is_empty()
}

fn is_url(record: Record<'_>, cell: usize) -> bool {
    urls::starts_as_url(record.cell(cell).trim())
}

/// Splits a list that was put together from cells, each of which begins at an offset and on a line.
fn pieces(list: &str, cells: &[(usize, u64)]) -> Vec<Piece> {
    let piece = |(offset, text): (usize, &str)| {
        let cell = cells.partition_point(|(start, _)| *start <= offset) - 1;
        let (start, line) = cells[cell];
        Piece { text: text.to_owned(), line: line + line_ends(&list[start..offset]) }
    };
    urls::split(list).into_iter().map(piece).collect()
}
