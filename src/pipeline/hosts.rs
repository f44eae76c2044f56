//! What the workers on one database tell each other about image hosts. About once a second each stores its windows and the
//! pauses it met with, and takes over what the others stored: so the limits of a host hold for all of them together.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::{info, warn};
use uuid::Uuid;

use crate::app::App;
use crate::db::host::{self, HostReport, HostShare};
use crate::db::{self, listener};
use crate::fetch::{Report, Share};

/// How long a worker may exceed its share of a host that another begins to use.
const EXCHANGE_INTERVAL: Duration = Duration::from_secs(1);
/// Exchanges of a worker that uses no host are this many times rarer.
const IDLE_FACTOR: u32 = 10;
/// How often the addresses of the APIs are announced and looked up.
const LISTENER_INTERVAL: Duration = Duration::from_secs(15);

/// Learns what there is to know before the first job is claimed.
pub(super) async fn learn(app: &App, worker_id: Uuid) {
    if let Err(error) = exchange(app, worker_id, Vec::new()).await {
        warn!("cannot share image hosts with the other workers: {error:#}");
    }
    look_up_listeners(app).await;
}

/// Exchanges for ever. Without the database each worker continues with what it knows.
pub(super) async fn share(app: App, worker_id: Uuid) {
    let mut interval = tokio::time::interval(EXCHANGE_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut skipped, mut is_known, mut is_failing) = (0, false, false);
    loop {
        interval.tick().await;
        let reports = app.fetcher.report();
        skipped += 1;
        if reports.is_empty() && !is_known && skipped < IDLE_FACTOR {
            continue;
        }
        skipped = 0;
        // Once more when the last host is no longer used, to take the report back.
        is_known = !reports.is_empty();
        match exchange(&app, worker_id, reports).await {
            Ok(()) if is_failing => {
                is_failing = false;
                info!("image hosts are shared with the other workers again");
            }
            Ok(()) => {}
            Err(error) if !is_failing => {
                is_failing = true;
                warn!("cannot share image hosts with the other workers: {error:#}");
            }
            Err(_) => {}
        }
    }
}

async fn exchange(app: &App, worker_id: Uuid, reports: Vec<Report>) -> anyhow::Result<()> {
    let reports = reports.into_iter().map(stored).collect();
    let mut conn = db::connect(&app.worker_pool).await?;
    let shares = host::exchange(&mut conn, worker_id, reports).await?;
    let shares: Vec<Share> = shares.into_iter().map(read).collect();
    app.fetcher.adopt(&shares);
    Ok(())
}

/// Keeps the addresses at which APIs listen out of reach of this worker, for ever.
pub(super) async fn avoid_listeners(app: App) {
    let mut interval = tokio::time::interval(LISTENER_INTERVAL);
    loop {
        interval.tick().await;
        look_up_listeners(&app).await;
    }
}

async fn look_up_listeners(app: &App) {
    let looked_up = async {
        let mut conn = db::connect(&app.worker_pool).await?;
        app.client.guard().refuse(listener::find(&mut conn, &hostname()).await?);
        anyhow::Ok(())
    };
    if let Err(error) = looked_up.await {
        warn!("cannot find out where the API listens: {error:#}");
    }
}

/// Announces for ever that the API listens at `address`.
pub async fn announce_listener(app: App, address: std::net::SocketAddr) {
    let mut interval = tokio::time::interval(LISTENER_INTERVAL);
    loop {
        interval.tick().await;
        let announced = async {
            listener::announce(&mut *db::connect(&app.pool).await?, &hostname(), address).await?;
            anyhow::Ok(())
        };
        if let Err(error) = announced.await {
            warn!("cannot announce where the API listens: {error:#}");
        }
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn stored(report: Report) -> HostReport {
    let small = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    HostReport {
        window: small(report.window),
        in_flight: small(report.in_flight),
        paused_for: report.paused.map(|(left, _)| left.as_secs_f64()),
        paused_status: report.paused.map(|(_, status)| status.into()),
        down_for: report.down.map(|left| left.as_secs_f64()),
        answered: report.answered,
        median_ms: report.median.map(|median| i32::try_from(median.as_millis()).unwrap_or(i32::MAX)),
        origin: report.origin,
    }
}

fn read(share: HostShare) -> Share {
    let count = |count: i64| usize::try_from(count).unwrap_or(0);
    // What is over already is negative.
    let left = |seconds: Option<f64>| Duration::try_from_secs_f64(seconds?).ok();
    let status = share.paused_status.and_then(|status| u16::try_from(status).ok());
    Share {
        workers: count(share.workers),
        rank: count(share.rank),
        others_window: count(share.others_window),
        paused: left(share.paused_for).zip(status),
        down: left(share.down_for),
        origin: share.origin,
    }
}
