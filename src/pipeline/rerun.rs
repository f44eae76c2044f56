//! Running a request again for what changed: every host is asked again, and what has not changed keeps its output.

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::retry::{IMAGES_PER_BATCH, announce, take_back};
use crate::app::App;
use crate::db;
use crate::db::request::ProcessingRequest;
use crate::db::run::{NewRun, Run, RunReason};
use crate::db::viewer::Viewer;

/// What became of a wish to run a request again.
pub enum Rerun {
    /// The request as it is now.
    Begun(ProcessingRequest),
    /// The request has not ended.
    WrongStatus(ProcessingRequest),
    NotFound,
}

/// Begins a run of a final request with all of its images. `is_fresh`: everything is downloaded and compressed again, even
/// what has not changed.
pub async fn rerun(app: &App, viewer: Viewer, id: Uuid, is_fresh: bool) -> anyhow::Result<Rerun> {
    let mut conn = db::connect(&app.pool).await?;
    conn.transaction(async |conn| {
        let Some(request) = ProcessingRequest::lock(conn, viewer, &[id]).await?.pop() else {
            return Ok(Rerun::NotFound);
        };
        if !request.status.is_final() {
            return Ok(Rerun::WrongStatus(request));
        }
        let run = Run::begin(conn, id, NewRun { reason: RunReason::Rerun, total: request.total, is_fresh }).await?;
        let mut after = -1;
        loop {
            let images = Run::images_after(conn, id, after, IMAGES_PER_BATCH).await?;
            let Some(last) = images.last() else { break };
            after = last.position;
            take_back(conn, id, run, &images).await?;
        }
        Ok(Rerun::Begun(announce(conn, id).await?))
    })
    .await
}
