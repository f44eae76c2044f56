//! The uploaded file again, with the URLs of the outputs in place of those of the images.
//!
//! The file is read as it was when it was uploaded, row by row beside the rows of the database. Memory stays flat.

use std::fs::File;
use std::io::{BufWriter, Seek as _};

use anyhow::Context as _;
use diesel_async::AsyncPgConnection;

use super::{Outputs, ResultKind, output_urls};
use crate::app::{App, Parts};
use crate::db;
use crate::db::product::{Product, ProductResult};
use crate::db::request::ProcessingRequest;
use crate::pipeline::source::{self, Source};
use halftone_sheet::{Row, Updater};

type SourceUpdater = Updater<halftone_sheet::Source<'static>, BufWriter<File>>;

/// Writes the file into a temporary one, from its first byte.
pub async fn write(app: &App, request: &ProcessingRequest, outputs_at: &Outputs) -> anyhow::Result<File> {
    let source = Source::of(request)?;
    let key = source.key.context("this request's CSV was not kept")?;
    let file = source::fetch(&app.store, &key).await?;
    let out = BufWriter::new(tempfile::tempfile_in(&app.temporary).context("create a temporary file")?);
    let mut updater = Updater::open(file, &app.config.sheet, &source.hints, out)?;
    let mut conn = db::connect(&app.pool).await?;
    let mut snapshot = conn.build_transaction().repeatable_read().read_only();
    let write = async |conn: &mut AsyncPgConnection| write_rows(conn, app, request, outputs_at, &mut updater).await;
    snapshot.run(write).await?;
    let (out, _) = updater.finish()?;
    let mut file = out.into_inner().context("write a result file")?;
    file.rewind()?;
    Ok(file)
}

async fn write_rows(
    conn: &mut AsyncPgConnection,
    app: &Parts,
    request: &ProcessingRequest,
    outputs_at: &Outputs,
    updater: &mut SourceUpdater,
) -> anyhow::Result<()> {
    let mut after = -1;
    loop {
        let results = Product::results(conn, request.id, after, ResultKind::UpdatedCsv.rows_per_page()).await?;
        let Some(last) = results.last() else { return Ok(()) };
        after = last.row_number;
        for result in &results {
            let Some(row) = updater.next_row()? else { return Ok(()) };
            let outputs = output_urls(app, result, outputs_at)?;
            updater.write_row(&row, &answers(&row, result, &outputs))?;
        }
    }
}

/// The output of each place of a row as it was read now; it is the same row if it has the same URL.
fn answers<'a>(row: &Row, result: &ProductResult, outputs: &'a [Option<String>]) -> Vec<Option<&'a str>> {
    let csv_urls = result.csv_urls.as_ref().unwrap_or(&result.input_urls);
    let answer = |(place, url): (usize, &halftone_sheet::InputUrl)| {
        let is_same = |place: &usize| csv_urls.get(*place).is_some_and(|input| *input == url.text);
        let place = Some(place).filter(is_same).or_else(|| (0..csv_urls.len()).find(is_same));
        outputs.get(place?)?.as_deref()
    };
    row.urls.iter().enumerate().map(answer).collect()
}
