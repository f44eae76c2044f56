//! Result files, written from one snapshot of the database to a temporary file and then sent: however slowly a client reads,
//! no transaction waits for it, and memory stays flat.
//!
//! Every row of the input is looked at, the rejected ones too, in the input's order, at any time: what has not ended yet
//! has no output, and says so in the details.

mod kept;

mod places;

mod updated;

mod refusals;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Seek as _};

use anyhow::Context as _;
use diesel_async::AsyncPgConnection;
use uuid::Uuid;

use super::source::Source;
use crate::app::{App, Parts};
use crate::db::image::{Image, ImageState};
use crate::db::product::{Product, ProductResult};
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::db::{self, Connection};
use crate::links::Links;
use halftone_sheet as sheet;
pub use kept::{ResultFile, all as all_kept, result_file};
use places::Examined;
use refusals::Refusals;

/// The files a request can be downloaded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// The input's columns, `Output Image Urls`, then the carried-through columns.
    OutputCsv,
    /// A line for each place of a URL: what became of it, and why.
    DetailCsv,
    /// The rows with a place that has failed, was canceled or was refused, in the input's shape, with the reason.
    FailedRowsCsv,
    /// The uploaded file as it was, with each image's URL replaced by its output's.
    UpdatedCsv,
}

impl ResultKind {
    const ALL: [Self; 4] = [Self::OutputCsv, Self::DetailCsv, Self::FailedRowsCsv, Self::UpdatedCsv];

    /// The last part of its address.
    pub fn file(self) -> &'static str {
        match self {
            Self::OutputCsv => "output.csv",
            Self::DetailCsv => "details.csv",
            Self::FailedRowsCsv => "failed_rows.csv",
            Self::UpdatedCsv => "updated.csv",
        }
    }

    /// The kind with this address.
    pub fn from_file(file: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.file() == file)
    }

    /// Whether a request has a file of this kind.
    pub fn is_there(self, request: &ProcessingRequest) -> anyhow::Result<bool> {
        Ok(self != Self::UpdatedCsv || Source::of(request)?.key.is_some())
    }

    /// The format it has unless another is asked for: an uploaded workbook comes back as one.
    pub fn default_format(self, request: &ProcessingRequest) -> anyhow::Result<FileFormat> {
        let is_workbook = self == Self::UpdatedCsv && Source::of(request)?.container == sheet::Container::Workbook;
        Ok(if is_workbook { FileFormat::Xlsx } else { FileFormat::Csv { byte_order_mark: false } })
    }

    /// The encoding of its text, by its WHATWG name.
    pub fn charset(self, request: &ProcessingRequest) -> String {
        let of_source = (self == Self::UpdatedCsv).then(|| request.csv_encoding.to_ascii_lowercase());
        of_source.unwrap_or_else(|| "utf-8".to_owned())
    }

    /// What the file is called when it is saved: after the file that was uploaded.
    pub fn filename(self, request: &ProcessingRequest, format: FileFormat) -> String {
        let uploaded = request.filename.as_deref().unwrap_or_default();
        let name = uploaded.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let stem: String = stem.chars().filter(|character| !character.is_control()).take(100).collect();
        let kind = self.file().trim_end_matches(".csv");
        let ending = match format {
            FileFormat::Xlsx => "xlsx",
            // It is what was uploaded, so it is called as that is.
            FileFormat::Csv { .. } if self == Self::UpdatedCsv && matches!(ending, "tsv" | "txt") => ending,
            FileFormat::Csv { .. } => "csv",
        };
        if stem.is_empty() { format!("{kind}.{ending}") } else { format!("{stem}_{kind}.{ending}") }
    }

    /// Rows read by one statement: fewer where every image of theirs is read too.
    fn rows_per_page(self) -> i64 {
        match self {
            Self::OutputCsv | Self::UpdatedCsv => 1_000,
            Self::DetailCsv | Self::FailedRowsCsv => 250,
        }
    }
}

/// The format of a result file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `byte_order_mark`: with the mark without which Excel takes UTF-8 for something else.
    Csv {
        byte_order_mark: bool,
    },
    Xlsx,
}

/// Where a row's outputs are found, as the result file says it.
#[derive(Clone)]
pub enum Outputs {
    /// At these lasting addresses of the running service.
    Served(Links),
    /// Where the store has them: files on this machine, objects in a bucket.
    Files,
}

type Sheet = sheet::Writer<BufWriter<File>>;

/// Writes a result file of a request into a temporary file, from its first byte.
///
/// A few are written at once, the others wait. Formatting keeps a core busy and writing may wait for the disk, so it all
/// happens on a thread of its own.
pub async fn write(
    app: &App,
    request: &ProcessingRequest,
    kind: ResultKind,
    outputs_at: Outputs,
    format: FileFormat,
) -> anyhow::Result<File> {
    let place = app.exports.clone().acquire_owned().await.context("wait for other result files")?;
    let (app, request) = (app.clone(), request.clone());
    let runtime = tokio::runtime::Handle::current();
    let written = tokio::task::spawn_blocking(move || {
        let file = runtime.block_on(write_here(&app, &request, kind, &outputs_at, format));
        drop(place);
        file
    });
    written.await.context("write a result file")?
}

async fn write_here(
    app: &App,
    request: &ProcessingRequest,
    kind: ResultKind,
    outputs_at: &Outputs,
    format: FileFormat,
) -> anyhow::Result<File> {
    if format != FileFormat::Xlsx {
        return write_csv(app, request, kind, outputs_at, format).await;
    }
    let csv = write_csv(app, request, kind, outputs_at, FileFormat::Csv { byte_order_mark: false }).await?;
    let mut out = tempfile::tempfile_in(&app.temporary).context("create a temporary file")?;
    let directory = &app.temporary;
    match kind {
        ResultKind::UpdatedCsv => {
            let Source { container, hints, .. } = Source::of(request)?;
            sheet::updated_to_workbook(csv, container, &app.config.sheet, &hints, directory, &mut out)?;
        }
        ResultKind::DetailCsv => sheet::result_to_workbook(csv, &sheet::DETAIL_NUMBERS, directory, &mut out)?,
        ResultKind::OutputCsv | ResultKind::FailedRowsCsv => sheet::result_to_workbook(csv, &[], directory, &mut out)?,
    }
    out.rewind()?;
    Ok(out)
}

async fn write_csv(
    app: &App,
    request: &ProcessingRequest,
    kind: ResultKind,
    outputs_at: &Outputs,
    format: FileFormat,
) -> anyhow::Result<File> {
    if kind == ResultKind::UpdatedCsv {
        return updated::write(app, request, outputs_at).await;
    }
    let out = BufWriter::new(tempfile::tempfile_in(&app.temporary).context("create a temporary file")?);
    let marked = format == FileFormat::Csv { byte_order_mark: true };
    let mut sheet = if marked { Sheet::with_byte_order_mark(out)? } else { Sheet::new(out) };
    match kind {
        ResultKind::OutputCsv => sheet.output_header(&request.csv_extra_columns)?,
        ResultKind::DetailCsv => sheet.detail_header()?,
        ResultKind::FailedRowsCsv => sheet.failed_header(&request.csv_extra_columns)?,
        ResultKind::UpdatedCsv => {}
    }
    let mut conn = db::connect(&app.pool).await?;
    let mut snapshot = conn.build_transaction().repeatable_read().read_only();
    let write = async |conn: &mut AsyncPgConnection| {
        write_rows(conn, app, request.id, kind, outputs_at, &mut sheet).await?;
        anyhow::Ok(sheet.finish()?)
    };
    let mut file = snapshot.run(write).await?.into_inner().context("write a result file")?;
    file.rewind()?;
    Ok(file)
}

async fn write_rows(
    conn: &mut Connection,
    app: &Parts,
    request_id: Uuid,
    kind: ResultKind,
    outputs_at: &Outputs,
    sheet: &mut Sheet,
) -> anyhow::Result<()> {
    let mut refusals = Refusals::of_request(request_id);
    let mut after = -1;
    loop {
        let rows = Product::results(conn, request_id, after, kind.rows_per_page()).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.row_number;
        let images = match kind {
            ResultKind::OutputCsv | ResultKind::UpdatedCsv => HashMap::new(),
            ResultKind::DetailCsv => images(conn, rows.iter().flat_map(with_image)).await?,
            ResultKind::FailedRowsCsv => images(conn, rows.iter().flat_map(without_output)).await?,
        };
        for row in &rows {
            let outputs = output_urls(app, row, outputs_at)?;
            let outputs: Vec<Option<&str>> = outputs.iter().map(Option::as_deref).collect();
            let input_urls: Vec<&str> = row.input_urls.iter().map(String::as_str).collect();
            let output_row = sheet::OutputRow {
                row_number: u64::from(row.row_number.unsigned_abs()),
                serial_number: row.serial_number.as_deref(),
                name: &row.name,
                input_urls: &input_urls,
                extra: &row.extra,
            };
            if kind == ResultKind::OutputCsv {
                sheet.output_row(output_row, &outputs)?;
                continue;
            }
            let refusals = refusals.of_row(conn, row.row_number).await?;
            let examined = Examined::new(row, &images, &refusals);
            if kind == ResultKind::DetailCsv {
                examined.write_details(sheet, output_row, &outputs)?;
            } else if let Some(reason) = examined.reason() {
                sheet.failed_row(output_row, &reason)?;
            }
        }
    }
}

/// The images of a row.
fn with_image(row: &ProductResult) -> impl Iterator<Item = &Uuid> {
    row.image_ids.iter().flatten()
}

/// The images of a row that have no output.
fn without_output(row: &ProductResult) -> impl Iterator<Item = &Uuid> {
    row.image_ids.iter().zip(&row.output_keys).filter(|(_, key)| key.is_none()).filter_map(|(id, _)| id.as_ref())
}

async fn images(
    conn: &mut Connection,
    ids: impl Iterator<Item = &Uuid>,
) -> diesel::QueryResult<HashMap<Uuid, ImageState>> {
    let ids: Vec<Uuid> = ids.copied().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(Image::load(conn, Viewer::Operator, &ids).await?.into_iter().map(|state| (state.image.id, state)).collect())
}

/// The address of each place's output; `None` where there is none.
fn output_urls(app: &Parts, row: &ProductResult, outputs_at: &Outputs) -> anyhow::Result<Vec<Option<String>>> {
    let output_url = |((image_id, number), key): ((&Option<Uuid>, &Option<i32>), &Option<String>)| {
        let (Some(image_id), Some(number), Some(key)) = (image_id, number, key) else { return Ok(None) };
        Ok(Some(match outputs_at {
            Outputs::Served(links) => links.image(*image_id, *number, key),
            Outputs::Files => app.links.outside(key).map_or_else(|| app.store.url(key).map(String::from), Ok)?,
        }))
    };
    row.image_ids.iter().zip(&row.output_numbers).zip(&row.output_keys).map(output_url).collect()
}
