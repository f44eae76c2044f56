//! Cells of an OpenDocument sheet with values of every type, read as a person sees them.

use std::io::{Cursor, Write};
use std::ops::ControlFlow;

use halftone_sheet::{Hints, Limits, read_file};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The text of one cell that stands in a column that is carried through.
fn shown(cell: &str) -> String {
    let text = |text: &str| {
        format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>")
    };
    let row = |cells: &[&str]| format!("<table:table-row>{}</table:table-row>", cells.concat());
    let header = row(&[&text("Name"), &text("Image"), &text("Value")]);
    let product = row(&[&text("Mug"), &text("https://a.com/1.jpg"), cell]);
    let content = format!(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"a\">{header}{product}\
         </table:table></office:spreadsheet></office:body></office:document-content>"
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("mimetype", "application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", &content)] {
        zip.start_file(name, SimpleFileOptions::default()).expect("memory has no errors");
        zip.write_all(content.as_bytes()).expect("memory has no errors");
    }
    let file = zip.finish().expect("memory has no errors").into_inner();
    let mut values = Vec::new();
    let report = read_file(Cursor::new(file), &Limits::default(), &Hints::default(), |row| {
        values.extend(row.extra);
        ControlFlow::Continue(())
    });
    assert_eq!(report.expect("memory has no errors").error_count, 0);
    values.concat()
}

#[test]
fn values_are_read_as_a_person_sees_them() {
    let typed = |kind: &str, value: &str, said: &str| {
        format!("<table:table-cell office:value-type=\"{kind}\" {value}><text:p>{said}</text:p></table:table-cell>")
    };
    for (cell, expected) in [
        (typed("float", "office:value=\"1\"", "1"), "1"),
        (typed("float", "office:value=\"1.0\"", "1"), "1"),
        (typed("float", "office:value=\"3046300001085\"", "3.05E+12"), "3046300001085"),
        (typed("float", "office:value=\"3.046300001085E+12\"", "3.05E+12"), "3046300001085"),
        (typed("float", "office:value=\"12345678901234567890\"", "1.23E+19"), "12345678901234567890"),
        (typed("float", "office:value=\"-0.5\"", "-0.5"), "-0.5"),
        (typed("percentage", "office:value=\"0.19\"", "19%"), "0.19"),
        (typed("currency", "office:currency=\"EUR\" office:value=\"12.5\"", "12,50 €"), "12.5"),
        (typed("date", "office:date-value=\"2026-03-12\"", "12.03.26"), "2026-03-12"),
        (typed("date", "office:date-value=\"2026-03-12T08:30:00\"", "12.03.26 08:30"), "2026-03-12 08:30:00"),
        (typed("time", "office:time-value=\"PT08H30M00S\"", "08:30"), "08:30"),
        (typed("boolean", "office:boolean-value=\"true\"", "WAHR"), "TRUE"),
        (typed("string", "office:string-value=\"x\"", "0012"), "0012"),
        (typed("string", "", "a<text:s text:c=\"2\"/>b<text:tab/>c"), "a  b c"),
        (typed("string", "", "<text:a xlink:href=\"https://shop.example/p\">page</text:a>"), "https://shop.example/p"),
        (typed("string", "", "<text:span>red</text:span> &amp; blue"), "red & blue"),
        (
            "<table:table-cell><office:annotation><text:p>note</text:p></office:annotation><text:p>said</text:p></table:table-cell>"
                .to_owned(),
            "said",
        ),
    ] {
        assert_eq!(shown(&cell), expected, "{cell}");
    }
}
