//! Any bytes: reading ends, its counts add up, and what is written of it reads back row by row.
//!
//! `cargo fuzz run read_sheet`.
#![no_main]

use std::ops::ControlFlow;

use halftone_sheet::{Limits, OutputRow, Report, Row, Writer, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let (rows, report) = read_all(file);
    let accepted = rows.iter().filter(|row| row.accepted).count() as u64;
    let images = rows
        .iter()
        .flat_map(|row| &row.urls)
        .filter(|url| url.accepted)
        .count() as u64;
    assert_eq!(report.row_count, rows.len() as u64);
    // A refused file has no accepted rows, whatever was read before it was.
    let counted = if report.rejected { (0, 0) } else { (accepted, images) };
    assert_eq!((report.accepted_row_count, report.image_count), counted);
    assert_eq!(
        report.row_count,
        report.accepted_row_count + report.rejected_row_count
    );
    assert!(!report.rejected || report.error_count > 0);
    assert!(report.issues.len() as u64 <= report.issue_count);
    if report.header.is_empty() || (report.rejected && rows.is_empty()) {
        return;
    }

    let mut writer = Writer::new(Vec::new());
    writer
        .output_header(&report.extra_columns)
        .expect("memory has no errors");
    for row in &rows {
        let urls: Vec<&str> = row.urls.iter().map(|url| url.text.as_str()).collect();
        let output = OutputRow {
            row_number: row.row_number,
            serial_number: row.serial_number.as_deref(),
            name: &row.name,
            input_urls: &urls,
            extra: &row.extra,
        };
        writer
            .output_row(output, &vec![None; urls.len()])
            .expect("memory has no errors");
    }
    let written = writer.finish().expect("memory has no errors");
    let (again, report_again) = read_all(&written);
    assert_eq!(report_again.extra_columns, report.extra_columns);
    assert_eq!(again.len(), rows.len());
    for (again, row) in again.iter().zip(&rows) {
        assert_eq!((&again.name, &again.extra), (&row.name, &row.extra));
        assert!(
            again
                .urls
                .iter()
                .map(|url| &url.text)
                .eq(row.urls.iter().map(|url| &url.text))
        );
    }
});

fn read_all(file: &[u8]) -> (Vec<Row>, Report) {
    let mut rows = Vec::new();
    let report = read(file, &Limits::default(), |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, report.expect("memory has no errors"))
}
