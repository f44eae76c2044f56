//! What `halftone compress` says: a line per file in the order given, a bar on a terminal, a total.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Failure, Output};
use crate::cli::print::counted;
use halftone_compress::Outcome;

/// A file that came to its end.
pub struct Done {
    /// Among the files given, from 0.
    pub place: usize,
    pub source: PathBuf,
    pub result: Result<Output, Failure>,
}

/// Everything said so far.
pub struct Report {
    json: bool,
    bar: ProgressBar,
    count: usize,
    /// Finished before one in front of them.
    early: BTreeMap<usize, Done>,
    next: usize,
    failed: usize,
    kept: usize,
    source_bytes: u64,
    output_bytes: u64,
}

impl Report {
    pub fn new(count: usize, json: bool) -> anyhow::Result<Self> {
        // Draws on standard error, and only where that is a terminal.
        let bar = ProgressBar::new(count as u64);
        bar.set_style(ProgressStyle::with_template("{bar:32} {pos}/{len} files  {elapsed}")?);
        Ok(Self {
            json,
            bar,
            count,
            early: BTreeMap::new(),
            next: 0,
            failed: 0,
            kept: 0,
            source_bytes: 0,
            output_bytes: 0,
        })
    }

    /// Takes a result, and says all those whose turn it is.
    pub fn add(&mut self, done: Done) {
        self.early.insert(done.place, done);
        self.bar.inc(1);
        while let Some(done) = self.early.remove(&self.next) {
            self.next += 1;
            self.say(&done);
        }
    }

    fn say(&mut self, done: &Done) {
        match &done.result {
            Ok(output) => {
                self.source_bytes += output.source_bytes;
                self.output_bytes += output.output_bytes;
                self.kept += usize::from(output.compressed.outcome == Outcome::KeptOriginal);
            }
            Err(_) => self.failed += 1,
        }
        let line = if self.json { object(done).to_string() } else { line(done) };
        self.bar.suspend(|| say!("{line}"));
    }

    /// The total and the exit code. Files that were not begun when the process was told to stop have no line.
    pub fn finish(mut self, is_stopped: bool) -> ExitCode {
        for (_, done) in std::mem::take(&mut self.early) {
            self.next += 1;
            self.say(&done);
        }
        self.bar.finish_and_clear();
        if !self.json {
            say!("{}", self.total());
        }
        if is_stopped && self.next < self.count {
            eprintln!("Stopped; {} of {} files were not started.", self.count - self.next, self.count);
        }
        if self.failed > 0 || self.next < self.count { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn total(&self) -> String {
        let compressed = self.next - self.failed - self.kept;
        let mut text = format!("{compressed} of {} compressed", counted(self.count as u64, "file"));
        if self.kept > 0 {
            text.push_str(&format!(", {} kept as they were", self.kept));
        }
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", self.failed));
        }
        let (before, after) = (self.source_bytes, self.output_bytes);
        if before == 0 {
            return text;
        }
        format!("{text}; {} became {} ({:.0} % saved)", ByteSize(before), ByteSize(after), saved(before, after))
    }
}

/// Percent; negative for an output that a resize or conversion made larger.
fn saved(before: u64, after: u64) -> f64 {
    100.0 * (1.0 - after as f64 / before.max(1) as f64)
}

fn line(done: &Done) -> String {
    let name = done.source.display();
    let output = match &done.result {
        Ok(output) => output,
        Err(failure) => return format!("{name}  FAILED: {}", failure.message),
    };
    let (before, after) = (output.source_bytes, output.output_bytes);
    let receipt = &output.compressed.receipt;
    let quality = receipt.quality.map_or("-".to_owned(), |quality| format!("q{quality}"));
    let mut text = format!(
        "{name} → {}  {} → {}  {:.0} % saved  {quality}  {}",
        output.path.display(),
        ByteSize(before),
        ByteSize(after),
        saved(before, after),
        receipt.decision
    );
    for warning in &output.compressed.warnings {
        text.push(' ');
        text.push_str(warning);
    }
    text
}

/// With the field names of the API's `Image`.
fn object(done: &Done) -> Value {
    let file = done.source.to_string_lossy();
    let output = match &done.result {
        Ok(output) => output,
        Err(Failure { code, message }) => {
            return json!({"file": file, "status": "FAILED", "error": {"code": code.as_str(), "message": message}});
        }
    };
    let compressed = &output.compressed;
    let side = |facts: &halftone_compress::Facts, bytes: u64| {
        json!({
            "format": facts.format.name(), "byteSize": bytes, "width": facts.width, "height": facts.height,
        })
    };
    let mut written = side(&compressed.output, output.output_bytes);
    written["file"] = json!(output.path.to_string_lossy());
    let receipt = &compressed.receipt;
    let alternatives: Vec<Value> = receipt
        .alternatives
        .iter()
        .map(|other| json!({"format": other.format.name(), "byteSize": other.bytes}))
        .collect();
    json!({
        "file": file,
        "status": "SUCCEEDED",
        "outcome": match compressed.outcome {
            Outcome::Compressed => "COMPRESSED",
            Outcome::KeptOriginal => "KEPT_ORIGINAL",
        },
        "source": side(&compressed.source, output.source_bytes),
        "output": written,
        "receipt": {
            "quality": receipt.quality,
            "score": receipt.score,
            "targetMet": receipt.target_met,
            "encodesTried": receipt.encodes_tried,
            "decision": receipt.decision,
            "alternatives": alternatives,
        },
        "warnings": compressed.warnings,
    })
}
