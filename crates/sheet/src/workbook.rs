//! A workbook's sheet → CSV, as a person sees it: numbers without exponent, links by their targets.
//!
//! The first sheet with a recognisable header is taken, or the one that the caller names. A record of the CSV is a row of the
//! sheet. Text is in quotes, and other values are not, so that they can be told apart when the CSV becomes a workbook again
//! (see `to_workbook`). The parts are measured before any is held in memory (see `measure`).

use std::collections::HashMap;
use std::io::{Read, Seek};

use calamine::{DataRef, Reader as _, Xlsx, XlsxError, XlsxFormulaMetadata};
use zip::ZipArchive;

use super::Limits;
use super::dialect;
use super::header::Likeness;
use super::hints::Hints;
use super::measure;

/// Most columns of a sheet, as Excel and LibreOffice have it.
pub(super) const MAX_COLUMNS: u32 = 16_384;
/// How much of a sheet is looked at for a header, and how many sheets are.
pub(super) const SAMPLE_BYTES: usize = 64 * 1024;
const SAMPLE_CELLS: usize = 100_000;
const MAX_SHEETS: usize = 100;

pub(super) const DAMAGED: &str =
    "This workbook is damaged or protected. Open it, save it as \"CSV UTF-8\" and upload that.";
pub(super) const TOO_LARGE: &str =
    "This workbook is too large once it is unpacked. Split it, or save it as \"CSV UTF-8\" and upload that.";
pub(super) const NO_SUCH_SHEET: &str =
    "This workbook has no sheet with the given name. Give the name exactly as it appears on the tab.";
pub(super) const NO_TEXT: &str =
    "There is no text in this workbook. Upload one with a header and a row for each product.";
const NOT_READ: &str =
    "Workbooks of this kind are not supported. Save it as .xlsx or as \"CSV UTF-8\" and upload that.";

pub(super) fn is_workbook<F: Read + Seek>(archive: &ZipArchive<F>) -> bool {
    archive.file_names().filter_map(Result::ok).any(|name| {
        let name = name.trim_start_matches('/').to_ascii_lowercase();
        matches!(name.as_str(), "xl/workbook.xml" | "xl/workbook.bin" | "content.xml" | "[content_types].xml")
    })
}

/// The CSV of a sheet, every cell in quotes; or why there is none.
pub(super) fn to_csv<F: Read + Seek>(
    mut archive: ZipArchive<F>,
    limits: &Limits,
    hints: &Hints,
) -> Result<Vec<u8>, &'static str> {
    let is_ods = archive.index_for_name("content.xml").is_some();
    if !is_ods && archive.index_for_name("xl/workbook.xml").is_none() {
        return Err(NOT_READ);
    }
    measure::measure(&mut archive, limits)?;
    if is_ods {
        return super::ods::to_csv(&mut archive, limits, hints);
    }
    let file = archive.into_inner();
    let mut book = Xlsx::new(file).map_err(|_| DAMAGED)?;
    let names = book.sheet_names();
    let name = match &hints.sheet {
        Some(wanted) => names.into_iter().find(|name| name == wanted).ok_or(NO_SUCH_SHEET)?,
        None => likeliest(&mut book, &names, hints)?,
    };
    let csv = sheet(&mut book, &name, usize::try_from(limits.max_bytes).unwrap_or(usize::MAX), true)?;
    if csv.is_empty() { Err(NO_TEXT) } else { Ok(csv) }
}

/// The first sheet with a header that names images; else the one that has most of a header.
fn likeliest<F: Read + Seek>(book: &mut Xlsx<F>, names: &[String], hints: &Hints) -> Result<String, &'static str> {
    let mut best: Option<(Likeness, &String)> = None;
    let mut failure = NO_TEXT;
    for name in names.iter().take(MAX_SHEETS) {
        let head = match sheet(book, name, SAMPLE_BYTES, false) {
            Ok(head) if head.is_empty() => continue,
            Ok(head) => head,
            Err(message) => {
                failure = message;
                continue;
            }
        };
        let likeness = dialect::likeness(&head, hints);
        if best.is_none_or(|(highest, _)| likeness > highest) {
            best = Some((likeness, name));
        }
        if likeness >= Likeness::Images {
            break;
        }
    }
    best.map(|(_, name)| name.clone()).ok_or(failure)
}

/// The CSV of a sheet. `whole`: more than `max_bytes` are an error, not the end.
fn sheet<F: Read + Seek>(
    book: &mut Xlsx<F>,
    name: &str,
    max_bytes: usize,
    whole: bool,
) -> Result<Vec<u8>, &'static str> {
    // A header has none.
    let links = if whole { links(book, name) } else { HashMap::new() };
    let mut cells = book.worksheet_cells_reader(name).map_err(|_| DAMAGED)?;
    let mut table = Table::new(max_bytes);
    for read in 0.. {
        if read == SAMPLE_CELLS && !whole {
            break;
        }
        let record = match cells.next_cell_with_formula_metadata() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            // A sheet without rows may have no closing element.
            Err(XlsxError::XmlEof(_)) if table.csv.is_empty() => break,
            Err(_) => return Err(DAMAGED),
        };
        let formula = match &record.formula {
            Some(XlsxFormulaMetadata::Normal { formula } | XlsxFormulaMetadata::Shared { formula, .. }) => formula,
            _ => "",
        };
        let value = shown(&record.value);
        let value = if value.as_str().contains("://") {
            value
        } else if formula.contains("://") {
            Value::Text(address(formula).map_or_else(|| format!("={formula}"), str::to_owned))
        } else {
            links.get(&record.pos).cloned().map_or(value, Value::Text)
        };
        if table.push(record.pos.0, record.pos.1, &value).is_err() {
            if whole {
                return Err(TOO_LARGE);
            }
            break;
        }
    }
    Ok(table.finish())
}

/// The web address that a formula such as `HYPERLINK("https://…", "photo")` has as a whole argument.
pub(super) fn address(formula: &str) -> Option<&str> {
    let (_, after) =
        formula.split_once("(\"http").filter(|(_, after)| after.starts_with("://") || after.starts_with("s://"))?;
    let (rest, after) = after.split_once('"')?;
    let start = formula.len() - after.len() - 1 - rest.len() - "http".len();
    after.trim_start().starts_with([',', ';', ')']).then(|| &formula[start..start + "http".len() + rest.len()])
}

/// The web addresses that cells link to.
fn links<F: Read + Seek>(book: &mut Xlsx<F>, name: &str) -> HashMap<(u32, u32), String> {
    let links = book.hyperlinks_by_sheet_name(name).unwrap_or_default();
    let of_cell = links.into_iter().filter(|link| link.range.start == link.range.end);
    let to_web = of_cell.filter_map(|link| Some((link.range.start, link.target?)));
    to_web.filter(|(_, target)| target.starts_with("http://") || target.starts_with("https://")).collect()
}

/// What a cell says.
pub(super) enum Value {
    Text(String),
    /// A number, a date or a truth value: letters, digits and a few signs that need no quotes.
    Bare(String),
}

impl Value {
    pub fn as_str(&self) -> &str {
        match self {
            Value::Text(text) | Value::Bare(text) => text,
        }
    }
}

/// A value as a person sees it.
fn shown(value: &DataRef<'_>) -> Value {
    match value {
        DataRef::Int(number) => Value::Bare(number.to_string()),
        // Rust writes the shortest digits that mean this number, and never an exponent.
        DataRef::Float(number) => Value::Bare(number.to_string()),
        DataRef::String(text) => Value::Text(text.clone()),
        DataRef::SharedString(text) => Value::Text((*text).to_owned()),
        DataRef::Bool(truth) => Value::Bare(if *truth { "TRUE" } else { "FALSE" }.to_owned()),
        DataRef::DateTime(moment) if moment.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            Value::Bare(match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            })
        }
        DataRef::DateTime(duration) => Value::Bare(duration.as_f64().to_string()),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Value::Text(text.clone()),
        DataRef::Error(_) | DataRef::Empty => Value::Text(String::new()),
    }
}

/// A table that is written as CSV, cell by cell in order.
pub(super) struct Table {
    csv: Vec<u8>,
    max_bytes: usize,
    row: u32,
    column: u32,
}

/// The table has no more room.
#[derive(Debug)]
pub(super) struct Full;

impl Table {
    pub fn new(max_bytes: usize) -> Table {
        Table { csv: Vec::new(), max_bytes, row: 0, column: 0 }
    }

    /// Writes a cell; cells that come out of order are not written.
    pub fn push(&mut self, row: u32, column: u32, value: &Value) -> Result<(), Full> {
        let text = value.as_str();
        if text.is_empty() || row < self.row || column >= MAX_COLUMNS || (row == self.row && column < self.column) {
            return Ok(());
        }
        let lines = (row - self.row) as usize;
        let gap = if lines > 0 { column as usize } else { (column - self.column) as usize };
        if self.csv.len() + lines + gap + 2 * text.len() + 4 > self.max_bytes {
            return Err(Full);
        }
        if lines > 0 {
            self.csv.extend(std::iter::repeat_n(b'\n', lines));
            self.column = 0;
        }
        self.csv.extend(std::iter::repeat_n(b',', gap));
        match value {
            Value::Bare(_) => self.csv.extend_from_slice(text.as_bytes()),
            Value::Text(_) => self.push_quoted(text),
        }
        (self.row, self.column) = (row, column);
        Ok(())
    }

    fn push_quoted(&mut self, text: &str) {
        self.csv.push(b'"');
        for part in text.split_inclusive('"') {
            self.csv.extend_from_slice(part.as_bytes());
            if part.ends_with('"') {
                self.csv.push(b'"');
            }
        }
        self.csv.push(b'"');
    }

    pub fn finish(mut self) -> Vec<u8> {
        if !self.csv.is_empty() {
            self.csv.push(b'\n');
        }
        self.csv.retain(|byte| *byte != 0);
        self.csv
    }
}
