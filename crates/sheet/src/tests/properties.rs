//! What holds for every file.

use std::io;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::defuse::{defuse, undo};
use crate::{OutputRow, Writer, check_url};

/// Gives its bytes in pieces of changing sizes.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = (*self.sizes.next().unwrap_or(&1)).min(out.len()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(size);
        out[..size].copy_from_slice(piece);
        self.bytes = rest;
        Ok(size)
    }
}

/// Bytes that mean something to a CSV, more often than chance would have it.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(vec![",", ";", "\t", "|", "\"", "\n", "\r", "\r\n", " ", "\u{A0}", "\u{200B}", "\u{1A}", "'", "=", "/", "2", "https://a.com/1", "http://", "www.", "a", "sep=;", "é", "\u{FEFF}"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
        1 => select(vec![b"\xFF\xFE".to_vec(), b"\xFE\xFF".to_vec(), b"\xE9".to_vec(), b"\xC3".to_vec()]),
    ];
    let header = select(vec![
        "",
        "Name,Images\n",
        "S. No;Product Name;Input Image Urls;X\r\n",
        "Images\tColor\tName\r",
        "sep=|\nName|Images|\n",
    ]);
    (header, vec(piece, 0..60)).prop_map(|(header, pieces)| [header.as_bytes().to_vec(), pieces.concat()].concat())
}

/// Text as a name is kept: nothing around it that reading takes away.
fn name() -> impl Strategy<Value = String> {
    "[ -~éß😀＝\r\n\t]{1,40}".prop_map(|name| name.trim().to_owned()).prop_filter("a name", |name| !name.is_empty())
}

fn url() -> impl Strategy<Value = String> {
    "https?://[a-z][a-z0-9-]{0,8}[a-z]\\.(com|example)(/[a-zA-Z0-9_.,=&;%-]{0,12}){0,3}(\\?u=https://b\\.com)?"
        .prop_map(|url: String| url.trim_end_matches([',', ';']).to_owned())
        .prop_filter("accepted", |url| check_url::Checker::new(2_048).check(url).is_ok())
}

type Product = (String, Vec<String>, String);

fn products() -> impl Strategy<Value = Vec<Product>> {
    vec((name(), vec(url(), 1..5), "[ -~é\r\n\t]{0,20}"), 1..8)
}

fn found(rows: &[Row]) -> Vec<Product> {
    let texts = |row: &Row| row.urls.iter().map(|url| url.text.clone()).collect();
    rows.iter().map(|row| (row.name.clone(), texts(row), row.extra.concat())).collect()
}

/// Limits that a row of a few hundred bytes reaches.
fn tight_limits() -> Limits {
    Limits { max_cell_bytes: 30, max_images_per_product: 8, max_url_bytes: 40, max_name_chars: 12, ..Limits::default() }
}

/// A file whose cells and rows are about as long as [`tight_limits`] allows.
fn long_rows() -> impl Strategy<Value = Vec<u8>> {
    let text = (select(vec!["", "'", "=", "''=", " =", "'x"]), 0usize..32)
        .prop_map(|(start, length)| format!("{start}{}", "y".repeat(length)));
    let urls = vec((select(vec!["https://a.com/", "https://a.com/,2/", "x", "=", "ftp://"]), 0usize..30), 1..40);
    let between = select(vec!["\",\"", "\n", ",", "\",\"h_"]);
    let urls = (urls, between).prop_map(|(urls, between)| {
        let urls: Vec<String> =
            urls.into_iter().map(|(start, length)| format!("{start}{}", "z".repeat(length))).collect();
        urls.join(between)
    });
    let row = (select(vec!["", "7", "='8"]), text.clone(), vec(text, 10), urls);
    let row = row.prop_map(|(serial, name, others, urls)| {
        let others: String = others.iter().map(|other| format!("\"{other}\",")).collect();
        format!("\"{serial}\",\"{name}\",{others}\"{urls}\"\n")
    });
    let header = (select(vec!["x", "=x"]), 0usize..31).prop_map(|(start, length)| {
        format!("ID,Name{},Images\n", format!(",{start}{}", "x".repeat(length)).repeat(10))
    });
    (header, vec(row, 1..6)).prop_map(|(header, rows)| (header + &rows.concat()).into_bytes())
}

/// Whatever is read of a file can be read again, row by row, once it was written as an output and as failed rows: with
/// the longest output URLs and reasons there may be.
fn check_results(file: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let (rows, report) = read_all(file, limits, 64);
    let output_url = format!("https://b.com/{}", "o".repeat(limits.max_url_bytes - 14));
    let reason = "r".repeat(limits.max_cell_bytes);
    let (mut outputs, mut failed) = (Writer::new(Vec::new()), Writer::new(Vec::new()));
    outputs.output_header(&report.extra_columns)?;
    failed.failed_header(&report.extra_columns)?;
    for row in &rows {
        let urls: Vec<&str> = row.urls.iter().map(|url| url.text.as_str()).collect();
        let row_outputs: Vec<_> = row.urls.iter().map(|url| url.accepted.then_some(output_url.as_str())).collect();
        let serial_number = row.serial_number.as_deref();
        let output = OutputRow {
            row_number: row.row_number,
            serial_number,
            name: &row.name,
            input_urls: &urls,
            extra: &row.extra,
        };
        outputs.output_row(output, &row_outputs)?;
        failed.failed_row(output, &reason)?;
    }
    for written in [outputs.finish()?, failed.finish()?] {
        let (again, report_again) = read_all(written.as_slice(), limits, 64);
        prop_assert_eq!(&report_again.extra_columns, &report.extra_columns);
        prop_assert_eq!(found(&again), found(&rows), "{:?}", report_again.issues.last());
        prop_assert!(again.iter().zip(&rows).all(|(again, row)| again.extra == row.extra));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_however_they_come(file in file(), sizes in vec(1usize..9, 1..5), block_bytes in 4usize..40) {
        let pieces = Pieces { bytes: &file, sizes: sizes.iter().cycle() };
        let mut in_pieces = read_all(pieces, &small_limits(), block_bytes);
        prop_assert_eq!(&in_pieces, &read_all(file.as_slice(), &small_limits(), block_bytes));
        let (rows, report) = read_all(file.as_slice(), &small_limits(), 64 * 1024);
        if report.rejected {
            // How far a refused file was read ahead is up to the size of the blocks, and nothing else is.
            (in_pieces.1.byte_size, in_pieces.1.encoding) = (report.byte_size, report.encoding.clone());
        }
        prop_assert_eq!((&rows, &report), (&in_pieces.0, &in_pieces.1));
        prop_assert_eq!(report.row_count, report.accepted_row_count + report.rejected_row_count);
        if report.rejected {
            prop_assert_eq!((report.accepted_row_count, report.image_count), (0, 0));
        } else {
            prop_assert_eq!(report.accepted_row_count, rows.iter().filter(|row| row.accepted).count() as u64);
            prop_assert_eq!(report.image_count, rows.iter().flat_map(|row| &row.urls).filter(|url| url.accepted).count() as u64);
        }
        prop_assert!(rows.iter().all(|row| row.accepted == row.urls.iter().any(|url| url.accepted)));
        prop_assert!(rows.iter().all(|row| row.extra.len() == report.extra_columns.len()));
        prop_assert!(rows.is_sorted_by(|a, b| a.line < b.line && a.row_number + 1 == b.row_number));
        prop_assert!(!report.rejected || report.error_count > 0);
        prop_assert_eq!(report.issue_count.min(50), report.issues.len() as u64);
        let lines = String::from_utf8_lossy(&file).replace("\r\n", "\n").split(['\r', '\n']).count() as u64;
        prop_assert!(report.encoding.starts_with("UTF-16") || report.issues.iter().all(|issue| issue.line <= lines));
    }

    #[test]
    fn the_quoted_shape_reads_back(products in products(), delimiter in select(vec![b',', b';', b'\t', b'|']), mark in any::<bool>()) {
        let mut csv = csv::WriterBuilder::new().delimiter(delimiter).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        csv.write_record(["Product Name", "Input Image Urls", "Note"])?;
        for (name, urls, note) in &products {
            csv.write_record([defuse(name).as_ref(), urls.join(", ").as_str(), defuse(note).as_ref()])?;
        }
        let file = [if mark { "\u{FEFF}" } else { "" }.as_bytes(), &csv.into_inner()?].concat();
        let (rows, report) = read_all(file.as_slice(), &Limits::default(), 64);
        prop_assert_eq!(found(&rows), products);
        prop_assert_eq!(report.error_count, 0);
    }

    #[test]
    fn every_row_has_the_line_that_an_editor_shows(products in products(), end in select(vec!["\n", "\r\n", "\r"]), block_bytes in 4usize..40) {
        let mut file = format!("Name,Images,Note{end}");
        let mut lines = Vec::new();
        for (name, urls, note) in &products {
            lines.push(file.replace("\r\n", "\n").replace('\r', "\n").split('\n').count() as u64);
            let cells = [defuse(name), urls.join("\r\n").into(), defuse(note)];
            let cells = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
            file += &format!("{}{end}", cells.join(","));
        }
        let (rows, _) = read_all(file.as_bytes(), &Limits::default(), block_bytes);
        prop_assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn the_spilled_shape_reads_back(products in vec(("[a-z]{1,8}", vec("https://[a-z]{1,8}\\.com/[a-z0-9]{0,8}", 1..5)), 1..8), end in select(vec!["\n", "\r\n", "\r"])) {
        let mut file = format!("S. No, Product Name, Input Image Urls{end}");
        for (number, (name, urls)) in products.iter().enumerate() {
            file += &format!("{number}, {name}, {}{end}", urls.join(","));
        }
        let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
        let expected: Vec<Product> = products.into_iter().map(|(name, urls)| (name, urls, String::new())).collect();
        prop_assert_eq!(found(&rows), expected);
        prop_assert_eq!(report.error_count, 0);
    }

    #[test]
    fn results_are_read_again_row_by_row(file in file()) {
        let limits = Limits { max_images_per_product: 1_000, ..Limits::default() };
        check_results(&file, &limits)?;
    }

    #[test]
    fn results_of_rows_that_just_fit_are_read_again(file in long_rows()) {
        check_results(&file, &tight_limits())?;
    }

    #[test]
    fn defusing_is_undone_exactly(cell in "['  =+@a\t\r\n-]{0,6}") {
        let defused = defuse(&cell);
        prop_assert_eq!(undo(&defused), cell.as_str());
        prop_assert!(!defused.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']));
    }

    #[test]
    fn a_plain_url_is_one_to_the_parser_too(url in "https?://[a-z0-9.-]{0,12}[/?#:@a-z0-9%\\\\ -]{0,12}") {
        if check_url::plain_origin(&url).is_some() {
            let parsed = url::Url::parse(&url);
            prop_assert!(parsed.as_ref().is_ok_and(|parsed| parsed.has_host() && parsed.username().is_empty()), "{:?}", parsed);
            prop_assert!(check_url::Checker::new(2_048).check(&url).is_ok());
        }
    }
}
