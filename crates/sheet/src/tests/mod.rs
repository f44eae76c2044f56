//! What reading and writing promise, file by file, and for every file.

mod bounds;
mod containers;
mod dialects;
mod faults;
mod judging;
mod properties;
mod shapes;
mod shops;
mod to_workbook;
mod updates;
mod urls;
mod writing;

use std::io::Read;

use super::{Hints, Issue, Limits, Reader, Report, Row, Severity};

/// Reads a whole file.
fn read_all(input: impl Read, limits: &Limits, block_bytes: usize) -> (Vec<Row>, Report) {
    let mut reader = Reader::with_block_bytes(input, limits, &Hints::default(), block_bytes)
        .expect("the input has no errors of its own");
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().expect("the input has no errors of its own") {
        rows.push(row);
    }
    (rows, reader.into_report())
}

/// One small file and what is expected of it.
struct Case {
    name: &'static str,
    file: &'static [u8],
    /// As [`show_row`] writes them.
    rows: &'static [&'static str],
    /// As [`show_issue`] writes them.
    issues: &'static [&'static str],
    refused: bool,
}

/// Compares the whole reports, too, messages and all, with the snapshot that is called after the test.
fn check_cases(cases: &[Case]) {
    let mut failures = String::new();
    let mut reports = String::new();
    for case in cases {
        let (_, report) = read_all(case.file, &small_limits(), 64 * 1024);
        reports += &format!(
            "# {}\n{}\n{}\n",
            case.name,
            case.file[..case.file.len().min(300)].escape_ascii(),
            show_report(&report)
        );
        for block_bytes in [4, 7, 64 * 1024] {
            let (rows, report) = read_all(case.file, &small_limits(), block_bytes);
            let rows: Vec<String> = rows.iter().map(show_row).collect();
            let issues: Vec<String> = report.issues.iter().map(show_issue).collect();
            if rows != case.rows || issues != case.issues {
                failures +=
                    &format!("\n{} (blocks of {block_bytes})\n  rows   {rows:#?}\n  issues {issues:#?}\n", case.name);
            }
            assert_eq!(report.rejected, case.refused, "{}: {report:#?}", case.name);
            assert_eq!(report.row_count, rows.len() as u64, "{}", case.name);
            assert!(report.issues.iter().all(|issue| !issue.message.is_empty()), "{}", case.name);
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert_snapshot(&reports);
}

/// The snapshot is called after the test, whose name is its thread's.
fn assert_snapshot(reports: &str) {
    let thread = std::thread::current();
    let test = thread.name().and_then(|name| name.rsplit("::").next()).expect("a test's thread has its name");
    insta::assert_snapshot!(test, reports);
}

/// Two lines of facts, then each issue with its message.
fn show_report(report: &Report) -> String {
    let Report { byte_size, encoding, delimiter, header, extra_columns, .. } = report;
    let Report { row_count, accepted_row_count, rejected_row_count, image_count, issue_count, error_count, .. } =
        report;
    let refused = if report.rejected { "; the file is refused" } else { "" };
    let mut shown = format!(
        "{byte_size} bytes of {encoding} with {delimiter:?}; header {header:?}, extra {extra_columns:?}\n\
         {row_count} rows, {accepted_row_count} accepted, {rejected_row_count} rejected; {image_count} images; \
         {issue_count} issues, {error_count} errors{refused}\n"
    );
    for issue in &report.issues {
        shown += &format!("- {}\n  {}\n", show_issue(issue).replace(['\r', '\n'], "⏎"), issue.message);
    }
    shown
}

/// Small enough to be met by small files.
fn small_limits() -> Limits {
    Limits {
        max_bytes: 1_000,
        max_rows: 100,
        max_images: 12,
        max_images_per_product: 4,
        max_cell_bytes: 600,
        max_url_bytes: 60,
        max_name_chars: 20,
        max_issues: 50,
    }
}

/// `row number @ line: serial/name [urls] {extra}`, a good URL with `+`, a bad one with `-`.
fn show_row(row: &Row) -> String {
    let urls: Vec<String> =
        row.urls.iter().map(|url| format!("{}{}", if url.accepted { '+' } else { '-' }, url.text)).collect();
    let serial = row.serial_number.as_deref().unwrap_or("none");
    let extra = if row.extra.is_empty() { String::new() } else { format!(" {{{}}}", row.extra.join("|")) };
    let rejected = if row.accepted { "" } else { " rejected" };
    format!("{}@{}: {serial}/{} [{}]{extra}{rejected}", row.row_number, row.line, row.name, urls.join(" "))
}

/// `severity CODE @ line, row, column = value`; leaves out what is not there.
fn show_issue(issue: &Issue) -> String {
    let severity = if issue.severity == Severity::Error { "error" } else { "warning" };
    let code = serde_json::to_value(issue.code).expect("a code is a string");
    let mut shown = format!("{severity} {} @{}", code.as_str().expect("a code is a string"), issue.line);
    if let Some(row) = issue.row {
        shown += &format!(" row {row}");
    }
    if let Some(column) = &issue.column {
        shown += &format!(" [{column}]");
    }
    if let Some(value) = &issue.value {
        shown += &format!(" = {value}");
    }
    shown
}
