//! Packed files and workbooks, and files that are no tables at all.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::shops::fixture;
use super::*;
use crate::{IssueCode, read_file};

fn read_bytes(bytes: &[u8], limits: &Limits, hints: &Hints) -> (Vec<String>, Report) {
    let mut rows = Vec::new();
    let report = read_file(Cursor::new(bytes), limits, hints, |row| {
        rows.push(show_row(&row));
        std::ops::ControlFlow::Continue(())
    });
    (rows, report.expect("memory has no errors"))
}

pub(super) fn read_any(bytes: &[u8]) -> (Vec<String>, Report) {
    read_bytes(bytes, &Limits::default(), &Hints::default())
}

fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).expect("memory has no errors");
        zip.write_all(content.as_bytes()).expect("memory has no errors");
    }
    zip.finish().expect("memory has no errors").into_inner()
}

const SHEETS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
    <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
    <Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet2.xml\"/>\
    <Relationship Id=\"rId3\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings\" Target=\"sharedStrings.xml\"/>\
    </Relationships>";
const PACKAGE: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
    <Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>";
const BOOK: &str = "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
    <sheets><sheet name=\"Notes\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"Products\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>";

/// A workbook of two sheets, of which the first has a note in it.
pub(super) fn book(shared: &str, rows: &str, after: &str, links: &str) -> Vec<u8> {
    let sheet = |rows: &str, after: &str| {
        format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
             xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
             <sheetData>{rows}</sheetData>{after}</worksheet>"
        )
    };
    zipped(&[
        ("[Content_Types].xml", "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"),
        ("_rels/.rels", PACKAGE),
        ("xl/workbook.xml", BOOK),
        ("xl/_rels/workbook.xml.rels", SHEETS),
        (
            "xl/sharedStrings.xml",
            &format!("<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">{shared}</sst>"),
        ),
        (
            "xl/worksheets/sheet1.xml",
            &sheet("<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>Prices of May</t></is></c></row>", ""),
        ),
        ("xl/worksheets/sheet2.xml", &sheet(rows, after)),
        (
            "xl/worksheets/_rels/sheet2.xml.rels",
            &format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{links}</Relationships>"
            ),
        ),
    ])
}

pub(super) fn text(cell: &str, text: &str) -> String {
    format!("<c r=\"{cell}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

#[test]
fn a_workbooks_sheet_is_read_as_a_person_sees_it() {
    let rows = [
        "<row r=\"2\">".to_owned(),
        text("B2", "EAN"),
        text("C2", "Product Name"),
        text("D2", "Image"),
        text("E2", "Price"),
        "</row><row r=\"3\"><c r=\"B3\"><v>3046300001085</v></c><c r=\"C3\" t=\"s\"><v>0</v></c>".to_owned(),
        text("D3", "https://a.com/1.jpg\nhttps://a.com/2.jpg"),
        "<c r=\"E3\"><v>1</v></c></row><row r=\"5\">".to_owned(),
        text("C5", "Jug &amp; \"Bowl\""),
        "<c r=\"D5\" t=\"str\"><f>HYPERLINK(\"https://a.com/3.jpg\",\"photo\")</f><v>photo</v></c></row><row r=\"6\">"
            .to_owned(),
        text("C6", "Cup"),
        text("D6", "see here"),
        "<c r=\"E6\" t=\"b\"><v>1</v></c></row><row r=\"7\">".to_owned(),
        text("D7", "https://a.com/5.jpg"),
        "</row>".to_owned(),
    ]
    .concat();
    let link = "<Relationship Id=\"rId9\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink\" \
                Target=\"https://a.com/4.jpg\" TargetMode=\"External\"/>";
    let book =
        book("<si><t>Mug</t></si>", &rows, "<hyperlinks><hyperlink ref=\"D6\" r:id=\"rId9\"/></hyperlinks>", link);
    let (rows, report) = read_any(&book);
    assert_eq!(
        rows,
        [
            "1@3: none/Mug [+https://a.com/1.jpg +https://a.com/2.jpg] {3046300001085|1}",
            "2@5: none/Jug & \"Bowl\" [+https://a.com/3.jpg] {|}",
            "3@6: none/Cup [+https://a.com/4.jpg] {|TRUE}",
            "4@7: none/ [-https://a.com/5.jpg] {|} rejected",
        ],
        "{report:#?}"
    );
    assert_eq!(report.byte_size, book.len() as u64);
    let named = Hints { sheet: Some("Nowhere".to_owned()), ..Hints::default() };
    let (_, report) = read_bytes(&book, &Limits::default(), &named);
    assert_eq!(report.issues[0].code, IssueCode::UnsupportedFile);
}

#[test]
fn an_opendocument_sheet_is_read_as_a_person_sees_it() {
    let content = "<office:document-content><office:body><office:spreadsheet>\
        <table:table table:name=\"Empty\"><table:table-row table:number-rows-repeated=\"1048576\"><table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row></table:table>\
        <table:table table:name=\"Products\">\
        <table:table-row><table:table-cell office:value-type=\"string\"><text:p>Name</text:p></table:table-cell><table:table-cell><text:p>Image</text:p></table:table-cell><table:table-cell><text:p>EAN</text:p></table:table-cell><table:table-cell table:number-columns-repeated=\"16381\"/></table:table-row>\
        <table:table-row table:number-rows-repeated=\"2\"><table:table-cell/></table:table-row>\
        <table:table-row><table:table-cell><text:p>A &amp; B</text:p></table:table-cell><table:table-cell><text:p>https://a.com/1.jpg</text:p><text:p><text:a xlink:href=\"https://a.com/2.jpg\">photo</text:a></text:p></table:table-cell><table:table-cell office:value-type=\"float\" office:value=\"3046300001085\"><text:p>3.05E+12</text:p></table:table-cell></table:table-row>\
        <table:table-row table:number-rows-repeated=\"1048570\"><table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>\
        </table:table></office:spreadsheet></office:body></office:document-content>";
    let mimetype = "application/vnd.oasis.opendocument.spreadsheet";
    let (rows, report) = read_any(&zipped(&[("mimetype", mimetype), ("content.xml", content)]));
    assert_eq!(rows, ["1@4: none/A & B [+https://a.com/1.jpg +https://a.com/2.jpg] {3046300001085}"], "{report:#?}");

    let cell = "<table:table-cell table:number-columns-repeated=\"16384\"><text:p>bomb</text:p></table:table-cell>";
    let row = format!("<table:table-row table:number-rows-repeated=\"1048576\">{cell}</table:table-row>");
    let content = format!("<x><table:table table:name=\"a\">{row}</table:table></x>");
    let (_, report) = read_any(&zipped(&[("mimetype", mimetype), ("content.xml", &content)]));
    assert!(report.issues[0].message.contains("too large"), "{report:#?}");
}

#[test]
fn packed_csvs_are_read() {
    for name in ["c28c-gz.csv.gz", "c28b-zip-of-csv.zip"] {
        let file = fixture(name);
        let (rows, report) = read_any(&file);
        assert!(!rows.is_empty() && report.error_count == 0, "{name}: {report:#?}");
        assert_eq!(report.byte_size, file.len() as u64);
        let (_, cut) = read_any(&file[..file.len() - 12]);
        assert_eq!(
            (cut.rejected, cut.issues.last().map(|issue| issue.code)),
            (true, Some(IssueCode::UnsupportedFile)),
            "{name}: {cut:#?}"
        );
    }
    let two = zipped(&[("a.csv", "Name,Images\n"), ("b.csv", "Name,Images\n")]);
    assert_eq!(read_any(&two).1.issues[0].code, IssueCode::UnsupportedFile);
}

#[test]
fn other_kinds_of_files_are_refused_by_what_they_are() {
    for (file, word) in [
        (fixture("c28d-html-table.xls"), "HTML"),
        (fixture("c28e-feed.xml"), "XML"),
        (fixture("c28g-json.csv"), "JSON"),
        (b"%PDF-1.7\n".to_vec(), "PDF"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "image"),
        (b"\xFF\xD8\xFF\xE0\0\x10JFIF".to_vec(), "image"),
        (b"<!DOCTYPE html>\n<html>".to_vec(), "HTML"),
    ] {
        let (_, report) = read_any(&file);
        assert!(report.rejected && report.issues[0].message.contains(word), "{word}: {report:#?}");
        assert_eq!((report.issues.len(), report.issues[0].code), (1, IssueCode::UnsupportedFile), "{report:#?}");
    }
    let (_, report) = read_any(&fixture("c28-xlsx-named.csv"));
    assert!(report.rejected && report.issues[0].message.contains("damaged"), "{report:#?}");
    let (_, report) = read_any(&fixture("c28f-ole.xls"));
    assert!(report.rejected && report.issues[0].message.contains("workbook"), "{report:#?}");
}
