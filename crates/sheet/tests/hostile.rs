//! Files that are made to take up memory: each is refused, or read, within the bound that the documentation gives.

use std::io::{Cursor, Write};
use std::iter::repeat_n;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use halftone_sheet::{Hints, Limits, read_file};
use peak_alloc::PeakAlloc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Eight times the largest file.
const MAX_MEMORY: usize = 8 * MAX_BYTES;
/// What reading a file of this size may take on a busy machine without optimisation.
const MAX_TIME: Duration = Duration::from_secs(60);

/// A beginning, a middle that is repeated, and an end.
struct Part(&'static str, String, String, usize, String);

impl Part {
    fn new(name: &'static str, text: impl Into<String>) -> Part {
        Part(name, text.into(), String::new(), 0, String::new())
    }

    fn repeating(name: &'static str, begin: &str, middle: &str, times: usize, end: &str) -> Part {
        Part(name, begin.to_owned(), middle.to_owned(), times, end.to_owned())
    }
}

fn zipped(parts: &[Part]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().large_file(true);
    for Part(name, begin, middle, times, end) in parts {
        zip.start_file(*name, options).expect("memory has no errors");
        zip.write_all(begin.as_bytes()).expect("memory has no errors");
        let many = middle.repeat((64 * 1024 / middle.len().max(1)).clamp(1, (*times).max(1)));
        let in_one = many.len() / middle.len().max(1);
        for _ in 0..times / in_one.max(1) {
            zip.write_all(many.as_bytes()).expect("memory has no errors");
        }
        zip.write_all(middle.repeat(times % in_one.max(1)).as_bytes()).expect("memory has no errors");
        zip.write_all(end.as_bytes()).expect("memory has no errors");
    }
    zip.finish().expect("memory has no errors").into_inner()
}

const KIND: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const HEAD: &str = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>Name</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>Images</t></is></c></row>";
const ROW: &str = "<row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>Mug</t></is></c><c r=\"B2\" t=\"inlineStr\"><is><t>https://a.com/1.jpg</t></is></c></row>";

fn relations(of: &[(&str, &str, &str)]) -> String {
    let relation = |(id, kind, target): &(&str, &str, &str)| {
        format!("<Relationship Id=\"{id}\" Type=\"{KIND}/{kind}\" Target=\"{target}\"/>")
    };
    format!("<Relationships>{}</Relationships>", of.iter().map(relation).collect::<String>())
}

/// The parts of a workbook beside its sheet.
fn frame() -> Vec<Part> {
    vec![
        Part::new("_rels/.rels", relations(&[("rId1", "officeDocument", "xl/workbook.xml")])),
        Part::new(
            "xl/workbook.xml",
            "<workbook><sheets><sheet name=\"a\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
        ),
        Part::new("xl/_rels/workbook.xml.rels", relations(&[("rId1", "worksheet", "worksheets/sheet1.xml")])),
    ]
}

fn book(parts: impl IntoIterator<Item = Part>) -> Vec<u8> {
    zipped(&frame().into_iter().chain(parts).collect::<Vec<_>>())
}

/// A workbook whose sheet has this below its header, or in place of it.
fn sheet(middle: &str, times: usize) -> Vec<u8> {
    let begin = format!("<worksheet><sheetData>{HEAD}{ROW}");
    book([Part::repeating("xl/worksheets/sheet1.xml", &begin, middle, times, "</sheetData></worksheet>")])
}

/// A workbook whose sheet has this after its rows.
fn after(begin: &str, middle: &str, times: usize, end: &str) -> Vec<u8> {
    let begin = format!("<worksheet><sheetData>{HEAD}{ROW}</sheetData>{begin}");
    book([Part::repeating("xl/worksheets/sheet1.xml", &begin, middle, times, &format!("{end}</worksheet>"))])
}

fn ods(begin: &str, middle: &str, times: usize, end: &str) -> Vec<u8> {
    let (before, behind) = (
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"a\">",
        "</table:table></office:spreadsheet></office:body></office:document-content>",
    );
    zipped(&[
        Part::new("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        Part::repeating("content.xml", &format!("{before}{begin}"), middle, times, &format!("{end}{behind}")),
    ])
}

/// What becomes of a file: whether it is refused and with which words.
enum End {
    Read,
    Refused(&'static str),
}
use End::{Read as Accepted, Refused};

const LARGE: End = Refused("too large");
const DAMAGED: End = Refused("damaged");

fn many_entries(count: usize) -> Vec<u8> {
    let mut file = b"PK\x03\x04".to_vec();
    let directory = file.len();
    for index in 0..count {
        file.extend(b"PK\x01\x02");
        let mut entry = [0u8; 42];
        entry[24] = 4; // The length of its name.
        file.extend(entry);
        file.extend((index as u32).to_le_bytes());
    }
    let size = file.len() - directory;
    // The end of a directory with 64-bit numbers, since there are more entries than 16 bits count.
    let end = file.len() as u64;
    file.extend(b"PK\x06\x06");
    file.extend(44u64.to_le_bytes());
    file.extend([45, 0, 45, 0]);
    file.extend([0; 8]);
    for number in [count, count, size, directory] {
        file.extend((number as u64).to_le_bytes());
    }
    file.extend(b"PK\x06\x07");
    file.extend(0u32.to_le_bytes());
    file.extend(end.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(b"PK\x05\x06");
    file.extend([0; 4]);
    file.extend([0xFF; 12]);
    file.extend([0; 2]);
    file
}

/// An archive whose headers say that its only entry is ten bytes long.
fn lying(mut archive: Vec<u8>, real_size: u32) -> Vec<u8> {
    let real = real_size.to_le_bytes();
    for at in 0..archive.len() - 4 {
        if archive[at..at + 4] == real {
            archive[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
        }
    }
    archive
}

/// Reads files, and notes all that goes wrong.
#[derive(Default)]
struct Checks {
    failures: String,
}

impl Checks {
    fn check(&mut self, what: &str, file: &[u8], end: &End) {
        let limits = Limits { max_bytes: MAX_BYTES as u64, ..Limits::default() };
        assert!(file.len() <= MAX_BYTES, "{what}: {} bytes", file.len());
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let started = Instant::now();
        let report = read_file(Cursor::new(file), &limits, &Hints::default(), |_| ControlFlow::Continue(()));
        let (took, used) = (started.elapsed(), MEMORY.peak_usage().saturating_sub(before));
        let report = report.expect("memory has no errors");
        let message = report.issues.last().map_or("", |issue| issue.message.as_str());
        let seen =
            format!("{what}: {} KiB, {} KiB held, {} ms: {message}", file.len() / 1024, used / 1024, took.as_millis());
        let is_expected = match end {
            Accepted => !report.rejected,
            Refused(words) => report.rejected && message.contains(words),
        };
        if !is_expected || used > MAX_MEMORY || took > MAX_TIME {
            self.failures += &format!("{seen}\n");
        }
        println!("{seen}");
    }
}

// One test: what others hold at the same time would be counted.
#[test]
fn hostile_files_are_refused_before_the_memory_is_spent() {
    let mut all = Checks::default();
    let big = MAX_BYTES * 3;
    let csv = || Part::repeating("a.csv", "Name,Images\n", "a,https://a.com/1\n", big / 18, "");
    let bomb = zipped(&[csv()]);
    all.check("a zip bomb", &bomb, &Refused("larger than"));
    all.check("a zip bomb that lies", &lying(bomb.clone(), (12 + big / 18 * 18) as u32), &DAMAGED);
    all.check("an archive in an archive", &zipped(&[Part::new("a.zip", "PK\u{3}\u{4}")]), &Refused("exactly one"));
    all.check("many entries", &many_entries(MAX_BYTES / 50 - 10), &Refused("exactly one"));
    all.check("as many entries as may be", &many_entries(10), &Refused("exactly one"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all("Name,Images\n".as_bytes()).expect("memory has no errors");
    for _ in 0..big / 1800 {
        gzip.write_all("a,https://a.com/1\n".repeat(100).as_bytes()).expect("memory has no errors");
    }
    all.check("a gzip bomb", &gzip.finish().expect("memory has no errors"), &Refused("larger than"));

    all.check("rows of nothing", &sheet("<row/>", 1 << 20), &Accepted);
    all.check("rows of nothing, numbered", &sheet("<row r=\"1048576\"></row>", 1 << 20), &Accepted);
    all.check("cells of nothing", &sheet("<row><c/><c r=\"XFD5\"/></row>", 200_000), &Accepted);
    all.check("too many rows of nothing", &sheet("<row/>", 8 * MAX_BYTES / 6), &LARGE);
    let wide: String = repeat_n("<c t=\"b\"><v>1</v></c>", 16_384).collect();
    all.check("wide rows", &sheet(&format!("<row>{wide}</row>"), 60), &LARGE);
    let dimension =
        format!("<worksheet><dimension ref=\"A1:XFD1048576\"/><sheetData>{HEAD}{ROW}</sheetData></worksheet>");
    all.check("a dimension that lies", &book([Part::new("xl/worksheets/sheet1.xml", dimension)]), &Accepted);
    let below = "<row r=\"4294967295\"><c r=\"XFD4294967295\"><v>1</v></c></row>";
    all.check("a cell beyond all rows", &sheet(below, 1), &LARGE);
    all.check(
        "a cell in the last row",
        &sheet("<row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>", 400),
        &Accepted,
    );
    all.check("markup that breaks off", &sheet("<row><c", 1), &DAMAGED);
    all.check("markup in markup", &sheet("<row><c><v><", 1), &DAMAGED);
    all.check("nested elements", &sheet("<a>", 8 * MAX_BYTES / 4), &DAMAGED);
    all.check("nested cells", &sheet("<c>", 1_000), &DAMAGED);
    all.check("a long attribute", &after("<x y=\"", "y", 3 * MAX_BYTES, "\"/>"), &LARGE);
    all.check("a long comment", &after("<!--", "<x>", MAX_BYTES, "-->"), &LARGE);
    all.check(
        "a long text in a cell",
        &sheet(&format!("<row r=\"3\"><c t=\"str\"><v>{}</v></c></row>", "y".repeat(2 << 20)), 1),
        &LARGE,
    );
    let pieces = format!("<row r=\"3\"><c t=\"inlineStr\"><is>{}</is></c></row>", "<t>yyyyyyyy</t>".repeat(200_000));
    all.check("a text in a cell in pieces", &sheet(&pieces, 1), &LARGE);
    all.check(
        "a long formula",
        &sheet(&format!("<row r=\"3\"><c><f>{}</f><v>1</v></c></row>", "1+".repeat(1 << 20)), 1),
        &LARGE,
    );
    let formula = format!("<row r=\"3\"><c><f>{}</f><v>1</v></c></row>", "1+".repeat(4_000));
    all.check("many formulas", &sheet(&formula, 2_000), &Accepted);
    let shared = format!(
        "<row r=\"3\"><c r=\"A3\"><f t=\"shared\" ref=\"A3:A1048576\" si=\"4000000000\">{}</f><v>1</v></c></row>",
        "A1+".repeat(10_000)
    );
    let derived = "<c><f t=\"shared\" si=\"4000000000\"/></c>".repeat(100_000);
    all.check("shared formulas", &sheet(&format!("{shared}<row>{derived}</row>"), 1), &Accepted);

    let entities = "<!DOCTYPE x [<!ENTITY a \"yyyyyyyyyy\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]>";
    let laughs =
        format!("{entities}<worksheet><sheetData>{HEAD}<row><c t=\"str\"><v>&c;</v></c></row></sheetData></worksheet>");
    all.check("entities", &book([Part::new("xl/worksheets/sheet1.xml", laughs)]), &DAMAGED);
    let content = format!(
        "{entities}<x><table:table><table:table-row><table:table-cell><text:p>&c;</text:p></table:table-cell></table:table-row></table:table></x>"
    );
    all.check("entities in an .ods", &zipped(&[Part::new("content.xml", content)]), &DAMAGED);

    let rows =
        || Part::new("xl/worksheets/sheet1.xml", format!("<worksheet><sheetData>{HEAD}{ROW}</sheetData></worksheet>"));
    let texts = |begin: &str, text: &str, times| {
        book([rows(), Part::repeating("xl/sharedStrings.xml", begin, text, times, "</sst>")])
    };
    all.check("shared texts of nothing", &texts("<sst>", "<si/>", 1 << 20), &LARGE);
    all.check("long shared texts", &texts("<sst>", &format!("<si><t>{}</t></si>", "y".repeat(50_000)), 1_000), &LARGE);
    all.check("a shared text in pieces", &texts("<sst><si>", "<r><t>yyyyyyyyyyyyyyyyyyyyyyy</t></r>", 500_000), &LARGE);
    all.check("texts that are announced", &texts("<sst uniqueCount=\"4000000000\">", "<si/>", 1), &LARGE);
    all.check(
        "a number of texts that is none",
        &texts("<sst uniqueCount=\"99999999999999999999999\">", "<si/>", 1),
        &Accepted,
    );
    let styles = |middle: &str, times| {
        book([rows(), Part::repeating("xl/styles.xml", "<styleSheet><fonts>", middle, times, "</fonts></styleSheet>")])
    };
    all.check("fonts", &styles("<font/>", 2 << 20), &LARGE);
    all.check("fonts that are not too many", &styles("<font/>", 200_000), &Accepted);
    let hidden = Part::repeating(
        "xl/styles.xml",
        "<styleSheet><sheetData><fonts>",
        "<font/>",
        2 << 20,
        "</fonts></sheetData></styleSheet>",
    );
    all.check("fonts in a sheet", &book([rows(), hidden]), &LARGE);

    let links = |target: &str, times| {
        let begin = format!("<worksheet><sheetData>{HEAD}{ROW}</sheetData><hyperlinks>");
        let link = "<hyperlink ref=\"A5\" r:id=\"rId1\"/>";
        book([
            Part::repeating("xl/worksheets/sheet1.xml", &begin, link, times, "</hyperlinks></worksheet>"),
            Part::new("xl/worksheets/_rels/sheet1.xml.rels", relations(&[("rId1", "hyperlink", target)])),
        ])
    };
    all.check("a million links", &links("https://a.com", 1_000_000), &LARGE);
    all.check("links to a long address", &links(&format!("https://a.com/{}", "y".repeat(500_000)), 10_000), &LARGE);
    all.check("as many links as may be", &links("https://a.com/1.jpg", 100_000), &Accepted);
    all.check(
        "a million merged cells",
        &after("<mergeCells>", "<mergeCell ref=\"A5:B5\"/>", 1_000_000, "</mergeCells>"),
        &LARGE,
    );

    let other = |target: &str| {
        zipped(&[
            Part::new("_rels/.rels", relations(&[("rId1", "officeDocument", "xl/workbook.xml")])),
            Part::new("xl/workbook.xml", "<workbook><sheets><sheet name=\"a\" r:id=\"rId1\"/></sheets></workbook>"),
            Part::new("xl/_rels/workbook.xml.rels", relations(&[("rId1", "worksheet", target)])),
            Part::repeating("xl/sheet1.bin", "<worksheet><sheetData>", "<a>", 8 * MAX_BYTES, ""),
        ])
    };
    all.check("a sheet by another name", &other("sheet1.bin"), &DAMAGED);
    let sheets: String = (0..30_000).map(|index| format!("<sheet name=\"{index}\" r:id=\"rId1\"/>")).collect();
    let again = zipped(&[
        Part::new("_rels/.rels", relations(&[("rId1", "officeDocument", "xl/workbook.xml")])),
        Part::new("xl/workbook.xml", format!("<workbook><sheets>{sheets}</sheets></workbook>")),
        Part::new("xl/_rels/workbook.xml.rels", relations(&[("rId1", "worksheet", "worksheets/sheet1.xml")])),
        Part::repeating(
            "xl/worksheets/sheet1.xml",
            "<worksheet><sheetData>",
            "<row/>",
            MAX_BYTES,
            "</sheetData></worksheet>",
        ),
    ]);
    all.check("a sheet again and again", &again, &DAMAGED);

    let row = "<table:table-row table:number-rows-repeated=\"1048576\"><table:table-cell table:number-columns-repeated=\"16384\"><text:p>y</text:p></table:table-cell></table:table-row>";
    all.check("repeated cells", &ods(row, "", 0, ""), &LARGE);
    let beyond = "<table:table-row table:number-rows-repeated=\"4294967295\"><table:table-cell table:number-columns-repeated=\"16384\"/><table:table-cell table:number-columns-repeated=\"4294967295\"><text:p>y</text:p></table:table-cell></table:table-row>";
    all.check("repeated cells beyond all columns", &ods(beyond, "", 0, ""), &Refused("no text"));
    all.check(
        "repeated rows of nothing",
        &ods("", "<table:table-row table:number-rows-repeated=\"1048576\"/>", 10_000, ""),
        &Refused("no text"),
    );
    let cell = format!("<table:table-cell><text:p>{}</text:p></table:table-cell>", "y".repeat(5_000));
    all.check("a long row", &ods("<table:table-row>", &cell, 3_000, "</table:table-row>"), &LARGE);
    let empty = "<table:table-cell><text:p>y</text:p></table:table-cell>";
    all.check("a row of many cells", &ods("<table:table-row>", empty, 500_000, "</table:table-row>"), &Refused(""));
    all.check("nested tables", &ods("<table:table-row><table:table-cell>", "<text:p>", 4_000_000, ""), &DAMAGED);
    let paragraphs = "<text:p>yyyyyyyyyyyyyyyyyyyyy</text:p>";
    all.check(
        "a cell of many paragraphs",
        &ods("<table:table-row><table:table-cell>", paragraphs, 400_000, "</table:table-cell></table:table-row>"),
        &LARGE,
    );
    let tables = "</table:table><table:table table:name=\"b\"><table:table-row><table:table-cell><text:p>y</text:p></table:table-cell></table:table-row>";
    all.check("many tables", &ods("", tables, 20_000, ""), &Refused(""));

    let ole = [&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1][..], &[0; 4_096]].concat();
    all.check("an encrypted workbook", &ole, &Refused("password"));
    let binary = zipped(&[Part::new("xl/workbook.bin", "\u{1}"), Part::new("xl/worksheets/sheet1.bin", "\u{1}")]);
    all.check("an .xlsb", &binary, &Refused(".xlsx"));
    assert!(all.failures.is_empty(), "{}", all.failures);
}
