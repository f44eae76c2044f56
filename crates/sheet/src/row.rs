//! A row of a file: a product and its images.

use super::layout::Spot;
use super::write::MAX_BETWEEN_URLS_BYTES;

/// One data row, accepted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 1-based, counting data rows; blank lines are none.
    pub row_number: u64,
    /// 1-based line the row begins on.
    pub line: u64,
    /// None where the file has none; the row number stands in.
    pub serial_number: Option<String>,
    pub name: String,
    /// In the order of the file; a bad one keeps its place.
    pub urls: Vec<InputUrl>,
    /// Answers the reader's extra columns, place by place.
    pub extra: Vec<String>,
    /// Whether there is something to do: it has a name and at least one good URL, and is over no limit.
    pub accepted: bool,
    /// Every URL that stands in the row, and where.
    pub(super) spans: Vec<Span>,
}

/// Where a URL stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its place among the row's URLs. Columns may share one.
    pub place: usize,
    pub column: usize,
    pub from: Spot,
    pub to: Spot,
}

impl Row {
    /// At most how long the row is when it is written, without anything of ours but what stands between URLs.
    pub(super) fn written_bytes(&self) -> usize {
        let texts = self.serial_number.iter().chain([&self.name]).chain(&self.extra);
        let urls = self.urls.iter().map(|url| url.text.len() + MAX_BETWEEN_URLS_BYTES);
        texts.map(String::len).chain(urls).sum()
    }
}

/// One place in a row's list of URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputUrl {
    /// As written, without the spaces around it.
    pub text: String,
    /// Whether it will be fetched; never true in a row that is not accepted.
    pub accepted: bool,
}
