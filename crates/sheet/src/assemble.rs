//! A record → a row, with everything that is wrong with it.
//!
//! All problems of a row are reported, not the first one. URLs that spilled into cells of their own are gathered.

use std::collections::BTreeMap;

use super::Limits;
use super::check_url::Checker;
use super::defuse::undo;
use super::header::{Columns, NameFrom};
use super::issue::{IssueCode, Issues, Place};
use super::layout::{Layout, Piece};
use super::record::Record;
use super::repair;
use super::row::{InputUrl, Row, Span};
use super::serials::Serials;
use super::skipped::{self, Above};
use super::spaces::trim;
use super::urls;

/// What turning records into rows needs and learns.
pub(super) struct Rows {
    pub columns: Columns,
    pub limits: Limits,
    pub issues: Issues,
    pub serials: Serials,
    pub checker: Checker,
    pub delimiter: char,
    pub above: Above,
    /// Accepted URLs in each column.
    pub image_counts: Vec<u64>,
    /// URLs in each column that is carried through.
    pub unused_urls: Vec<u64>,
}

impl Rows {
    pub fn new(columns: Columns, limits: Limits, issues: Issues, delimiter: char) -> Rows {
        let width = columns.names.len();
        let checker = Checker::new(limits.max_url_bytes);
        Rows {
            columns,
            limits,
            issues,
            serials: Serials::default(),
            checker,
            delimiter,
            above: Above::default(),
            image_counts: vec![0; width],
            unused_urls: vec![0; width],
        }
    }

    /// Turns a record into a row and reports all that is wrong with it. None: the record is no row.
    pub fn assemble(&mut self, record: Record<'_>, row_number: u64) -> Option<Row> {
        if let Some(message) = skipped::why(&self.columns, record, row_number) {
            let place = Place {
                line: record.line(),
                value: record.cells().map(trim).find(|cell| !cell.is_empty()),
                ..Place::default()
            };
            self.issues.warning(IssueCode::SkippedLine, place, || message.to_owned());
            return None;
        }
        let columns = &self.columns;
        let layout = Layout::of(columns, record, self.delimiter);
        let list = layout.gather(columns, record, self.delimiter);
        let (list, notes) = repair::repair(list, &mut self.checker);
        let mut name = read_name(columns, &layout, &list, record);
        let group = columns.group.map_or("", |group| trim(record.cell(layout.cell_of(group))));
        if name.is_empty() && list.is_empty() && self.above.is_variant(group) {
            self.above.note_imageless(record.line(), row_number);
            return None;
        }

        let mut report = RowReport { issues: &mut self.issues, record, row: row_number, rejected: false };
        let mut serial_number = read_serial(columns, &layout, &self.limits, &mut report);
        let is_continued =
            name.is_empty() && self.above.goes_on(columns, serial_number.as_deref(), group, !list.is_empty());
        if is_continued {
            self.above.name.clone_into(&mut name);
            serial_number = serial_number.or_else(|| self.above.serial_number.clone());
            self.above.note(record.line(), row_number);
        } else {
            self.above.remember(columns, &name, serial_number.as_deref(), group);
        }
        check_name(columns, &layout, &name, &self.limits, &mut report);
        report_layout(&layout, &list, columns, &mut report);
        for note in notes {
            let place = report.place(note.line, Some(columns.name_of(note.column)), &note.value);
            report.issues.warning(IssueCode::RepairedUrl, place, || note.message.to_owned());
        }
        let (mut urls, spans) = check_urls(list, &layout, columns, &self.limits, &mut self.checker, &mut report);

        let accepted = !report.rejected && urls.iter().any(|url| url.accepted);
        if !accepted {
            urls.iter_mut().for_each(|url| url.accepted = false);
        } else {
            for span in spans.iter().filter(|span| urls[span.place].accepted) {
                self.image_counts[span.column] += 1;
            }
            if !is_continued
                && let Some(serial_number) = &serial_number
                && !self.serials.insert(serial_number)
            {
                report_duplicate(columns, &layout, &mut report);
            }
        }
        for &column in &columns.suspects {
            self.unused_urls[column] += u64::from(urls::starts_as_url(trim(record.cell(layout.cell_of(column)))));
        }
        let extra = read_extra(columns, &layout, record);
        Some(Row { row_number, line: record.line(), serial_number, name, urls, extra, accepted, spans })
    }

    /// What is said once all rows have been read.
    pub fn conclude(&mut self) {
        let columns = &self.columns;
        for (column, &urls) in self.unused_urls.iter().enumerate().filter(|(_, urls)| **urls > 0) {
            let name = columns.name_of(column);
            let place = Place { line: columns.line, column: Some(name), value: Some(name), row: None };
            self.issues.warning(IssueCode::UnusedUrls, place, || {
                let (cells, them) = if urls == 1 { ("1 cell".to_owned(), "it") } else { (format!("{urls} cells"), "them") };
                format!(
                    "{cells} of \"{name}\" contain{} a URL. The column is carried through, and no image is fetched from {them}. \
                     Name it \"Image\" if these are images.",
                    if urls == 1 { "s" } else { "" }
                )
            });
        }
        self.above.report(columns, &mut self.issues);
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

fn read_name(columns: &Columns, layout: &Layout, list: &[Piece], record: Record<'_>) -> String {
    match columns.name {
        NameFrom::Column(column) => tidy(record.cell(layout.cell_of(column))).to_owned(),
        NameFrom::File => list.iter().find_map(|piece| urls::file_stem(&piece.text)).unwrap_or_default(),
    }
}

fn check_name(columns: &Columns, layout: &Layout, name: &str, limits: &Limits, report: &mut RowReport<'_>) {
    let place = match columns.name {
        NameFrom::Column(column) => report.cell(layout.cell_of(column), Some(columns.name_of(column))),
        NameFrom::File => Place { value: None, ..report.cell(layout.urls, Some(columns.name_of(columns.urls))) },
    };
    if name.is_empty() {
        report.reject(IssueCode::EmptyProductName, place, || "This row has no product name. Add one.".to_owned());
    }
    report.check_length(name, place, limits.max_name_chars);
    if urls::holds_url(name) {
        report.issues.warning(IssueCode::UnexpectedCell, place, || {
            "This product name contains a URL. If it should not, a cell or a quote (\") in this row is missing or superfluous."
                .to_owned()
        });
    }
}

fn report_layout(layout: &Layout, list: &[Piece], columns: &Columns, report: &mut RowReport<'_>) {
    let column = columns.names[columns.urls].as_str();
    if layout.is_shifted {
        let place = report.cell(layout.urls, Some(column));
        report.reject(IssueCode::UnexpectedCell, place, || {
            "The image URLs should be here, but they come later: the cells of this row are shifted. A product name that \
             contains the delimiter must be in quotes (\")."
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
                    "This URL is not in the column \"{column}\": it is carried through, and no image is fetched from it. Put all \
                     image URLs of a row in one cell in quotes (\"), separated by commas."
                )
            });
        }
    }
    for &cell in &layout.unexpected {
        let place = report.cell(cell, None);
        report.issues.warning(IssueCode::UnexpectedCell, place, || {
            format!(
                "Cell {} of this row has no column and was ignored. Add a name to the header, or put text that contains the \
                 delimiter in quotes (\").",
                cell + 1
            )
        });
    }
}

/// Judges every URL; none is accepted where the row as a whole cannot be. Returns the places, and where each URL stands.
fn check_urls(
    list: Vec<Piece>,
    layout: &Layout,
    columns: &Columns,
    limits: &Limits,
    checker: &mut Checker,
    report: &mut RowReport<'_>,
) -> (Vec<InputUrl>, Vec<Span>) {
    let empty = Place { value: None, ..report.cell(columns.urls, Some(columns.name_of(columns.urls))) };
    if list.is_empty() {
        report.reject(IssueCode::NoImageUrls, empty, || "This row has no image URL. Add at least one.".to_owned());
    }
    let repeated = repeated(&list);
    // The same URL in another column is the same image; in the same column it keeps its place.
    let shared = |index: usize| repeated.get(&index).copied().filter(|first| list[*first].column != list[index].column);
    let (mut places, mut count) = (Vec::new(), list.len());
    if !repeated.is_empty() {
        count = 0;
        for index in 0..list.len() {
            let place = shared(index).map(|first| places[first]);
            count += usize::from(place.is_none());
            places.push(place.unwrap_or(count - 1));
        }
    }
    let too_many = count > limits.max_images_per_product;
    if too_many {
        let limit = limits.max_images_per_product;
        report.reject(IssueCode::TooManyUrlsInRow, empty, || {
            format!("This row has {count} image URLs; {limit} are allowed. Spread them over more rows.")
        });
    }
    let mut urls: Vec<InputUrl> = Vec::with_capacity(count);
    let mut spans = Vec::with_capacity(list.len());
    for (index, piece) in list.into_iter().enumerate() {
        let place = places.get(index).copied().unwrap_or(index);
        spans.push(Span { place, column: piece.column, from: piece.from, to: piece.to });
        if place < urls.len() {
            continue;
        }
        if too_many || layout.is_shifted {
            urls.push(InputUrl { text: piece.text, accepted: false });
            continue;
        }
        let about = report.place(piece.line, Some(columns.name_of(piece.column)), &piece.text);
        let checked = if piece.is_plain { checker.check_length(&piece.text) } else { checker.check(&piece.text) };
        let accepted = checked.is_ok();
        if let Err(fault) = checked {
            report.issues.error(fault.code, about, || fault.message);
        } else if repeated.contains_key(&index) {
            report.issues.warning(IssueCode::DuplicateUrlInRow, about, || {
                "This URL appears earlier in the same row. It is fetched once and keeps both \
                 places; remove one if that is a mistake."
                    .to_owned()
            });
        }
        urls.push(InputUrl { text: piece.text, accepted });
    }
    (urls, spans)
}

/// Most rows have no more, and are done without sorting them.
const FEW_URLS: usize = 4;

/// The places whose URL stands at an earlier place too, and the first such place.
fn repeated(list: &[Piece]) -> BTreeMap<usize, usize> {
    if list.len() <= FEW_URLS && list.iter().enumerate().all(|(at, a)| list[..at].iter().all(|b| a.text != b.text)) {
        return BTreeMap::new();
    }
    let mut places: Vec<usize> = (0..list.len()).collect();
    places.sort_by_key(|&place| (list[place].text.as_str(), place));
    let same = places.chunk_by(|a, b| list[*a].text == list[*b].text);
    same.flat_map(|places| places[1..].iter().map(|place| (*place, places[0]))).collect()
}

/// A cell without the spaces around it and without what made it harmless to spreadsheets.
fn tidy(cell: &str) -> &str {
    trim(undo(trim(cell)))
}
