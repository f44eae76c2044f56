//! A running Halftone: the API on a listener, the workers beside it, and how both end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::access::{self, Gate};
use crate::app::App;
use crate::config::Config;
use crate::graphql::admission::QueryLimits;
use crate::graphql::watching::Watching;
use crate::http::graphql::{Authenticate, EndpointOptions, UploadLimits};
use crate::http::origins::{AllowedHosts, OriginPolicy};
use crate::http::server::ConnectionLimits;
use crate::http::tls::Identity;
use crate::pipeline::{hosts, workers};
use crate::{db, descriptors, graphql, http};

/// How much longer than its workers a process may take to end.
const STOP_MARGIN: Duration = Duration::from_secs(3);
/// Connections of those who run Halftone.
const ADMIN_CONNECTIONS: usize = 32;

/// How often is looked whether this version may still work on the database.
const SCHEMA_INTERVAL: Duration = Duration::from_secs(5);

/// Ends when a newer version has taken something away that this one needs.
async fn watch_schema(app: App) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(SCHEMA_INTERVAL).await;
        let look = async { db::unknown_requirement(&mut *db::connect(&app.worker_pool).await?).await };
        match look.await {
            Ok(None) => {}
            Ok(Some(unknown)) => anyhow::bail!(
                "A newer Halftone has changed this database so that this version no longer works with it (it does not know the \
                 migration {unknown}). Start that version or a later one."
            ),
            // Whoever needs the database says so.
            Err(error) => debug!("cannot check whether the schema is still known: {error:#}"),
        }
    }
}

/// The parts of a running Halftone.
pub struct Service {
    pub app: App,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    listening: JoinSet<()>,
}

impl Service {
    /// Migrates the database and builds the parts that everything else needs; nothing is served or worked on yet.
    pub async fn open(config: Config, database_url: &str) -> anyhow::Result<Self> {
        db::migrate(database_url).await?;
        let app = App::open(config, database_url.to_owned()).await?;
        let mut listening = JoinSet::new();
        let (events, url) = (app.events.clone(), database_url.to_owned());
        listening.spawn(async move { events.listen(&url).await });
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (watching, stopping) = (watch_schema(app.clone()), stop.clone());
        tasks.spawn(async move { stopping.run_until_cancelled(watching).await.unwrap_or(Ok(())) });
        Ok(Self { app, stop, tasks, listening })
    }

    /// Serves the API. Returns the address it listens on.
    ///
    /// # Errors
    /// Also when other machines could call it without anyone asking who they are.
    pub async fn serve(&mut self, listener: TcpListener) -> anyhow::Result<SocketAddr> {
        let address = listener.local_addr().context("read the listener's address")?;
        access::check_exposure(&self.app, address).await?;
        let gate = Gate::new(self.app.clone());
        let config = &self.app.config;
        let limits = QueryLimits::default();
        let hosts = if address.ip().is_loopback() { AllowedHosts::Loopback } else { AllowedHosts::Any };
        let schema = graphql::schema(self.app.clone(), limits);
        let options = EndpointOptions {
            query: limits,
            watching: Watching::of(&schema),
            upload: UploadLimits {
                file_bytes: config.sheet.max_bytes,
                directory: Some(self.app.temporary.clone()),
                idle: config.server.idle_timeout,
                total: config.server.request_timeout,
                ..UploadLimits::default()
            },
            origins: OriginPolicy::new(hosts, Some(config.public_url.parse()?), config.server.cors_origins.clone()),
            authenticate: Authenticate::by(gate.clone()),
            shutdown: self.stop.clone(),
            ..EndpointOptions::default()
        };
        let identity = match (&config.server.tls_cert, &config.server.tls_key) {
            (Some(certificate), Some(key)) => Some(Identity::read(certificate, key)?),
            _ => None,
        };
        let tls = identity.as_ref().map(Identity::acceptor).transpose()?;
        let streams = options.tasks.clone();
        let router = http::router(self.app.clone(), schema, options);
        let announcing = hosts::announce_listener(self.app.clone(), address);
        let renewing = identity.map(|identity| identity.watch().boxed());
        for forever in [announcing.boxed(), gate.watch().boxed()].into_iter().chain(renewing) {
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                stop.run_until_cancelled(forever).await;
                Ok(())
            });
        }
        let stop = self.stop.clone();
        let limits = ConnectionLimits {
            connections: config.server.max_connections.min(descriptors::clients()),
            idle: config.server.idle_timeout,
        };
        self.tasks.spawn(async move {
            http::server::serve(listener, router, limits, tls, stop).await;
            // Upgraded connections are no longer the listener's: each sends its close frame first.
            streams.close();
            streams.wait().await;
            Ok(())
        });
        Ok(address)
    }

    /// Answers those who run Halftone: figures and health. It asks nobody for a key.
    pub fn administer(&mut self, listener: TcpListener) {
        let router = http::admin::router(self.app.clone());
        let limits = ConnectionLimits { connections: ADMIN_CONNECTIONS, ..ConnectionLimits::default() };
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            http::server::serve(listener, router, limits, None, stop).await;
            Ok(())
        });
    }

    /// Runs jobs, unless the configuration says that this process has no workers.
    pub fn work(&mut self) {
        if self.app.config.workers.compressions > 0 {
            self.tasks.spawn(workers::run(self.app.clone(), self.stop.clone()));
        }
    }

    /// Returns when one of the parts ends by itself, which none should.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a part of the service failed").flatten(),
            None => std::future::pending().await,
        }
    }

    /// Stops taking in and claiming, lets what is in hand end or gives it back, and returns when all parts have ended or
    /// their time is over.
    ///
    /// # Errors
    /// What a part failed of, while stopping or before.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut failure = Ok(());
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended.context("a part of the service failed").flatten() {
                    failure = Err(error);
                }
            }
        };
        let patience = self.app.config.workers.drain_timeout + STOP_MARGIN;
        if tokio::time::timeout(patience, ended).await.is_err() {
            warn!("not everything ended in time; unfinished jobs will be taken over");
        }
        self.listening.shutdown().await;
        failure
    }
}
