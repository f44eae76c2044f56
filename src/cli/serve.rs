//! `halftone serve` and `halftone work`: run until a signal.

use anyhow::Context as _;
use tokio::net::TcpListener;
use tracing::info;

use super::database::with_database;
use super::signals::stop_signal;
use crate::config::Config;
use crate::service::Service;

/// API and workers in one process.
pub async fn serve(mut config: Config) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let listener = listen(&mut config).await?;
    let admin = listen_for_admin(&mut config).await?;
    with_database(config, async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.serve(listener).await?;
        service.work();
        info!("ready at {}", service.app.config.public_url);
        administer(&mut service, admin)?;
        run_until(stop, service).await
    })
    .await
}

/// Workers only.
pub async fn work(mut config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(config.workers.compressions > 0, "`work` with --compressions 0 would do nothing");
    let stop = stop_signal()?;
    let admin = listen_for_admin(&mut config).await?;
    with_database(config, async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.work();
        administer(&mut service, admin)?;
        run_until(stop, service).await
    })
    .await
}

/// The configured listener. Links point to the port that was really taken, unless the configuration says otherwise.
pub async fn listen(config: &mut Config) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(config.server.listen).await;
    let listener =
        listener.with_context(|| format!("listen on {} (choose another with --listen)", config.server.listen))?;
    config.server.listen = listener.local_addr()?;
    config.own_listeners.push(config.server.listen);
    if config.server.public_url.is_none() {
        config.public_url = config.server.listen_url();
    }
    Ok(listener)
}

/// The configured listener for those who run Halftone.
async fn listen_for_admin(config: &mut Config) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = config.server.admin_listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("listen on {address} (choose another with --admin-listen)"))?;
    config.own_listeners.push(listener.local_addr()?);
    Ok(Some(listener))
}

fn administer(service: &mut Service, listener: Option<TcpListener>) -> anyhow::Result<()> {
    if let Some(listener) = listener {
        info!("metrics at http://{}/metrics", listener.local_addr()?);
        service.administer(listener);
    }
    Ok(())
}

/// Runs a service until a signal or the failure of one of its parts, then stops it in order.
pub async fn run_until(stop: tokio_util::sync::CancellationToken, mut service: Service) -> anyhow::Result<()> {
    let failure = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = service.failed() => ended,
    };
    info!("stopping");
    let stopped = service.stop().await;
    failure.and(stopped)
}
