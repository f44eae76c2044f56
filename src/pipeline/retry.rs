//! Trying images again that failed or were canceled: the next run of a request that has ended.

use std::time::Duration;

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use super::process::ProcessImage;
use crate::app::App;
use crate::db::request::ProcessingRequest;
use crate::db::run::{NewRun, RetryFilter, Run, RunImage, RunReason};
use crate::db::viewer::Viewer;
use crate::db::{self, Connection};
use crate::queue::Job as _;
use crate::queue::jobs::{Group, NewJobs};
use crate::{events, fetch};

/// Images taken back by one statement.
pub(super) const IMAGES_PER_BATCH: i64 = 5_000;

/// What became of a wish to try images again.
pub enum Retried {
    /// So many images are being tried again; the request as it is now.
    Begun(ProcessingRequest, i32),
    /// The request has not ended.
    WrongStatus(ProcessingRequest),
    /// No image that failed or was canceled matches.
    NothingMatches(ProcessingRequest),
    NotFound,
}

/// Begins a run of a final request with its failed and canceled images that `filter` matches, all or nothing.
pub async fn retry(app: &App, viewer: Viewer, id: Uuid, filter: &RetryFilter) -> anyhow::Result<Retried> {
    let mut conn = db::connect(&app.pool).await?;
    conn.transaction(async |conn| {
        // Nobody else changes a final request while it is locked, so what is counted is what is found.
        let Some(request) = ProcessingRequest::lock(conn, viewer, &[id]).await?.pop() else {
            return Ok(Retried::NotFound);
        };
        if !request.status.is_final() {
            return Ok(Retried::WrongStatus(request));
        }
        let count = i32::try_from(filter.count(conn, id).await?)?;
        if count == 0 {
            return Ok(Retried::NothingMatches(request));
        }
        let run = Run::begin(conn, id, NewRun { reason: RunReason::Retry, total: count, is_fresh: false }).await?;
        let mut after = -1;
        let mut taken = 0;
        while taken < count {
            let images = filter.page(conn, id, after, IMAGES_PER_BATCH).await?;
            after = images.last().context("images to be tried again are gone")?.position;
            take_back(conn, id, run, &images).await?;
            taken += i32::try_from(images.len())?;
        }
        let request = announce(conn, id).await?;
        Ok(Retried::Begun(request, count))
    })
    .await
}

/// Makes images pending again in this run of their request, each with a job.
pub(super) async fn take_back(
    conn: &mut Connection,
    request_id: Uuid,
    run: i32,
    images: &[RunImage],
) -> anyhow::Result<()> {
    let ids: Vec<Uuid> = images.iter().map(|image| image.id).collect();
    let taken = Run::take_back(conn, request_id, run, &ids).await?;
    anyhow::ensure!(taken == ids.len() as i64, "an image of a final request had not ended");
    let hosts: Vec<String> = images.iter().map(|image| fetch::host_key(&image.input_url)).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let first = images.first().map_or(0, |image| i64::from(image.position));
    let group = Group { tenant_id: ProcessingRequest::tenant_id(conn, request_id).await?, id: request_id };
    let (kind, after) = (ProcessImage::KIND, Duration::ZERO);
    NewJobs { kind, group, first, ids: &ids, hosts: &hosts, after }.insert_missing(conn).await?;
    Ok(())
}

/// Wakes the workers and those who watch the request; returns it as it is now.
pub(super) async fn announce(conn: &mut Connection, id: Uuid) -> anyhow::Result<ProcessingRequest> {
    events::announce_jobs(conn, ProcessImage::KIND).await?;
    events::announce_request(conn, id).await?;
    ProcessingRequest::find(conn, Viewer::Operator, id).await?.with_context(|| format!("request {id} is gone"))
}
