//! Workbooks that are written: what was text is text, and what was a number, a date or a truth value in a workbook is one.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};

use super::containers::{book, read_any, text};
use super::*;
use crate::{
    Container, DETAIL_NUMBERS, Detail, OutputRow, Source, Updater, WorkbookError, Writer, result_to_workbook,
    updated_to_workbook,
};

/// The cells of a workbook's only sheet.
fn cells(workbook: &[u8]) -> Vec<Vec<Data>> {
    let mut book = Xlsx::new(Cursor::new(workbook)).expect("a workbook");
    let names = book.sheet_names();
    assert_eq!(names.len(), 1);
    let range = book.worksheet_range(&names[0]).expect("a sheet");
    let (last, width) = range.end().map_or((0, 0), |(row, column)| (row + 1, column + 1));
    let cell = |row, column| range.get_value((row, column)).cloned().unwrap_or_default();
    (0..last).map(|row| (0..width).map(|column| cell(row, column)).collect()).collect()
}

fn of_result(csv: &[u8], numbers: &[usize]) -> Result<Vec<u8>, WorkbookError> {
    let mut out = Cursor::new(Vec::new());
    result_to_workbook(csv, numbers, &std::env::temp_dir(), &mut out)?;
    Ok(out.into_inner())
}

/// The source with each accepted URL replaced, as a workbook.
fn updated(source: &[u8]) -> Vec<u8> {
    let (limits, hints) = (Limits::default(), Hints::default());
    let mut updater = Updater::open(Cursor::new(source), &limits, &hints, Vec::new()).expect("memory has no errors");
    while let Some(row) = updater.next_row().expect("memory has no errors") {
        let urls = row.urls.iter().map(|url| url.accepted.then(|| url.text.replace("a.com", "b.example")));
        let urls: Vec<Option<String>> = urls.collect();
        let urls: Vec<Option<&str>> = urls.iter().map(Option::as_deref).collect();
        updater.write_row(&row, &urls).expect("memory has no errors");
    }
    let (csv, _) = updater.finish().expect("memory has no errors");
    let container = Source::open(Cursor::new(source), &limits, &hints).expect("memory has no errors").container();
    let mut out = Cursor::new(Vec::new());
    updated_to_workbook(csv.as_slice(), container, &limits, &hints, &std::env::temp_dir(), &mut out).expect("it fits");
    out.into_inner()
}

fn string(text: &str) -> Data {
    Data::String(text.to_owned())
}

#[test]
fn the_text_of_a_result_is_text_whatever_it_looks_like() {
    let mut writer = Writer::new(Vec::new());
    let extra: Vec<String> = ["3046300001085", "=1+1", " a\n_x0041_ <&> ", "1e5", "\u{1}"].map(str::to_owned).to_vec();
    let names: Vec<String> = ["EAN", "Note", "More", "Code", "Odd"].map(str::to_owned).to_vec();
    writer.output_header(&names).expect("memory has no errors");
    let row = OutputRow {
        row_number: 1,
        serial_number: Some("007"),
        name: "Mug",
        input_urls: &["https://a.com/1"],
        extra: &extra,
    };
    writer.output_row(row, &[Some("https://b.com/1")]).expect("memory has no errors");
    let csv = writer.finish().expect("memory has no errors");
    let table = cells(&of_result(&csv, &[]).expect("it fits"));
    assert_eq!(table[0][8], string("Odd"));
    let expected =
        ["007", "Mug", "https://a.com/1", "https://b.com/1"].into_iter().chain(extra.iter().map(String::as_str));
    assert_eq!(table[1], expected.map(string).collect::<Vec<_>>());
}

#[test]
fn the_numbers_of_the_details_are_numbers() {
    let mut writer = Writer::new(Vec::new());
    writer.detail_header().expect("memory has no errors");
    let row = OutputRow { row_number: 3, serial_number: Some("3"), name: "Mug", input_urls: &[], extra: &[] };
    let detail = Detail {
        position: Some(1),
        bytes_before: Some(1_000),
        bytes_after: Some(1_500),
        score: Some(71.5),
        code: "=1",
        ..Detail::default()
    };
    writer.detail_row(row, &detail).expect("memory has no errors");
    let csv = writer.finish().expect("memory has no errors");
    let table = cells(&of_result(&csv, &DETAIL_NUMBERS).expect("it fits"));
    let number = |name: &str| {
        let column = table[0].iter().position(|cell| *cell == string(name)).expect("a column");
        table[1][column].clone()
    };
    let names = ["Row", "S. No", "Position", "Bytes Before", "Saved Bytes", "Saved %", "Score", "Code", "Attempts"];
    assert_eq!(
        names.map(number),
        [
            Data::Float(3.0),
            string("3"),
            Data::Float(1.0),
            Data::Float(1_000.0),
            Data::Float(-500.0),
            Data::Float(-50.0),
            Data::Float(71.5),
            string("=1"),
            Data::Empty,
        ]
    );
}

#[test]
fn a_workbook_comes_back_with_its_values_in_their_places() {
    let rows = [
        "<row r=\"2\">".to_owned(),
        text("B2", "EAN"),
        text("C2", "Product Name"),
        text("D2", "Image"),
        text("E2", "Old code"),
        "</row><row r=\"4\"><c r=\"A4\" t=\"b\"><v>1</v></c><c r=\"B4\"><v>3046300001085</v></c>".to_owned(),
        text("C4", "Mug"),
        text("D4", "https://a.com/1.jpg\nhttps://a.com/2.jpg"),
        text("E4", "0012"),
        "</row><row r=\"5\"><c r=\"B5\"><v>0.1</v></c>".to_owned(),
        text("C5", "Jug"),
        "<c r=\"D5\" t=\"str\"><f>HYPERLINK(\"https://a.com/3.jpg\",\"photo\")</f><v>photo</v></c>".to_owned(),
        text("E5", "2026-03-12"),
        "</row>".to_owned(),
    ];
    let source = book("", &rows.concat(), "", "");
    let written = updated(&source);
    let table = cells(&written);
    let none = Data::Empty;
    assert_eq!(table[0], vec![none.clone(); 5]);
    assert_eq!(table[2], vec![none.clone(); 5]);
    assert_eq!(
        table[3],
        [
            Data::Bool(true),
            Data::Float(3_046_300_001_085.0),
            string("Mug"),
            string("https://b.example/1.jpg\nhttps://b.example/2.jpg"),
            string("0012"),
        ]
    );
    assert_eq!(
        table[4],
        [none, Data::Float(0.1), string("Jug"), string("https://b.example/3.jpg"), string("2026-03-12")]
    );
    let rows = |file: &[u8]| read_any(file).0.iter().map(|row| row.replace("b.example", "a.com")).collect::<Vec<_>>();
    assert_eq!(rows(&written), rows(&source), "it is read again as its source was");
}

#[test]
fn the_cells_of_a_csv_are_text_in_its_workbook() {
    let source =
        "sep=;\nName;Images;EAN;Note\nMug;\"https://a.com/1,https://a.com/2\";0123;=1+1\n\nCafé;https://a.com/3;;'=x\n";
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(source);
    for source in [source.as_bytes(), &latin] {
        let table = cells(&updated(source));
        assert_eq!(table[0], ["Name", "Images", "EAN", "Note"].map(string));
        assert_eq!(table[1], ["Mug", "https://b.example/1,https://b.example/2", "0123", "=1+1"].map(string));
        assert_eq!(table[2], [string("Café"), string("https://b.example/3"), Data::Empty, string("'=x")]);
    }
}

#[test]
fn a_table_that_no_workbook_can_hold_is_refused() {
    let too_large = |csv: &str| match of_result(csv.as_bytes(), &[]) {
        Err(WorkbookError::TooLarge(message)) => message,
        other => panic!("{other:?}"),
    };
    let longest = "é".repeat(32_767);
    assert_eq!(cells(&of_result(longest.as_bytes(), &[]).expect("it fits"))[0][0], string(&longest));
    assert!(too_large(&format!("a\n{longest}é\n")).contains("row 2"));
    assert!(too_large(&"a\n".repeat(1_048_577)).contains("1,048,576"));
    let nowhere = result_to_workbook(&b"a\n"[..], &[], std::path::Path::new("/nowhere"), Cursor::new(Vec::new()));
    assert!(matches!(nowhere, Err(WorkbookError::Io(_))), "{nowhere:?}");
    assert_eq!(Container::default(), Container::Plain);
}
