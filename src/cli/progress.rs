//! The progress of a request in the terminal: a bar, or lines where there is no terminal.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::db;
use crate::db::progress::Progress;
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;

/// How often progress is read without a notification that it changed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often the bar moves at most.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// How often a line is printed where there is no terminal for a bar.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the progress until the request ends; `None` when told to stop before.
pub async fn watch(app: &App, id: Uuid, stop: &CancellationToken) -> anyhow::Result<Option<ProcessingRequest>> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:32} {pos}/{len} images  {msg}  {elapsed}")?);
    let mut changed = app.events.request(id);
    let mut last_line = Instant::now();
    loop {
        let mut conn = db::connect(&app.pool).await?;
        let request =
            ProcessingRequest::find(&mut conn, Viewer::Operator, id).await?.context("the request was removed")?;
        let progress = Progress::of(&mut conn, &[id]).await?.pop().context("the request was removed")?;
        drop(conn);
        bar.set_length(u64::from(progress.total.unsigned_abs()));
        bar.set_position(u64::from(progress.ended().unsigned_abs()));
        bar.set_message(message(&request, &progress));
        if bar.is_hidden() && (request.status.is_final() || last_line.elapsed() >= LINE_INTERVAL) {
            last_line = Instant::now();
            say!("{}/{} images, {}", progress.ended(), progress.total, message(&request, &progress));
        }
        if request.status.is_final() {
            bar.finish();
            return Ok(Some(request));
        }
        tokio::select! {
            () = stop.cancelled() => {
                bar.abandon();
                return Ok(None);
            }
            // The next draw follows at its own pace whatever woke us.
            _ = tokio::time::timeout(POLL_INTERVAL, changed.changed()) => tokio::time::sleep(REDRAW_INTERVAL).await,
        }
    }
}

fn message(request: &ProcessingRequest, progress: &Progress) -> String {
    let mut message = format!("{:.0} % saved", 100.0 * request.savings().saved_ratio());
    if progress.failed > 0 {
        message.push_str(&format!(", {} failed", progress.failed));
    }
    if progress.retrying > 0 {
        message.push_str(&format!(", {} to be retried", progress.retrying));
    }
    if let Some(pace) = progress.images_per_second {
        message.push_str(&format!(", {pace:.0}/s"));
    }
    message
}
