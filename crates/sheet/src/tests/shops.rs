//! The files of shops: each gives the rows and images that its manifest says, and what was understood is said.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::{ColumnRole, IssueCode, MatchedBy};

pub(super) fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shops").join(name)).expect("a fixture is there")
}

fn read_fixture(name: &str) -> (Vec<Row>, Report) {
    read_all(fixture(name).as_slice(), &Limits::default(), 64 * 1024)
}

fn distinct(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().flat_map(|row| &row.urls).filter(|url| url.accepted).map(|url| url.text.as_str()).collect()
}

#[test]
fn every_shops_file_gives_its_rows_and_images() {
    let manifest = fixture("MANIFEST.csv");
    let mut manifest = csv::Reader::from_reader(manifest.as_slice());
    let mut failures = String::new();
    let mut files = 0;
    for record in manifest.records() {
        let record = record.expect("the manifest is a CSV");
        let (rows, report) = read_fixture(&record[0]);
        let found = (report.accepted_row_count.to_string(), distinct(&rows).len().to_string());
        files += 1;
        if !record[1].is_empty() && (found.0.as_str(), found.1.as_str()) != (&record[1], &record[2]) {
            failures += &format!("{}: {found:?}\n{}{rows:#?}\n", &record[0], show_report(&report));
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(files > 40, "{files}");
}

#[test]
fn text_behind_a_file_name_is_no_part_of_the_url() {
    let (rows, report) = read_fixture("c03-pipe.csv");
    let files: Vec<String> = ('a'..='j').map(|name| format!("https://cdn.example.com/img/{name}.jpg")).collect();
    assert_eq!(distinct(&rows), files.iter().map(String::as_str).collect());
    assert!(report.issues.iter().any(|issue| issue.code == IssueCode::RepairedUrl), "{report:#?}");
}

#[test]
fn entities_in_urls_are_read_as_they_were_meant() {
    let (rows, report) = read_fixture("c15-entities.csv");
    assert_eq!(
        rows.iter().map(|row| row.urls[0].text.as_str()).collect::<Vec<_>>(),
        [
            "https://img.example.com/i?id=1&w=800&fmt=jpg",
            "https://cdn.example.com/img/a.jpg?x=1&y=2",
            "https://img.example.com/i?id=2&w=800",
            "https://img.example.com/b.jpg",
            "https://img.example.com/c.jpg?a=1&b=2",
        ]
    );
    assert_eq!((report.error_count, report.issue_count), (0, 5), "{report:#?}");
    assert_eq!(rows[1].name, "Smith &amp; Sons", "only URLs are repaired");
}

#[test]
fn what_a_url_may_have_stays() {
    let (rows, _) = read_fixture("c20-url-chars.csv");
    let file = String::from_utf8(fixture("c20-url-chars.csv")).expect("it is UTF-8");
    let written: Vec<&str> = file.lines().skip(1).map(|line| line.splitn(3, ',').nth(2).expect("a URL")).collect();
    let read: Vec<&str> = rows.iter().map(|row| row.urls[0].text.as_str()).collect();
    assert_eq!(read, written);

    for url in ["http://aa.com/;//&.a", "http://aa.com/;//b.com/x", "http://aa.com/a,//b.com/x"] {
        let (rows, _) = read_all(format!("Name,Image\nLamp,\"{url}\"\n").as_bytes(), &Limits::default(), 64);
        let read: Vec<&str> = rows[0].urls.iter().map(|url| url.text.as_str()).collect();
        assert_eq!(read, [url]);
    }
}

#[test]
fn the_report_says_what_each_column_was_taken_for() {
    let columns = |name: &str| {
        let (_, report) = read_fixture(name);
        let columns = report.columns.into_iter().filter(|column| column.matched_by.is_some());
        columns.map(|column| (column.header, column.role, column.matched_by, column.image_count)).collect::<Vec<_>>()
    };
    assert_eq!(
        columns("c25-row-per-image.csv"),
        [
            ("NAME".to_owned(), ColumnRole::ProductName, Some(MatchedBy::Name), 0),
            ("URL".to_owned(), ColumnRole::ImageUrls, Some(MatchedBy::Content), 3),
        ]
    );
    assert_eq!(
        columns("c04-shopify.csv"),
        [
            ("Title".to_owned(), ColumnRole::ProductName, Some(MatchedBy::Name), 0),
            ("Image Src".to_owned(), ColumnRole::ImageUrls, Some(MatchedBy::Name), 4),
            ("Variant Image".to_owned(), ColumnRole::ImageUrls, Some(MatchedBy::Name), 2),
        ]
    );
}

#[test]
fn a_continuation_row_takes_the_name_from_above_and_one_warning_says_so() {
    let (rows, report) = read_fixture("c04b-continuation-blank-name.csv");
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Clay Mug", "Clay Mug", "Clay Mug", "Soap"]);
    let issues: Vec<_> = report.issues.iter().map(show_issue).collect();
    assert_eq!(issues, ["warning CONTINUED_ROWS @3 row 2 [Product Name]"]);

    let merged = b"ID,Name,Images\n1,a,https://a.com/1\n,,https://a.com/2\n,,https://a.com/3\n2,,https://a.com/4\n";
    let (rows, report) = read_all(merged.as_slice(), &Limits::default(), 64);
    assert_eq!(
        rows.iter().map(show_row).collect::<Vec<_>>(),
        [
            "1@2: 1/a [+https://a.com/1]",
            "2@3: 1/a [+https://a.com/2]",
            "3@4: 1/a [+https://a.com/3]",
            "4@5: 2/ [-https://a.com/4] rejected"
        ]
    );
    assert_eq!(report.issue_count, 2, "{report:#?}");
}

#[test]
fn variants_without_an_image_are_skipped_and_one_warning_says_so() {
    let file = "Handle,Title,Option1 Value,Variant SKU,Image Src,Variant Image\n\
                mug,Mug,Blue,M-B,https://a.com/1.jpg,\n\
                mug,,Green,M-G,,\n\
                mug,,Red,M-R,,\n\
                mug,,,,https://a.com/2.jpg,\n\
                jug,,Clear,J-C,,\n";
    let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
    let read: Vec<_> = rows.iter().map(|row| (row.line, row.name.as_str(), row.accepted)).collect();
    assert_eq!(read, [(2, "Mug", true), (5, "Mug", true), (6, "", false)], "another handle is another product");
    assert_eq!(
        report.issues.iter().map(show_issue).collect::<Vec<_>>(),
        [
            "warning SKIPPED_LINE @3",
            "warning CONTINUED_ROWS @5 row 2 [Title]",
            "error EMPTY_PRODUCT_NAME @6 row 3 [Title]",
            "error NO_IMAGE_URLS @6 row 3 [Variant Image]",
        ]
    );
    assert!(report.issues[0].message.starts_with("2 rows"), "{}", report.issues[0].message);
}

#[test]
fn lines_that_are_no_products_are_skipped_with_a_warning() {
    for (name, expected) in [
        ("c12-title-rows.csv", &["warning SKIPPED_LINE @1", "warning SKIPPED_LINE @7 = Total"][..]),
        ("c12b-total-only.csv", &["warning SKIPPED_LINE @4 = Total"]),
        ("c27-unit-row.csv", &["warning SKIPPED_LINE @2 = required"]),
        ("c27b-dashes-row.csv", &["warning SKIPPED_LINE @2 = ----"]),
        ("c09-amazon.txt", &["warning SKIPPED_LINE @1"]),
    ] {
        let (_, report) = read_fixture(name);
        assert_eq!(report.issues.iter().map(show_issue).collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn a_missing_product_name_is_taken_from_elsewhere_with_a_warning() {
    for (file, expected) in [
        ("ID,Color,Images\n7,red,https://a.com/1.jpg\n", "7"),
        ("Handle,ID,Images\nmug,7,https://a.com/1.jpg\n", "mug"),
        ("Color,Images\nred,https://a.com/blue%20mug.jpg?x=1\n", "blue mug"),
    ] {
        let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
        assert_eq!((rows[0].name.as_str(), rows[0].accepted), (expected, true), "{file}");
        let codes: Vec<_> = report.issues.iter().map(|issue| issue.code).collect();
        assert_eq!(codes, [IssueCode::GuessedColumn], "{file}");
    }
}

#[test]
fn urls_in_a_column_that_is_not_used_are_counted() {
    let file = "Name,Images,Price,Extra,Link\na,https://a.com/1,2,https://a.com/2,https://a.com/p\n\
                b,https://a.com/3,2,https://a.com/4,\n";
    let (_, report) = read_all(file.as_bytes(), &Limits::default(), 64);
    assert_eq!(report.issues.iter().map(show_issue).collect::<Vec<_>>(), ["warning UNUSED_URLS @1 [Extra] = Extra"]);
    assert!(report.issues[0].message.starts_with("2 cells of \"Extra\""), "{report:#?}");
}

#[test]
fn the_caller_says_which_columns_are_meant() {
    let read = |file: &str, hints: &Hints| {
        let mut reader = Reader::open_with(file.as_bytes(), &Limits::default(), hints).expect("memory has no errors");
        let rows: Vec<Row> = reader.by_ref().map(|row| row.expect("memory has no errors")).collect();
        (rows.iter().map(show_row).collect::<Vec<_>>(), reader.into_report())
    };
    let file = "Images,Name\nno,header\nA,B,C,D\nhttps://a.com/1,x,https://a.com/2,7\n";
    let hints = Hints {
        product_name: Some("b".to_owned()),
        image_urls: vec!["C".to_owned(), "A".to_owned()],
        serial_number: Some("D".to_owned()),
        header_line: Some(3),
        sheet: None,
    };
    let (rows, report) = read(file, &hints);
    assert_eq!(rows, ["1@4: 7/x [+https://a.com/1 +https://a.com/2]"], "{report:#?}");
    assert!(report.columns.iter().all(|column| column.matched_by == Some(MatchedBy::Caller)));

    let (_, report) = read(file, &Hints { image_urls: vec!["Photos".to_owned()], ..hints });
    assert!(report.rejected);
    let last = report.issues.last().map(show_issue);
    assert_eq!(last.as_deref(), Some("error MISSING_COLUMN @3 [Photos] = A, B, C, D"));
}

#[test]
fn names_of_image_columns_are_known_in_many_languages() {
    let is_known = |name: &str| crate::vocabulary::names_images(&crate::vocabulary::normal(name));
    for name in [
        "Image Src",
        "image_link",
        "additional_image_link",
        "IMAGE1",
        "image_url_12",
        "Product Image File - 1",
        "Main Image URL",
        "Image URLs (x,y,z...)",
        "Image Url(s)",
        "Picture URL",
        "PicURL",
        "Item photo URL",
        "Hosted Image URLs",
        "galleryImageURL_1",
        "media_gallery",
        "thumbnail",
        "Bild",
        "Bild-URL 2",
        "Produktbild",
        "Hauptbild",
        "Weitere Bilder",
        "Bildlink",
        "Artikelbilder",
        "URL de l'image",
        "Lien image",
        "Photos du produit",
        "Image principale",
        "Imagen",
        "URL de la imagen",
        "Imágenes adicionales",
        "Immagine prodotto",
        "Link immagine",
        "Imagem principal",
        "URL da imagem",
        "Afbeelding",
        "Afbeelding URL",
        "Product afbeeldingen",
        "Image URL (required)",
        "Image*",
        "Product\nImage",
    ] {
        assert!(is_known(name), "{name}");
    }
    for name in [
        "Image Alt Text",
        "Image Position",
        "base_image_label",
        "Product Image Is Thumbnail - 1",
        "Product Image Sort - 1",
        "link",
        "External URL",
        "Imagination",
        "Photographer",
        "Gallery title",
        "image_hash",
        "Product",
        "",
        "1",
        "Picture credits",
    ] {
        assert!(!is_known(name), "{name}");
    }
}
