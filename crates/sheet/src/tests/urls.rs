//! URLs among other text: what belongs to them, what does not, and where none is expected.

use super::faults::bad_rows;
use super::*;
use crate::IssueCode;

#[test]
fn text_behind_the_name_of_an_image_file_is_no_part_of_its_url() {
    for (between, rest) in [(" ", "(front)"), (" ", "1x"), (", ", "mug2.jpg"), ("; ", "n/a"), ("|", "n/a")] {
        let list = format!("https://a.com/1.jpg{between}{rest}, https://a.com/2.jpg");
        let file = format!("Name\tImages\na\t\"{}\"\n", list.replace('"', "\"\""));
        let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
        let urls: Vec<_> = rows[0].urls.iter().map(|url| (url.text.as_str(), url.accepted)).collect();
        assert_eq!(urls, [("https://a.com/1.jpg", true), (rest, false), ("https://a.com/2.jpg", true)], "{list}");
        assert_eq!(report.issues[0].code, IssueCode::InvalidUrl, "{list}");
    }
}

#[test]
fn what_is_known_to_stand_beside_urls_is_left_out_with_a_warning() {
    for (list, expected) in [
        ("https://a.com/1.jpg - front view, https://a.com/2.jpg", "https://a.com/1.jpg https://a.com/2.jpg"),
        (
            "https://a.com/1.jpg, //b.com/2.jpg, www.b.com/3",
            "https://a.com/1.jpg https://b.com/2.jpg https://www.b.com/3",
        ),
        ("https://a.com/1.jpg \"https://b.com/2.jpg\"", "https://a.com/1.jpg https://b.com/2.jpg"),
        ("front: https://a.com/1.jpg, back: https://a.com/2.jpg", "https://a.com/1.jpg https://a.com/2.jpg"),
        ("1. https://a.com/1.jpg 2. https://a.com/2.jpg", "https://a.com/1.jpg https://a.com/2.jpg"),
        ("• https://a.com/1\n• https://a.com/2", "https://a.com/1 https://a.com/2"),
        ("https://a.com/1.jpg & https://a.com/2.jpg", "https://a.com/1.jpg https://a.com/2.jpg"),
    ] {
        let file = format!("Name\tImages\na\t\"{}\"\n", list.replace('"', "\"\""));
        let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
        let urls: Vec<_> = rows[0].urls.iter().map(|url| url.text.as_str()).collect();
        assert!(rows[0].urls.iter().all(|url| url.accepted), "{list}: {rows:?}");
        assert_eq!(urls.join(" "), expected, "{list}");
        assert_eq!((report.error_count, report.issues[0].code), (0, IssueCode::RepairedUrl), "{list}");
    }
}

#[test]
fn what_stands_around_a_url_is_told() {
    for url in [
        "https://a.com/1.jpg}",
        "https://a.com/1.jpg]",
        "https://a.com/1.jpg)",
        "https://a.com/1.jpg'",
        "https://a.com/1.jpg\u{201d}",
        "https://a.com/1.jpg\u{2019}",
        "https://a.com/1\u{bb}",
        "https://a.com/1<br>",
        "https://a.com/`1`",
        "https://a.com/a\"b",
        "https://A.com/1>",
    ] {
        let file = format!("Name\tImages\na\t\"{}\"\n", url.replace('"', "\"\""));
        let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
        assert!(!rows[0].accepted && rows[0].urls[0].text == url, "{url}: {rows:?}");
        assert_eq!(report.issues[0].code, IssueCode::InvalidUrl, "{url}");
        assert_eq!(report.issues[0].value.as_deref(), Some(url));
    }
    for url in [
        "https://a.com/Mug_(red)",
        "https://a.com/x[1]",
        "https://a.com/{id}",
        "https://a.com/'1'",
        "https://a.com/rock\u{2019}n\u{2019}roll.jpg",
        "https://[2001:db8::1]",
    ] {
        let (rows, report) = read_all(format!("Name,Images\na,{url}\n").as_bytes(), &Limits::default(), 64);
        assert!(rows[0].accepted && report.issue_count == 0, "{url}: {:?}", report.issues);
    }
}

#[test]
fn urls_where_no_image_is_fetched_from_them_are_told() {
    check_cases(&[
        bad_rows(
            "a missing cell makes a URL a name",
            b"S. No,Name,Images\nMug,https://a.com/1,https://a.com/2\n",
            &["1@2: Mug/https://a.com/1 [+https://a.com/2]"],
            &["warning UNEXPECTED_CELL @2 row 1 [Name] = https://a.com/1"],
        ),
        bad_rows(
            "quotes that close in another row",
            b"Name,Images\n\"M,https://a.com/1\nB\",https://a.com/2\n",
            &["1@2: none/M,https://a.com/1\nB [+https://a.com/2]"],
            &["warning UNEXPECTED_CELL @2 row 1 [Name] = M,https://a.com/1\nB"],
        ),
        bad_rows(
            "a column that is carried through, of images by its name or of anything",
            b"Name,Images,Colour\na,https://a.com/1,https://a.com/2\nb,https://a.com/3,https://a.com/4,https://a.com/5\n",
            &["1@2: none/a [+https://a.com/1] {https://a.com/2}", "2@3: none/b [+https://a.com/3 +https://a.com/4] {https://a.com/5}"],
            &[
                "warning UNEXPECTED_CELL @2 row 1 [Colour] = https://a.com/2",
                "warning SPILLED_URLS @3 row 2 [Images] = https://a.com/4",
                "warning UNEXPECTED_CELL @3 row 2 [Colour] = https://a.com/5",
            ],
        ),
        bad_rows(
            "words that say that there is none",
            b"Name,Images\na,not a url,https://a.com/1\n",
            &["1@2: none/a [-not a url +https://a.com/1]"],
            &[
                "warning SPILLED_URLS @2 row 1 [Images] = https://a.com/1",
                "error INVALID_URL @2 row 1 [Images] = not a url",
            ],
        ),
        bad_rows(
            "a column of links",
            b"Name,Images,Product Link\na,https://a.com/1,https://a.com/2\n",
            &["1@2: none/a [+https://a.com/1] {https://a.com/2}"],
            &[],
        ),
    ]);
}
