//! The workers of one process: its heartbeat, its lanes, and the settler behind them.

use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::notify::DeliverWebhook;
use super::process::ProcessImage;
use super::settle::settler;
use crate::app::App;
use crate::queue::Lane;
use crate::queue::heartbeat::Heartbeat;
use crate::queue::worker::Worker;

/// Image jobs held for each that may be downloading: the others wait for a core, are stored or recorded meanwhile, or
/// stand ready so that no download place stays empty.
const JOBS_PER_DOWNLOAD: usize = 2;
/// Webhooks in flight at once.
const WEBHOOKS_AT_ONCE: usize = 16;
/// Beats within the time after which a silent worker counts as dead.
const BEATS_PER_TIMEOUT: u32 = 5;

/// Runs jobs until `stop` is cancelled and everything in hand has ended or been given back.
pub async fn run(app: App, stop: CancellationToken) -> anyhow::Result<()> {
    let id = Uuid::now_v7();
    let timeout = app.config.worker_timeout;
    let beat = (timeout / BEATS_PER_TIMEOUT).max(Duration::from_millis(100));
    let heartbeat = Heartbeat::start(&app.database_url, id, beat).await?;
    let worker = Worker {
        id,
        pool: app.worker_pool.clone(),
        wake: app.events.jobs(),
        stop: stop.clone(),
        drain: app.config.drain_timeout,
        timeout,
    };
    info!(worker.id = %id, cores = app.config.workers, downloads = app.config.downloads, "working");

    let (settler, settling) = settler(app.clone());
    let images =
        Lane::new(worker.clone(), ProcessImage::new(app.clone(), settler), JOBS_PER_DOWNLOAD * app.config.downloads);
    let webhooks = Lane::new(worker.clone(), DeliverWebhook { app }, WEBHOOKS_AT_ONCE);
    let mut parts = JoinSet::new();
    let maintained = worker.clone();
    parts.spawn(async move { maintained.maintain().await });
    parts.spawn(settling);
    parts.spawn(images.run());
    parts.spawn(webhooks.run());
    let mut failure = Ok(());
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended {
            // Without one of its parts a worker only looks alive: the others end, and so does the process.
            stop.cancel();
            failure = Err(error).context("a part of the worker failed");
        }
    }
    drop(heartbeat);
    worker.sign_off().await?;
    failure
}
