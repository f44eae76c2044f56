//! Result files, written from one snapshot of the database to a temporary file and then sent: however slowly a client reads,
//! no transaction waits for it, and memory stays flat.

use std::fs::File;
use std::io::{BufWriter, Seek as _};

use anyhow::Context as _;
use diesel_async::AsyncPgConnection;

use crate::app::{App, Parts};
use crate::db;
use crate::db::product::{Product, ProductResult};
use crate::db::request::ProcessingRequest;
use crate::sheet;

/// Rows read by one statement.
const ROWS_PER_PAGE: i64 = 1_000;

/// The files a request can be downloaded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// The input's columns, `Output Image Urls`, then the carried-through columns.
    OutputCsv,
}

impl ResultKind {
    /// The last part of its address.
    pub fn file(self) -> &'static str {
        match self {
            Self::OutputCsv => "output.csv",
        }
    }

    /// The kind with this address.
    pub fn from_file(file: &str) -> Option<Self> {
        [Self::OutputCsv].into_iter().find(|kind| kind.file() == file)
    }

    /// What the file is called when it is saved: after the file that was uploaded.
    pub fn filename(self, request: &ProcessingRequest) -> String {
        let uploaded = request.filename.as_deref().unwrap_or_default();
        let stem = uploaded.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        let stem: String = stem.chars().filter(|character| !character.is_control()).take(100).collect();
        if stem.is_empty() { self.file().to_owned() } else { format!("{stem}_{}", self.file()) }
    }
}

/// Where a row's outputs are found, as the result file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The lasting addresses of the running service.
    Served,
    /// Files on this machine.
    Files,
}

/// Writes the output CSV of a request into a temporary file, from its first byte.
pub async fn output_csv(app: &App, request: &ProcessingRequest, links: Links) -> anyhow::Result<File> {
    let file = tempfile::tempfile().context("create a temporary file")?;
    let mut sheet = sheet::Writer::new(BufWriter::new(file));
    sheet.output_header(&request.csv_extra_columns)?;
    let mut conn = db::connect(&app.pool).await?;
    let file = conn
        .build_transaction()
        .repeatable_read()
        .read_only()
        .run(async |conn: &mut AsyncPgConnection| {
            let mut after = -1;
            loop {
                let rows = Product::results(conn, request.id, after, ROWS_PER_PAGE).await?;
                let Some(last) = rows.last() else { break };
                after = last.row_number;
                for row in &rows {
                    write_row(app, &mut sheet, row, links)?;
                }
            }
            anyhow::Ok(sheet.finish()?)
        })
        .await?;
    let mut file = file.into_inner().context("write the output CSV")?;
    file.rewind()?;
    Ok(file)
}

fn write_row(
    app: &Parts,
    sheet: &mut sheet::Writer<BufWriter<File>>,
    row: &ProductResult,
    links: Links,
) -> anyhow::Result<()> {
    let mut outputs: Vec<Option<String>> = vec![None; row.input_urls.len()];
    for ((position, image_id), key) in row.positions.iter().zip(&row.image_ids).zip(&row.output_keys) {
        let place = usize::try_from(*position).ok().and_then(|position| outputs.get_mut(position));
        if let (Some(place), Some(key)) = (place, key) {
            *place = Some(match links {
                Links::Served => app.image_url(*image_id, key),
                Links::Files => url::Url::from_file_path(app.store.file(key))
                    .map(String::from)
                    .map_err(|()| anyhow::anyhow!("{key} has no absolute path"))?,
            });
        }
    }
    let input_urls: Vec<&str> = row.input_urls.iter().map(String::as_str).collect();
    let output_urls: Vec<Option<&str>> = outputs.iter().map(Option::as_deref).collect();
    let row = sheet::OutputRow {
        row_number: u64::from(row.row_number.unsigned_abs()),
        serial_number: row.serial_number.as_deref(),
        name: &row.name,
        input_urls: &input_urls,
        extra: &row.extra,
    };
    sheet.output_row(row, &output_urls)?;
    Ok(())
}
