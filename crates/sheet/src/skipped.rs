//! Records that are no products of their own: rules and rulers below the header, totals, and rows that go on with the
//! product above.

use super::header::{Columns, NameFrom};
use super::issue::{IssueCode, Issues, Place};
use super::record::Record;
use super::spaces::trim;
use super::urls;
use super::vocabulary;

/// Why a record is no row; none if it is one.
pub(super) fn why(columns: &Columns, record: Record<'_>, row_number: u64) -> Option<&'static str> {
    if row_number == 1 && is_ruler(columns, record) {
        return Some("This line only separates the header from the rows. It was skipped.");
    }
    if row_number == 1 && is_rules(columns, record) {
        return Some("This line says what the columns may contain. It was skipped.");
    }
    is_total(columns, record).then_some("This is a line of totals, not a product. It was skipped.")
}

fn cell<'a>(record: Record<'a>, column: usize) -> &'a str {
    trim(record.cell(column))
}

/// The cells under a name that are not empty.
fn filled<'a>(columns: &Columns, record: Record<'a>) -> impl Iterator<Item = &'a str> {
    let named = (0..columns.names.len()).filter(|column| !columns.names[*column].is_empty());
    named.map(move |column| cell(record, column)).filter(|cell| !cell.is_empty())
}

fn has_images(columns: &Columns, record: Record<'_>) -> bool {
    columns.images.iter().any(|&column| !cell(record, column).is_empty())
}

/// `----`, `====` under every column.
fn is_ruler(columns: &Columns, record: Record<'_>) -> bool {
    let is_rule = |cell: &str| {
        cell.len() > 1 && cell.chars().all(|c| matches!(c, '-' | '=' | '_' | '*' | '~' | ':' | '─' | '–' | '—'))
    };
    has_images(columns, record) && filled(columns, record).all(is_rule)
}

/// `required`, `text`, `comma separated`: what a template says of its columns.
fn is_rules(columns: &Columns, record: Record<'_>) -> bool {
    let of_images = columns.images.iter().map(|&column| cell(record, column));
    let could_be_url = of_images.clone().any(|cell| cell.contains(['/', '.']));
    !could_be_url
        && of_images.clone().any(vocabulary::is_rule)
        && !filled(columns, record).any(urls::holds_url)
        && filled(columns, record).filter(|cell| vocabulary::is_rule(cell)).count() > 1
}

/// A word such as `Total` in place of the number or, where there is none, of the name, and no image.
fn is_total(columns: &Columns, record: Record<'_>) -> bool {
    let NameFrom::Column(name) = columns.name else { return false };
    if has_images(columns, record)
        || (columns.urls + 1..record.len()).any(|other| urls::starts_as_url(cell(record, other)))
    {
        return false;
    }
    let number = columns.serial_number.map_or("", |column| cell(record, column));
    let first = if number.is_empty() { cell(record, name) } else { number };
    vocabulary::is_total(first)
}

/// The last row that had a name, and the rows since that have taken it.
#[derive(Default)]
pub(super) struct Above {
    pub name: String,
    pub serial_number: Option<String>,
    group: String,
    continued: Tally,
    /// Rows of the same product without an image, which are skipped.
    imageless: Tally,
}

/// Rows of which the first is reported.
#[derive(Default)]
struct Tally {
    count: u64,
    /// Line and row number.
    first: Option<(u64, u64)>,
}

impl Tally {
    fn add(&mut self, line: u64, row_number: u64) {
        self.count += 1;
        self.first.get_or_insert((line, row_number));
    }
}

impl Above {
    /// Whether a row without a name goes on with the product above: the product's key is the same, or the cells of number
    /// and name are empty, as merged ones are.
    pub fn goes_on(&self, columns: &Columns, serial_number: Option<&str>, group: &str, has_urls: bool) -> bool {
        let same_group = !group.is_empty() && group == self.group;
        let is_merged =
            columns.serial_number.is_some() && serial_number.is_none() && has_urls && columns.group.is_none();
        !self.name.is_empty() && (same_group || is_merged)
    }

    /// Whether a row without a name or an image is one more variant of the product above.
    pub fn is_variant(&self, group: &str) -> bool {
        !group.is_empty() && group == self.group && !self.name.is_empty()
    }

    pub fn note(&mut self, line: u64, row_number: u64) {
        self.continued.add(line, row_number);
    }

    pub fn note_imageless(&mut self, line: u64, row_number: u64) {
        self.imageless.add(line, row_number);
    }

    pub fn remember(&mut self, columns: &Columns, name: &str, serial_number: Option<&str>, group: &str) {
        if columns.serial_number.is_none() && columns.group.is_none() {
            return; // No row can go on with it.
        }
        name.clone_into(&mut self.name);
        group.clone_into(&mut self.group);
        match (serial_number, &mut self.serial_number) {
            (Some(new), Some(old)) => new.clone_into(old),
            (new, old) => *old = new.map(str::to_owned),
        }
    }

    /// One warning for all rows that went on, and one for those that were skipped.
    pub fn report(&self, columns: &Columns, issues: &mut Issues) {
        if let (Some((line, row)), NameFrom::Column(column)) = (self.continued.first, columns.name) {
            let place = Place { line, row: Some(row), column: Some(columns.name_of(column)), value: None };
            issues.warning(IssueCode::ContinuedRows, place, || match self.continued.count {
                1 => "This row has no product name of its own. It continues the product above and takes its name.".to_owned(),
                rows => format!(
                    "{rows} rows, of which this is the first, have no product name of their own. They continue the product \
                     above and take its name."
                ),
            });
        }
        if let Some((line, _)) = self.imageless.first {
            issues.warning(IssueCode::SkippedLine, Place { line, ..Place::default() }, || match self.imageless.count {
                1 => "This row is a variant of the product above and has no image of its own. It was skipped.".to_owned(),
                rows => format!(
                    "{rows} rows, of which this is the first, are variants of the products above and have no image of their \
                     own. They were skipped."
                ),
            });
        }
    }
}
