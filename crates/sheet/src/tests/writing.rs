//! What is written can be opened by any spreadsheet and read back here.

use super::*;
use crate::{Detail, OutputRow, Writer};

fn row<'a>(
    serial_number: Option<&'a str>,
    name: &'a str,
    input_urls: &'a [&'a str],
    extra: &'a [String],
) -> OutputRow<'a> {
    OutputRow { row_number: 7, serial_number, name, input_urls, extra }
}

fn text(writer: Writer<Vec<u8>>) -> String {
    String::from_utf8(writer.finish().expect("memory has no errors")).expect("what is written is UTF-8")
}

#[test]
fn the_output_answers_the_input_place_by_place() -> std::io::Result<()> {
    let extra = ["red, green".to_owned()];
    let mut writer = Writer::new(Vec::new());
    writer.output_header(&["Color".to_owned()])?;
    let urls = ["https://a.com/1,2", "https://a.com/3", "ftp://x"];
    writer.output_row(row(Some("1"), "a \"b\"", &urls, &extra), &[Some("https://b.com/1"), None, None])?;
    writer.output_row(row(None, "c", &["https://a.com/1"], &extra), &[None])?;
    assert_eq!(
        text(writer),
        "S. No,Product Name,Input Image Urls,Output Image Urls,Color\n\
         1,\"a \"\"b\"\"\",\"https://a.com/1,2,https://a.com/3,ftp://x\",\"https://b.com/1,,\",\"red, green\"\n\
         7,c,https://a.com/1,,\"red, green\"\n"
    );
    Ok(())
}

#[test]
fn a_place_that_holds_no_url_is_not_read_back_as_the_end_of_the_one_before() -> std::io::Result<()> {
    let urls = ["https://a.com/1", "not-a-url", "https://a.com/3"];
    let mut writer = Writer::new(Vec::new());
    writer.output_header(&[])?;
    writer.output_row(row(Some("1"), "a", &urls, &[]), &[Some("https://b.com/1"), None, Some("https://b.com/3")])?;
    let written = text(writer);
    assert_eq!(
        written,
        "S. No,Product Name,Input Image Urls,Output Image Urls\n\
         1,a,\"https://a.com/1,\nnot-a-url,https://a.com/3\",\"https://b.com/1,,https://b.com/3\"\n"
    );
    let (rows, _) = read_all(written.as_bytes(), &small_limits(), 64);
    assert_eq!(
        rows.iter().map(show_row).collect::<Vec<_>>(),
        ["1@2: 1/a [+https://a.com/1 -not-a-url +https://a.com/3]"]
    );
    Ok(())
}

#[test]
fn a_column_of_the_uploader_that_is_called_like_a_url_comes_back() -> std::io::Result<()> {
    let extra_columns = ["https://a.com/size".to_owned()];
    let mut writer = Writer::new(Vec::new());
    writer.output_header(&extra_columns)?;
    writer.output_row(row(Some("1"), "a", &["https://a.com/1"], &["XL".to_owned()]), &[None])?;
    let (rows, report) = read_all(text(writer).as_bytes(), &Limits::default(), 64);
    assert_eq!(report.extra_columns, extra_columns);
    assert_eq!(rows.iter().map(show_row).collect::<Vec<_>>(), ["1@2: 1/a [+https://a.com/1] {XL}"]);
    Ok(())
}

#[test]
fn formulas_are_defused() -> std::io::Result<()> {
    let mut writer = Writer::new(Vec::new());
    writer.record(["=1+1", "+1", "-1", "@x", "\tx", "\rx", "  =x", "\n=x", "'=x", "＝x"])?;
    writer.record(["a=1", "1+1", "'x", "", " x", "'", "https://a.com/=", "x@y", "*", "é"])?;
    assert_eq!(
        text(writer),
        "'=1+1,'+1,'-1,'@x,'\tx,\"'\rx\",'  =x,\"'\n=x\",''=x,'＝x\n\
         a=1,1+1,'x,, x,',https://a.com/=,x@y,*,é\n"
    );
    Ok(())
}

#[test]
fn failed_rows_upload_again_once_their_urls_are_fixed() -> std::io::Result<()> {
    let columns = ["Color".to_owned(), "-Size".to_owned()];
    let extra = ["red".to_owned(), "=L".to_owned()];
    let mut writer = Writer::new(Vec::new());
    writer.failed_header(&columns)?;
    writer.failed_row(
        row(Some("1"), "+a", &["https://a.com/1", "ftp://x"], &extra),
        "ftp://x: only http and https, please",
    )?;
    let fixed = text(writer).replace("ftp://x\"", "https://a.com/2\"");
    let (rows, report) = read_all(fixed.as_bytes(), &small_limits(), 64);
    assert_eq!(
        rows.iter().map(show_row).collect::<Vec<_>>(),
        ["1@2: 1/+a [+https://a.com/1 +https://a.com/2] {red|=L}"]
    );
    assert_eq!((report.extra_columns, report.issue_count), (columns.to_vec(), 0));
    Ok(())
}

#[test]
fn an_output_keeps_a_reason_that_is_the_uploaders_own() -> std::io::Result<()> {
    let columns = ["Color".to_owned(), "Reason".to_owned()];
    let extra = ["red".to_owned(), "bad".to_owned()];
    let mut writer = Writer::new(Vec::new());
    writer.output_header(&columns)?;
    writer.output_row(row(Some("1"), "a", &["https://a.com/1"], &extra), &[None])?;
    let (rows, report) = read_all(text(writer).as_bytes(), &small_limits(), 64);
    assert_eq!(report.extra_columns, columns);
    assert_eq!(rows[0].extra, extra);
    Ok(())
}

#[test]
fn details_are_a_line_a_place_and_leave_unknown_cells_empty() -> std::io::Result<()> {
    let mut writer = Writer::new(Vec::new());
    writer.detail_header()?;
    let grown = Detail {
        position: Some(2),
        input_url: "https://a.com/1",
        status: "SUCCEEDED",
        http_status: Some(200),
        bytes_before: Some(200),
        bytes_after: Some(250),
        score: Some(81.256),
        warnings: "=1",
        change: "CHANGED",
        ..Detail::default()
    };
    writer.detail_row(row(Some("-1"), "a", &[], &[]), &grown)?;
    writer.detail_row(row(None, "b", &[], &[]), &Detail { status: "REJECTED", ..Detail::default() })?;
    let written = text(writer);
    let lines: Vec<&str> = written.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "7,'-1,a,2,https://a.com/1,SUCCEEDED,,,,200,,200,250,-50,-25.0,81.26,,'=1,CHANGED",
            "7,,b,,,REJECTED,,,,,,,,,,,,,"
        ]
    );
    Ok(())
}

#[test]
fn an_output_can_be_taken_in_pieces_and_marked_for_excel() -> std::io::Result<()> {
    let mut writer = Writer::with_byte_order_mark(Vec::new())?;
    writer.record(["é", "b"])?;
    let first = writer.take()?;
    writer.record(["c", "d"])?;
    assert_eq!((first.as_slice(), writer.take()?.as_slice()), ("\u{FEFF}é,b\n".as_bytes(), b"c,d\n".as_slice()));
    assert_eq!(text(writer), "");
    Ok(())
}

#[test]
fn a_record_of_another_width_is_an_error() {
    let mut writer = Writer::new(Vec::new());
    writer.record(["a", "b"]).expect("the first record sets the width");
    assert!(writer.record(["a"]).is_err());
}
