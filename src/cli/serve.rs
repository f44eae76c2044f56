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
    with_database(config, async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.serve(listener).await?;
        service.work();
        info!("ready at {}", service.app.config.public_url);
        run_until(stop, service).await
    })
    .await
}

/// Workers only.
pub async fn work(config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(config.workers.compressions > 0, "`work` with --compressions 0 would do nothing");
    let stop = stop_signal()?;
    with_database(config, async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.work();
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
    config.own_listeners = vec![config.server.listen];
    if config.server.public_url.is_none() {
        config.public_url = format!("http://{}", config.server.listen);
    }
    Ok(listener)
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
