//! How fast a catalogue is read, and in how much memory a long one is checked.
//!
//! `cargo bench --bench sheet`. The memory is the process's peak (`VmHWM`), so it is printed on Linux only.

use std::io::{self, Read};
use std::ops::ControlFlow;

use divan::counter::BytesCount;
use halftone_sheet::{Limits, Report, read};

const HEADER: &str = "S. No,Product Name,Input Image Urls,Color\n";

fn main() {
    check_memory();
    divan::main();
}

/// A catalogue's row: a name with spaces, three URLs of usual length, a column that is carried through.
fn quoted_row(number: u64) -> String {
    let host = "https://cdn.example.com/catalogue/2024";
    format!(
        "{number},Cotton shirt {number},\"{host}/{number}/front-view.jpg, {host}/{number}/back-view.jpg, \
         {host}/{number}/detail.jpg?w=1600\",navy blue\n"
    )
}

fn spilled_row(number: u64) -> String {
    let host = "https://cdn.example.com/catalogue/2024";
    format!(
        "{number}, Cotton shirt {number}, {host}/{number}/front-view.jpg,{host}/{number}/back-view.jpg,\
         {host}/{number}/detail.jpg?w=1600,navy blue\n"
    )
}

fn unusual_row(number: u64) -> String {
    let host = "https://bücher.example:8443/käse";
    format!("N-{number},Käse {number},\"{host}/{number}/a.jpg,{host}/{number}/b c.jpg\",gelb\n")
}

#[divan::bench(args = ["quoted", "spilled", "unusual"], sample_count = 10, sample_size = 1)]
fn read_8_mib(bencher: divan::Bencher, shape: &str) {
    let row = match shape {
        "quoted" => quoted_row,
        "spilled" => spilled_row,
        _ => unusual_row,
    };
    let mut file = HEADER.to_owned();
    let mut number = 0;
    while file.len() < 8 * 1024 * 1024 {
        number += 1;
        file += &row(number);
    }
    bencher.counter(BytesCount::of_str(&file)).bench(|| check(divan::black_box(file.as_bytes())));
}

fn check(input: impl Read) -> Report {
    let limits =
        Limits { max_bytes: u64::MAX / 2, max_rows: u64::MAX / 2, max_images: u64::MAX / 2, ..Limits::default() };
    let report = read(input, &limits, |row| {
        divan::black_box(row);
        ControlFlow::Continue(())
    });
    let report = report.expect("memory has no errors");
    assert!(!report.rejected && report.rejected_row_count == 0, "{report:#?}");
    report
}

/// Checks a million rows that are made as they are read, once with counting numbers and once with other texts.
fn check_memory() {
    for (what, row) in [("counting", quoted_row as fn(u64) -> String), ("other", unusual_row)] {
        let before = peak_kib();
        let report = check(Rows { row, number: 0, rest: HEADER.into() });
        if let (Some(before), Some(after)) = (before, peak_kib()) {
            let (rows, bytes, kib) = (report.row_count, report.byte_size, after - before);
            println!("{rows} rows, {bytes} bytes, {what} serial numbers: {kib} KiB over the baseline");
        }
    }
}

struct Rows {
    row: fn(u64) -> String,
    number: u64,
    rest: Vec<u8>,
}

impl Read for Rows {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && self.number < 1_000_000 {
            self.number += 1;
            self.rest = (self.row)(self.number).into();
        }
        let size = self.rest.len().min(out.len());
        out[..size].copy_from_slice(&self.rest[..size]);
        self.rest.drain(..size);
        Ok(size)
    }
}

/// The most memory this process has had, in KiB.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
