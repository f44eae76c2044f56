//! Which column is what: names matched by alias, ignoring case, spaces and punctuation.
//!
//! A column nobody knows but that has a name is carried through. Columns that earlier results added (`Output Image
//! Urls`; `Reason` in a failed-rows file) are known and left behind, so results can be uploaded again as they are.

use super::defuse::undo;
use super::issue::{IssueCode, Issues, Place, clip};
use super::record::Record;
use super::spaces::trim;
use super::urls;

/// Names of our own columns, as they are written.
pub(super) const SERIAL_NUMBER: &str = "S. No";
pub(super) const PRODUCT_NAME: &str = "Product Name";
pub(super) const INPUT_IMAGE_URLS: &str = "Input Image Urls";
pub(super) const OUTPUT_IMAGE_URLS: &str = "Output Image Urls";
pub(super) const REASON: &str = "Reason";

/// Most columns beside our own. Every row answers every column, so that a header of thousands would make a small file big;
/// our own are not counted, so that results, which have more of them, can be read again.
const MAX_COLUMNS: usize = 1_000;

/// Aliases in normal form, the most telling first: when a header has several, that one is used.
const SERIAL_NUMBERS: &[&str] = &["sno", "serialnumber", "serialno", "srno", "slno", "id", "#"];
const PRODUCT_NAMES: &[&str] = &["productname", "product", "name", "sku"];
const INPUT_IMAGES: &[&str] = &["inputimageurls", "inputimageurl", "imageurls", "imageurl", "images", "image"];
const OUTPUT_IMAGES: &[&str] = &["outputimageurls"];

/// Where each column is. Indices are 0-based cells of a record.
#[derive(Debug)]
pub(super) struct Columns {
    /// The header's cells, trimmed; unnamed columns at the end are not counted.
    pub names: Vec<String>,
    pub serial_number: Option<usize>,
    pub name: usize,
    pub urls: usize,
    /// The outputs that an earlier result has; they are left behind.
    pub outputs: Option<usize>,
    pub extras: Vec<usize>,
    /// A carried-through column directly behind the URLs, unless it has links to pages by its name: a URL there is likely one
    /// that spilled.
    pub behind_urls: Option<usize>,
    /// Columns without a name before one that has one.
    pub unnamed: Vec<usize>,
}

impl Columns {
    /// Reads a header. None if it cannot be used; why is among the issues then.
    pub fn read(header: Record<'_>, issues: &mut Issues) -> Option<Columns> {
        let names = names(header);
        let mut finder = Finder { names: &names, line: header.line(), issues, failed: false };
        let serial_number = finder.find(SERIAL_NUMBERS, "serial number");
        let name = finder.find(PRODUCT_NAMES, "product name");
        let urls = finder.find(INPUT_IMAGES, "image URLs");
        if (name.is_none() || urls.is_none()) && !finder.failed {
            finder.report_missing(name.is_none(), urls.is_none());
        }
        let (false, Some(name), Some(urls)) = (finder.failed, name, urls) else {
            return None;
        };
        let ours = |index: usize| {
            matches(&names[index], OUTPUT_IMAGES) || (index + 1 == names.len() && is_failed_rows(&names)) // its Reason
        };
        let known = |index: usize| index == name || index == urls || Some(index) == serial_number;
        let (unnamed, named): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(|&index| names[index].is_empty());
        let extras: Vec<usize> = named.into_iter().filter(|&index| !known(index) && !ours(index)).collect();
        let others = extras.len() + unnamed.len();
        if others > MAX_COLUMNS {
            issues.error(IssueCode::CellTooLong, Place { line: header.line(), ..Place::default() }, || {
                format!(
                    "The header has {others} columns beside the product's own; {MAX_COLUMNS} are allowed. Remove \
                     those that are not needed."
                )
            });
            return None;
        }
        let outputs = names.iter().position(|name| matches(name, OUTPUT_IMAGES));
        let behind_urls = Some(urls + 1).filter(|behind| extras.contains(behind) && !is_page_link(&names[*behind]));
        Some(Columns { serial_number, name, urls, outputs, extras, behind_urls, unnamed, names })
    }

    /// How many unnamed columns directly follow the URL column: room that a spreadsheet made for spilled URLs.
    pub fn unnamed_after_urls(&self) -> usize {
        self.names[self.urls + 1..].iter().take_while(|name| name.is_empty()).count()
    }
}

/// The header's cells, trimmed, up to the last that is not empty.
pub(super) fn names(header: Record<'_>) -> Vec<String> {
    let mut names: Vec<String> = header.cells().map(|cell| trim(undo(trim(cell))).to_owned()).collect();
    names.truncate(names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
    names
}

/// Whether a name is one of the columns we look for.
pub(super) fn is_known(name: &str) -> bool {
    [SERIAL_NUMBERS, PRODUCT_NAMES, INPUT_IMAGES, OUTPUT_IMAGES].iter().any(|aliases| matches(name, aliases))
}

/// Whether this is the header that failed rows are written under: exactly our names first, `Reason` last. An output begins
/// the same way, but has its outputs too: a `Reason` at its end is a column of the uploader's.
fn is_failed_rows(names: &[String]) -> bool {
    let begins_as_ours =
        names.iter().zip([SERIAL_NUMBER, PRODUCT_NAME, INPUT_IMAGE_URLS]).all(|(name, ours)| name == ours);
    begins_as_ours
        && names.len() > 3
        && names.last().is_some_and(|name| name == REASON)
        && !names.iter().any(|name| matches(name, OUTPUT_IMAGES))
}

/// Whether a column has links by its name: to pages, not to images.
fn is_page_link(name: &str) -> bool {
    let name = normal(name);
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    says(&["url", "link", "href", "page", "site", "video"]) && !says(&["image", "img", "photo", "pic"])
}

fn matches(name: &str, aliases: &[&str]) -> bool {
    aliases.contains(&normal(name).as_str())
}

/// Letters and digits in lower case; `#` if there are none but that.
fn normal(name: &str) -> String {
    let letters: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if letters.is_empty() && name.contains('#') { "#".to_owned() } else { letters }
}

struct Finder<'a> {
    names: &'a [String],
    line: u64,
    issues: &'a mut Issues,
    failed: bool,
}

impl Finder<'_> {
    /// The column with the most telling alias; says so if others come into question.
    fn find(&mut self, aliases: &[&str], what: &str) -> Option<usize> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let normal = normal(name);
            if let Some(rank) = aliases.iter().position(|alias| *alias == normal) {
                found.push((rank, index));
            }
        }
        found.sort_unstable();
        let &(rank, first) = found.first()?;
        for &(other_rank, other) in &found[1..] {
            let (used, spare) = (clip(&self.names[first]), clip(&self.names[other]));
            let place = Place { line: self.line, column: Some(&spare), value: Some(&spare), row: None };
            if other_rank == rank {
                self.failed = true;
                self.issues.error(IssueCode::AmbiguousColumn, place, || {
                    format!(
                        "Two columns could be the {what}: \"{used}\" and \"{spare}\". Rename or \
                         remove one of them."
                    )
                });
            } else {
                self.issues.warning(IssueCode::AmbiguousColumn, place, || {
                    format!(
                        "Two columns could be the {what}: \"{used}\" is used, \"{spare}\" is carried \
                         through. Rename one if that is wrong."
                    )
                });
            }
        }
        Some(first)
    }

    fn report_missing(&mut self, name: bool, urls: bool) {
        self.failed = true;
        let place = Place { line: self.line, ..Place::default() };
        if let Some(url) = self.names.iter().find(|name| urls::starts_as_url(name)) {
            self.issues.error(IssueCode::NoHeader, Place { value: Some(url), ..place }, || {
                format!(
                    "The first row is data, not a header. Put \"{SERIAL_NUMBER}, {PRODUCT_NAME}, \
                     {INPUT_IMAGE_URLS}\" above it."
                )
            });
            return;
        }
        let header = self.names.join(", ");
        let place = Place { value: Some(&header), ..place };
        for (missing, column) in [(name, PRODUCT_NAME), (urls, INPUT_IMAGE_URLS)] {
            if missing {
                self.issues.error(IssueCode::MissingColumn, Place { column: Some(column), ..place }, || {
                    format!("No column is called \"{column}\". Add it, or rename the column that holds it.")
                });
            }
        }
    }
}
