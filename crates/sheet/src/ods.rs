//! A sheet of an OpenDocument spreadsheet → CSV, streaming.
//!
//! calamine holds every cell of such a file, and a few bytes may repeat a cell a thousand million times; here a repeated
//! cell costs what it takes to write it, and the bound on that ends it.

use std::io::{BufReader, Read, Seek};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::Limits;
use super::dialect;
use super::header::Likeness;
use super::hints::Hints;
use super::workbook::{DAMAGED, MAX_COLUMNS, NO_SUCH_SHEET, NO_TEXT, SAMPLE_BYTES, TOO_LARGE, Table, Value, address};

/// The CSV of the likeliest sheet, or of the one the caller names.
pub(super) fn to_csv<F: Read + Seek>(
    archive: &mut ZipArchive<F>,
    limits: &Limits,
    hints: &Hints,
) -> Result<Vec<u8>, &'static str> {
    let content = archive.by_name("content.xml").map_err(|_| DAMAGED)?;
    let mut xml = Reader::from_reader(BufReader::new(content));
    let max_bytes = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
    let mut best: Option<(Likeness, Vec<u8>)> = None;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|_| DAMAGED)? {
            Event::Start(element) if element.name().as_ref() == "table:table" => {
                let name = attribute(&element, "table:name")?.unwrap_or_default();
                let csv = sheet(&mut xml, max_bytes)?;
                match &hints.sheet {
                    Some(wanted) if *wanted == name => return if csv.is_empty() { Err(NO_TEXT) } else { Ok(csv) },
                    Some(_) => continue,
                    None if csv.is_empty() => continue,
                    None => {}
                }
                let likeness = dialect::likeness(&csv[..csv.len().min(SAMPLE_BYTES)], hints);
                if likeness >= Likeness::Images {
                    return Ok(csv);
                }
                if best.as_ref().is_none_or(|(highest, _)| likeness > *highest) {
                    best = Some((likeness, csv));
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match best {
        Some((_, csv)) => Ok(csv),
        None if hints.sheet.is_some() => Err(NO_SUCH_SHEET),
        None => Err(NO_TEXT),
    }
}

/// Reads up to the end of a sheet.
fn sheet<R: std::io::BufRead>(xml: &mut Reader<R>, max_bytes: usize) -> Result<Vec<u8>, &'static str> {
    let mut table = Table::new(max_bytes);
    let mut buffer = Vec::new();
    // Cells of the row that are not empty: where they begin, how often they stand there, what they say.
    let mut cells: Vec<(u32, u32, Value)> = Vec::new();
    let (mut row, mut rows, mut column, mut row_bytes) = (0u32, 1u32, 0u32, 0);
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|_| DAMAGED)? {
            Event::Start(element) if element.name().as_ref() == "table:table-row" => {
                rows = repeated(&element, "table:number-rows-repeated")?;
                (column, row_bytes, cells) = (0, 0, Vec::new());
            }
            Event::Empty(element) if element.name().as_ref() == "table:table-row" => {
                row = row.saturating_add(repeated(&element, "table:number-rows-repeated")?);
            }
            Event::End(element) if element.name().as_ref() == "table:table-row" => {
                if cells.is_empty() {
                    row = row.saturating_add(rows);
                    continue;
                }
                for _ in 0..rows {
                    for (first, count, value) in &cells {
                        for column in *first..first + count {
                            table.push(row, column, value).map_err(|_| TOO_LARGE)?;
                        }
                    }
                    row = row.saturating_add(1);
                }
            }
            Event::Start(element) if is_cell(&element) => {
                let count = repeated(&element, "table:number-columns-repeated")?;
                let bare = bare(&element)?;
                let formula = attribute(&element, "table:formula")?.filter(|formula| formula.contains("://"));
                let formula =
                    formula.map(|formula| Value::Text(address(&formula).map_or(formula.clone(), str::to_owned)));
                let said = text(xml, max_bytes)?;
                let value = match formula.or(bare) {
                    Some(value) if !said.contains("://") => value,
                    _ => Value::Text(said),
                };
                row_bytes += value.as_str().len();
                if row_bytes > max_bytes {
                    return Err(TOO_LARGE);
                }
                if !value.as_str().is_empty() && column < MAX_COLUMNS {
                    cells.push((column, count.min(MAX_COLUMNS - column), value));
                }
                column = column.saturating_add(count);
            }
            Event::Empty(element) if is_cell(&element) => {
                column = column.saturating_add(repeated(&element, "table:number-columns-repeated")?);
            }
            Event::End(element) if element.name().as_ref() == "table:table" => break,
            Event::Eof => return Err(DAMAGED),
            _ => {}
        }
    }
    Ok(table.finish())
}

/// The text of a cell: its paragraphs, and the web address in place of a link's words.
fn text<R: std::io::BufRead>(xml: &mut Reader<R>, max_bytes: usize) -> Result<String, &'static str> {
    let mut text = String::new();
    let mut buffer = Vec::new();
    let (mut depth, mut paragraphs, mut hidden) = (0, 0, 0);
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|_| DAMAGED)? {
            Event::Start(element) => {
                depth += 1;
                let link = match element.name().as_ref() {
                    "text:p" if hidden == 0 => {
                        paragraphs += 1;
                        if paragraphs > 1 {
                            text.push('\n');
                        }
                        None
                    }
                    "text:a" => attribute(&element, "xlink:href")?.filter(|link| link.contains("://")),
                    _ => None,
                };
                if hidden > 0 {
                    hidden += 1;
                } else if element.name().as_ref() == "office:annotation" {
                    hidden = 1;
                } else if let Some(link) = link {
                    text.push_str(&link);
                    hidden = 1;
                }
            }
            Event::End(_) if depth == 0 => return Ok(text),
            Event::End(_) => {
                depth -= 1;
                hidden = i32::max(hidden - 1, 0);
            }
            Event::Empty(element) if hidden == 0 => match element.name().as_ref() {
                "text:tab" => text.push(' '),
                "text:s" => {
                    let spaces = repeated(&element, "text:c")? as usize;
                    if spaces > max_bytes {
                        return Err(TOO_LARGE);
                    }
                    text.extend(std::iter::repeat_n(' ', spaces));
                }
                "text:line-break" => text.push('\n'),
                _ => {}
            },
            Event::Text(part) if hidden == 0 && paragraphs > 0 => text.push_str(&part.xml10_content()),
            Event::CData(part) if hidden == 0 && paragraphs > 0 => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) if hidden == 0 && paragraphs > 0 => {
                let named = quick_xml::escape::resolve_predefined_entity(&reference.xml10_content()).map(str::to_owned);
                let resolved = match named {
                    Some(named) => Some(named),
                    None => reference.resolve_char_ref().map_err(|_| DAMAGED)?.map(String::from),
                };
                text.push_str(&resolved.ok_or(DAMAGED)?);
            }
            Event::Eof => return Err(DAMAGED),
            _ => {}
        }
        if text.len() > max_bytes {
            return Err(TOO_LARGE);
        }
    }
}

/// The number, date or truth value of a cell.
fn bare(element: &BytesStart<'_>) -> Result<Option<Value>, &'static str> {
    let value = match attribute(element, "office:value-type")?.as_deref() {
        Some("float" | "percentage" | "currency") => attribute(element, "office:value")?.map(without_exponent),
        Some("date") => attribute(element, "office:date-value")?.map(|date| date.replacen('T', " ", 1)),
        Some("boolean") => attribute(element, "office:boolean-value")?.map(|truth| truth.to_ascii_uppercase()),
        _ => None,
    };
    let needs_no_quotes =
        |value: &String| value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | ':' | ' '));
    Ok(value.filter(needs_no_quotes).map(Value::Bare))
}

/// A number as it is shown: `1.0` is 1. Digits alone stay, however many they are.
fn without_exponent(number: String) -> String {
    let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = number.parse().ok().filter(|number: &f64| !is_digits && number.is_finite());
    parsed.map_or(number, |number| number.to_string())
}

fn is_cell(element: &BytesStart<'_>) -> bool {
    matches!(element.name().as_ref(), "table:table-cell" | "table:covered-table-cell")
}

fn repeated(element: &BytesStart<'_>, name: &str) -> Result<u32, &'static str> {
    attribute(element, name)?.map_or(Ok(1), |count| count.parse().map_err(|_| DAMAGED))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, &'static str> {
    let attribute = element.try_get_attribute(name).map_err(|_| DAMAGED)?;
    let value = attribute
        .map(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).map(std::borrow::Cow::into_owned));
    value.transpose().map_err(|_| DAMAGED)
}
