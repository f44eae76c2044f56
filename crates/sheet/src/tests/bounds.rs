//! Limits are enforced where they are met, not after reading the rest.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::*;
use crate::serials::Serials;
use crate::{IssueCode, read};

/// A beginning, then the same again for ever; counts what was read of it.
struct Endless<'a> {
    beginning: &'a [u8],
    again: &'a [u8],
    at: usize,
    read: &'a Cell<u64>,
}

impl Read for Endless<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for byte in out.iter_mut() {
            *byte = match self.at.checked_sub(self.beginning.len()) {
                None => self.beginning[self.at],
                Some(at) => self.again[at % self.again.len()],
            };
            self.at += 1;
        }
        self.read.set(self.read.get() + out.len() as u64);
        Ok(out.len())
    }
}

/// Reads an endless file; returns the last issue and how many bytes it took to find.
fn refusal(beginning: &str, again: &str, limits: &Limits) -> (Issue, u64) {
    let read = Cell::new(0);
    let input = Endless { beginning: beginning.as_bytes(), again: again.as_bytes(), at: 0, read: &read };
    let (_, report) = read_all(input, limits, 1_024);
    assert!(report.rejected);
    (report.issues.last().expect("a refused file has an issue").clone(), read.get())
}

#[test]
fn an_endless_file_is_refused_at_the_bound() {
    let limits = Limits { max_bytes: 100_000, ..Limits::default() };
    let (issue, read) = refusal("Name,Images\n", "a,https://a.com/1\n", &limits);
    assert_eq!((issue.code, read), (IssueCode::FileTooLarge, 100_001));
    assert_eq!(issue.line, 2 + (100_000 - 12) / 18);
}

#[test]
fn an_endless_line_is_refused_at_the_bound() {
    let limits = Limits { max_cell_bytes: 10_000, ..Limits::default() };
    // Sixteen cells, as much again for what results add, and their output URLs.
    let most_in_a_row = 320_000 + 100 * 2_048 + 20_000;
    for (beginning, again, code, most) in [
        ("Name,Images\n", "x", IssueCode::CellTooLong, 12_000),
        ("Name,Images\n\"", "x", IssueCode::CellTooLong, 12_000),
        ("Name,Images\n\"", "x\n", IssueCode::UnterminatedQuote, 12_000),
        ("Name,Images\na,", " ", IssueCode::CellTooLong, 12_000),
        ("Name,Images\na,", "https://a.com/1,", IssueCode::CellTooLong, most_in_a_row),
        // The cell of URLs may be as long as a row.
        ("Name,Images\na,", "x", IssueCode::CellTooLong, most_in_a_row),
        ("Name,Images\na,\"", "x", IssueCode::CellTooLong, most_in_a_row),
        ("Name,Images\na,\"", "x\n", IssueCode::UnterminatedQuote, most_in_a_row),
        ("Name,Images\na", ",", IssueCode::CellTooLong, 20_000),
        ("", "x", IssueCode::CellTooLong, 30_000),
        ("", "Name,", IssueCode::CellTooLong, 200_000),
        ("\"", "Name\n", IssueCode::UnterminatedQuote, 30_000),
    ] {
        let (issue, read) = refusal(beginning, again, &limits);
        assert_eq!(issue.code, code, "{beginning:?} {again:?}");
        assert_eq!(issue.line, if beginning.len() < 2 { 1 } else { 2 }, "{beginning:?} {again:?}");
        assert!(read <= most, "{beginning:?} {again:?}: {read} bytes were read");
    }
}

#[test]
fn a_cell_may_be_as_long_as_its_limit() {
    let limits = Limits { max_cell_bytes: 100, ..Limits::default() };
    for quote in ["", "\""] {
        for (length, accepted) in [(100, true), (101, false)] {
            let file = format!("Name,Images,X\na,https://a.com/1,{quote}{}{quote}\n", "x".repeat(length));
            let (rows, report) = read_all(file.as_bytes(), &limits, 64);
            assert_eq!((rows.len() == 1, report.rejected), (accepted, !accepted), "{length} {quote}");
        }
    }
    for (length, refused) in [(100, false), (101, true)] {
        let file = format!("Name,Images\na,\"https://a.com/1, https://{}\"\n", "x".repeat(length - 8));
        let (_, report) = read_all(file.as_bytes(), &limits, 64);
        let code = report.issues.first().map(|issue| issue.code);
        assert_eq!(
            (report.rejected, code),
            (refused, refused.then_some(IssueCode::CellTooLong)),
            "one piece: {length}"
        );
    }
    for (length, accepted) in [(100, true), (101, false)] {
        let formula = format!("'={}", "x".repeat(length - 1));
        let (rows, report) = read_all(format!("Name,Images,X\na,https://a.com/1,{formula}\n").as_bytes(), &limits, 64);
        assert_eq!(
            (rows.len() == 1, report.rejected),
            (accepted, !accepted),
            "the apostrophe does not count: {length}"
        );
    }
}

#[test]
fn a_row_may_be_as_long_as_its_limit_however_it_is_written() {
    let limits = Limits { max_cell_bytes: 100, max_images_per_product: 30, ..Limits::default() };
    for (end, accepted) in [("", true), ("/", false)] {
        // The name, and 22 URLs of 70 bytes and one of 13, with room for a comma and a line break after each: 1,600.
        let url = format!("https://a.com/{}", "x".repeat(56));
        let last = format!("https://a.com{end}");
        let urls = [vec![url.as_str(); 22], vec![last.as_str()]].concat();
        for cells in [urls.join(","), format!("\"{}\"", urls.join("\n"))] {
            let file = format!("Name,Images\na,{cells}\n");
            let (rows, report) = read_all(file.as_bytes(), &limits, 64);
            assert_eq!((rows.len() == 1, report.rejected), (accepted, !accepted), "{file}");
        }
    }
}

#[test]
fn a_header_may_have_a_thousand_columns_beside_our_own() {
    for (begin, end, row) in [
        ("Name,Images", "", "a,https://a.com/1"),
        ("S. No,Product Name,Input Image Urls,Output Image Urls", "", "1,a,https://a.com/1"),
        ("S. No,Product Name,Input Image Urls", ",Reason", "1,a,https://a.com/1"),
    ] {
        for (others, accepted) in [(1_000, true), (1_001, false)] {
            let file = format!("{begin}{}{end}\n{row}\n", ",x".repeat(others));
            let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64);
            assert_eq!((rows.len() == 1, report.rejected), (accepted, !accepted), "{begin}, {others}");
        }
    }
}

#[test]
fn a_file_may_be_as_large_as_its_limit() {
    let file = b"Name,Images\na,https://a.com/1\n";
    for (max_bytes, accepted) in [(file.len() as u64, true), (file.len() as u64 - 1, false)] {
        let limits = Limits { max_bytes, ..Limits::default() };
        let (_, report) = read_all(file.as_slice(), &limits, 64);
        assert_eq!((report.rejected, report.byte_size), (!accepted, file.len() as u64));
    }
}

#[test]
fn the_image_after_the_last_allowed_one_refuses_the_file() {
    let file = format!("Name,Images\n{}", "a,\"https://a.com/1,https://a.com/2\"\n".repeat(7));
    let (rows, report) = read_all(file.as_bytes(), &small_limits(), 64);
    assert_eq!((rows.len(), report.accepted_row_count, report.image_count, report.rejected), (6, 0, 0, true));
    assert_eq!(report.issues.iter().map(show_issue).collect::<Vec<_>>(), ["error TOO_MANY_IMAGES @8 row 7"]);
}

#[test]
fn the_row_after_the_last_allowed_one_refuses_the_file() {
    let file = format!("Name,Images\na,https://a.com/1\n{}", ",x\n".repeat(7));
    for (max_rows, refused) in [(8, false), (7, true)] {
        let (rows, report) = read_all(file.as_bytes(), &Limits { max_rows, ..small_limits() }, 64);
        assert_eq!((rows.len() as u64, report.row_count, report.rejected), (max_rows, max_rows, refused));
        let last = report.issues.last().map(show_issue);
        assert_eq!(last.as_deref() == Some("error TOO_MANY_ROWS @9 row 8"), refused, "{last:?}");
    }
}

#[test]
fn the_callers_own_break_and_the_inputs_own_errors_end_the_reading() {
    let file = "Name,Images\n".to_owned() + &"a,https://a.com/1\n".repeat(100);
    let mut seen = 0;
    let report = read(file.as_bytes(), &Limits::default(), |row| {
        seen = row.row_number;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let report = report.expect("the input has no errors of its own");
    assert_eq!((seen, report.row_count, report.rejected), (3, 3, false));

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the connection was lost"))
        }
    }
    let error = read(file.as_bytes().chain(Broken), &Limits::default(), |_| ControlFlow::Continue(()))
        .expect_err("it is broken");
    assert_eq!(error.to_string(), "the connection was lost");
}

#[test]
fn a_list_of_many_pieces_takes_time_in_proportion() {
    let row = format!("1,A,\"{}\"\n", "www.\n".repeat(13_000));
    let file = format!("ID,Name,Images\n{}", row.repeat(20));
    let start = std::time::Instant::now();
    let (rows, report) = read_all(file.as_bytes(), &Limits::default(), 64 * 1024);
    assert_eq!((rows.len(), rows[19].urls.len(), report.error_count), (20, 13_000, 21));
    assert_eq!(report.issues[1].line, 2 + 13_001);
    // Unoptimised it takes a second; it took minutes when each piece was counted from the start of its cell.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn serial_numbers_past_the_bound_of_memory_are_not_noted() {
    let mut serials = Serials::default();
    assert!((0..2_700_000).all(|number| serials.insert(&(number * 64).to_string())));
    assert!(!serials.insert("0"), "the first is kept as a bit");
    assert!(!serials.insert(&(899_999 * 64).to_string()), "the last that is kept as a bit");
    assert!(!serials.insert(&(900_000 * 64).to_string()), "the first that is kept as a hash");
    assert!(!serials.insert(&(2_699_999u64 * 64).to_string()), "the last that is kept");
    assert!(serials.insert("one more") && serials.insert("one more"), "which goes unnoticed");
    assert!(serials.insert("1") && !serials.insert("1"), "an entry that is there already has room");
}
