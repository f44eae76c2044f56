//! Every delimiter and encoding is detected, used and reported.

use super::*;

#[test]
fn the_dialect_and_the_encoding_are_detected_and_reported() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let file = "Name,Images\nCafé 😀,https://a.com/ü\n";
    let rows = "1@2: none/Café 😀 [+https://a.com/ü]";
    let latin = b"Name,Images\nCaf\xE9 \x80,https://a.com/\xFC\n".to_vec();
    let cases: Vec<(&str, Vec<u8>, &str, char, &str)> = vec![
        ("UTF-8", file.into(), "UTF-8", ',', rows),
        ("UTF-8 with mark", format!("\u{FEFF}{file}").into(), "UTF-8", ',', rows),
        ("UTF-16LE", utf16(file, false), "UTF-16LE", ',', rows),
        ("UTF-16BE", utf16(file, true), "UTF-16BE", ',', rows),
        ("Windows-1252", latin, "windows-1252", ',', "1@2: none/Café € [+https://a.com/ü]"),
        (
            "Windows-1252, last byte",
            b"Images,Name\nhttps://a.com/1,Caf\xE9".into(),
            "windows-1252",
            ',',
            "1@2: none/Café [+https://a.com/1]",
        ),
        (
            "semicolon",
            b"Name;Images;A,B\na;https://a.com/1;x,y\n".into(),
            "UTF-8",
            ';',
            "1@2: none/a [+https://a.com/1] {x,y}",
        ),
        (
            "tab",
            b"Name\tImages\na\t\"https://a.com/1,https://a.com/2\"\n".into(),
            "UTF-8",
            '\t',
            "1@2: none/a [+https://a.com/1 +https://a.com/2]",
        ),
        (
            "bar",
            b"Name|Images\na|https://a.com/1, https://a.com/2\n".into(),
            "UTF-8",
            '|',
            "1@2: none/a [+https://a.com/1 +https://a.com/2]",
        ),
        (
            "declared",
            b"sep=;\r\nName;Images\r\na;https://a.com/1\r\n".into(),
            "UTF-8",
            ';',
            "1@3: none/a [+https://a.com/1]",
        ),
        (
            "declared in quotes",
            b"\"SEP=^\"\nName^Images\na,b^https://a.com/1\n".into(),
            "UTF-8",
            '^',
            "1@3: none/a,b [+https://a.com/1]",
        ),
        (
            "declared tab",
            b"sep=\t\nName\tImages\na\thttps://a.com/1\n".into(),
            "UTF-8",
            '\t',
            "1@3: none/a [+https://a.com/1]",
        ),
        (
            "declared after a mark",
            b"\xEF\xBB\xBFsep=,\nName,Images\na,https://a.com/1\n".into(),
            "UTF-8",
            ',',
            "1@3: none/a [+https://a.com/1]",
        ),
        (
            "quoted delimiters in the header",
            b"\"Name\";\"Images\";\"a,b,c,d\"\na;https://a.com/1;x\n".into(),
            "UTF-8",
            ';',
            "1@2: none/a [+https://a.com/1] {x}",
        ),
    ];
    let mut reports = String::new();
    for (name, file, encoding, delimiter, expected) in cases {
        let (_, report) = read_all(file.as_slice(), &small_limits(), 64 * 1024);
        reports += &format!("# {name}\n{}\n{}\n", file.escape_ascii(), show_report(&report));
        for block_bytes in [4, 5, 64 * 1024] {
            let (rows, report) = read_all(file.as_slice(), &small_limits(), block_bytes);
            assert_eq!(rows.iter().map(show_row).collect::<Vec<_>>(), [expected], "{name}: {report:#?}");
            assert_eq!((report.encoding.as_str(), report.delimiter), (encoding, delimiter), "{name}");
            assert_eq!((report.byte_size, report.issue_count), (file.len() as u64, 0), "{name}: {report:#?}");
        }
    }
    assert_snapshot(&reports);
}

#[test]
fn spilled_urls_are_read_with_every_delimiter() {
    for delimiter in [",", ";", "|", "\t"] {
        let file = "Name,Images\na,https://a.com/1,https://a.com/2\n".replace(',', delimiter);
        let (rows, report) = read_all(file.as_bytes(), &small_limits(), 64);
        assert_eq!(rows.iter().map(show_row).collect::<Vec<_>>(), ["1@2: none/a [+https://a.com/1 +https://a.com/2]"]);
        assert_eq!(
            report.issues.iter().map(show_issue).collect::<Vec<_>>(),
            ["warning SPILLED_URLS @2 row 1 [Images] = https://a.com/2"]
        );
    }
}
