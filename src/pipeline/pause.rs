//! Pausing a request: what runs ends, nothing new is begun until it is resumed.

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::process::ProcessImage;
use crate::app::App;
use crate::db;
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::events;
use crate::queue::{Job as _, pauses};

/// What became of a wish to pause or to resume.
pub enum Paused {
    /// The request as it is now.
    Done(ProcessingRequest),
    /// It has ended or is being canceled, or is paused, or not paused, already; the request as it is.
    WrongStatus(ProcessingRequest),
    NotFound,
}

/// Keeps images of a request from being begun.
pub async fn pause(app: &App, viewer: Viewer, id: Uuid) -> anyhow::Result<Paused> {
    set_paused(app, viewer, id, true).await
}

/// Has a paused request go on.
pub async fn resume(app: &App, viewer: Viewer, id: Uuid) -> anyhow::Result<Paused> {
    set_paused(app, viewer, id, false).await
}

async fn set_paused(app: &App, viewer: Viewer, id: Uuid, is_paused: bool) -> anyhow::Result<Paused> {
    let mut conn = db::connect(&app.pool).await?;
    conn.transaction(async |conn| {
        let Some(request) = ProcessingRequest::lock(conn, viewer, &[id]).await?.pop() else {
            return Ok(Paused::NotFound);
        };
        if !ProcessingRequest::set_paused(conn, id, is_paused).await? {
            return Ok(Paused::WrongStatus(request));
        }
        if is_paused {
            pauses::pause(conn, id).await?;
        } else {
            pauses::resume(conn, &[id]).await?;
            events::announce_jobs(conn, ProcessImage::KIND).await?;
        }
        events::announce_request(conn, id).await?;
        let request =
            ProcessingRequest::find(conn, viewer, id).await?.with_context(|| format!("request {id} is gone"))?;
        Ok(Paused::Done(request))
    })
    .await
}
