//! Reads a CSV: once to check it, and again for its rows.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek as _};
use std::ops::ControlFlow;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::app::App;
use crate::db::product::NewProduct;
use halftone_sheet::{self as sheet, Hints, Report, Row};

/// Rows stored by one statement.
const ROWS_PER_BATCH: usize = 1_000;

/// A CSV that was read through once.
pub(super) struct Checked {
    pub file: File,
    pub report: Report,
    /// How many different URLs it has.
    pub distinct_urls: usize,
    pub hash: [u8; 32],
}

/// Rows on their way into the database, with the images they are the first to name.
#[derive(Default)]
pub(super) struct Batch {
    pub products: Vec<NewProduct>,
    pub image_ids: Vec<Uuid>,
    pub image_urls: Vec<String>,
}

/// Reads a CSV through, storing nothing.
pub async fn check_only(app: &App, file: File, hints: Hints) -> anyhow::Result<Report> {
    let limits = app.config.sheet.clone();
    Ok(spawn_blocking(move || check(file, &limits, &hints)).await.context("read the CSV")??.report)
}

pub(super) fn check(mut file: File, limits: &sheet::Limits, hints: &Hints) -> anyhow::Result<Checked> {
    let mut urls = HashSet::new();
    let report = sheet::read_file(&mut file, limits, hints, |row: Row| {
        if row.accepted {
            urls.extend(row.urls.iter().filter(|url| url.accepted).map(|url| fingerprint(&url.text)));
        }
        ControlFlow::Continue(())
    })?;
    file.rewind()?;
    let mut hashed = HashingReader { inner: (&mut file).take(limits.max_bytes), hash: Sha256::new() };
    std::io::copy(&mut hashed, &mut std::io::sink())?;
    let hash = hashed.hash.finalize().into();
    Ok(Checked { file, report, distinct_urls: urls.len(), hash })
}

pub(super) fn read_batches(
    mut file: File,
    limits: &sheet::Limits,
    hints: &Hints,
    batches: &mpsc::Sender<Batch>,
) -> anyhow::Result<Report> {
    let mut images: HashMap<u128, Uuid> = HashMap::new();
    let mut batch = Batch::default();
    let report = sheet::read_file(&mut file, limits, hints, |row: Row| {
        batch.add(row, &mut images);
        if batch.products.len() < ROWS_PER_BATCH || batches.blocking_send(std::mem::take(&mut batch)).is_ok() {
            ControlFlow::Continue(())
        } else {
            // The transaction has ended: its side knows why.
            ControlFlow::Break(())
        }
    })?;
    let _ = batches.blocking_send(batch);
    Ok(report)
}

impl Batch {
    fn add(&mut self, row: Row, images: &mut HashMap<u128, Uuid>) {
        let mut image_id = |url: &sheet::InputUrl| {
            *images.entry(fingerprint(&url.text)).or_insert_with(|| {
                let id = Uuid::now_v7();
                self.image_ids.push(id);
                self.image_urls.push(url.text.clone());
                id
            })
        };
        let image_ids = row.urls.iter().map(|url| (row.accepted && url.accepted).then(|| image_id(url))).collect();
        self.products.push(NewProduct {
            id: Uuid::now_v7(),
            row_number: i32::try_from(row.row_number).unwrap_or(i32::MAX),
            accepted: row.accepted,
            serial_number: row.serial_number,
            name: row.name,
            input_urls: row.urls.into_iter().map(|url| url.text).collect(),
            extra: row.extra,
            image_ids,
        });
    }
}

/// Compares what two readings of the same file found.
pub(super) fn check_unchanged(first: &Report, second: &Report) -> anyhow::Result<()> {
    let counts =
        |report: &Report| (report.row_count, report.accepted_row_count, report.image_count, report.issue_count);
    anyhow::ensure!(counts(first) == counts(second), "the CSV changed while it was read");
    Ok(())
}

/// 128 bits of a URL's SHA-256: enough to tell a million URLs apart, in 16 bytes each.
pub(super) fn fingerprint(url: &str) -> u128 {
    let hash: [u8; 32] = Sha256::digest(url).into();
    hash[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// Hashes what is read through it.
struct HashingReader<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
