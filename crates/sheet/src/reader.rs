//! A CSV, row by row, and the report on how it was read.
//!
//! Rows come in the order of the file, accepted or not. After the last one the report says whether the file was
//! refused.

use std::io::{self, Read, Seek};
use std::ops::ControlFlow;

use super::Limits;
use super::assemble::Rows;
use super::cells::Cells;
use super::header::{self, Columns};
use super::hints::Hints;
use super::issue::{IssueCode, Issues, Place};
use super::record::Record;
use super::refusal::{Refusal, Stop};
use super::report::{Column, Report};
use super::row::Row;
use super::source::{Container, Source};
use super::text::{BLOCK_BYTES, Text};

/// How a file is read beside what is said of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Mode {
    pub keeps_raw: bool,
    pub container: Container,
    pub byte_size: Option<u64>,
}

impl Mode {
    pub fn of(source: &Source<'_>) -> Mode {
        Mode {
            keeps_raw: false,
            container: source.container(),
            byte_size: (source.container() != Container::Plain).then(|| source.byte_size()),
        }
    }
}

/// What reading on gave.
pub(super) enum Step {
    Row(Row),
    /// A record that is no row.
    Skipped,
    End,
}

/// Reads a CSV row by row.
pub struct Reader<R> {
    cells: Cells<R>,
    delimiter: char,
    header: Vec<String>,
    /// None if the file was refused before its header was understood.
    rows: Option<Rows>,
    /// Issues found without `rows`.
    early: Issues,
    extra_columns: Vec<String>,
    row_count: u64,
    accepted_row_count: u64,
    image_count: u64,
    rejected: bool,
    ended: bool,
    container: Container,
    /// Of the file, where the text is not all of it.
    byte_size: Option<u64>,
}

/// Reads all rows as [`read_with`] does, without hints.
pub fn read<R: Read>(input: R, limits: &Limits, each: impl FnMut(Row) -> ControlFlow<()>) -> io::Result<Report> {
    read_with(input, limits, &Hints::default(), each)
}

/// Reads all rows, calling `each` for every one, accepted or not, until it breaks.
///
/// Errors are the input's own; all that is wrong with the file is in the report.
pub fn read_with<R: Read>(
    input: R,
    limits: &Limits,
    hints: &Hints,
    mut each: impl FnMut(Row) -> ControlFlow<()>,
) -> io::Result<Report> {
    let mut reader = Reader::open_with(input, limits, hints)?;
    while let Some(row) = reader.next_row()? {
        if each(row).is_break() {
            break;
        }
    }
    Ok(reader.into_report())
}

impl<R: Read> Reader<R> {
    /// Reads up to the header.
    pub fn open(input: R, limits: &Limits) -> io::Result<Self> {
        Reader::open_with(input, limits, &Hints::default())
    }

    /// Reads up to the header, which is where the hints say that it is and means what they say.
    pub fn open_with(input: R, limits: &Limits, hints: &Hints) -> io::Result<Self> {
        Reader::with_block_bytes(input, limits, hints, BLOCK_BYTES)
    }

    pub(super) fn with_block_bytes(input: R, limits: &Limits, hints: &Hints, block_bytes: usize) -> io::Result<Self> {
        Reader::begin(input, limits, hints, block_bytes, Mode::default())
    }

    pub(super) fn begin(input: R, limits: &Limits, hints: &Hints, block_bytes: usize, mode: Mode) -> io::Result<Self> {
        let text = Text::new(input, limits.max_bytes, block_bytes);
        let mut reader = Reader {
            cells: Cells::new(text, limits.max_cell_bytes, limits.max_record_bytes(), b','),
            delimiter: ',',
            header: Vec::new(),
            rows: None,
            early: Issues::new(limits.max_issues),
            extra_columns: Vec::new(),
            row_count: 0,
            accepted_row_count: 0,
            image_count: 0,
            rejected: false,
            ended: false,
            container: mode.container,
            byte_size: mode.byte_size,
        };
        if mode.keeps_raw {
            reader.cells.keep_raw();
        }
        if mode.container == Container::Workbook {
            reader.cells.count_records();
        }
        match reader.read_header(limits, hints) {
            Ok(()) => {}
            Err(Stop::Io(error)) => return Err(error),
            Err(Stop::Refused(refusal)) => reader.refuse(*refusal),
        }
        Ok(reader)
    }

    /// The columns that [`Row::extra`] answers place by place.
    pub fn extra_columns(&self) -> &[String] {
        &self.extra_columns
    }

    /// The next row, accepted or not; none at the end and after the file was refused.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        loop {
            match self.step()? {
                Step::Row(row) => return Ok(Some(row)),
                Step::Skipped => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Reads the next record.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        if self.ended {
            return Ok(Step::End);
        }
        match self.read_row() {
            Ok(Step::End) => self.end(),
            Ok(step) => return Ok(step),
            Err(Stop::Io(error)) => {
                self.ended = true;
                return Err(error);
            }
            Err(Stop::Refused(refusal)) => self.refuse(*refusal),
        }
        Ok(Step::End)
    }

    /// The record that the last row was read from.
    pub(super) fn record(&self) -> Record<'_> {
        self.cells.record()
    }

    pub(super) fn take_raw(&mut self, raw: &mut Vec<u8>) -> usize {
        self.cells.take_raw(raw)
    }

    pub(super) fn is_quoted(&self, cell: usize) -> Option<bool> {
        self.cells.is_quoted(cell)
    }

    pub(super) fn delimiter(&self) -> char {
        self.delimiter
    }

    pub(super) fn encoding(&self) -> &'static str {
        self.cells.text().encoding()
    }

    pub(super) fn byte_order_mark(&self) -> &'static [u8] {
        self.cells.text().byte_order_mark()
    }

    pub(super) fn ends_with_ctrl_z(&self) -> bool {
        self.cells.text().ended_with_ctrl_z()
    }

    /// How the file was read, as far as it was.
    ///
    /// A file without a usable row is refused only once its end has been reached.
    pub fn into_report(self) -> Report {
        let columns = self.rows.as_ref().map_or_else(Vec::new, |rows| {
            let columns = rows.columns.names.iter().zip(rows.columns.roles()).zip(&rows.image_counts);
            let column = |((header, (role, matched_by)), count): ((&String, _), &u64)| Column {
                header: header.clone(),
                role,
                matched_by,
                image_count: if self.rejected { 0 } else { *count },
            };
            columns.map(column).collect()
        });
        let issues = self.rows.map_or(self.early, |rows| rows.issues);
        let (accepted_row_count, image_count) =
            if self.rejected { (0, 0) } else { (self.accepted_row_count, self.image_count) };
        Report {
            container: self.container,
            byte_size: self.byte_size.unwrap_or_else(|| self.cells.text().byte_size()),
            encoding: self.cells.text().encoding().to_owned(),
            delimiter: self.delimiter,
            header: self.header,
            columns,
            extra_columns: self.extra_columns,
            row_count: self.row_count,
            accepted_row_count,
            rejected_row_count: self.row_count - accepted_row_count,
            image_count,
            issue_count: issues.count(),
            error_count: issues.error_count(),
            issues: issues.into_kept(),
            rejected: self.rejected,
        }
    }

    fn read_header(&mut self, limits: &Limits, hints: &Hints) -> Result<(), Stop> {
        let dialect = self.cells.detect_dialect(hints)?;
        self.delimiter = char::from(dialect.delimiter);
        let mut issues = Issues::new(limits.max_issues);
        let mut records_above = dialect.records_above;
        let mut first_line = None;
        loop {
            if !self.cells.next_record()? {
                let message = match hints.header_line {
                    Some(line) if first_line.is_some() => format!("There is no header on line {line} or after it."),
                    _ => "There is no text in this file. Upload a CSV with a header and a row for each product."
                        .to_owned(),
                };
                return Err(Refusal::new(IssueCode::EmptyFile, 1, message).into());
            }
            let line = self.cells.record().line();
            first_line.get_or_insert(line);
            self.header = header::names(self.cells.record());
            let is_above = hints.header_line.map_or(records_above > 0, |wanted| line < wanted);
            if !self.header.is_empty() && !is_above {
                break;
            }
            records_above = records_above.saturating_sub(1);
        }
        let line = self.cells.record().line();
        if let Some(first) = first_line.filter(|first| *first < line) {
            issues.warning(IssueCode::SkippedLine, Place { line: first, ..Place::default() }, || {
                format!("The header was found on line {line}. The lines above it were skipped.")
            });
        }
        let columns = Columns::read(self.cells.record(), hints, &dialect.image_columns, &mut issues);
        let Some(columns) = columns else {
            self.early = issues;
            self.rejected = true;
            self.ended = true;
            return Ok(());
        };
        self.extra_columns = columns.extras.iter().map(|&column| columns.names[column].clone()).collect();
        if self.extra_columns.iter().map(String::len).sum::<usize>() > limits.max_row_bytes() {
            return Err(Refusal::row_over_bytes(self.cells.record().line(), limits.max_row_bytes()).into());
        }
        self.cells.allow_long(columns.images.iter().copied().chain(columns.outputs).collect());
        self.rows = Some(Rows::new(columns, limits.clone(), issues, self.delimiter));
        Ok(())
    }

    fn read_row(&mut self) -> Result<Step, Stop> {
        let Some(rows) = &mut self.rows else {
            return Ok(Step::End);
        };
        if !self.cells.next_record()? {
            return Ok(Step::End);
        }
        let record = self.cells.record();
        if self.row_count == rows.limits.max_rows {
            let message =
                format!("There are more than {} rows in this file. Split it into smaller files.", rows.limits.max_rows);
            return Err(Refusal::new(IssueCode::TooManyRows, record.line(), message).into());
        }
        let Some(row) = rows.assemble(record, self.row_count + 1) else {
            return Ok(Step::Skipped);
        };
        // All URLs together may be longer than a cell, but no piece of text.
        let max_cell_bytes = rows.limits.max_cell_bytes;
        if let Some(url) = row.urls.iter().find(|url| url.text.len() > max_cell_bytes) {
            let refusal = Refusal::cell_too_long(row.line, max_cell_bytes);
            return Err(refusal.about(rows.columns.urls, url.text.as_bytes()).into());
        }
        let max_bytes = rows.limits.max_row_bytes();
        if row.written_bytes() > max_bytes {
            return Err(Refusal::row_over_bytes(row.line, max_bytes).into());
        }
        let images = row.urls.iter().filter(|url| url.accepted).count() as u64;
        if self.image_count + images > rows.limits.max_images {
            let message = format!(
                "There are more than {} image URLs in this file. Split it into smaller files.",
                rows.limits.max_images
            );
            return Err(Refusal::new(IssueCode::TooManyImages, row.line, message).into());
        }
        self.row_count += 1;
        self.accepted_row_count += u64::from(row.accepted);
        self.image_count += images;
        Ok(Step::Row(row))
    }

    /// The end of the file: a file that gives nothing to do is refused.
    fn end(&mut self) {
        self.ended = true;
        if let Some(rows) = &mut self.rows {
            rows.conclude();
        }
        if self.accepted_row_count > 0 {
            return;
        }
        let message = match self.row_count {
            0 => "There is a header but no row below it. Add a row for each product.".to_owned(),
            rows => format!(
                "None of the rows ({rows}) can be used, for the reasons given. Correct them and upload the \
                 file again."
            ),
        };
        let line = self.cells.line();
        self.refuse(Refusal::new(IssueCode::EmptyFile, line, message));
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.rejected = true;
        self.ended = true;
        let in_row = matches!(
            refusal.code,
            IssueCode::CellTooLong | IssueCode::UnterminatedQuote | IssueCode::TooManyRows | IssueCode::TooManyImages
        );
        let place = Place {
            line: refusal.line,
            row: Some(self.row_count + 1).filter(|_| in_row && self.rows.is_some()),
            column: refusal.cell.and_then(|cell| self.header.get(cell)).map(String::as_str),
            value: refusal.value.as_deref(),
        };
        let issues = self.rows.as_mut().map_or(&mut self.early, |rows| &mut rows.issues);
        issues.refuse(refusal.code, place, refusal.message);
    }
}

impl<'a> Reader<Source<'a>> {
    /// Reads a file of any kind up to its header.
    pub fn open_file<F: Read + Seek + Send + 'a>(file: F, limits: &Limits, hints: &Hints) -> io::Result<Self> {
        let source = Source::open(file, limits, hints)?;
        let mode = Mode::of(&source);
        Reader::begin(source, limits, hints, BLOCK_BYTES, mode)
    }
}

/// Reads all rows of a file of any kind, as [`read_with`] does.
pub fn read_file(
    file: impl Read + Seek + Send,
    limits: &Limits,
    hints: &Hints,
    mut each: impl FnMut(Row) -> ControlFlow<()>,
) -> io::Result<Report> {
    let mut reader = Reader::open_file(file, limits, hints)?;
    while let Some(row) = reader.next_row()? {
        if each(row).is_break() {
            break;
        }
    }
    Ok(reader.into_report())
}

impl<R: Read> Iterator for Reader<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}
