//! Stopping a request: images in flight finish, the rest are canceled.

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::process::ProcessImage;
use super::settle::finish_requests;
use crate::app::App;
use crate::db::image::Image;
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::db::{self, Connection};
use crate::queue::{Job as _, jobs, pauses};

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
/// Cancels that are looked at together.
const RESUMED_AT_ONCE: i64 = 100;

/// Stops a request. The wish is durable before the first image is canceled: a process that dies in between leaves the rest
/// to [`resume`].
pub async fn cancel(app: &App, viewer: Viewer, id: Uuid) -> anyhow::Result<Canceled> {
    let mut conn = db::connect(&app.pool).await?;
    let Some(request) = ProcessingRequest::find(&mut conn, viewer, id).await? else { return Ok(Canceled::NotFound) };
    let is_new = conn.transaction(async |conn| {
        let is_new = ProcessingRequest::request_cancel(conn, id).await?;
        if is_new {
            pauses::resume(conn, &[id]).await?;
        }
        diesel::QueryResult::Ok(is_new)
    });
    if !is_new.await? {
        return Ok(Canceled::WrongStatus(request));
    }
    cancel_waiting(app, &mut conn, id).await?;
    Ok(match ProcessingRequest::find(&mut conn, viewer, id).await? {
        Some(request) => Canceled::Stopped(request),
        None => Canceled::NotFound,
    })
}

/// Carries on with cancels that were cut off. Images that wait for another try would otherwise be canceled only when it comes.
pub async fn resume(app: &App) -> anyhow::Result<()> {
    let mut conn = db::connect(&app.worker_pool).await?;
    for id in ProcessingRequest::open_cancels(&mut conn, RESUMED_AT_ONCE).await? {
        cancel_waiting(app, &mut conn, id).await?;
    }
    Ok(())
}

/// Cancels all images nobody works on.
async fn cancel_waiting(app: &App, conn: &mut Connection, id: Uuid) -> anyhow::Result<()> {
    while conn.transaction(async |conn| cancel_batch(app, conn, id).await).await? {}
    Ok(())
}

/// Cancels a batch of images nobody works on. Returns whether there may be more.
async fn cancel_batch(app: &App, conn: &mut Connection, id: Uuid) -> anyhow::Result<bool> {
    let requests = ProcessingRequest::lock(conn, Viewer::Operator, &[id]).await?;
    // As soon as the request has ended, another run may have begun that nobody cancels.
    if requests.iter().all(|request| request.status.is_final() || request.cancel_requested_at.is_none()) {
        return Ok(false);
    }
    let waiting = jobs::discard_group(conn, ProcessImage::KIND, id, IMAGES_PER_BATCH).await?;
    Image::cancel(conn, id, &waiting).await?;
    let has_ended = !finish_requests(app, conn, &[id]).await?.is_empty();
    Ok(!has_ended && waiting.len() as i64 >= IMAGES_PER_BATCH)
}
