//! The source comes back byte for byte, but for its URLs.

use super::shops::fixture;
use super::*;
use crate::Updater;

/// Every accepted URL becomes what `new_url` makes of it.
fn update(source: &[u8], new_url: impl Fn(&str) -> String) -> (Vec<u8>, Report) {
    let mut updater = Updater::open(std::io::Cursor::new(source), &Limits::default(), &Hints::default(), Vec::new())
        .expect("memory has no errors");
    while let Some(row) = updater.next_row().expect("memory has no errors") {
        let urls: Vec<Option<String>> = row.urls.iter().map(|url| url.accepted.then(|| new_url(&url.text))).collect();
        let urls: Vec<Option<&str>> = urls.iter().map(Option::as_deref).collect();
        updater.write_row(&row, &urls).expect("memory has no errors");
    }
    updater.finish().expect("memory has no errors")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn nothing_but_urls_changes() {
    let new_url = |url: &str| url.replace("https://a.com/", "https://b.com/new/");
    for (source, expected) in [
        ("Name,Images\r\na,https://a.com/1\r\n\r\n", "Name,Images\r\na,https://b.com/new/1\r\n\r\n"),
        (
            "\u{FEFF}sep=;\nName;Note;Images\n\"a \"\"b\"\"\" ; = 1 ;  \"https://a.com/1,\nhttps://a.com/2\" \n",
            "\u{FEFF}sep=;\nName;Note;Images\n\"a \"\"b\"\"\" ; = 1 ;  \"https://b.com/new/1,\nhttps://b.com/new/2\" \n",
        ),
        (
            "Title\n\nName,Image 1,Image 2\na,https://a.com/1,https://a.com/1\nTotal,,",
            "Title\n\nName,Image 1,Image 2\na,https://b.com/new/1,https://b.com/new/1\nTotal,,",
        ),
        (
            "Name,Images\na,https://a.com/w_1,h_2/x,https://a.com/2\nb,https://a.com/1,n/a",
            "Name,Images\na,https://b.com/new/w_1%2Ch_2/x,https://b.com/new/2\nb,https://b.com/new/1,n/a",
        ),
        (
            "Name,Images\na,\"=HYPERLINK(\"\"https://a.com/1\"\",\"\"x\"\")\"\nb,\"[\"\"https://a.com/1\"\",\"\"https://a.com/2\"\"]\"\n",
            "Name,Images\na,\"=HYPERLINK(\"\"https://b.com/new/1\"\",\"\"x\"\")\"\nb,\"[\"\"https://b.com/new/1\"\",\"\"https://b.com/new/2\"\"]\"\n",
        ),
        (
            "Name,Images\na,ftp://a.com/1\nb,https://a.com/1;front\n\u{1A}",
            "Name,Images\na,ftp://a.com/1\nb,https://b.com/new/1%3Bfront\n\u{1A}",
        ),
        (
            "\"Name,Images\"\n\"a,\"\"https://a.com/1,https://a.com/2\"\"\"\n",
            "\"Name,Images\"\n\"a,\"\"https://b.com/new/1,https://b.com/new/2\"\"\"\n",
        ),
    ] {
        assert_eq!(text(&update(source.as_bytes(), new_url).0), expected);
        assert_eq!(text(&update(source.as_bytes(), str::to_owned).0).replace("%2C", ",").replace("%3B", ";"), source);
    }
}

#[test]
fn quotes_within_a_url_stay_where_the_cell_needs_them() {
    let new_url = |url: &str| url.replace("https://a.com/", "https://b.com/new/");
    for (source, expected) in [
        ("a,\"https://a.com/1,https://a.com/2\"b,c\n", "a,\"https://b.com/new/1,https://b.com/new/2b\",c\n"),
        ("a,\"https://a.com/w_1\",h_2/x.jpg\n", "a,\"https://b.com/new/w_1%2Ch_2/x.jpg\"\n"),
        (
            "a,\"x\"\"https://a.com/1\"b\"\nb,https://a.com/2\n",
            "a,\"x\"\"https://a.com/1\"b\"\nb,https://b.com/new/2\n",
        ),
        ("a,https://a.com/w_1,\"h_2/x.jpg\"\n", "a,\"https://b.com/new/w_1%2Ch_2/x.jpg\"\n"),
        (
            "a,https://a.com/w_1,h_2/x.jpg~https://a.com/3\n",
            "a,https://b.com/new/w_1%2Ch_2/x.jpg~https://b.com/new/3\n",
        ),
        ("a,https://a.com/w_1,h_2/x.jpg;front\n", "a,https://b.com/new/w_1%2Ch_2/x.jpg;front\n"),
    ] {
        let header = "Name,Images\n";
        assert_eq!(text(&update(format!("{header}{source}").as_bytes(), new_url).0), format!("{header}{expected}"));
    }
}

#[test]
fn every_encoding_stays() {
    let new_url = |url: &str| url.replace("https://a.com/1", "https://b.com/2");
    let (source, expected) = ("Name,Images\ncafé,https://a.com/1\n", "Name,Images\ncafé,https://b.com/2\n");
    let utf16 = |text: &str| -> Vec<u8> {
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()
    };
    let latin = |text: &str| encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    assert_eq!(update(&utf16(source), new_url).0, utf16(expected));
    assert_eq!(update(&latin(source), new_url).0, latin(expected));
}

#[test]
fn the_files_of_shops_read_the_same_once_updated() {
    let manifest = fixture("MANIFEST.csv");
    for record in csv::Reader::from_reader(manifest.as_slice()).records() {
        let name = record.expect("the manifest is a CSV")[0].to_owned();
        let source = fixture(&name);
        let (updated, _) = update(&source, |url| format!("https://h.example/images/{}/compressed_x.jpg", url.len()));
        let (rows, before) = read_all(source.as_slice(), &Limits::default(), 64 * 1024);
        let (again, after) = read_all(updated.as_slice(), &Limits::default(), 64 * 1024);
        assert_eq!(
            (before.row_count, before.accepted_row_count),
            (after.row_count, after.accepted_row_count),
            "{name}"
        );
        let roles =
            |report: &Report| report.columns.iter().map(|column| (column.role, column.matched_by)).collect::<Vec<_>>();
        assert_eq!(roles(&before), roles(&after), "{name}");
        let names = |rows: &[Row]| rows.iter().map(|row| (row.name.clone(), row.extra.clone())).collect::<Vec<_>>();
        assert_eq!(names(&rows), names(&again), "{name}");
    }
}
