//! What it takes to read a workbook, found out by reading its parts once without keeping any of it.
//!
//! The libraries hold texts, links and styles in memory, and follow markup however deep it is nested. So everything that
//! makes them hold more than a file of its size should is refused before they see it.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Seek};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::Limits;
use super::workbook::{DAMAGED, TOO_LARGE};

/// How much larger than a CSV all parts of a workbook may be together once they are unpacked: a sheet writes a cell with
/// some 40 bytes of markup around it.
const MAX_UNPACKED: u64 = 8;
/// How much larger than a CSV may be what is not cells of a sheet and so is held in memory: texts, links, styles.
const MAX_HELD: u64 = 4;
/// What an element takes up beside its text when it is held.
const ELEMENT_BYTES: u64 = 64;
/// Most texts that cells share, and most links of a sheet.
const MAX_TEXTS: u64 = 1_000_000;
const MAX_LINKS: u64 = 200_000;
/// Elements of a sheet's cells, which are read one after the other.
const OF_CELLS: [&str; 6] = ["row", "c", "v", "f", "is", "t"];
/// How deep elements may be nested. Those of workbooks are some ten deep.
const MAX_DEPTH: u32 = 100;

/// Refuses what is damaged and what would take too much memory.
pub(super) fn measure<F: Read + Seek>(archive: &mut ZipArchive<F>, limits: &Limits) -> Result<(), &'static str> {
    let mut unpacked = limits.max_bytes.saturating_mul(MAX_UNPACKED);
    let mut held = limits.max_bytes.saturating_mul(MAX_HELD);
    let (mut links, mut longest_link) = (0, 0);
    let mut sheets = HashSet::new();
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|_| DAMAGED)?;
        let name = part.name().map_err(|_| DAMAGED)?.to_ascii_lowercase();
        if !(name.ends_with(".xml") || name.ends_with(".rels")) {
            continue; // Pictures and macros are not read.
        }
        // Ours is read by `ods`, which has its own bounds.
        let measured = Measured::of(part, unpacked, limits, name == "content.xml")?;
        // A sheet that is listed many times would be read as often.
        if !measured.sheets.into_iter().all(|sheet| sheets.insert(sheet)) {
            return Err(DAMAGED);
        }
        links += measured.links;
        longest_link = longest_link.max(measured.longest_link);
        unpacked -= measured.bytes;
        let of_links = links.saturating_mul(longest_link);
        held = held.checked_sub(measured.held).filter(|held| *held >= of_links).ok_or(TOO_LARGE)?;
    }
    Ok(())
}

/// What is counted in a part.
#[derive(Default)]
struct Measured {
    bytes: u64,
    /// Bytes that are held once the part is read.
    held: u64,
    texts: u64,
    links: u64,
    longest_link: u64,
    /// By what sheets are found: the keys of the workbook's list, and where they lead.
    sheets: Vec<String>,
}

impl Measured {
    /// `holds_nothing`: all of the part is read piece by piece.
    fn of(part: impl Read, max_bytes: u64, limits: &Limits, holds_nothing: bool) -> Result<Measured, &'static str> {
        let mut measured = Measured::default();
        let mut xml = Reader::from_reader(Pieces { input: BufReader::new(part), left: 0 });
        xml.config_mut().check_end_names = false;
        let mut buffer = Vec::new();
        let (mut depth, mut is_in_cells, mut cell_bytes) = (0u32, false, 0);
        loop {
            // What one piece of markup or text may take up.
            xml.get_mut().left = limits.max_row_bytes();
            buffer.clear();
            let event = xml.read_event_into(&mut buffer).map_err(|error| match error {
                quick_xml::Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => TOO_LARGE,
                _ => DAMAGED,
            })?;
            let mut bytes = xml.buffer_position() - measured.bytes;
            measured.bytes += bytes;
            cell_bytes += bytes;
            let mut is_held = !holds_nothing && !is_in_cells;
            match &event {
                Event::Start(element) | Event::Empty(element) => {
                    let name = element.local_name();
                    let is_of_cells = OF_CELLS.contains(&name.as_ref());
                    is_held |= !holds_nothing && !is_of_cells;
                    bytes += ELEMENT_BYTES;
                    if matches!(name.as_ref(), "row" | "c") {
                        cell_bytes = 0;
                    }
                    is_in_cells |= name.as_ref() == "sheetData";
                    depth += u32::from(matches!(event, Event::Start(_)));
                    measured.look_at(element)?;
                }
                Event::End(element) => {
                    depth = depth.saturating_sub(1);
                    is_in_cells &= element.local_name().as_ref() != "sheetData";
                }
                Event::DocType(_) => return Err(DAMAGED), // No workbook has one; it can define entities.
                Event::Eof => return Ok(measured),
                _ => {}
            }
            if is_held {
                measured.held += bytes;
            }
            if depth > MAX_DEPTH {
                return Err(DAMAGED);
            }
            let is_over = [
                (measured.bytes, max_bytes),
                (measured.held, limits.max_bytes.saturating_mul(MAX_HELD)),
                (measured.texts, MAX_TEXTS),
                (measured.links, MAX_LINKS),
                // All pieces of a cell's text are put together.
                (if is_in_cells { cell_bytes } else { 0 }, limits.max_row_bytes() as u64),
            ];
            if is_over.iter().any(|(is, most)| is > most) {
                return Err(TOO_LARGE);
            }
        }
    }

    fn look_at(&mut self, element: &BytesStart<'_>) -> Result<(), &'static str> {
        match element.local_name().as_ref() {
            "si" => self.texts += 1,
            "hyperlink" => self.links += 1,
            "sheet" => {
                let mut id = None;
                for attribute in element.attributes().with_checks(false).flatten() {
                    if attribute.key.local_name().as_ref() == "id" {
                        id = Some(attribute.value.into_owned());
                    }
                }
                self.sheets.extend(id);
            }
            // Room is made for as many texts as are announced.
            "sst" => {
                let count = raw(element, "uniqueCount")?.unwrap_or_default();
                if count.trim().parse::<u64>().is_ok_and(|count| count > MAX_TEXTS) {
                    return Err(TOO_LARGE);
                }
            }
            "Relationship" => {
                let target = raw(element, "Target")?.unwrap_or_default();
                self.longest_link = self.longest_link.max(target.len() as u64);
                let kind = raw(element, "Type")?.unwrap_or_default();
                let leads_to_part = matches!(
                    kind.rsplit('/').next(),
                    Some("officeDocument" | "worksheet" | "chartsheet" | "dialogsheet" | "macrosheet")
                );
                if leads_to_part {
                    let target = target.to_ascii_lowercase();
                    // Other parts were not measured.
                    if !target.ends_with(".xml") {
                        return Err(DAMAGED);
                    }
                    let folder = target.rsplit('/').nth(1).unwrap_or_default();
                    let file = target.rsplit('/').next().unwrap_or_default();
                    self.sheets.push(format!("{folder}/{file}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// An attribute as it is written.
fn raw(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, &'static str> {
    let attribute = element.try_get_attribute(name).map_err(|_| DAMAGED)?;
    Ok(attribute.map(|attribute| attribute.value.into_owned()))
}

/// Gives no more than is left, so that no piece of markup grows beyond that.
struct Pieces<R> {
    input: BufReader<R>,
    left: usize,
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = self.fill_buf()?.read(out)?;
        self.consume(size);
        Ok(size)
    }
}

impl<R: Read> BufRead for Pieces<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.left;
        let filled = self.input.fill_buf()?;
        if left == 0 && !filled.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(&filled[..filled.len().min(left)])
    }

    fn consume(&mut self, size: usize) {
        self.left = self.left.saturating_sub(size);
        self.input.consume(size);
    }
}
