//! Which column is what: by what the caller says, else by name, else by what stands in it.
//!
//! A column nobody knows but that has a name is carried through. Columns that earlier results added (`Output Image
//! Urls`; `Reason` in a failed-rows file) are known and left behind, so results can be uploaded again as they are.

use serde::{Deserialize, Serialize};

use super::defuse::undo;
use super::hints::Hints;
use super::issue::{IssueCode, Issues, Place, clip};
use super::record::Record;
use super::spaces::trim;
use super::urls;
use super::vocabulary::{self, normal};

/// Names of our own columns, as they are written.
pub(super) const SERIAL_NUMBER: &str = "S. No";
pub(super) const PRODUCT_NAME: &str = "Product Name";
pub(super) const INPUT_IMAGE_URLS: &str = "Input Image Urls";
pub(super) const OUTPUT_IMAGE_URLS: &str = "Output Image Urls";
pub(super) const REASON: &str = "Reason";

/// Most columns beside our own. Every row answers every column, so that a header of thousands would make a small file big;
/// our own are not counted, so that results, which have more of them, can be read again.
const MAX_COLUMNS: usize = 1_000;

const OUTPUT_IMAGES: &str = "outputimageurls";

/// What a column was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ColumnRole {
    SerialNumber,
    ProductName,
    ImageUrls,
    /// Carried through to the output as it is.
    CarriedThrough,
    /// Left behind: it has no name, or an earlier result of ours added it.
    Ignored,
}

/// Why a column was taken for what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MatchedBy {
    /// The caller said so.
    Caller,
    /// Its name is known.
    Name,
    /// Its cells look like it.
    Content,
}

/// Where the product name of a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameFrom {
    Column(usize),
    /// The name of the first image's file.
    File,
}

/// Where each column is. Indices are 0-based cells of a record.
#[derive(Debug)]
pub(super) struct Columns {
    /// The header's cells, trimmed; unnamed columns at the end are not counted.
    pub names: Vec<String>,
    pub line: u64,
    pub serial_number: Option<usize>,
    pub name: NameFrom,
    /// All columns of image URLs, in order.
    pub images: Vec<usize>,
    /// The last of them, from which URLs may spill into the cells that follow.
    pub urls: usize,
    /// The outputs that an earlier result has; they are left behind.
    pub outputs: Option<usize>,
    pub extras: Vec<usize>,
    /// A carried-through column directly after the URLs, unless it has links to pages by its name: a URL there is likely one
    /// that spilled.
    pub behind_urls: Option<usize>,
    /// Carried-through columns in which a URL is likely one of an image.
    pub suspects: Vec<usize>,
    /// Columns without a name before one that has one.
    pub unnamed: Vec<usize>,
    /// The column whose value the rows of one product share.
    pub group: Option<usize>,
    /// Why the columns that are used were chosen.
    matched: Vec<(usize, MatchedBy)>,
}

impl Columns {
    /// Reads a header. `by_content`: columns whose cells look like image URLs, used if no name says which are. None if the
    /// header cannot be used; why is among the issues then.
    pub fn read(header: Record<'_>, hints: &Hints, by_content: &[usize], issues: &mut Issues) -> Option<Columns> {
        let names = names(header);
        let mut finder = Finder { names: &names, line: header.line(), issues, failed: false, matched: Vec::new() };
        let serial_number = finder.serial_number(hints);
        let images = finder.images(hints, by_content);
        let name = finder.product_name(hints, images.is_some());
        if (name.is_none() || images.is_none()) && !finder.failed {
            finder.report_missing(name.is_none(), images.is_none());
        }
        let (failed, matched) = (finder.failed, finder.matched);
        let (false, Some(name), Some(images)) = (failed, name, images) else {
            return None;
        };
        let urls = *images.last()?;
        let ours = |index: usize| {
            normal(&names[index]) == OUTPUT_IMAGES || (index + 1 == names.len() && is_failed_rows(&names)) // its Reason
        };
        let known =
            |index: usize| name == NameFrom::Column(index) || images.contains(&index) || Some(index) == serial_number;
        let (unnamed, named): (Vec<usize>, Vec<usize>) =
            (0..names.len()).filter(|&index| !known(index)).partition(|&index| names[index].is_empty());
        let extras: Vec<usize> = named.into_iter().filter(|&index| !ours(index)).collect();
        let others = extras.len() + unnamed.len() + images.len() - 1;
        if others > MAX_COLUMNS {
            issues.error(IssueCode::CellTooLong, Place { line: header.line(), ..Place::default() }, || {
                format!(
                    "The header has {others} columns besides the product's own; {MAX_COLUMNS} are allowed. Remove \
                     those that are not needed."
                )
            });
            return None;
        }
        let outputs = names.iter().position(|name| normal(name) == OUTPUT_IMAGES);
        let mut suspects: Vec<usize> =
            extras.iter().copied().filter(|&index| !vocabulary::names_pages(&names[index])).collect();
        let behind_urls = Some(urls + 1).filter(|behind| suspects.contains(behind));
        suspects.retain(|&suspect| Some(suspect) != behind_urls);
        let group = names.iter().position(|name| vocabulary::GROUPS.contains(&normal(name).as_str()));
        let line = header.line();
        Some(Columns {
            line,
            serial_number,
            name,
            images,
            urls,
            outputs,
            extras,
            behind_urls,
            suspects,
            unnamed,
            group,
            matched,
            names,
        })
    }

    /// How many unnamed columns directly follow the URL column: room that a spreadsheet made for spilled URLs.
    pub fn unnamed_after_urls(&self) -> usize {
        self.names[self.urls + 1..].iter().take_while(|name| name.is_empty()).count()
    }

    /// The name of a column, as the header writes it.
    pub fn name_of(&self, column: usize) -> &str {
        self.names.get(column).map_or("", String::as_str)
    }

    /// What each column was taken for, and why.
    pub fn roles(&self) -> impl Iterator<Item = (ColumnRole, Option<MatchedBy>)> {
        (0..self.names.len()).map(|index| {
            let role = if self.images.contains(&index) {
                ColumnRole::ImageUrls
            } else if self.name == NameFrom::Column(index) {
                ColumnRole::ProductName
            } else if self.serial_number == Some(index) {
                ColumnRole::SerialNumber
            } else if self.extras.contains(&index) {
                ColumnRole::CarriedThrough
            } else {
                ColumnRole::Ignored
            };
            let matched = self.matched.iter().rfind(|(column, _)| *column == index);
            (role, matched.map(|(_, by)| *by))
        })
    }
}

/// How much of a header a record is, from its names alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    None,
    /// It names a product name or a serial number.
    Some,
    /// It names images.
    Images,
    /// It names a product name too.
    Full,
}

/// How much of a header these cells are, and how many of them are known.
pub(super) fn judge(names: &[String], hints: &Hints) -> (Likeness, usize) {
    let mut known = 0;
    let (mut has_name, mut has_images) = (false, false);
    for name in names.iter().filter(|name| !urls::starts_as_url(name)) {
        let normal = normal(name);
        let is_images = vocabulary::names_images(&normal) || hints.names_images(name);
        let is_name = vocabulary::PRODUCT_NAMES.contains(&normal.as_str()) || hints.names_product(name);
        let is_serial = vocabulary::SERIAL_NUMBERS.contains(&normal.as_str()) || hints.names_serial(name);
        has_images |= is_images;
        has_name |= is_name;
        known += usize::from(is_images || is_name || is_serial || normal == OUTPUT_IMAGES);
    }
    let likeness = match (has_images, has_name) {
        (true, true) => Likeness::Full,
        // A row of data. (A column of an uploader may be called like a URL: our results repeat its name beside ours.)
        _ if names.iter().any(|name| urls::starts_as_url(name)) => Likeness::None,
        (true, false) => Likeness::Images,
        (false, _) if known > 0 => Likeness::Some,
        (false, _) => Likeness::None,
    };
    (likeness, known)
}

/// The header's cells, trimmed, up to the last that is not empty.
pub(super) fn names(header: Record<'_>) -> Vec<String> {
    let mut names: Vec<String> = header.cells().map(|cell| trim(undo(trim(cell))).to_owned()).collect();
    names.truncate(names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
    names
}

/// Whether this is the header that failed rows are written under: exactly our names first, `Reason` last. An output begins
/// the same way, but has its outputs too: a `Reason` at its end is a column of the uploader's.
fn is_failed_rows(names: &[String]) -> bool {
    let begins_as_ours =
        names.iter().zip([SERIAL_NUMBER, PRODUCT_NAME, INPUT_IMAGE_URLS]).all(|(name, ours)| name == ours);
    begins_as_ours
        && names.len() > 3
        && names.last().is_some_and(|name| name == REASON)
        && !names.iter().any(|name| normal(name) == OUTPUT_IMAGES)
}

struct Finder<'a> {
    names: &'a [String],
    line: u64,
    issues: &'a mut Issues,
    failed: bool,
    matched: Vec<(usize, MatchedBy)>,
}

impl Finder<'_> {
    fn serial_number(&mut self, hints: &Hints) -> Option<usize> {
        let index = match &hints.serial_number {
            Some(wanted) => self.wanted(wanted)?,
            None => self.find(vocabulary::SERIAL_NUMBERS, vocabulary::SERIAL_NUMBERS, "serial number")?,
        };
        self.matched.push((index, by(hints.serial_number.is_some())));
        Some(index)
    }

    /// All columns of images, in order.
    fn images(&mut self, hints: &Hints, by_content: &[usize]) -> Option<Vec<usize>> {
        let (mut found, matched) = if !hints.image_urls.is_empty() {
            (hints.image_urls.iter().filter_map(|wanted| self.wanted(wanted)).collect(), MatchedBy::Caller)
        } else {
            let is_named = |&index: &usize| {
                let normal = normal(&self.names[index]);
                normal != OUTPUT_IMAGES && vocabulary::names_images(&normal)
            };
            let named: Vec<usize> = (0..self.names.len()).filter(is_named).collect();
            if named.is_empty() { (by_content.to_vec(), MatchedBy::Content) } else { (named, MatchedBy::Name) }
        };
        found.retain(|&index| index < self.names.len());
        found.sort_unstable();
        found.dedup();
        self.matched.extend(found.iter().map(|&index| (index, matched)));
        if matched == MatchedBy::Content {
            for &index in &found {
                let name = clip(&self.names[index]);
                let place = Place { line: self.line, column: Some(&name), value: Some(&name), row: None };
                self.issues.warning(IssueCode::GuessedColumn, place, || {
                    format!(
                        "No column name is recognised as image URLs. \"{name}\" is used, because it contains URLs of images."
                    )
                });
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// The product name, or what can take its place once there are images.
    fn product_name(&mut self, hints: &Hints, has_images: bool) -> Option<NameFrom> {
        if let Some(wanted) = &hints.product_name {
            let index = self.wanted(wanted)?;
            self.matched.push((index, MatchedBy::Caller));
            return Some(NameFrom::Column(index));
        }
        if let Some(index) = self.find(vocabulary::PRODUCT_NAMES, vocabulary::COMPETING_NAMES, "product name") {
            self.matched.push((index, MatchedBy::Name));
            return Some(NameFrom::Column(index));
        }
        if self.failed || !has_images {
            return None;
        }
        let place = Place { line: self.line, column: Some(PRODUCT_NAME), ..Place::default() };
        let substitute = |name: &str| self.names.iter().position(|column| normal(column) == name);
        let Some(index) = vocabulary::NAME_SUBSTITUTES.iter().find_map(|name| substitute(name)) else {
            self.issues.warning(IssueCode::GuessedColumn, place, || {
                "No column name is recognised as the product name. The name of each row's first image file is used."
                    .to_owned()
            });
            return Some(NameFrom::File);
        };
        self.matched.push((index, MatchedBy::Name));
        let name = clip(&self.names[index]);
        self.issues.warning(IssueCode::GuessedColumn, Place { value: Some(&name), ..place }, || {
            format!("No column name is recognised as the product name. \"{name}\" is used.")
        });
        Some(NameFrom::Column(index))
    }

    /// The column that the caller names.
    fn wanted(&mut self, wanted: &str) -> Option<usize> {
        let found = Hints::find(self.names, wanted);
        if found.is_none() {
            self.failed = true;
            let header = self.names.join(", ");
            let place = Place { line: self.line, column: Some(wanted), value: Some(&header), row: None };
            self.issues.error(IssueCode::MissingColumn, place, || {
                format!(
                    "No column is called \"{}\". The header on line {} has: {}.",
                    clip(wanted),
                    self.line,
                    clip(&header)
                )
            });
        }
        found
    }

    /// The column with the most telling alias; says so if others come into question.
    fn find(&mut self, aliases: &[&str], competing: &[&str], what: &str) -> Option<usize> {
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
            } else if competing.contains(&aliases[rank]) && competing.contains(&aliases[other_rank]) {
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

    fn report_missing(&mut self, name: bool, images: bool) {
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
        type Resembles = fn(&str) -> bool;
        let looks: [(bool, &str, Resembles); 2] = [
            (name, PRODUCT_NAME, |name| vocabulary::resembles_product_name(&normal(name))),
            (images, INPUT_IMAGE_URLS, |name| {
                vocabulary::resembles_images(&normal(name)) || vocabulary::names_pages(name)
            }),
        ];
        for (is_missing, column, looks_like_it) in looks {
            if is_missing {
                let likely: Vec<String> = self
                    .names
                    .iter()
                    .filter(|name| looks_like_it(name))
                    .take(3)
                    .map(|name| format!("\"{}\"", clip(name)))
                    .collect();
                self.issues.error(IssueCode::MissingColumn, Place { column: Some(column), ..place }, || {
                    let message =
                        format!("No column is called \"{column}\". Add it, or rename the column that contains it.");
                    if likely.is_empty() { message } else { format!("{message} Did you mean {}?", likely.join(" or ")) }
                });
            }
        }
    }
}

fn by(is_wanted: bool) -> MatchedBy {
    if is_wanted { MatchedBy::Caller } else { MatchedBy::Name }
}
