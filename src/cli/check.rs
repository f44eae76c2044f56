//! `halftone check`: reads a CSV and says everything that is wrong with it. Stores and fetches nothing, needs no database.
//!
//! Memory stays flat: products are written as they are read, also those of a file that is refused further down. The
//! report that follows says so: `rejected`, and no row accepted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::sheet::{Issue, Limits, Reader, Report, Row, Severity};

/// Exit code for a file that cannot be read at all.
const UNREADABLE: u8 = 2;

/// Arguments of `halftone check`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The CSV: a product a row, with its image URLs
    file: PathBuf,
    /// Print JSON: the products with their URLs, and the report as the API's CsvReport has it
    #[arg(long)]
    json: bool,
}

/// A product as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Product<'a> {
    row_number: u64,
    line: u64,
    serial_number: Option<&'a str>,
    name: &'a str,
    /// The URLs that would be fetched.
    image_urls: Vec<&'a str>,
}

/// The report as `--json` prints it: the fields of the API's `CsvReport`, and whether the file would be refused.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    rejected: bool,
    byte_size: u64,
    encoding: &'a str,
    delimiter: char,
    row_count: u64,
    accepted_row_count: u64,
    rejected_row_count: u64,
    image_count: u64,
    issue_count: u64,
    error_count: u64,
    issues: &'a [Issue],
}

/// Exit code 0 when nothing is refused, 1 when the file, a row or a URL is, 2 when the file cannot be read.
pub fn check(limits: &Limits, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut reader = match open(&arguments.file, limits) {
        Ok(reader) => reader,
        Err(error) => return Ok(unreadable(&arguments.file, &error)),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut products = Products { out: &mut out, is_first: true };
    if arguments.json {
        products.begin().context(PRINT)?;
    }
    loop {
        match reader.next_row() {
            Ok(Some(row)) if arguments.json && row.accepted => products.write(&row).context(PRINT)?,
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return Ok(unreadable(&arguments.file, &error)),
        }
    }
    let report = reader.into_report();
    if arguments.json {
        products.end(&report).context(PRINT)?;
    } else {
        print(&mut out, &arguments.file, &report).context(PRINT)?;
    }
    out.flush().context(PRINT)?;
    Ok(if report.error_count == 0 && !report.rejected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const PRINT: &str = "print the report";

fn open(path: &Path, limits: &Limits) -> io::Result<Reader<File>> {
    Reader::open(File::open(path)?, limits)
}

fn unreadable(path: &Path, error: &io::Error) -> ExitCode {
    eprintln!("error: cannot read {}: {error}", path.display());
    ExitCode::from(UNREADABLE)
}

/// One JSON object: first the products, as they come, then the report, which is known when all have come.
struct Products<W> {
    out: W,
    is_first: bool,
}

impl<W: Write> Products<W> {
    fn begin(&mut self) -> io::Result<()> {
        self.out.write_all(b"{\"products\":[")
    }

    fn write(&mut self, row: &Row) -> io::Result<()> {
        let between: &[u8] = if std::mem::take(&mut self.is_first) { b"\n" } else { b",\n" };
        self.out.write_all(between)?;
        let product = Product {
            row_number: row.row_number,
            line: row.line,
            serial_number: row.serial_number.as_deref(),
            name: &row.name,
            image_urls: row.urls.iter().filter(|url| url.accepted).map(|url| url.text.as_str()).collect(),
        };
        Ok(serde_json::to_writer(&mut self.out, &product)?)
    }

    fn end(&mut self, report: &Report) -> io::Result<()> {
        let summary = Summary {
            rejected: report.rejected,
            byte_size: report.byte_size,
            encoding: &report.encoding,
            delimiter: report.delimiter,
            row_count: report.row_count,
            accepted_row_count: report.accepted_row_count,
            rejected_row_count: report.rejected_row_count,
            image_count: report.image_count,
            issue_count: report.issue_count,
            error_count: report.error_count,
            issues: &report.issues,
        };
        let summary = serde_json::to_string(&summary)?;
        writeln!(self.out, "\n],\n{}", summary.trim_start_matches('{'))
    }
}

fn print(out: &mut impl Write, path: &Path, report: &Report) -> io::Result<()> {
    for Issue { severity, line, message, value, .. } in &report.issues {
        let word = if *severity == Severity::Error { "error" } else { "warning" };
        write!(out, "{word}: line {line}: {message}")?;
        match value {
            Some(value) => writeln!(out, " ({value:?})")?,
            None => writeln!(out)?,
        }
    }
    let kept = report.issues.len() as u64;
    if report.issue_count > kept {
        writeln!(out, "… and {} more", report.issue_count - kept)?;
    }
    let delimiter = match report.delimiter {
        '\t' => "tabs".to_owned(),
        delimiter => format!("`{delimiter}`"),
    };
    writeln!(
        out,
        "{}: {} of {} rows and {} image URLs can be used; {} errors, {} warnings. Read as {}, separated by {delimiter}.",
        path.display(),
        report.accepted_row_count,
        report.row_count,
        report.image_count,
        report.error_count,
        report.issue_count - report.error_count,
        report.encoding,
    )?;
    if report.rejected {
        writeln!(out, "An upload of this file would be refused.")?;
    }
    Ok(())
}
