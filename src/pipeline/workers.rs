//! The workers of one process: its heartbeat, the runners of its jobs, the recorder of their results, and what is tidied up.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{FutureExt as _, TryFutureExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::assign::assigner;
use super::cancel;
use super::delete;
use super::expire;
use super::hosts;
use super::leftovers;
use super::notify::{self, DeliverWebhook};
use super::process::ProcessImage;
use super::settle::recorder;
use crate::app::App;
use crate::db;
use crate::db::webhook::WebhookAttempt;
use crate::db::{host, idempotency, listener};
use crate::queue::JobRunner;
use crate::queue::heartbeat::Heartbeat;
use crate::queue::risk::RiskLog;
use crate::queue::worker::Worker;

/// How often what was left behind or is over is looked for: cancels that were cut off, deliveries without a job, deleted
/// requests, expired outputs and keys, objects without a request, old logs, hosts nobody contacts.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// Rows that are forgotten by one statement.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// Runs jobs until `stop` is cancelled and everything in hand has ended or been given back.
pub async fn run(app: App, stop: CancellationToken) -> anyhow::Result<()> {
    let id = Uuid::now_v7();
    let timeout = app.config.workers.worker_timeout;
    let heartbeat = Heartbeat::start(&app.database_url, id, timeout).await?;
    let risk_directory = app.config.general.data_dir.join("workers");
    let risk = RiskLog::open(&risk_directory, id, ProcessImage::most_held(&app))?;
    let worker = Worker {
        id,
        pool: app.worker_pool.clone(),
        wake: app.events.jobs(),
        stop: stop.clone(),
        drain: app.config.workers.drain_timeout,
        timeout,
        alive: heartbeat.alive(),
        risk_directory,
    };
    info!(worker.id = %id, compressions = app.config.workers.compressions, downloads = app.config.workers.downloads, "working");

    hosts::learn(&app, id).await;
    let (recorder, recording) = recorder(app.clone());
    let (assigner, assigning) = assigner(app.clone());
    let images = JobRunner::new(worker.clone(), ProcessImage::new(app.clone(), assigner, recorder, risk));
    let webhooks = JobRunner::new(worker.clone(), DeliverWebhook::new(app.clone()));
    let mut parts = JoinSet::new();
    let maintained = worker.clone();
    parts.spawn(async move { maintained.maintain().await });
    parts.spawn(recording);
    parts.spawn(assigning);
    for side_task in
        [tidy(app.clone()).boxed(), hosts::share(app.clone(), id).boxed(), hosts::avoid_listeners(app.clone()).boxed()]
    {
        let until = stop.clone();
        parts.spawn(async move {
            until.run_until_cancelled(side_task).await;
        });
    }
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
    host::leave(&mut *db::connect(&app.worker_pool).await?, id).await?;
    failure
}

/// Clears up every minute.
async fn tidy(app: App) {
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    loop {
        interval.tick().await;
        // One that fails keeps none of the others from being done.
        for (what, tidying) in [
            ("continue cancellations", cancel::resume(&app).boxed()),
            ("find webhooks without a job", notify::sweep(&app).map_ok(drop).boxed()),
            ("delete requests that are no longer kept", delete::delete_outlived(&app).map_ok(drop).boxed()),
            ("remove the rows of deleted requests", delete::sweep(&app).map_ok(drop).boxed()),
            ("expire outputs that are no longer kept", expire_outputs(&app).boxed()),
            ("remove outputs that have expired", expire::sweep(&app).map_ok(drop).boxed()),
            ("remove objects that no request uses", leftovers::sweep(&app).map_ok(drop).boxed()),
            ("delete outdated records", forget(&app).boxed()),
        ] {
            if let Err(error) = tidying.await {
                warn!("cannot {what}: {error:#}");
            }
        }
    }
}

async fn expire_outputs(app: &App) -> anyhow::Result<()> {
    if let Some(kept) = app.config.general.keep_outputs {
        expire::expire_outlived(app, kept).await?;
    }
    Ok(())
}

/// Forgets what is of use to nobody any more.
pub async fn forget(app: &App) -> anyhow::Result<()> {
    // A connection for each batch: others get one in between.
    while idempotency::forget_expired(&mut *db::connect(&app.worker_pool).await?, FORGOTTEN_AT_ONCE).await? > 0 {}
    while WebhookAttempt::forget_old(&mut *db::connect(&app.worker_pool).await?, FORGOTTEN_AT_ONCE).await? > 0 {}
    let mut conn = db::connect(&app.worker_pool).await?;
    host::forget_unused(&mut conn).await?;
    listener::forget_gone(&mut conn).await?;
    Ok(())
}
