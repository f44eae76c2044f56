//! What those who run Halftone ask of a process, on a listener of its own: figures for Prometheus, and whether it lives.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tracing::{error, warn};

use super::health;
use crate::app::App;
use crate::metrics::Now;
use crate::pipeline::system::Readings;

/// The media type of Prometheus's text.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long the database may take: a scrape waits ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn router(app: App) -> Router {
    let readings = Arc::<Readings>::default();
    Router::new()
        .route("/metrics", get(async move |State(app): State<App>| metrics(&app, &readings).await))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(app)
}

async fn metrics(app: &App, readings: &Readings) -> Response {
    let now = Now::default();
    match read(app, readings, &now).await.and_then(|()| app.metrics.text(&now)) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(error) => {
            error!("cannot write the metrics: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What is so at this moment, in this process and, over all processes, in the database. While the database is away, its figures
/// are missing and `halftone_database_up` is 0.
async fn read(app: &App, readings: &Readings, now: &Now) -> anyhow::Result<()> {
    let version: &[&str] = &[env!("CARGO_PKG_VERSION")];
    now.gauge("halftone_build_info", "The version of this process.", &["version"], &[(version, 1.0)])?;
    let pools = [("api", app.pool.status()), ("jobs", app.worker_pool.status())];
    let connections = pools.map(|(pool, status)| [(pool, "open", status.size), (pool, "idle", status.available)]);
    let connections: Vec<([&str; 2], f64)> =
        connections.as_flattened().iter().map(|(pool, state, count)| ([*pool, *state], *count as f64)).collect();
    let connections: Vec<(&[&str], f64)> = connections.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    let help = "Connections of this process to the database.";
    now.gauge("halftone_database_connections", help, &["pool", "state"], &connections)?;

    let system = match tokio::time::timeout(PATIENCE, readings.take(app)).await {
        Ok(Ok(system)) => Some(system),
        Ok(Err(error)) => {
            warn!("the metrics of the database are missing: {error:#}");
            None
        }
        Err(_) => None,
    };
    let is_up = if system.is_some() { 1.0 } else { 0.0 };
    now.gauge("halftone_database_up", "Whether the database answers.", &[], &[(&[], is_up)])?;
    let Some(system) = system else { return Ok(()) };
    let jobs: Vec<([&str; 2], f64)> =
        system.jobs.iter().map(|jobs| ([jobs.kind.as_str(), jobs.state.as_str()], jobs.count as f64)).collect();
    let jobs: Vec<(&[&str], f64)> = jobs.iter().map(|(labels, count)| (&labels[..], *count)).collect();
    now.gauge("halftone_jobs", "Jobs of all processes, by kind and state.", &["kind", "state"], &jobs)?;
    let oldest = system.jobs.iter().filter_map(|jobs| jobs.oldest_ready).fold(0.0, f64::max);
    let help = "How long the job that became ready first, and that a worker may begin, has been waiting; 0 when there is none.";
    now.gauge("halftone_oldest_ready_job_age_seconds", help, &[], &[(&[], oldest)])?;
    let alive = system.workers.iter().filter(|worker| worker.is_alive).count();
    now.gauge("halftone_workers", "Live processes that run jobs.", &[], &[(&[], alive as f64)])?;
    let unavailable = system.hosts.len();
    let help = "Image hosts that are paused or down; at most 100 are counted.";
    now.gauge("halftone_unavailable_hosts", help, &[], &[(&[], unavailable as f64)])
}
