//! `halftone check`: reads a CSV and says everything that is wrong with it. Stores and fetches nothing, needs no database.
//!
//! Memory stays flat: with `--json` the file is read once for the report and, where it would be accepted, once more for
//! the products.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::columns::Columns;
use super::print::{counted, unreadable};
use super::{BROKEN_PIPE, NO_FILE};
use halftone_sheet::{Column, ColumnRole, Issue, Limits, Reader, Report, Row, Severity};

/// Arguments of `halftone check`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The CSV: one product per row, with its image URLs; `-` for standard input
    file: PathBuf,
    /// Print JSON: the products with their URLs, and the report with the fields of the API's CsvReport
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    columns: Columns,
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
    columns: &'a [Column],
    row_count: u64,
    accepted_row_count: u64,
    rejected_row_count: u64,
    image_count: u64,
    issue_count: u64,
    error_count: u64,
    issues: &'a [Issue],
}

/// Exit code 0 when nothing is refused, 1 when the file, a row or a URL is, 2 when the file cannot be read or the report
/// not be printed.
pub fn check(limits: &Limits, arguments: &Arguments) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = read(limits, arguments, &mut out).and_then(|report| {
        out.flush().map_err(Failure::Print)?;
        Ok(report)
    });
    match done {
        Ok(report) if report.error_count == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Failure::Read(error)) => unreadable(&arguments.file, &error),
        Err(Failure::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(BROKEN_PIPE),
        Err(Failure::Print(error)) => {
            eprintln!("error: cannot print the report: {error}");
            ExitCode::from(NO_FILE)
        }
    }
}

enum Failure {
    Read(io::Error),
    Print(io::Error),
}

/// Reads the file and prints what is found.
fn read(limits: &Limits, arguments: &Arguments, out: &mut impl Write) -> Result<Report, Failure> {
    let hints = arguments.columns.hints();
    let file = open(&arguments.file, limits).map_err(Failure::Read)?;
    let mut reader = Reader::open_file(&file, limits, &hints).map_err(Failure::Read)?;
    while reader.next_row().map_err(Failure::Read)?.is_some() {}
    let report = reader.into_report();
    if !arguments.json {
        print(out, &arguments.file, &report).map_err(Failure::Print)?;
        return Ok(report);
    }
    begin(out, &report).map_err(Failure::Print)?;
    if !report.rejected {
        let mut reader = Reader::open_file(&file, limits, &hints).map_err(Failure::Read)?;
        let mut is_first = true;
        while let Some(row) = reader.next_row().map_err(Failure::Read)? {
            if row.accepted {
                product(out, &row, is_first).map_err(Failure::Print)?;
                is_first = false;
            }
        }
    }
    writeln!(out, "\n]}}").map_err(Failure::Print)?;
    Ok(report)
}

/// Opens the file, or the standard input for `-`. What cannot be read twice is copied to a temporary file: no more of it than
/// a CSV may have, and the byte that shows that it has more.
fn open(path: &Path, limits: &Limits) -> io::Result<File> {
    let stream: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let file = File::open(path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Box::new(file)
    };
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut stream.take(limits.max_bytes.saturating_add(1)), &mut copy)?;
    copy.rewind()?;
    Ok(copy)
}

/// Begins a JSON object with the report and opens its list of products.
fn begin(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let summary = Summary {
        rejected: report.rejected,
        byte_size: report.byte_size,
        encoding: &report.encoding,
        delimiter: report.delimiter,
        columns: &report.columns,
        row_count: report.row_count,
        accepted_row_count: report.accepted_row_count,
        rejected_row_count: report.rejected_row_count,
        image_count: report.image_count,
        issue_count: report.issue_count,
        error_count: report.error_count,
        issues: &report.issues,
    };
    let summary = serde_json::to_string(&summary)?;
    write!(out, "{},\n\"products\":[", summary.trim_end_matches('}'))
}

fn product(out: &mut impl Write, row: &Row, is_first: bool) -> io::Result<()> {
    let product = Product {
        row_number: row.row_number,
        line: row.line,
        serial_number: row.serial_number.as_deref(),
        name: &row.name,
        image_urls: row.urls.iter().filter(|url| url.accepted).map(|url| url.text.as_str()).collect(),
    };
    out.write_all(if is_first { b"\n" } else { b",\n" })?;
    Ok(serde_json::to_writer(out, &product)?)
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
        "{}: {} of {} and {} can be used; {}, {}. Read as {}, separated by {delimiter}.",
        path.display(),
        report.accepted_row_count,
        counted(report.row_count, "row"),
        counted(report.image_count, "image URL"),
        counted(report.error_count, "error"),
        counted(report.issue_count - report.error_count, "warning"),
        report.encoding,
    )?;
    let of_role = |role| {
        let columns = report.columns.iter().filter(move |column| column.role == role);
        columns.map(|column| format!("\"{}\"", column.header)).collect::<Vec<_>>().join(", ")
    };
    if !report.columns.is_empty() {
        let name = of_role(ColumnRole::ProductName);
        let name = if name.is_empty() { "the name of the first image's file".to_owned() } else { name };
        writeln!(out, "Product name: {name}. Image URLs: {}.", of_role(ColumnRole::ImageUrls))?;
    }
    if report.rejected {
        writeln!(out, "An upload of this file would be refused.")?;
    }
    Ok(())
}
