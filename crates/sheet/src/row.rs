//! A record → a product, with everything that is wrong with it.
//!
//! All problems of a row are reported, not the first one. URLs that spilled into cells of their own are gathered.

use std::collections::BTreeSet;

use super::Limits;
use super::defuse::undo;
use super::header::Columns;
use super::issue::{IssueCode, Issues, Place};
use super::layout::{Layout, Piece};
use super::record::Record;
use super::serials::Serials;
use super::spaces::trim;
use super::urls::{self, Checker};
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

/// What turning records into rows needs and learns.
pub(super) struct Rows {
    pub columns: Columns,
    pub limits: Limits,
    pub issues: Issues,
    pub serials: Serials,
    pub checker: Checker,
    pub delimiter: char,
}

impl Rows {
    /// Turns a record into a row and reports all that is wrong with it.
    pub fn assemble(&mut self, record: Record<'_>, row_number: u64) -> Row {
        let mut report = RowReport { issues: &mut self.issues, record, row: row_number, rejected: false };
        let columns = &self.columns;
        let layout = Layout::of(columns, record, self.delimiter);

        let serial_number = read_serial(columns, &layout, &self.limits, &mut report);
        let name = read_name(columns, &layout, &self.limits, &mut report);
        let list = layout.gather(record, self.delimiter);
        report_layout(&layout, &list, columns, &mut report);
        let mut urls = check_urls(list, &layout, columns, &self.limits, &mut self.checker, &mut report);

        let accepted = !report.rejected && urls.iter().any(|url| url.accepted);
        if !accepted {
            urls.iter_mut().for_each(|url| url.accepted = false);
        } else if let Some(serial_number) = &serial_number
            && !self.serials.insert(serial_number)
        {
            report_duplicate(columns, &layout, &mut report);
        }
        let extra = read_extra(columns, &layout, record);
        Row { row_number, line: record.line(), serial_number, name, urls, extra, accepted }
    }
}

/// Reports about one row.
struct RowReport<'a> {
    issues: &'a mut Issues,
    record: Record<'a>,
    row: u64,
    rejected: bool,
}

impl<'a> RowReport<'a> {
    /// The text of a cell as a place.
    fn cell<'p>(&self, cell: usize, column: Option<&'p str>) -> Place<'p>
    where
        'a: 'p,
    {
        let value = trim(self.record.cell(cell));
        self.place(self.record.cell_line(cell), column, value)
    }

    fn place<'p>(&self, line: u64, column: Option<&'p str>, value: &'p str) -> Place<'p> {
        let value = Some(value).filter(|value| !value.is_empty());
        Place { line, row: Some(self.row), column, value }
    }

    /// Records an error that the whole row is rejected for.
    fn reject(&mut self, code: IssueCode, place: Place<'_>, message: impl FnOnce() -> String) {
        self.rejected = true;
        self.issues.error(code, place, message);
    }

    /// Rejects the row if a text is too long.
    fn check_length(&mut self, text: &str, place: Place<'_>, max_chars: usize) {
        if text.len() > max_chars && text.chars().count() > max_chars {
            self.reject(IssueCode::CellTooLong, place, || {
                format!("This is longer than {max_chars} characters. Shorten it.")
            });
        }
    }
}

fn read_serial(columns: &Columns, layout: &Layout, limits: &Limits, report: &mut RowReport<'_>) -> Option<String> {
    let column = columns.serial_number?;
    let cell = layout.cell_of(column);
    let place = report.cell(cell, Some(&columns.names[column]));
    let serial = tidy(report.record.cell(cell));
    if serial.is_empty() {
        return None;
    }
    report.check_length(serial, place, limits.max_name_chars);
    Some(serial.to_owned())
}

fn report_duplicate(columns: &Columns, layout: &Layout, report: &mut RowReport<'_>) {
    let Some(column) = columns.serial_number else {
        return;
    };
    let place = report.cell(layout.cell_of(column), Some(&columns.names[column]));
    report.issues.warning(IssueCode::DuplicateSerialNumber, place, || {
        "An earlier row has the same serial number. Both rows are kept; give one of them \
         another number."
            .to_owned()
    });
}

fn read_extra(columns: &Columns, layout: &Layout, record: Record<'_>) -> Vec<String> {
    let mut extra = Vec::with_capacity(columns.extras.len());
    let cells = columns.extras.iter().map(|&column| layout.cell_of(column));
    extra.extend(cells.take_while(|&cell| cell < record.len()).map(|cell| undo(record.cell(cell)).to_owned()));
    extra.resize(columns.extras.len(), String::new());
    extra
}

fn read_name(columns: &Columns, layout: &Layout, limits: &Limits, report: &mut RowReport<'_>) -> String {
    let cell = layout.cell_of(columns.name);
    let place = report.cell(cell, Some(&columns.names[columns.name]));
    let name = tidy(report.record.cell(cell));
    if name.is_empty() {
        report.reject(IssueCode::EmptyProductName, place, || "This row has no product name. Write one.".to_owned());
    }
    report.check_length(name, place, limits.max_name_chars);
    if urls::holds_url(name) {
        report.issues.warning(IssueCode::UnexpectedCell, place, || {
            "This product name holds a URL. If it should not, a cell or a quote (\") is missing in this row or too much."
                .to_owned()
        });
    }
    name.to_owned()
}

fn report_layout(layout: &Layout, list: &[Piece], columns: &Columns, report: &mut RowReport<'_>) {
    let column = columns.names[columns.urls].as_str();
    if layout.is_shifted {
        let place = report.cell(layout.urls, Some(column));
        report.reject(IssueCode::UnexpectedCell, place, || {
            "This stands where the image URLs should, and URLs follow it: the cells of this row are \
             shifted. Put a product name that contains the delimiter in quotes (\")."
                .to_owned()
        });
    } else if let Some(&cell) = layout.spilled.first() {
        let place = report.cell(cell, Some(column));
        report.issues.warning(IssueCode::SpilledUrls, place, || {
            let (cells, urls) = (layout.spilled.len() + 1, list.len());
            format!(
                "The URLs of this row take up {cells} cells; URLs found in them: {urls}. To be \
                 sure, put them in one cell in quotes (\")."
            )
        });
    }
    if let Some(behind) = columns.behind_urls {
        let place = report.cell(layout.cell_of(behind), Some(&columns.names[behind]));
        if place.value.is_some_and(urls::starts_as_url) {
            report.issues.warning(IssueCode::UnexpectedCell, place, || {
                format!(
                    "This URL is not under \"{column}\": it is carried through, and no image is fetched from it. Put all \
                     image URLs of a row in one cell in quotes (\"), separated by commas."
                )
            });
        }
    }
    for &cell in &layout.unexpected {
        let place = report.cell(cell, None);
        report.issues.warning(IssueCode::UnexpectedCell, place, || {
            format!(
                "Cell {} of this row is under no column and was ignored. Name its column, or put \
                 a text that contains the delimiter in quotes (\").",
                cell + 1
            )
        });
    }
}

/// Judges every URL; none is accepted where the row as a whole cannot be.
fn check_urls(
    list: Vec<Piece>,
    layout: &Layout,
    columns: &Columns,
    limits: &Limits,
    checker: &mut Checker,
    report: &mut RowReport<'_>,
) -> Vec<InputUrl> {
    let column = Some(columns.names[columns.urls].as_str());
    let empty = Place { value: None, ..report.cell(columns.urls, column) };
    if list.is_empty() {
        report.reject(IssueCode::NoImageUrls, empty, || "This row has no image URL. Write at least one.".to_owned());
    }
    let too_many = list.len() > limits.max_images_per_product;
    if too_many {
        let (found, limit) = (list.len(), limits.max_images_per_product);
        report.reject(IssueCode::TooManyUrlsInRow, empty, || {
            format!("This row has {found} image URLs; {limit} are allowed. Spread them over more rows.")
        });
    }
    if too_many || layout.is_shifted {
        let unchecked = |piece: Piece| InputUrl { text: piece.text, accepted: false };
        return list.into_iter().map(unchecked).collect();
    }
    let repeated = repeated(&list);
    let mut urls = Vec::with_capacity(list.len());
    for (index, piece) in list.into_iter().enumerate() {
        let place = report.place(piece.line, column, &piece.text);
        let checked = checker.check(&piece.text);
        let accepted = checked.is_ok();
        if let Err(fault) = checked {
            report.issues.error(fault.code, place, || fault.message);
        } else if repeated.contains(&index) {
            report.issues.warning(IssueCode::DuplicateUrlInRow, place, || {
                "This URL stands earlier in the same row. It is fetched once and keeps both \
                 places; remove one if that is a mistake."
                    .to_owned()
            });
        }
        urls.push(InputUrl { text: piece.text, accepted });
    }
    urls
}

/// The places whose URL stands at an earlier place too.
fn repeated(list: &[Piece]) -> BTreeSet<usize> {
    let mut places: Vec<usize> = (0..list.len()).collect();
    places.sort_by_key(|&place| (list[place].text.as_str(), place));
    let pairs = places.windows(2);
    pairs.filter(|pair| list[pair[0]].text == list[pair[1]].text).map(|pair| pair[1]).collect()
}

/// A cell without the spaces around it and without what made it harmless to spreadsheets.
fn tidy(cell: &str) -> &str {
    trim(undo(trim(cell)))
}
