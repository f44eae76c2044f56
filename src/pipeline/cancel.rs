//! Stopping a request: images in flight finish, the rest are canceled.

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::settle::finish_requests;
use crate::app::App;
use crate::db::image::Image;
use crate::db::request::ProcessingRequest;
use crate::db::{self, Connection};
use crate::queue::jobs;

/// What became of a wish to cancel.
pub enum Canceled {
    /// Nothing new will be started; the request as it is now.
    Stopped(ProcessingRequest),
    /// It had already ended or was being canceled; the request as it is.
    WrongStatus(ProcessingRequest),
    NotFound,
}

/// Stops a request.
pub async fn cancel(app: &App, id: Uuid) -> anyhow::Result<Canceled> {
    let mut conn = db::connect(&app.pool).await?;
    conn.transaction(async |conn| cancel_in(app, conn, id).await).await
}

async fn cancel_in(app: &App, conn: &mut Connection, id: Uuid) -> anyhow::Result<Canceled> {
    let Some(request) = ProcessingRequest::lock(conn, &[id]).await?.pop() else {
        return Ok(Canceled::NotFound);
    };
    if !ProcessingRequest::request_cancel(conn, id).await? {
        return Ok(Canceled::WrongStatus(request));
    }
    let waiting = jobs::discard_group(conn, id).await?;
    Image::cancel(conn, id, &waiting).await?;
    finish_requests(app, conn, &[id]).await?;
    Ok(match ProcessingRequest::find(conn, id).await? {
        Some(request) => Canceled::Stopped(request),
        None => Canceled::NotFound,
    })
}
