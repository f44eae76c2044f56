//! Stopping a request: images in flight finish, the rest are canceled.

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::process::ProcessImage;
use super::settle::finish_requests;
use crate::app::App;
use crate::db::image::Image;
use crate::db::request::ProcessingRequest;
use crate::db::{self, Connection};
use crate::queue::{Job as _, jobs};

/// What became of a wish to cancel.
pub enum Canceled {
    /// Nothing new will be started; the request as it is now.
    Stopped(ProcessingRequest),
    /// It had already ended or was being canceled; the request as it is.
    WrongStatus(ProcessingRequest),
    NotFound,
}

/// Images canceled by one transaction: it holds up every worker that has one of the request's images in hand.
const IMAGES_PER_BATCH: i64 = 5_000;

/// Stops a request. The wish is durable before the first image is canceled: a process that dies in between leaves the rest
/// to the workers, who cancel what they would have begun.
pub async fn cancel(app: &App, id: Uuid) -> anyhow::Result<Canceled> {
    let mut conn = db::connect(&app.pool).await?;
    let Some(request) = ProcessingRequest::find(&mut conn, id).await? else { return Ok(Canceled::NotFound) };
    if !ProcessingRequest::request_cancel(&mut conn, id).await? {
        return Ok(Canceled::WrongStatus(request));
    }
    while conn.transaction(async |conn| cancel_batch(app, conn, id).await).await? {}
    Ok(match ProcessingRequest::find(&mut conn, id).await? {
        Some(request) => Canceled::Stopped(request),
        None => Canceled::NotFound,
    })
}

/// Cancels images nobody works on. Returns whether there may be more.
async fn cancel_batch(app: &App, conn: &mut Connection, id: Uuid) -> anyhow::Result<bool> {
    let requests = ProcessingRequest::lock(conn, &[id]).await?;
    if requests.iter().all(|request| request.status.is_final()) {
        return Ok(false);
    }
    let waiting = jobs::discard_group(conn, ProcessImage::KIND, id, IMAGES_PER_BATCH).await?;
    Image::cancel(conn, id, &waiting).await?;
    let has_ended = !finish_requests(app, conn, &[id]).await?.is_empty();
    Ok(!has_ended && waiting.len() as i64 >= IMAGES_PER_BATCH)
}
