//! Any bytes, read with any hints: reading ends, its counts add up, what is written of it reads back row by row, and an
//! update without new URLs is the file itself.
//!
//! `cargo fuzz run read_sheet`. The first byte chooses the header that the rest stands under, and the hints.
#![no_main]

use std::io::Cursor;
use std::ops::ControlFlow;

use halftone_sheet::{Container, Hints, Limits, OutputRow, Report, Row, Updater, Writer, read_file};
use libfuzzer_sys::fuzz_target;

/// Beginnings that lead to each of the layouts.
const BEGINNINGS: [&str; 8] = [
    "",
    "Name,Images\n",
    "Catalogue\n\nHandle,Title,Image Src,Variant Image\n",
    "S. No;Name;Bild 1;Bild 2;Link\n",
    "sep=|\nTitle|Image|Note\n",
    "a,b,c\n",
    "\"Name,Images\"\n",
    "ID\tName\tNote\timage_link\tadditional_image_link\n",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let file = [BEGINNINGS[usize::from(choice % 8)].as_bytes(), rest].concat();
    let hints = match choice / 8 % 4 {
        0 | 1 => Hints::default(),
        2 => Hints { header_line: Some(2), ..Hints::default() },
        _ => Hints {
            product_name: Some("b".to_owned()),
            image_urls: vec!["c".to_owned(), "a".to_owned()],
            ..Hints::default()
        },
    };
    let (rows, report) = read_all(&file, &hints);
    let accepted = rows.iter().filter(|row| row.accepted).count() as u64;
    let images = rows.iter().flat_map(|row| &row.urls).filter(|url| url.accepted).count() as u64;
    assert_eq!(report.row_count, rows.len() as u64);
    // A refused file has no accepted rows, whatever was read before it was.
    let counted = if report.rejected { (0, 0) } else { (accepted, images) };
    assert_eq!((report.accepted_row_count, report.image_count), counted);
    assert_eq!(report.row_count, report.accepted_row_count + report.rejected_row_count);
    assert!(!report.rejected || report.error_count > 0);
    assert!(report.issues.len() as u64 <= report.issue_count);
    if report.header.is_empty() || (report.rejected && rows.is_empty()) {
        return;
    }
    check_update(&file, &hints, &report);
    check_output(&rows, &report);
});

/// Nothing changes where there is no new URL, and with new URLs there are as many rows.
fn check_update(file: &[u8], hints: &Hints, report: &Report) {
    if report.rejected || report.container != Container::Plain {
        return;
    }
    let open = || Updater::open(Cursor::new(file), &Limits::default(), hints, Vec::new()).expect("memory has no errors");
    assert!(open().finish().expect("memory has no errors").0 == file);
    let mut updater = open();
    while let Some(row) = updater.next_row().expect("memory has no errors") {
        let new = row.urls.iter().map(|url| url.accepted.then_some("https://h.example/images/1/compressed.jpg"));
        updater.write_row(&row, &new.collect::<Vec<_>>()).expect("memory has no errors");
    }
    let (updated, _) = updater.finish().expect("memory has no errors");
    // The bytes that told a legacy encoding may have been in a URL.
    if report.encoding != "windows-1252" {
        let (again, _) = read_all(&updated, hints);
        assert_eq!(again.len() as u64, report.row_count);
    }
}

fn check_output(rows: &[Row], report: &Report) {
    let mut writer = Writer::new(Vec::new());
    writer.output_header(&report.extra_columns).expect("memory has no errors");
    for row in rows {
        let urls: Vec<&str> = row.urls.iter().map(|url| url.text.as_str()).collect();
        let output = OutputRow {
            row_number: row.row_number,
            serial_number: row.serial_number.as_deref(),
            name: &row.name,
            input_urls: &urls,
            extra: &row.extra,
        };
        writer.output_row(output, &vec![None; urls.len()]).expect("memory has no errors");
    }
    let written = writer.finish().expect("memory has no errors");
    // A row that says what a header says would be taken for one.
    let (again, report_again) = read_all(&written, &Hints { header_line: Some(1), ..Hints::default() });
    assert_eq!(report_again.extra_columns, report.extra_columns);
    assert_eq!(again.len(), rows.len());
    for (again, row) in again.iter().zip(rows) {
        assert_eq!((&again.name, &again.extra), (&row.name, &row.extra));
        assert!(again.urls.iter().map(|url| &url.text).eq(row.urls.iter().map(|url| &url.text)));
    }
}

fn read_all(file: &[u8], hints: &Hints) -> (Vec<Row>, Report) {
    let mut rows = Vec::new();
    let report = read_file(Cursor::new(file), &Limits::default(), hints, |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, report.expect("memory has no errors"))
}
