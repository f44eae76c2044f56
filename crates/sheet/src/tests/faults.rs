//! Everything that can be wrong with a file, each with its exact place.

use super::*;
use crate::IssueCode;

pub(super) const fn bad_rows(
    name: &'static str,
    file: &'static [u8],
    rows: &'static [&'static str],
    issues: &'static [&'static str],
) -> Case {
    Case { name, file, rows, issues, refused: false }
}

const fn refused(
    name: &'static str,
    file: &'static [u8],
    rows: &'static [&'static str],
    issues: &'static [&'static str],
) -> Case {
    Case { name, file, rows, issues, refused: true }
}

/// One byte more than [`small_limits`] allows, most of them empty lines.
const TOO_LARGE: [u8; 1_001] = {
    let beginning = b"Name,Images\na,https://a.com/1\n";
    let mut file = [b'\n'; 1_001];
    let (start, _) = file.split_at_mut(beginning.len());
    start.copy_from_slice(beginning);
    file
};

#[test]
fn a_file_that_is_no_such_csv_is_refused_whole() {
    check_cases(&[
        refused("no bytes", b"", &[], &["error EMPTY_FILE @1"]),
        refused("only a byte order mark", b"\xEF\xBB\xBF", &[], &["error EMPTY_FILE @1"]),
        refused("only blank lines", b"\r\n \n,,,\n\n", &[], &["error EMPTY_FILE @1"]),
        refused("only a declaration", b"sep=,\n", &[], &["error EMPTY_FILE @1"]),
        refused("only a header", b"Name,Images\n", &[], &["error EMPTY_FILE @2"]),
        refused("data first", b"1, a, https://a.com/1\n", &[], &["error NO_HEADER @1 = https://a.com/1"]),
        refused(
            "data first, after a blank line",
            b"\n1,a,\"https://a.com/1,https://a.com/2\"\n",
            &[],
            &["error NO_HEADER @2 = https://a.com/1,https://a.com/2"],
        ),
        refused(
            "columns that may be meant",
            b"Label of product,Photo of it\na,red\n",
            &[],
            &[
                "error MISSING_COLUMN @1 [Product Name] = Label of product, Photo of it",
                "error MISSING_COLUMN @1 [Input Image Urls] = Label of product, Photo of it",
            ],
        ),
        refused(
            "no url column",
            b"ID,Name,Color\n1,a,red\n",
            &[],
            &["error MISSING_COLUMN @1 [Input Image Urls] = ID, Name, Color"],
        ),
        refused(
            "neither",
            b"first,second\n",
            &[],
            &[
                "error MISSING_COLUMN @1 [Product Name] = first, second",
                "error MISSING_COLUMN @1 [Input Image Urls] = first, second",
            ],
        ),
        refused(
            "a column twice",
            b"Name,Images,name\na,https://a.com/1,b\n",
            &[],
            &["error AMBIGUOUS_COLUMN @1 [name] = name"],
        ),
        refused(
            "a quote left open",
            b"Name,Images\na,https://a.com/1\n\"b\nc,https://a.com/2\n",
            &["1@2: none/a [+https://a.com/1]"],
            &["error UNTERMINATED_QUOTE @3 row 2 [Name] = b\nc,https://a.com/2\n"],
        ),
        refused(
            "a quote left open at the very end",
            b"Name,Images\na,\"",
            &[],
            &["error UNTERMINATED_QUOTE @2 row 1 [Images] = "],
        ),
        refused(
            "a quote left open in the header",
            b"Name,\"Images\na,https://a.com/1\n",
            &[],
            &["error UNTERMINATED_QUOTE @1 = Images\na,https://a.com/1\n"],
        ),
        refused(
            "a NUL",
            b"Name,Images\na,https://a.com/1\nb,ht\0tps://a.com/2\n",
            &["1@2: none/a [+https://a.com/1]"],
            &["error NUL_BYTE @3"],
        ),
        refused("UTF-16 without a mark", b"N\0a\0m\0e\0", &[], &["error NUL_BYTE @1"]),
        refused(
            "broken UTF-8",
            b"Name,Images\r\n\xC3\xA9,https://a.com/1\r\n\xE9,https://a.com/2\r\n",
            &["1@2: none/\u{e9} [+https://a.com/1]"],
            &["error UNDECODABLE_TEXT @3"],
        ),
        refused(
            "UTF-8 cut off",
            b"\xEF\xBB\xBFName,Images\na,https://a.com/1\nb,https://a.com/\xC3",
            &["1@2: none/a [+https://a.com/1]"],
            &["error UNDECODABLE_TEXT @3"],
        ),
        refused("UTF-16 cut off", b"\xFF\xFEN\0a", &[], &["error UNDECODABLE_TEXT @1"]),
        refused("half a UTF-16 pair", b"\xFF\xFEN\0\x00\xD8N\0", &[], &["error UNDECODABLE_TEXT @1"]),
        refused(
            "bytes without a meaning",
            b"Name,Images\n\x83e\x81[,https://a.com/1\n",
            &[],
            &["error UNDECODABLE_TEXT @2"],
        ),
        refused("a workbook", b"PK\x03\x04\x14\0\x06", &[], &["error UNDECODABLE_TEXT @1"]),
        refused("an old workbook", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", &[], &["error UNDECODABLE_TEXT @1"]),
        refused(
            "too many images",
            b"Name,Images\na,https://a.com/1 https://a.com/2 https://a.com/3 https://a.com/4\nb,https://a.com/5 https://a.com/6 https://a.com/7 https://a.com/8\nc,https://a.com/9 https://a.com/10 https://a.com/11 https://a.com/12\nd,https://a.com/13\n",
            &[
                "1@2: none/a [+https://a.com/1 +https://a.com/2 +https://a.com/3 +https://a.com/4]",
                "2@3: none/b [+https://a.com/5 +https://a.com/6 +https://a.com/7 +https://a.com/8]",
                "3@4: none/c [+https://a.com/9 +https://a.com/10 +https://a.com/11 +https://a.com/12]",
            ],
            &["error TOO_MANY_IMAGES @5 row 4"],
        ),
        refused("too many bytes", &TOO_LARGE, &["1@2: none/a [+https://a.com/1]"], &["error FILE_TOO_LARGE @973"]),
        refused(
            "no row that can be used",
            b"Name,Images\n,https://a.com/1\nb,ftp://a.com/2\n",
            &["1@2: none/ [-https://a.com/1] rejected", "2@3: none/b [-ftp://a.com/2] rejected"],
            &[
                "error EMPTY_PRODUCT_NAME @2 row 1 [Name]",
                "error UNSUPPORTED_SCHEME @3 row 2 [Images] = ftp://a.com/2",
                "error EMPTY_FILE @4",
            ],
        ),
    ]);
}

#[test]
fn a_bad_row_is_reported_whole_and_the_others_go_on() {
    check_cases(&[
        bad_rows(
            "no name",
            b"ID,Name,Images\n1, ,https://a.com/1\n2,b,https://a.com/2\n",
            &["1@2: 1/ [-https://a.com/1] rejected", "2@3: 2/b [+https://a.com/2]"],
            &["error EMPTY_PRODUCT_NAME @2 row 1 [Name]"],
        ),
        bad_rows(
            "no url",
            b"ID,Name,Images\n1,a\n2,b,https://a.com/2\n3,c,\" , \"\n",
            &["1@2: 1/a [] rejected", "2@3: 2/b [+https://a.com/2]", "3@4: 3/c [] rejected"],
            &["error NO_IMAGE_URLS @2 row 1 [Images]", "error NO_IMAGE_URLS @4 row 3 [Images]"],
        ),
        bad_rows(
            "everything at once",
            b"ID,Name,Images\n1,,\"ftp://a.com/1,www.a.com\"\n2,b,https://a.com/2\n",
            &["1@2: 1/ [-ftp://a.com/1 -https://www.a.com] rejected", "2@3: 2/b [+https://a.com/2]"],
            &[
                "error EMPTY_PRODUCT_NAME @2 row 1 [Name]",
                "warning REPAIRED_URL @2 row 1 [Images] = www.a.com",
                "error UNSUPPORTED_SCHEME @2 row 1 [Images] = ftp://a.com/1",
            ],
        ),
        bad_rows(
            "a bad url keeps its place",
            b"Name,Images\na,\"https://a.com/1,ftp://a.com/2,https://a.com/3\"\n",
            &["1@2: none/a [+https://a.com/1 -ftp://a.com/2 +https://a.com/3]"],
            &["error UNSUPPORTED_SCHEME @2 row 1 [Images] = ftp://a.com/2"],
        ),
        bad_rows(
            "a bad url in a cell of its own",
            b"Name,Images\na,https://a.com/1,ftp://a.com/2,https://a.com/3\n",
            &["1@2: none/a [+https://a.com/1 -ftp://a.com/2 +https://a.com/3]"],
            &["warning SPILLED_URLS @2 row 1 [Images] = ftp://a.com/2", "error UNSUPPORTED_SCHEME @2 row 1 [Images] = ftp://a.com/2"],
        ),
        bad_rows(
            "a comma in an unquoted name",
            b"ID,Name,Images\n1,Shirt, red,https://a.com/1\n2,b,https://a.com/2\n",
            &["1@2: 1/Shirt [-red -https://a.com/1] rejected", "2@3: 2/b [+https://a.com/2]"],
            &["error UNEXPECTED_CELL @2 row 1 [Images] = red"],
        ),
        bad_rows(
            "a name too long",
            b"ID,Name,Images\n1,123456789 123456789 \xC3\xA9,https://a.com/1\n2,123456789 12345678 \xC3\xA9,https://a.com/2\n",
            &["1@2: 1/123456789 123456789 \u{e9} [-https://a.com/1] rejected", "2@3: 2/123456789 12345678 \u{e9} [+https://a.com/2]"],
            &["error CELL_TOO_LONG @2 row 1 [Name] = 123456789 123456789 \u{e9}"],
        ),
        bad_rows(
            "a serial number too long",
            b"ID,Name,Images\n123456789012345678901,a,https://a.com/1\n2,b,https://a.com/2\n",
            &["1@2: 123456789012345678901/a [-https://a.com/1] rejected", "2@3: 2/b [+https://a.com/2]"],
            &["error CELL_TOO_LONG @2 row 1 [ID] = 123456789012345678901"],
        ),
        bad_rows(
            "a url too long",
            b"Name,Images\na,\"https://a.com/1234567890123456789012345678901234567890123456,https://a.com/12345678901234567890123456789012345678901234567\"\n",
            &["1@2: none/a [+https://a.com/1234567890123456789012345678901234567890123456 -https://a.com/12345678901234567890123456789012345678901234567]"],
            &["error URL_TOO_LONG @2 row 1 [Images] = https://a.com/12345678901234567890123456789012345678901234567"],
        ),
        bad_rows(
            "too many urls",
            b"Name,Images\na,\"https://a.com/1,https://a.com/2,https://a.com/3,https://a.com/4\"\nb,\"https://a.com/1,https://a.com/2,https://a.com/3,x://y,https://a.com/5\"\n",
            &[
                "1@2: none/a [+https://a.com/1 +https://a.com/2 +https://a.com/3 +https://a.com/4]",
                "2@3: none/b [-https://a.com/1 -https://a.com/2 -https://a.com/3 -x://y -https://a.com/5] rejected",
            ],
            &["error TOO_MANY_URLS_IN_ROW @3 row 2 [Images]"],
        ),
    ]);
}

#[test]
fn issues_are_counted_beyond_those_kept_and_errors_are_kept_first() {
    let mut file = "Name,Images\n".to_owned();
    file.extend((0..10).map(|n| format!("a{n},https://a.com/1,https://a.com/2\n")));
    file.push_str(",https://a.com/1\n,https://a.com/1\n");
    let limits = Limits { max_issues: 4, ..Limits::default() };
    let (_, report) = read_all(file.as_bytes(), &limits, 64);
    assert_eq!((report.issue_count, report.error_count), (12, 2));
    let kept: Vec<(u64, IssueCode)> = report.issues.iter().map(|issue| (issue.line, issue.code)).collect();
    let (spilled, no_name) = (IssueCode::SpilledUrls, IssueCode::EmptyProductName);
    assert_eq!(kept, [(2, spilled), (3, spilled), (12, no_name), (13, no_name)]);
}

#[test]
fn issues_are_in_the_order_of_the_lines_also_within_a_row() {
    let file = b"Images,ID,Name,\n\"ftp://a\nftp://b\",1,a,x\n\"ftp://a\nhttps://a.com/1\",1,\"b\n\",x\nhttps://a.com/1,1,c,\n";
    let (_, report) = read_all(file.as_slice(), &small_limits(), 64);
    assert_eq!(
        report.issues.iter().map(show_issue).collect::<Vec<_>>(),
        [
            "error UNSUPPORTED_SCHEME @2 row 1 [Images] = ftp://a",
            "warning UNEXPECTED_CELL @3 row 1 = x",
            "error UNSUPPORTED_SCHEME @3 row 1 [Images] = ftp://b",
            "error UNSUPPORTED_SCHEME @4 row 2 [Images] = ftp://a",
            "warning UNEXPECTED_CELL @6 row 2 = x",
            "warning DUPLICATE_SERIAL_NUMBER @7 row 3 [ID] = 1",
        ]
    );
}

#[test]
fn the_refusal_is_kept_whatever_the_cap() {
    let file = format!("Name,Images\n{}", ",https://a.com/1\n".repeat(9));
    let limits = Limits { max_issues: 2, ..Limits::default() };
    let (_, report) = read_all(file.as_bytes(), &limits, 64);
    assert_eq!((report.issue_count, report.error_count, report.rejected), (10, 10, true));
    assert_eq!(
        report.issues.iter().map(|issue| issue.code).collect::<Vec<_>>(),
        [IssueCode::EmptyProductName, IssueCode::EmptyFile]
    );
}

#[test]
fn values_are_clipped_to_200_characters() {
    let file = format!("Name,Images\na,ftp://{}\nb,https://a.com/1\n", "é".repeat(400));
    let (_, report) = read_all(file.as_bytes(), &Limits::default(), 64 * 1024);
    let value = report.issues[0].value.as_deref().expect("a value");
    assert_eq!((value.chars().count(), value.starts_with("ftp://é")), (200, true));
}

#[test]
fn issues_survive_serialisation() {
    let (_, report) = read_all(b"Name,Images\n,ftp://a\n".as_slice(), &Limits::default(), 64);
    let json = serde_json::to_value(&report).expect("a report is JSON");
    assert_eq!(
        (&json["issues"][1]["code"], &json["issues"][1]["severity"]),
        (&"UNSUPPORTED_SCHEME".into(), &"ERROR".into())
    );
    assert_eq!(serde_json::from_value::<Report>(json).expect("and back"), report);
}

#[test]
fn a_quote_that_was_not_closed_swallows_no_row() {
    check_cases(&[
        refused(
            "in a name",
            b"S. No,Product Name,Input Image Urls\n1,\"A,https://a.com/1\n2,\"B\",https://a.com/2\n3,C,https://a.com/3\n",
            &[],
            &["error UNTERMINATED_QUOTE @2 row 1 [Product Name] = A,https://a.com/1\n2,B\""],
        ),
        refused(
            "in a column that is carried through",
            b"Name,Images,Note\nZ,https://a.com/1,z\nA,https://a.com/1,\"open\nB,https://a.com/2,\"x\"\nC,https://a.com/3,y\n",
            &["1@2: none/Z [+https://a.com/1] {z}"],
            &["error UNTERMINATED_QUOTE @3 row 2 [Note] = open\nB,https://a.com/2,x\""],
        ),
        refused(
            "in the urls",
            b"ID,Name,Images\n1,A,\"https://a.com/1\r\n2,B,\"https://a.com/2\"\r\n",
            &[],
            &["error UNTERMINATED_QUOTE @2 row 1 [Images] = https://a.com/1\r\n2,B,https://a.com/2\""],
        ),
        refused(
            "in the header",
            b"ID,Images,\"Name\n1,https://a.com/1,\"A\"\n",
            &[],
            &["error UNTERMINATED_QUOTE @1 = Name\n1,https://a.com/1,A\""],
        ),
        refused(
            "at the very end",
            b"Name,Images\n\"a\nb\"c",
            &[],
            &["error UNTERMINATED_QUOTE @2 row 1 [Name] = a\nbc"],
        ),
        bad_rows(
            "closed before a delimiter, spaces or a line end",
            b"Name,Images,Note\n\"a\nb\"  ,https://a.com/1,\"x\n\"\"y\"\"\"\t\nc,https://a.com/2,\"\n\"",
            &["1@2: none/a\nb [+https://a.com/1] {x\n\"y\"\t}", "2@5: none/c [+https://a.com/2] {\n}"],
            &[],
        ),
    ]);
}

#[test]
fn a_bad_first_url_is_skipped_like_any_other() {
    check_cases(&[
        bad_rows(
            "in front of spilled urls",
            b"ID,Name,Images\n1,A,not-a-url,https://a.com/2\n2,B,image1.jpg,https://a.com/2\n3,C,N/A,https://a.com/2\n",
            &[
                "1@2: 1/A [-not-a-url +https://a.com/2]",
                "2@3: 2/B [-image1.jpg +https://a.com/2]",
                "3@4: 3/C [-N/A +https://a.com/2]",
            ],
            &[
                "warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2",
                "error INVALID_URL @2 row 1 [Images] = not-a-url",
                "warning SPILLED_URLS @3 row 2 [Images] = https://a.com/2",
                "error INVALID_URL @3 row 2 [Images] = image1.jpg",
                "warning SPILLED_URLS @4 row 3 [Images] = https://a.com/2",
                "error INVALID_URL @4 row 3 [Images] = N/A",
            ],
        ),
        bad_rows(
            "where spaces follow all commas",
            b"ID, Name, Images\n1, A, not-a-url, https://a.com/2\n",
            &["1@2: 1/A [-not-a-url +https://a.com/2]"],
            &["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2", "error INVALID_URL @2 row 1 [Images] = not-a-url"],
        ),
        bad_rows(
            "in the first column, which no name can run into",
            b"Images,Name\nred,https://a.com/2,A\n",
            &["1@2: none/A [-red +https://a.com/2]"],
            &["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2", "error INVALID_URL @2 row 1 [Images] = red"],
        ),
        bad_rows(
            "or it is the end of a name",
            b"ID,Name,Images\n0,Z,https://a.com/1\n1,Shirt, 5XL,https://a.com/2\n2,Shirt,red,https://a.com/2\n3,Shirt,dark red,https://a.com/2\n",
            &[
                "1@2: 0/Z [+https://a.com/1]",
                "2@3: 1/Shirt [-5XL -https://a.com/2] rejected",
                "3@4: 2/Shirt [-red -https://a.com/2] rejected",
                "4@5: 3/Shirt [-dark red -https://a.com/2] rejected",
            ],
            &[
                "error UNEXPECTED_CELL @3 row 2 [Images] = 5XL",
                "error UNEXPECTED_CELL @4 row 3 [Images] = red",
                "error UNEXPECTED_CELL @5 row 4 [Images] = dark red",
            ],
        ),
        bad_rows(
            "between line breaks",
            b"ID,Name,Images\n1,A,\"https://a.com/1\nnot-a-url\r\nhttps://a.com/3\"\n",
            &["1@2: 1/A [+https://a.com/1 -not-a-url +https://a.com/3]"],
            &["error INVALID_URL @3 row 1 [Images] = not-a-url"],
        ),
        bad_rows(
            "a cell of line breaks is on the line it begins on",
            b"ID,Name,Images\n1,\" \n\n\",https://a.com/1\n2,B,https://a.com/2\n",
            &["1@2: 1/ [-https://a.com/1] rejected", "2@5: 2/B [+https://a.com/2]"],
            &["error EMPTY_PRODUCT_NAME @2 row 1 [Name]"],
        ),
    ]);
}
