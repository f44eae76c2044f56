//! A CSV of ours → an `.xlsx` of one sheet. Text stays text, whatever it looks like: numbers that were text too, and URLs.
//!
//! Memory stays flat: rows are written to a temporary file as they come.

use std::fmt;
use std::io::{self, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::Limits;
use super::cells::Cells;
use super::defuse::undo;
use super::hints::Hints;
use super::refusal::Stop;
use super::source::Container;
use super::text::{BLOCK_BYTES, Text};

/// Why there is no workbook.
#[derive(Debug)]
pub enum WorkbookError {
    /// The table is larger than a workbook may be; says which bound it is over and what to do.
    TooLarge(String),
    Io(io::Error),
}

impl fmt::Display for WorkbookError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkbookError::TooLarge(message) => formatter.write_str(message),
            WorkbookError::Io(_) => formatter.write_str("The workbook could not be written."),
        }
    }
}

impl std::error::Error for WorkbookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WorkbookError::TooLarge(_) => None,
            WorkbookError::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for WorkbookError {
    fn from(error: io::Error) -> Self {
        WorkbookError::Io(error)
    }
}

impl From<Stop> for WorkbookError {
    fn from(stop: Stop) -> Self {
        WorkbookError::Io(match stop {
            Stop::Io(error) => error,
            Stop::Refused(refusal) => io::Error::new(io::ErrorKind::InvalidData, refusal.message),
        })
    }
}

/// Makes a workbook of what a [`Writer`](super::Writer) wrote. `numbers`: the columns whose cells are numbers below the header.
/// Temporary files are made in `directory`.
pub fn result_to_workbook(
    csv: impl Read,
    numbers: &[usize],
    directory: &Path,
    out: impl Write + Seek + Send,
) -> Result<(), WorkbookError> {
    let cells = Cells::new(Text::new(csv, u64::MAX, BLOCK_BYTES), usize::MAX / 2, usize::MAX / 2, b',');
    convert(cells, directory, out, |cells, row, column| {
        let text = undo(cells.record().cell(column)).to_owned();
        if row > 0 && numbers.contains(&column) { Value::of_bare(text) } else { Value::Text(text) }
    })
}

/// Makes a workbook of what an [`Updater`](super::Updater) wrote, of a source that was `container` and read with `hints`. A row
/// of a workbook stays in its place.
pub fn updated_to_workbook(
    csv: impl Read,
    container: Container,
    limits: &Limits,
    hints: &Hints,
    directory: &Path,
    out: impl Write + Seek + Send,
) -> Result<(), WorkbookError> {
    // An output's URL may be longer than the one it replaces.
    let most = limits.max_record_bytes().saturating_mul(4);
    let mut cells = Cells::new(Text::new(csv, u64::MAX, BLOCK_BYTES), limits.max_cell_bytes, most, b',');
    if container == Container::Workbook {
        cells.count_records();
        cells.allow_all_long();
        return convert(cells, directory, out, |cells, _, column| {
            let text = cells.record().cell(column).to_owned();
            if cells.is_quoted(column) == Some(true) { Value::Text(text) } else { Value::of_bare(text) }
        });
    }
    cells.detect_dialect(hints)?;
    cells.allow_all_long();
    convert(cells, directory, out, |cells, _, column| Value::Text(cells.record().cell(column).to_owned()))
}

/// What a cell of the workbook holds.
enum Value {
    Text(String),
    Number(f64),
    Truth(bool),
    Moment(ExcelDateTime),
}

impl Value {
    /// The number, date or truth value that a text without quotes means.
    fn of_bare(text: String) -> Value {
        let looks_like_moment = text.len() >= 10 && text.as_bytes()[4] == b'-';
        match text.as_str() {
            "TRUE" => return Value::Truth(true),
            "FALSE" => return Value::Truth(false),
            _ if looks_like_moment => {
                if let Ok(moment) = ExcelDateTime::parse_from_str(&text) {
                    return Value::Moment(moment);
                }
            }
            _ => {}
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map_or(Value::Text(text), Value::Number)
    }
}

fn convert<R: Read>(
    mut cells: Cells<R>,
    directory: &Path,
    out: impl Write + Seek + Send,
    value: impl Fn(&Cells<R>, u32, usize) -> Value,
) -> Result<(), WorkbookError> {
    // The library panics where its temporary file cannot be written.
    let written = catch_unwind(AssertUnwindSafe(|| {
        let mut book = Workbook::new();
        book.set_tempdir(directory).map_err(failure)?;
        let sheet = book.add_worksheet_with_constant_memory().map_err(failure)?;
        write(&mut cells, sheet, value)?;
        book.save_to_writer(out).map_err(failure)
    }));
    written.unwrap_or_else(|_| Err(io::Error::other("a temporary file could not be written").into()))
}

fn write<R: Read>(
    cells: &mut Cells<R>,
    sheet: &mut Worksheet,
    value: impl Fn(&Cells<R>, u32, usize) -> Value,
) -> Result<(), WorkbookError> {
    let dates = Format::new().set_num_format("yyyy-mm-dd");
    let times = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    let mut next = 0;
    while cells.next_record()? {
        let row =
            if cells.counts_records() { u32::try_from(cells.record().line() - 1).unwrap_or(u32::MAX) } else { next };
        next = row.saturating_add(1);
        for column in 0..cells.record().len() {
            let at = u16::try_from(column).unwrap_or(u16::MAX);
            let written = match value(cells, row, column) {
                Value::Text(text) => sheet.write_string(row, at, text),
                Value::Number(number) => sheet.write_number(row, at, number),
                Value::Truth(truth) => sheet.write_boolean(row, at, truth),
                Value::Moment(moment) => {
                    let format = if cells.record().cell(column).len() > 10 { &times } else { &dates };
                    sheet.write_datetime_with_format(row, at, &moment, format)
                }
            };
            written.map_err(|error| in_row(error, row))?;
        }
    }
    Ok(())
}

fn in_row(error: XlsxError, row: u32) -> WorkbookError {
    match error {
        XlsxError::MaxStringLengthExceeded => WorkbookError::TooLarge(format!(
            "A cell in row {} has more than the 32,767 characters that a cell of an .xlsx file may have. Download the CSV instead.",
            row.saturating_add(1)
        )),
        other => failure(other),
    }
}

fn failure(error: XlsxError) -> WorkbookError {
    match error {
        XlsxError::RowColumnLimitError => WorkbookError::TooLarge(
            "This file has more than the 1,048,576 rows or 16,384 columns that an .xlsx file may have. Download the CSV instead."
                .to_owned(),
        ),
        XlsxError::IoError(error) | XlsxError::TempFileError(_, error) => error.into(),
        other => io::Error::other(other).into(),
    }
}
