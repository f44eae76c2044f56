//! For any table of products, in any layout and dialect, and in a workbook: no image is lost, an update changes the URLs and nothing else, and
//! what it wrote is read as the source was.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::ControlFlow;

use crate::table::{Catalogue, Layout, Wrapper, catalogue};
use calamine::{Data, Reader as _, Xlsx};
use halftone_sheet::{Column, Container, Hints, Limits, Report, Row, Updater, read_file, updated_to_workbook};
use proptest::prelude::*;
use proptest::sample::select;
use rust_xlsxwriter::Workbook;

fn read(file: &[u8]) -> (Vec<Row>, Report) {
    let mut rows = Vec::new();
    let report = read_file(Cursor::new(file), &Limits::default(), &Hints::default(), |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, report.expect("memory has no errors"))
}

/// The file with new URLs in it, as CSV.
fn update(file: &[u8], new_urls: &BTreeMap<String, String>) -> Vec<u8> {
    let mut updater = Updater::open(Cursor::new(file), &Limits::default(), &Hints::default(), Vec::new())
        .expect("memory has no errors");
    while let Some(row) = updater.next_row().expect("memory has no errors") {
        let urls: Vec<Option<&str>> = row.urls.iter().map(|url| new_urls.get(&url.text).map(String::as_str)).collect();
        updater.write_row(&row, &urls).expect("memory has no errors");
    }
    updater.finish().expect("memory has no errors").0
}

fn texts(rows: &[Row]) -> Vec<(Option<&str>, &str, &[String], bool)> {
    rows.iter().map(|row| (row.serial_number.as_deref(), row.name.as_str(), &row.extra[..], row.accepted)).collect()
}

fn urls(rows: &[Row]) -> Vec<Vec<&str>> {
    rows.iter().map(|row| row.urls.iter().map(|url| url.text.as_str()).collect()).collect()
}

fn columns(report: &Report) -> Vec<&Column> {
    report.columns.iter().collect()
}

fn check(catalogue: &Catalogue, ending: &str) -> Result<(), TestCaseError> {
    let source = catalogue.file();
    let (rows, report) = read(&source);
    let all = catalogue.all_urls();
    let found: Vec<&str> = rows.iter().flat_map(|row| &row.urls).map(|url| url.text.as_str()).collect();
    prop_assert_eq!(&found, &all, "{:#?}", report.issues);
    if all.is_empty() {
        return Ok(());
    }
    prop_assert_eq!(report.image_count, all.len() as u64, "{:#?}", report.issues);

    // Each other URL has an output.
    let with_output = |index: &usize| !(index + all.len()).is_multiple_of(4);
    let new_urls: BTreeMap<String, String> = (0..all.len())
        .filter(with_output)
        .map(|index| (all[index].clone(), format!("https://h.example/images/{index}/compressed{ending}")))
        .collect();
    let updated = update(&source, &new_urls);
    let expected = all.iter().fold(catalogue.decode(&source), |text, url| match new_urls.get(url) {
        Some(new) => text.replace(&catalogue.written(url), &in_any_cell(new)),
        None => text,
    });
    prop_assert_eq!(catalogue.decode(&updated), expected);
    prop_assert_eq!(&updated, &catalogue.encode(&catalogue.decode(&updated)), "the encoding");

    let (again, report_again) = read(&updated);
    prop_assert_eq!(texts(&again), texts(&rows));
    prop_assert_eq!(columns(&report_again), columns(&report));
    let written: Vec<Vec<String>> = urls(&rows)
        .into_iter()
        .map(|urls| {
            urls.into_iter().map(|url| new_urls.get(url).map_or(url.to_owned(), |new| in_any_cell(new))).collect()
        })
        .collect();
    prop_assert_eq!(urls(&again), written);
    prop_assert_eq!(update(&source, &BTreeMap::new()), source, "without an output nothing changes");
    Ok(())
}

/// The table as a workbook: numbers as numbers, all else as text.
fn workbook(table: &[Vec<String>]) -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, record) in (0..).zip(table) {
        for (column, cell) in (0..).zip(record) {
            let written = match cell.parse::<u64>() {
                Ok(number) => sheet.write_number(row, column, number as f64),
                Err(_) => sheet.write_string(row, column, cell),
            };
            written.expect("the table fits");
        }
    }
    book.save_to_buffer().expect("memory has no errors")
}

fn cells(workbook: &[u8]) -> Vec<(usize, usize, Data)> {
    let mut book = Xlsx::new(Cursor::new(workbook)).expect("a workbook");
    let range = book.worksheet_range_at(0).expect("a sheet").expect("it can be read");
    range.used_cells().map(|(row, column, cell)| (row, column, cell.clone())).collect()
}

fn check_workbook(catalogue: &Catalogue) -> Result<(), TestCaseError> {
    let source = workbook(&catalogue.table());
    let (rows, report) = read(&source);
    let all = catalogue.all_urls();
    let found: Vec<&str> = rows.iter().flat_map(|row| &row.urls).map(|url| url.text.as_str()).collect();
    prop_assert_eq!(&found, &all, "{:#?}", report.issues);
    let new_url = |index: usize| format!("https://h.example/images/{index}/compressed.jpg");
    let new_urls: BTreeMap<String, String> =
        all.iter().enumerate().map(|(index, url)| (url.clone(), new_url(index))).collect();
    let csv = update(&source, &new_urls);
    let mut updated = Cursor::new(Vec::new());
    let (limits, hints) = (Limits::default(), Hints::default());
    updated_to_workbook(csv.as_slice(), Container::Workbook, &limits, &hints, &std::env::temp_dir(), &mut updated)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let updated = updated.into_inner();

    let expected = cells(&source).into_iter().map(|(row, column, cell)| {
        let cell = match cell {
            Data::String(text) => {
                Data::String(all.iter().fold(text, |text, url| text.replace(&catalogue.written(url), &new_urls[url])))
            }
            other => other,
        };
        (row, column, cell)
    });
    prop_assert_eq!(cells(&updated), expected.collect::<Vec<_>>());
    let (again, report_again) = read(&updated);
    prop_assert_eq!((texts(&again), columns(&report_again)), (texts(&rows), columns(&report)));
    prop_assert_eq!(urls(&again).concat(), (0..all.len()).map(new_url).collect::<Vec<_>>());
    Ok(())
}

/// A URL as it is put into a cell of any kind.
fn in_any_cell(url: &str) -> String {
    [",", ";", "|", "'", "(", ")", " ", "é"].iter().fold(url.to_owned(), |url, sign| {
        let encoded: String = sign.bytes().map(|byte| format!("%{byte:02X}")).collect();
        url.replace(sign, &encoded)
    })
}

proptest! {
    #[test]
    fn an_update_changes_the_urls_alone(catalogue in catalogue(), ending in select(vec![".jpg", "", "_a,b;c|d'(1) é.webp", ".png?exp=1&sig=ab%2Fc"])) {
        // What stands behind a URL is told from it by the ending of an image's name, which every output has.
        let needs_name = matches!(catalogue.wrapper, Wrapper::Suffix | Wrapper::Remark | Wrapper::WithoutScheme);
        check(&catalogue, if needs_name { ".jpg" } else { ending })?;
    }

}

proptest! {
    // Each case writes two workbooks.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn an_update_of_a_workbook_changes_the_urls_alone(mut catalogue in catalogue()) {
        if catalogue.layout == Layout::Spilled || catalogue.all_urls().is_empty() {
            return Ok(());
        }
        for product in &mut catalogue.products {
            product.note = product.note.replace('\r', "\n");
        }
        check_workbook(&catalogue)?;
    }
}
