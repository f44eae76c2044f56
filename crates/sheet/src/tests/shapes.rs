//! Files that are read: both shapes, every header, lines, and what is repaired.

use super::*;

const fn good(name: &'static str, file: &'static [u8], rows: &'static [&'static str]) -> Case {
    Case { name, file, rows, issues: &[], refused: false }
}

const fn repaired(
    name: &'static str,
    file: &'static [u8],
    rows: &'static [&'static str],
    issues: &'static [&'static str],
) -> Case {
    Case { name, file, rows, issues, refused: false }
}

#[test]
fn both_shapes_of_a_list_of_urls_are_read() {
    check_cases(&[
        repaired(
            "unquoted, as in the original design",
            b"S. No, Product Name, Input Image Urls\n1, SKU1, https://www.example.com/image1.jpg,https://www.example.com/image2.jpg\n2, SKU2, https://www.example.com/image3.jpg,https://www.example.com/image4.jpg\n",
            &[
                "1@2: 1/SKU1 [+https://www.example.com/image1.jpg +https://www.example.com/image2.jpg]",
                "2@3: 2/SKU2 [+https://www.example.com/image3.jpg +https://www.example.com/image4.jpg]",
            ],
            &[
                "warning SPILLED_URLS @2 row 1 [Input Image Urls] = https://www.example.com/image2.jpg",
                "warning SPILLED_URLS @3 row 2 [Input Image Urls] = https://www.example.com/image4.jpg",
            ],
        ),
        good(
            "quoted",
            b"S. No,Product Name,Input Image Urls\n1,SKU1,\"https://a.com/1, https://a.com/2\"\n",
            &["1@2: 1/SKU1 [+https://a.com/1 +https://a.com/2]"],
        ),
        good(
            "quoted after a space",
            b"S. No, Product Name, Input Image Urls\n1, \"Shirt, red\", \"https://a.com/1,https://a.com/2\" \n",
            &["1@2: 1/Shirt, red [+https://a.com/1 +https://a.com/2]"],
        ),
        good("one url", b"Name,Images\na,https://a.com/1", &["1@2: none/a [+https://a.com/1]"]),
        good(
            "a comma inside a quoted url",
            b"Name,Images\na,\"https://a.com/w_1,h_2/x,https://a.com/2\"\n",
            &["1@2: none/a [+https://a.com/w_1,h_2/x +https://a.com/2]"],
        ),
        repaired(
            "a comma inside an unquoted url",
            b"Name,Images\na,https://a.com/w_1,h_2/x,https://a.com/2\n",
            &["1@2: none/a [+https://a.com/w_1,h_2/x +https://a.com/2]"],
            &["warning SPILLED_URLS @2 row 1 [Images] = h_2/x"],
        ),
        repaired(
            "a comma inside an unquoted url, before words that could tell of an image",
            b"Name,Images\na,https://a.com/image/w_1,h_2/photo.jpg,https://a.com/c_1,image_url=2\n",
            &["1@2: none/a [+https://a.com/image/w_1,h_2/photo.jpg +https://a.com/c_1,image_url=2]"],
            &["warning SPILLED_URLS @2 row 1 [Images] = h_2/photo.jpg"],
        ),
        good(
            "a url inside a url",
            b"Name,Images\na,https://a.com/fetch/https://b.com/1?u=https://c.com\n",
            &["1@2: none/a [+https://a.com/fetch/https://b.com/1?u=https://c.com]"],
        ),
        good(
            "line breaks, spaces, semicolons and bars between urls",
            b"Name,Images\na,\"https://a.com/1\r\nhttps://a.com/2 ; https://a.com/3|HTTP://a.com/4\"\n",
            &["1@2: none/a [+https://a.com/1 +https://a.com/2 +https://a.com/3 +HTTP://a.com/4]"],
        ),
        good(
            "urls that touch",
            b"Name,Images\na,https://a.com/photo.jpghttps://a.com/2.jpeghttp://a.com/3.pnghttpw:4\n",
            &["1@2: none/a [+https://a.com/photo.jpg +https://a.com/2.jpeg +http://a.com/3.pnghttpw:4]"],
        ),
        good(
            "commas of other scripts",
            "Name,Images\na,https://a.com/1，https://a.com/2、https://a.com/3；\n".as_bytes(),
            &["1@2: none/a [+https://a.com/1 +https://a.com/2 +https://a.com/3]"],
        ),
        good(
            "names of files with spaces",
            b"Name,Images\na,\"https://a.com/my photo.jpg, https://a.com/a.png copy.png\"\n",
            &["1@2: none/a [+https://a.com/my photo.jpg +https://a.com/a.png copy.png]"],
        ),
        good(
            "commas and spaces in what is no file's name",
            b"Name,Images\na,\"https://a.com/w_1, h_2/x, https://a.com/?of=Mug, red\"\n",
            &["1@2: none/a [+https://a.com/w_1, h_2/x +https://a.com/?of=Mug, red]"],
        ),
        good(
            "commas too many",
            b"Name,Images\na,\",https://a.com/1,,https://a.com/2, \"\n",
            &["1@2: none/a [+https://a.com/1 +https://a.com/2]"],
        ),
        repaired(
            "gaps between spilled urls",
            b"Name,Images,,\na,https://a.com/1,,https://a.com/2,,\n",
            &["1@2: none/a [+https://a.com/1 +https://a.com/2]"],
            &["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2"],
        ),
        repaired(
            "spilled between two columns",
            b"Name,Images,Color\na,https://a.com/1,https://a.com/2,red\nb,https://a.com/3,blue\n",
            &["1@2: none/a [+https://a.com/1 +https://a.com/2] {red}", "2@3: none/b [+https://a.com/3] {blue}"],
            &["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2"],
        ),
        repaired(
            "spilled before the name and the serial number",
            b"Images,Name,ID\nhttps://a.com/1,https://a.com/2,a,7\nhttps://a.com/3,b,7\n",
            &["1@2: 7/a [+https://a.com/1 +https://a.com/2]", "2@3: 7/b [+https://a.com/3]"],
            &[
                "warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2",
                "warning DUPLICATE_SERIAL_NUMBER @3 row 2 [ID] = 7",
            ],
        ),
        repaired(
            "commas inside an unquoted url before other columns",
            b"Images,Name,Page\nhttps://a.com/w_1,h_2,c_3/x,https://a.com/2,a,https://a.com/page\nhttps://a.com/3,b/c,,\n",
            &[
                "1@2: none/a [+https://a.com/w_1,h_2,c_3/x +https://a.com/2] {https://a.com/page}",
                "2@3: none/b/c [+https://a.com/3] {}",
            ],
            &["warning SPILLED_URLS @2 row 1 [Images] = h_2"],
        ),
        repaired(
            "spilled under columns that a spreadsheet left unnamed",
            b"Name,Images,,Color\na,https://a.com/1,https://a.com/2,red\nb,https://a.com/3,,blue\n",
            &["1@2: none/a [+https://a.com/1 +https://a.com/2] {red}", "2@3: none/b [+https://a.com/3] {blue}"],
            &["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2"],
        ),
        good(
            "a carried-through url is not an image",
            b"Name,Images,Page\na,https://a.com/1,https://a.com/page\n",
            &["1@2: none/a [+https://a.com/1] {https://a.com/page}"],
        ),
    ]);
}

#[test]
fn headers_are_found_by_alias_in_any_order() {
    check_cases(&[
        good("S.No.", b"S.No.,PRODUCT_NAME,input-image-urls\n7,a,https://a.com/1\n", &["1@2: 7/a [+https://a.com/1]"]),
        good("Serial Number", b"Serial Number,Product,Image Urls\n7,a,https://a.com/1\n", &["1@2: 7/a [+https://a.com/1]"]),
        good("Sr No", b"Sr No,Name,Images\n7,a,https://a.com/1\n", &["1@2: 7/a [+https://a.com/1]"]),
        good("ID", b" id ,SKU,Image URL\n7,a,https://a.com/1\n", &["1@2: 7/a [+https://a.com/1]"]),
        good("#", b"#,\"Product\n Name\",Input Image URLs\n7,a,https://a.com/1\n", &["1@3: 7/a [+https://a.com/1]"]),
        good("any order", b"Images,Color,Name,S. No\nhttps://a.com/1,red,a,7\n", &["1@2: 7/a [+https://a.com/1] {red}"]),
        good("no serial number", b"Name,Images\na,https://a.com/1\n", &["1@2: none/a [+https://a.com/1]"]),
        good("an empty serial number", b"ID,Name,Images\n,a,https://a.com/1\n", &["1@2: none/a [+https://a.com/1]"]),
        good(
            "unknown named columns are carried through as they are",
            b"Name,Images,Color,Size\na,https://a.com/1, red ,\"L, \"\"wide\"\"\"\nb,https://a.com/2,blue\n",
            &["1@2: none/a [+https://a.com/1] { red |L, \"wide\"}", "2@3: none/b [+https://a.com/2] {blue|}"],
        ),
        repaired(
            "the more telling alias wins",
            b"SKU,Product Name,Images\n17-A,Shirt,https://a.com/1\n",
            &["1@2: none/Shirt [+https://a.com/1] {17-A}"],
            &["warning AMBIGUOUS_COLUMN @1 [SKU] = SKU"],
        ),
        repaired(
            "cells under no name",
            b"Name,,Images,Color\na,x,https://a.com/1,red,y\n",
            &["1@2: none/a [+https://a.com/1] {red}"],
            &["warning UNEXPECTED_CELL @2 row 1 = x", "warning UNEXPECTED_CELL @2 row 1 = y"],
        ),
        repaired(
            "a note after the urls",
            b"Name,Images\na,https://a.com/1, see page 4\n",
            &["1@2: none/a [+https://a.com/1]"],
            &["warning UNEXPECTED_CELL @2 row 1 = see page 4"],
        ),
        good(
            "an earlier output, whose output is not carried through",
            b"S. No,Product Name,Input Image Urls,Output Image Urls,Color\n1,a,https://a.com/1,https://b.com/1,red\n",
            &["1@2: 1/a [+https://a.com/1] {red}"],
        ),
        good(
            "earlier failed rows, whose reason is not carried through",
            b"S. No,Product Name,Input Image Urls,Color,Reason\n1,a,https://a.com/1,red,Not found\n",
            &["1@2: 1/a [+https://a.com/1] {red}"],
        ),
        good(
            "somebody's own reason is carried through",
            b"Reason,Product Name,Input Image Urls\nNew,a,https://a.com/1\n",
            &["1@2: none/a [+https://a.com/1] {New}"],
        ),
        repaired(
            "a serial number twice",
            b"ID,Name,Images\n1,a,https://a.com/1\n01,b,https://a.com/1\n1,c,https://a.com/1\nx,d,https://a.com/1\n\nx,e,https://a.com/1\n",
            &[
                "1@2: 1/a [+https://a.com/1]",
                "2@3: 01/b [+https://a.com/1]",
                "3@4: 1/c [+https://a.com/1]",
                "4@5: x/d [+https://a.com/1]",
                "5@7: x/e [+https://a.com/1]",
            ],
            &["warning DUPLICATE_SERIAL_NUMBER @4 row 3 [ID] = 1", "warning DUPLICATE_SERIAL_NUMBER @7 row 5 [ID] = x"],
        ),
        repaired(
            "a url twice in a row",
            b"Name,Images\na,\"https://a.com/1,\nhttps://a.com/1\"\n",
            &["1@2: none/a [+https://a.com/1 +https://a.com/1]"],
            &["warning DUPLICATE_URL_IN_ROW @3 row 1 [Images] = https://a.com/1"],
        ),
        good(
            "defused cells are what they were",
            b"Name,Images,'=Sum\n'-40 C,https://a.com/1,'@x\n'Quoted',https://a.com/1,''=\n",
            &["1@2: none/-40 C [+https://a.com/1] {@x}", "2@3: none/'Quoted' [+https://a.com/1] {'=}"],
        ),
    ]);
}

#[test]
fn lines_are_counted_as_an_editor_counts() {
    check_cases(&[
        good(
            "CRLF",
            b"Name,Images\r\na,https://a.com/1\r\nb,https://a.com/2\r\n",
            &["1@2: none/a [+https://a.com/1]", "2@3: none/b [+https://a.com/2]"],
        ),
        good(
            "CR",
            b"Name,Images\ra,https://a.com/1\rb,https://a.com/2\r",
            &["1@2: none/a [+https://a.com/1]", "2@3: none/b [+https://a.com/2]"],
        ),
        good(
            "mixed",
            b"Name,Images\r\na,https://a.com/1\nb,https://a.com/2\rc,https://a.com/3",
            &["1@2: none/a [+https://a.com/1]", "2@3: none/b [+https://a.com/2]", "3@4: none/c [+https://a.com/3]"],
        ),
        good(
            "blank lines before, between and after",
            b"\r\n \n,,\nName,Images,\r\n\r\n\na,https://a.com/1\n  \n,,,\n\"\",\" \"\nb,https://a.com/2\n\n\n",
            &["1@7: none/a [+https://a.com/1]", "2@11: none/b [+https://a.com/2]"],
        ),
        good(
            "quoted line breaks of every kind",
            b"Name,Images\n\"a\nb\r\nc\rd\",https://a.com/1\ne,https://a.com/2\n",
            &["1@2: none/a\nb\r\nc\rd [+https://a.com/1]", "2@6: none/e [+https://a.com/2]"],
        ),
        repaired(
            "the line of a url, not of its row",
            b"Name,Images\n\"a\nb\",\"https://a.com/1\nhttps://a.com/2\r\nftp://a.com/3\"\nc,x:y\nd,https://a.com/4\n",
            &[
                "1@2: none/a\nb [+https://a.com/1 +https://a.com/2 -ftp://a.com/3]",
                "2@6: none/c [-x:y] rejected",
                "3@7: none/d [+https://a.com/4]",
            ],
            &[
                "error UNSUPPORTED_SCHEME @5 row 1 [Images] = ftp://a.com/3",
                "error INVALID_URL @6 row 2 [Images] = x:y",
            ],
        ),
        good(
            "a quote in the middle of a cell is text",
            b"Name,Images\nTV 12\" wide,https://a.com/1\n",
            &["1@2: none/TV 12\" wide [+https://a.com/1]"],
        ),
        good(
            "two quotes for one",
            b"Name,Images\n\"TV 12\"\" wide\",https://a.com/1\n",
            &["1@2: none/TV 12\" wide [+https://a.com/1]"],
        ),
        good(
            "text after a closing quote",
            b"Name,Images\n\"TV\" wide,https://a.com/1\n",
            &["1@2: none/TV wide [+https://a.com/1]"],
        ),
    ]);
}

#[test]
fn the_report_says_how_the_file_was_read() {
    let file = b"\xEF\xBB\xBFID;Name;Images;Color;;\n1;a;https://a.com/1;red\n2;;https://a.com/2\n3;b;\"https://a.com/3,ftp://x\"\n";
    let (_, report) = read_all(file.as_slice(), &small_limits(), 64);
    assert_eq!(report.header, ["ID", "Name", "Images", "Color"]);
    assert_eq!(report.extra_columns, ["Color"]);
    assert_eq!((report.row_count, report.accepted_row_count, report.rejected_row_count), (3, 2, 1));
    assert_eq!((report.image_count, report.issue_count, report.error_count), (2, 2, 2));
    assert!(!report.rejected);
}

#[test]
fn empty_cells_at_the_end_of_a_row_push_nothing_aside() {
    check_cases(&[
        good(
            "another column's url after the urls",
            b"ID,Name,Images,Link,\n1,A,https://a.com/1,https://a.com/p,\n",
            &["1@2: 1/A [+https://a.com/1] {https://a.com/p}"],
        ),
        good(
            "another column's url before the name",
            b"Images,Link,Name\nhttps://a.com/1,https://a.com/p,A,\nhttps://a.com/2,https://a.com/p,B, ,,\n",
            &["1@2: none/A [+https://a.com/1] {https://a.com/p}", "2@3: none/B [+https://a.com/2] {https://a.com/p}"],
        ),
        good(
            "an earlier output, saved again",
            b"S. No,Product Name,Input Image Urls,Output Image Urls,\n1,A,https://a.com/1,https://b.com/1,\n2,B,https://a.com/2,,\n",
            &["1@2: 1/A [+https://a.com/1]", "2@3: 2/B [+https://a.com/2]"],
        ),
        good(
            "with semicolons",
            b"ID;Name;Images;Link\n1;A;https://a.com/1;https://a.com/p;\n",
            &["1@2: 1/A [+https://a.com/1] {https://a.com/p}"],
        ),
        repaired(
            "filled cells do",
            b"ID,Name,Images,Link,\n1,A,https://a.com/1,https://a.com/2,https://a.com/p\n",
            &["1@2: 1/A [+https://a.com/1 +https://a.com/2] {https://a.com/p}"],
            &["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2"],
        ),
    ]);
}

#[test]
fn a_piece_is_joined_to_a_url_only_if_it_was_cut_off_it() {
    check_cases(&[
        repaired(
            "a url with commas",
            b"Name,Images\na,https://a.com/w_200,h_300/a.jpg\nb,https://a.com/w_200,c_fill,north,q_80/b\nc,https://a.com/a?s=1,2\nd,https://a.com/a.jpg?rect=0,0,9,9&w=1,https://a.com/2\n",
            &[
                "1@2: none/a [+https://a.com/w_200,h_300/a.jpg]",
                "2@3: none/b [+https://a.com/w_200,c_fill,north,q_80/b]",
                "3@4: none/c [+https://a.com/a?s=1,2]",
                "4@5: none/d [+https://a.com/a.jpg?rect=0,0,9,9&w=1 +https://a.com/2]",
            ],
            &[
                "warning SPILLED_URLS @2 row 1 [Images] = h_300/a.jpg",
                "warning SPILLED_URLS @3 row 2 [Images] = c_fill",
                "warning SPILLED_URLS @4 row 3 [Images] = 2",
                "warning SPILLED_URLS @5 row 4 [Images] = 0",
            ],
        ),
        repaired(
            "nothing is missing from the name of an image",
            b"ID,Name,Images,,\n1,A,https://a.com/1.jpg,N/A,-\n2,B,https://a.com/1.JPG,7,red/blue\n",
            &["1@2: 1/A [+https://a.com/1.jpg]", "2@3: 2/B [+https://a.com/1.JPG]"],
            &[
                "warning UNEXPECTED_CELL @2 row 1 = N/A",
                "warning UNEXPECTED_CELL @2 row 1 = -",
                "warning UNEXPECTED_CELL @3 row 2 = 7",
                "warning UNEXPECTED_CELL @3 row 2 = red/blue",
            ],
        ),
        repaired(
            "words and placeholders",
            b"Name,Images\na,https://a.com/1,red\nb,https://a.com/1,#N/A,https://a.com/2\nc,https://a.com/a.jpg?v=1,-\n",
            &[
                "1@2: none/a [+https://a.com/1]",
                "2@3: none/b [+https://a.com/1 +https://a.com/2]",
                "3@4: none/c [+https://a.com/a.jpg?v=1]",
            ],
            &[
                "warning UNEXPECTED_CELL @2 row 1 = red",
                "warning SPILLED_URLS @3 row 2 [Images] = https://a.com/2",
                "warning UNEXPECTED_CELL @3 row 2 = #N/A",
                "warning UNEXPECTED_CELL @4 row 3 = -",
            ],
        ),
        repaired(
            "a comma in a later column does not turn words or formulas into a piece",
            b"ID,Name,Images,Category,Desc\n1,A,https://a.com/x?id=6,Home/Kitchen,Nice, soft\n2,B,https://a.com/x?id=6,=A1*2,Nice, soft\n3,C,https://a.com/x?id=6,Salt&Pepper,Nice, soft\n",
            &[
                "1@2: 1/A [+https://a.com/x?id=6] {Home/Kitchen|Nice}",
                "2@3: 2/B [+https://a.com/x?id=6] {=A1*2|Nice}",
                "3@4: 3/C [+https://a.com/x?id=6] {Salt&Pepper|Nice}",
            ],
            &[
                "warning UNEXPECTED_CELL @2 row 1 = soft",
                "warning UNEXPECTED_CELL @3 row 2 = soft",
                "warning UNEXPECTED_CELL @4 row 3 = soft",
            ],
        ),
        repaired(
            "commas do not cut where semicolons separate",
            b"Name;Images\na;https://a.com/1;h_2/x\n",
            &["1@2: none/a [+https://a.com/1]"],
            &["warning UNEXPECTED_CELL @2 row 1 = h_2/x"],
        ),
    ]);
}

#[test]
fn every_kind_of_space_is_one() {
    for space in [
        "\u{202A}", "\u{202E}", "\u{2066}", "\u{2069}", "\u{200F}", "\u{A0}", "\u{3000}", "\u{2028}", "\u{200B}",
        "\u{2060}", "\u{FEFF}", "\u{2009}", "\u{B}", "\t",
    ] {
        let file = format!(
            "Name,Images\n{space}a{space},\"{space}https://a.com/1,{space}https://a.com/2{space}https://a.com/3{space},\"\nb,{space}https://a.com/4,{space}\n{space}\n"
        );
        let (rows, report) = read_all(file.as_bytes(), &small_limits(), 64);
        assert_eq!(
            rows.iter().map(show_row).collect::<Vec<_>>(),
            ["1@2: none/a [+https://a.com/1 +https://a.com/2 +https://a.com/3]", "2@3: none/b [+https://a.com/4]"],
            "{space:?}"
        );
        assert_eq!(report.issue_count, 0, "{space:?}: {report:#?}");
    }
}

#[test]
fn the_ctrl_z_that_ends_a_dos_text_is_no_row() {
    for end in ["\n\u{1A}", "\u{1A}"] {
        let file = format!("Name,Images\n\u{1A}a,https://a.com/1{end}");
        for block_bytes in [4, 5, 6, 7, 64] {
            let (rows, report) = read_all(file.as_bytes(), &small_limits(), block_bytes);
            assert_eq!(rows.iter().map(show_row).collect::<Vec<_>>(), ["1@2: none/\u{1A}a [+https://a.com/1]"]);
            assert_eq!(report.issue_count, 0, "{report:#?}");
        }
    }
}

#[test]
fn only_an_accepted_row_takes_a_serial_number() {
    let file = b"ID,Name,Images\n1,,https://a.com/1\n1,b,https://a.com/1\n1,,https://a.com/1\n1,d,https://a.com/1\n";
    let (_, report) = read_all(file.as_slice(), &small_limits(), 64);
    let warnings: Vec<_> = report.issues.iter().filter(|issue| issue.severity == Severity::Warning).collect();
    assert_eq!(
        warnings.into_iter().map(show_issue).collect::<Vec<_>>(),
        ["warning DUPLICATE_SERIAL_NUMBER @5 row 4 [ID] = 1"]
    );
}
