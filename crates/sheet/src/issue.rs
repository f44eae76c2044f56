//! Problems of a CSV as data: what, where, and what to do about it.
//!
//! All are counted; at most `max_issues` are kept, errors before warnings, in the order of the file.

use serde::{Deserialize, Serialize};

/// Most characters of the offending text that an issue quotes.
const MAX_VALUE_CHARS: usize = 200;

/// What an issue did to the row, URL or file it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// The row, URL or file was rejected.
    Error,
    /// The problem was repaired.
    Warning,
}

/// The kind of problem: stable names, the same in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IssueCode {
    /// Nothing to process: no text, no data row, or no row that can be used.
    EmptyFile,
    /// The first row is data.
    NoHeader,
    /// A required column is not in the header.
    MissingColumn,
    /// A column was taken for what its name does not say.
    GuessedColumn,
    /// Two columns could be the same thing.
    AmbiguousColumn,
    /// A file of another kind.
    UnsupportedFile,
    /// The bytes are not text in any encoding that is read here.
    UndecodableText,
    /// A quoted cell is never closed, or only in a later row.
    UnterminatedQuote,
    /// A NUL byte: a binary file, or UTF-16 without a byte order mark.
    NulByte,
    /// Image URLs spilled into further cells and were read as URLs.
    SpilledUrls,
    /// A column with URLs from which no images are fetched.
    UnusedUrls,
    /// A line that is no product: above the header, of rules or units, or of totals.
    SkippedLine,
    /// Rows that take the product name from the row above.
    ContinuedRows,
    /// A URL that was repaired.
    RepairedUrl,
    /// A cell under no column.
    UnexpectedCell,
    /// A row without a product name.
    EmptyProductName,
    /// A row without an image URL.
    NoImageUrls,
    /// Not a URL, or one without a host or with a user name in it.
    InvalidUrl,
    /// A URL that is neither http nor https.
    UnsupportedScheme,
    /// A serial number that an earlier accepted row has.
    DuplicateSerialNumber,
    /// A URL that stands earlier in the same row.
    DuplicateUrlInRow,
    /// A cell, a name or a whole row over its limit.
    CellTooLong,
    /// A URL over its limit.
    UrlTooLong,
    /// More image URLs than one row may have.
    TooManyUrlsInRow,
    /// More data rows than one file may have.
    TooManyRows,
    /// More image URLs than one file may have.
    TooManyImages,
    /// More bytes than a file may have.
    FileTooLarge,
}

/// One problem: where it is and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    pub severity: Severity,
    pub code: IssueCode,
    /// A sentence or two for the person who edits the file.
    pub message: String,
    /// 1-based line, as a text editor counts: CRLF, LF and CR end one, also inside quotes.
    pub line: u64,
    /// 1-based data row; none when the problem is not about one.
    pub row: Option<u64>,
    /// The column's name as the header writes it.
    pub column: Option<String>,
    /// At most 200 characters of the offending text.
    pub value: Option<String>,
}

/// Where an issue is, borrowed until it is known to be kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<'a> {
    pub line: u64,
    pub row: Option<u64>,
    pub column: Option<&'a str>,
    pub value: Option<&'a str>,
}

/// Collects issues in flat memory.
#[derive(Debug)]
pub(super) struct Issues {
    max: usize,
    errors: Vec<(u64, Issue)>,
    warnings: Vec<(u64, Issue)>,
    refusal: Option<Issue>,
    error_count: u64,
    warning_count: u64,
}

impl Issues {
    pub fn new(max: usize) -> Self {
        Issues { max, errors: Vec::new(), warnings: Vec::new(), refusal: None, error_count: 0, warning_count: 0 }
    }

    /// Records an error; the message is only made if it will be kept.
    pub fn error(&mut self, code: IssueCode, place: Place<'_>, message: impl FnOnce() -> String) {
        let order = self.count();
        self.error_count += 1;
        if self.errors.len() < self.max {
            self.errors.push((order, issue(Severity::Error, code, place, message())));
        }
    }

    /// Records a warning; the message is only made if it will be kept.
    pub fn warning(&mut self, code: IssueCode, place: Place<'_>, message: impl FnOnce() -> String) {
        let order = self.count();
        self.warning_count += 1;
        if self.errors.len() + self.warnings.len() < self.max {
            self.warnings.push((order, issue(Severity::Warning, code, place, message())));
        }
    }

    /// Records the error that ended the reading; it is always kept, and last.
    pub fn refuse(&mut self, code: IssueCode, place: Place<'_>, message: String) {
        self.error_count += 1;
        self.refusal = Some(issue(Severity::Error, code, place, message));
    }

    pub fn count(&self) -> u64 {
        self.error_count + self.warning_count
    }

    pub fn error_count(&self) -> u64 {
        self.error_count
    }

    /// The kept issues in the order of the file.
    pub fn into_kept(self) -> Vec<Issue> {
        let room = self.max.saturating_sub(usize::from(self.refusal.is_some()));
        let mut kept = self.errors;
        kept.truncate(room);
        kept.extend(self.warnings.into_iter().take(room - kept.len()));
        // What is said of a row is not always found in the order of its lines.
        kept.sort_by_key(|(order, issue)| (issue.line, *order));
        kept.into_iter().map(|(_, issue)| issue).chain(self.refusal).collect()
    }
}

fn issue(severity: Severity, code: IssueCode, place: Place<'_>, message: String) -> Issue {
    Issue {
        severity,
        code,
        message,
        line: place.line,
        row: place.row,
        column: place.column.map(clip),
        value: place.value.map(clip),
    }
}

/// The first 200 characters.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(MAX_VALUE_CHARS).collect()
}
