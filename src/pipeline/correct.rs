//! Correcting URLs of images: one by one, or all those of a corrected file. This begins the next run of a request that has
//! ended, with these images.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::ops::ControlFlow;

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::retry::{announce, take_back};
use crate::app::App;
use crate::db::image::Image;
use crate::db::product::{Product, ProductResult};
use crate::db::request::ProcessingRequest;
use crate::db::run::{NewRun, Run, RunImage, RunReason};
use crate::db::viewer::Viewer;
use crate::db::{self, Connection, correction};
use halftone_sheet::{self as sheet, Hints, Report, Row};

/// Images corrected by one statement, and rows of the request read by one.
const IMAGES_PER_BATCH: usize = 500;
const ROWS_PER_PAGE: i64 = 1_000;
/// Parts of a file that were not applied and are named; the others are counted.
const MAX_SKIPPED: usize = 100;

/// What became of a correction.
pub enum Corrected {
    /// So many images are being done with their new URLs; the request as it is now.
    Begun(ProcessingRequest, i32),
    /// The request has not ended.
    WrongStatus(ProcessingRequest),
    /// Nothing in the file corrects a URL.
    NothingChanges(ProcessingRequest),
    NotFound,
}

/// Part of a file that was not applied.
#[derive(Debug)]
pub struct Skipped {
    /// Where its row begins, as a text editor counts.
    pub line: u64,
    pub message: String,
}

/// What was not applied of a file.
#[derive(Debug, Default)]
pub struct Skips {
    pub named: Vec<Skipped>,
    pub count: usize,
}

impl Skips {
    fn add(&mut self, line: u64, message: impl Into<String>) {
        self.count += 1;
        if self.named.len() < MAX_SKIPPED {
            self.named.push(Skipped { line, message: message.into() });
        }
    }
}

/// A corrected file and what becomes of it.
pub enum Applied {
    /// The file cannot be read as a CSV of products.
    Rejected(Report),
    Read(Box<Corrected>, Skips),
}

/// Has an image downloaded from another URL, wherever the request names it.
pub async fn replace_url(app: &App, viewer: Viewer, image_id: Uuid, url: &str) -> anyhow::Result<Corrected> {
    let mut conn = db::connect(&app.pool).await?;
    let Some(request_id) = image(&mut conn, viewer, image_id).await?.map(|image| image.request_id) else {
        return Ok(Corrected::NotFound);
    };
    conn.transaction(async |conn| {
        if let Err(refused) = lock(conn, viewer, request_id).await? {
            return Ok(refused);
        }
        // As it is now that nobody else changes it.
        let Some(image) = image(conn, viewer, image_id).await? else { return Ok(Corrected::NotFound) };
        let image = RunImage { id: image.id, position: image.position, input_url: url.to_owned() };
        begin(conn, request_id, vec![image]).await
    })
    .await
}

/// Applies a corrected file of failed rows to the request: each row that is told by its serial number and name, place by
/// place. Only images whose URL it changes are done again.
pub async fn replace_urls(
    app: &App,
    viewer: Viewer,
    request_id: Uuid,
    file: File,
    hints: Hints,
) -> anyhow::Result<Applied> {
    let limits = app.config.sheet.clone();
    let read = spawn_blocking(move || CorrectedRows::read(file, &limits, &hints));
    let (report, mut rows) = read.await.context("read the corrected file")??;
    if report.rejected {
        return Ok(Applied::Rejected(report));
    }
    let mut conn = db::connect(&app.pool).await?;
    let corrected = conn.transaction(async |conn| {
        let request = match lock(conn, viewer, request_id).await? {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let mut after = -1;
        loop {
            let page = Product::results(conn, request_id, after, ROWS_PER_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.row_number;
            page.iter().for_each(|product| rows.meet(product));
        }
        let urls = rows.changes();
        if urls.is_empty() {
            return Ok(Corrected::NothingChanges(request));
        }
        let ids: Vec<Uuid> = urls.keys().copied().collect();
        let mut images = Vec::with_capacity(urls.len());
        for ids in ids.chunks(ROWS_PER_PAGE as usize) {
            images.extend(Image::load(conn, viewer, ids).await?.into_iter().map(|state| RunImage {
                id: state.image.id,
                position: state.image.position,
                input_url: urls.get(&state.image.id).cloned().unwrap_or_default(),
            }));
        }
        images.sort_unstable_by_key(|image| image.position);
        begin(conn, request_id, images).await
    });
    Ok(Applied::Read(Box::new(corrected.await?), rows.skips))
}

async fn image(conn: &mut Connection, viewer: Viewer, id: Uuid) -> diesel::QueryResult<Option<Image>> {
    Ok(Image::load(conn, viewer, &[id]).await?.pop().map(|state| state.image))
}

/// Locks a request that has ended; or says why nothing of it can be corrected.
async fn lock(
    conn: &mut Connection,
    viewer: Viewer,
    id: Uuid,
) -> diesel::QueryResult<Result<ProcessingRequest, Corrected>> {
    Ok(match ProcessingRequest::lock(conn, viewer, &[id]).await?.pop() {
        None => Err(Corrected::NotFound),
        Some(request) if !request.status.is_final() => Err(Corrected::WrongStatus(request)),
        Some(request) => Ok(request),
    })
}

/// Begins the run of these images, whose URLs are the new ones.
async fn begin(conn: &mut Connection, request_id: Uuid, images: Vec<RunImage>) -> anyhow::Result<Corrected> {
    let count = i32::try_from(images.len())?;
    let run =
        Run::begin(conn, request_id, NewRun { reason: RunReason::Correction, total: count, is_fresh: false }).await?;
    for images in images.chunks(IMAGES_PER_BATCH) {
        let (ids, urls): (Vec<Uuid>, Vec<&str>) =
            images.iter().map(|image| (image.id, image.input_url.as_str())).unzip();
        // First they are pending again: an image that has ended does not change.
        take_back(conn, request_id, run, images).await?;
        correction::replace_urls(conn, request_id, &ids, &urls).await?;
    }
    Ok(Corrected::Begun(announce(conn, request_id).await?, count))
}

/// The rows of a corrected file, on their way to the rows of the request that they correct.
#[derive(Default)]
struct CorrectedRows {
    rows: HashMap<u128, CorrectedRow>,
    skips: Skips,
}

struct CorrectedRow {
    line: u64,
    urls: Vec<sheet::InputUrl>,
    /// Rows of the request that it may stand for.
    met: usize,
    /// The new URLs of the images of the row.
    changes: Vec<(Uuid, String)>,
    skipped: Vec<String>,
}

/// What tells a row: its serial number, or the row number that stands in for it, and its name.
fn key(serial_number: &str, name: &str) -> u128 {
    let hash: [u8; 32] =
        Sha256::new().chain_update(serial_number).chain_update([0]).chain_update(name).finalize().into();
    hash[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

impl CorrectedRows {
    fn read(mut file: File, limits: &sheet::Limits, hints: &Hints) -> anyhow::Result<(Report, Self)> {
        let mut read = Self::default();
        let report = sheet::read_file(&mut file, limits, hints, |row: Row| {
            let serial_number = row.serial_number.unwrap_or_else(|| row.row_number.to_string());
            match read.rows.entry(key(&serial_number, &row.name)) {
                Entry::Occupied(first) => {
                    let message = format!("The row on line {} has the same serial number and name.", first.get().line);
                    read.skips.add(row.line, message);
                }
                Entry::Vacant(place) => {
                    let (line, urls) = (row.line, row.urls);
                    place.insert(CorrectedRow { line, urls, met: 0, changes: Vec::new(), skipped: Vec::new() });
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok((report, read))
    }

    /// Compares a row of the request with the one of the file that corrects it.
    fn meet(&mut self, product: &ProductResult) {
        let row_number = product.row_number.to_string();
        let key = key(product.serial_number.as_deref().unwrap_or(&row_number), &product.name);
        if let Some(row) = self.rows.get_mut(&key) {
            row.met += 1;
            if row.met == 1 {
                row.compare(product);
            }
        }
    }

    /// The new URL of each image; everything that cannot be applied is noted.
    fn changes(&mut self) -> HashMap<Uuid, String> {
        let mut rows: Vec<CorrectedRow> = std::mem::take(&mut self.rows).into_values().collect();
        rows.sort_unstable_by_key(|row| row.line);
        let mut urls: HashMap<Uuid, String> = HashMap::new();
        for row in rows {
            match row.met {
                1 => {}
                0 => {
                    self.skips.add(row.line, "The request has no row with this serial number and name.");
                    continue;
                }
                several => {
                    let message = format!("The request has {several} rows with this serial number and name.");
                    self.skips.add(row.line, message);
                    continue;
                }
            }
            for message in row.skipped {
                self.skips.add(row.line, message);
            }
            for (image_id, url) in row.changes {
                let known = urls.entry(image_id).or_insert_with(|| url.clone());
                if *known != url {
                    let message = format!("Another row corrects the same image to {known}, so {url} was not used.");
                    self.skips.add(row.line, message);
                }
            }
        }
        urls
    }
}

impl CorrectedRow {
    fn compare(&mut self, product: &ProductResult) {
        if self.urls.len() != product.input_urls.len() {
            let (here, there) = (self.urls.len(), product.input_urls.len());
            self.skipped.push(format!(
                "The row has {here} image URLs here and {there} in the request. Replace URLs without changing their number."
            ));
            return;
        }
        let places = self.urls.iter().zip(&product.input_urls).zip(&product.image_ids);
        for (place, ((new, _), image_id)) in places.enumerate().filter(|(_, ((new, old), _))| new.text != **old) {
            let place = place + 1;
            match image_id {
                _ if !new.accepted => self.skipped.push(format!("Image URL {place} cannot be fetched.")),
                None => self.skipped.push(format!(
                    "Image URL {place} was refused when the CSV was read, so it belongs to no image. Upload the row as a new CSV."
                )),
                Some(image_id) => self.changes.push((*image_id, new.text.clone())),
            }
        }
    }
}
