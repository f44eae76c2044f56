//! Rows → CSV: the output, the failed rows, the details, and any other table.
//!
//! Every cell is defused (see `defuse`), quoted where it must be, and can be read back by [`Reader`](super::Reader):
//! the output row by row, the failed rows as a new upload.

use std::fmt::Display;
use std::io::{self, Write};

use super::defuse::defuse;
use super::header::{INPUT_IMAGE_URLS, OUTPUT_IMAGE_URLS, PRODUCT_NAME, REASON, SERIAL_NUMBER};
use super::urls::starts_as_url;

/// The columns of the details, a line for each place of a URL. Bytes are those of the files; the score is SSIMULACRA2.
const DETAIL_COLUMNS: [&str; 19] = [
    "Row",
    SERIAL_NUMBER,
    PRODUCT_NAME,
    "Position",
    "Input Image Url",
    "Status",
    "Outcome",
    "Code",
    REASON,
    "HTTP Status",
    "Attempts",
    "Bytes Before",
    "Bytes After",
    "Saved Bytes",
    "Saved %",
    "Score",
    "Output Image Url",
    "Warnings",
    "Change",
];
/// Those of them, counted from 0, that hold numbers.
pub const DETAIL_NUMBERS: [usize; 9] = [0, 3, 9, 10, 11, 12, 13, 14, 15];

/// Between the URLs of one cell. No space, so that whoever splits at commas has the URLs and nothing else.
const BETWEEN_URLS: &str = ",";
/// The same, where the next one does not start as a URL and would be read as the rest of the one before it.
const BEFORE_OTHERS: &str = ",\n";
/// The longer of the two.
pub(super) const MAX_BETWEEN_URLS_BYTES: usize = BEFORE_OTHERS.len();

/// Writes records in UTF-8, commas between cells, LF after lines.
pub struct Writer<W: Write> {
    csv: csv::Writer<W>,
}

/// What the output and the failed rows say of an input row.
#[derive(Debug, Clone, Copy)]
pub struct OutputRow<'a> {
    /// Stands in where there is no serial number.
    pub row_number: u64,
    pub serial_number: Option<&'a str>,
    pub name: &'a str,
    /// All places, in the order of the input.
    pub input_urls: &'a [&'a str],
    /// Answers the extra columns of the header, place by place.
    pub extra: &'a [String],
}

/// What the details say of one place of a row. What is not known is left empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detail<'a> {
    /// 1-based place among the row's URLs; none for a row without any.
    pub position: Option<u64>,
    pub input_url: &'a str,
    pub status: &'a str,
    pub outcome: &'a str,
    pub code: &'a str,
    pub reason: &'a str,
    pub http_status: Option<i64>,
    pub attempts: Option<i64>,
    pub bytes_before: Option<i64>,
    pub bytes_after: Option<i64>,
    pub score: Option<f64>,
    pub output_url: &'a str,
    pub warnings: &'a str,
    pub change: &'a str,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Self {
        Writer { csv: csv::Writer::from_writer(out) }
    }

    /// Begins with a byte order mark, without which Excel takes UTF-8 for something else.
    pub fn with_byte_order_mark(mut out: W) -> io::Result<Self> {
        out.write_all("\u{FEFF}".as_bytes())?;
        Ok(Writer::new(out))
    }

    /// Writes one record. All records of a file must have as many cells as the first.
    pub fn record<I>(&mut self, cells: I) -> io::Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        for cell in cells {
            self.text(cell.as_ref())?;
        }
        self.end_record()
    }

    /// The header of the output: our columns, then the carried-through ones.
    pub fn output_header(&mut self, extra_columns: &[String]) -> io::Result<()> {
        let ours = [SERIAL_NUMBER, PRODUCT_NAME, INPUT_IMAGE_URLS, OUTPUT_IMAGE_URLS];
        self.record(ours.into_iter().chain(extra_columns.iter().map(String::as_str)))
    }

    /// One row of the output. `output_urls` answers `row.input_urls` place by place; a place without an output stays
    /// empty between the commas.
    pub fn output_row(&mut self, row: OutputRow<'_>, output_urls: &[Option<&str>]) -> io::Result<()> {
        let outputs: Vec<&str> = output_urls.iter().map(|url| url.unwrap_or_default()).collect();
        self.row(row, Some(&outputs.join(BETWEEN_URLS)), None)
    }

    /// The header of the failed rows: the input's own, then the reason.
    pub fn failed_header(&mut self, extra_columns: &[String]) -> io::Result<()> {
        let ours = [SERIAL_NUMBER, PRODUCT_NAME, INPUT_IMAGE_URLS];
        self.record(ours.into_iter().chain(extra_columns.iter().map(String::as_str)).chain([REASON]))
    }

    /// One row that needs attention, and why.
    pub fn failed_row(&mut self, row: OutputRow<'_>, reason: &str) -> io::Result<()> {
        self.row(row, None, Some(reason))
    }

    /// The header of the details.
    pub fn detail_header(&mut self) -> io::Result<()> {
        self.record(DETAIL_COLUMNS)
    }

    /// One place of a row. Numbers are written as they are, a negative one too: a spreadsheet may calculate with them.
    pub fn detail_row(&mut self, row: OutputRow<'_>, detail: &Detail<'_>) -> io::Result<()> {
        let Detail { bytes_before: before, bytes_after: after, .. } = *detail;
        let saved = before.zip(after).map(|(before, after)| before - after);
        let percent = saved.zip(before.filter(|before| *before > 0));
        let percent = percent.map(|(saved, before)| format!("{:.1}", 100.0 * saved as f64 / before as f64));
        let score = detail.score.map(|score| format!("{score:.2}"));
        self.number(Some(row.row_number))?;
        self.text(row.serial_number.unwrap_or_default())?;
        self.text(row.name)?;
        self.number(detail.position)?;
        for text in [detail.input_url, detail.status, detail.outcome, detail.code, detail.reason] {
            self.text(text)?;
        }
        for number in [detail.http_status, detail.attempts, before, after, saved] {
            self.number(number)?;
        }
        self.number(percent)?;
        self.number(score)?;
        self.text(detail.output_url)?;
        self.text(detail.warnings)?;
        self.text(detail.change)?;
        self.end_record()
    }

    fn text(&mut self, cell: &str) -> io::Result<()> {
        Ok(self.csv.write_field(defuse(cell).as_ref())?)
    }

    fn number(&mut self, number: Option<impl Display>) -> io::Result<()> {
        Ok(self.csv.write_field(number.map_or_else(String::new, |number| number.to_string()))?)
    }

    fn end_record(&mut self) -> io::Result<()> {
        Ok(self.csv.write_record(None::<&[u8]>)?)
    }

    fn row(&mut self, row: OutputRow<'_>, outputs: Option<&str>, reason: Option<&str>) -> io::Result<()> {
        let row_number = row.row_number.to_string();
        let serial_number = row.serial_number.unwrap_or(&row_number);
        let inputs = join_inputs(row.input_urls);
        let ours = [serial_number, row.name, &inputs];
        self.record(ours.into_iter().chain(outputs).chain(row.extra.iter().map(String::as_str)).chain(reason))
    }

    /// Hands everything written so far to the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.csv.flush()
    }

    /// Flushes and gives the output back.
    pub fn finish(self) -> io::Result<W> {
        self.csv.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

fn join_inputs(urls: &[&str]) -> String {
    let mut joined = String::new();
    for (place, url) in urls.iter().enumerate() {
        if place > 0 {
            joined.push_str(if starts_as_url(url) { BETWEEN_URLS } else { BEFORE_OTHERS });
        }
        joined.push_str(url);
    }
    joined
}

impl Writer<Vec<u8>> {
    /// Takes the bytes written so far, for an output that is sent in pieces.
    pub fn take(&mut self) -> io::Result<Vec<u8>> {
        let written = std::mem::replace(&mut self.csv, csv::Writer::from_writer(Vec::new()));
        written.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}
