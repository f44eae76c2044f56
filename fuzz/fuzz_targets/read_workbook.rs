//! Any bytes as a file, and any bytes as the markup of a sheet: reading ends within its bounds, its counts add up, and
//! what is written of it with no new URL is what was read.
//!
//! `cargo fuzz run read_workbook`.
#![no_main]

use std::io::{Cursor, Write};
use std::ops::ControlFlow;

use halftone_sheet::{Container, Hints, Limits, Updater, read_file};
use libfuzzer_sys::fuzz_target;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    if let Some((kind, markup)) = bytes.split_first() {
        check(&packed(*kind, markup));
    }
});

fn check(file: &[u8]) {
    let limits = Limits {
        max_bytes: 256 * 1024,
        ..Limits::default()
    };
    let mut rows = 0;
    let report = read_file(Cursor::new(file), &limits, &Hints::default(), |_| {
        rows += 1;
        ControlFlow::Continue(())
    });
    let report = report.expect("memory has no errors");
    assert_eq!(report.row_count, rows);
    assert!(!report.rejected || report.error_count > 0);
    if report.rejected {
        return;
    }
    let updater = Updater::open(Cursor::new(file), &limits, &Hints::default(), Vec::new());
    let updater = updater.expect("memory has no errors");
    let is_plain = updater.container() == Container::Plain;
    let (written, _) = updater.finish().expect("memory has no errors");
    assert!(!is_plain || written == file);
}

fn packed(kind: u8, markup: &[u8]) -> Vec<u8> {
    const PACKAGE: &[u8] = br#"<Relationships><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
    const BOOK: &[u8] = br#"<workbook xmlns:r="r"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    const PARTS: &[u8] = br#"<Relationships><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>"#;
    const TEXTS: &[u8] = b"<sst><si><t>Name</t></si><si><t>Images</t></si></sst>";
    const MIME: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let parts: &[(&str, &[u8])] = match kind % 3 {
        0 => &[("mimetype", MIME), ("content.xml", markup)],
        1 => &[
            ("_rels/.rels", PACKAGE),
            ("xl/workbook.xml", BOOK),
            ("xl/_rels/workbook.xml.rels", PARTS),
            ("xl/sharedStrings.xml", TEXTS),
            ("xl/worksheets/sheet1.xml", markup),
        ],
        _ => &[("a.csv", markup)],
    };
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("memory has no errors");
        zip.write_all(content).expect("memory has no errors");
    }
    zip.finish().expect("memory has no errors").into_inner()
}
