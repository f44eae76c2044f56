//! The parts a running Halftone is made of, built once and shared. Cheap to clone.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::budget::Budget;
use crate::config::Config;
use crate::db::{self, Pool, secret};
use crate::descriptors;
use crate::events::Events;
use crate::fetch::Fetcher;
use crate::guard::{self, Guard};
use crate::links::Links;
use crate::metrics::Metrics;
use crate::store::{Address, Store};
use crate::{fetch, webhook};

/// Test events sent at once by one process: a receiver may take 15 s to answer.
const WEBHOOK_TESTS_AT_ONCE: usize = 8;
/// Estimates made at once by one process: each has a connection to the database, and up to eight images in hand.
const ESTIMATES_AT_ONCE: usize = 16;

/// Everything a handler or a job needs; see [`Parts`].
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What [`App`] shares.
pub struct Parts {
    pub config: Config,
    pub database_url: String,
    /// For the API.
    pub pool: Pool,
    /// For jobs, so that no number of queries keeps them from being recorded.
    pub worker_pool: Pool,
    pub store: Store,
    /// Where uploads and result files are kept while they are made: on the disk of the data, since the system's temporary
    /// directory may be memory.
    pub temporary: PathBuf,
    /// CSV files read and stored at once by the API. Each needs a connection of [`Self::pool`] for as long as it takes.
    pub submissions: Arc<Semaphore>,
    /// Result files written at once, each with a connection too.
    pub exports: Arc<Semaphore>,
    /// Images compressed at once, and the memory they are decoded in, by jobs and estimates together.
    pub cores: Arc<Semaphore>,
    pub decode_memory: Budget,
    /// Estimates made at once.
    pub estimates: Arc<Semaphore>,
    /// Test events sent at once.
    pub webhook_tests: Semaphore,
    /// The client for webhooks: it only connects to addresses its guard lets through.
    pub client: guard::Client,
    pub fetcher: Fetcher,
    pub events: Events,
    pub links: Links,
    pub metrics: Metrics,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Builds the parts on a migrated database.
    pub async fn open(mut config: Config, database_url: String) -> anyhow::Result<Self> {
        let (connections, worker_connections) =
            (config.general.database_connections, config.general.database_connections.div_ceil(2));
        let room = descriptors::downloads(connections + worker_connections);
        if room < config.workers.downloads {
            warn!(
                downloads = room,
                "the limit of open files leaves room for few downloads at once; raise it (ulimit -n)"
            );
            config.workers.downloads = room;
        }
        let pool = db::pool(&database_url, connections)?;
        let mut conn = db::connect(&pool).await?;
        let link_key = secret::get_or_create(&mut conn, secret::DOWNLOAD_LINKS, &rand::random::<[u8; 32]>()).await?;
        drop(conn);
        let temporary = config.general.data_dir.join("tmp");
        std::fs::create_dir_all(&temporary).with_context(|| format!("create {}", temporary.display()))?;
        // What takes long has at most half of the connections, so that there always are some for queries.
        let long_tasks = (connections / 4).clamp(1, 4);
        let storage = &config.storage;
        let store =
            Store::open(&store_address(&config), storage.store_endpoint.as_deref(), &storage.environment).await?;
        let guard = Guard::new(config.fetching.allow_nets.clone(), config.fetching.fetch_ports.clone());
        let guard = guard.refusing(config.own_listeners.clone());
        let client = fetch::client(&guard, &config.fetch, config.fetching.user_agent.as_deref())?;
        Ok(Self(Arc::new(Parts {
            worker_pool: db::pool(&database_url, worker_connections)?,
            pool,
            temporary,
            submissions: Arc::new(Semaphore::new(long_tasks)),
            exports: Arc::new(Semaphore::new(long_tasks)),
            cores: Arc::new(Semaphore::new(config.workers.compressions.max(1))),
            decode_memory: Budget::new(config.workers.decode_memory),
            estimates: Arc::new(Semaphore::new(ESTIMATES_AT_ONCE)),
            webhook_tests: Semaphore::new(WEBHOOK_TESTS_AT_ONCE),
            store,
            fetcher: Fetcher::new(client.clone(), config.fetch.clone(), config.workers.download_memory),
            client,
            events: Events::default(),
            links: Links::new(
                config.public_url.clone(),
                config.storage.images_url.clone(),
                &link_key,
                config.server.link_lifetime,
            )?,
            metrics: Metrics::new()?,
            database_url,
            config,
        })))
    }
}

impl Parts {
    /// Where browsers get outputs from, beside this server.
    pub fn image_origins(&self) -> Vec<String> {
        let storage = &self.config.storage;
        let bucket = self.store.origin().filter(|_| storage.redirects()).map(str::to_owned);
        let outside = storage.images_url.as_ref().and_then(|url| url::Url::parse(url).ok());
        bucket.into_iter().chain(outside.map(|url| url.origin().ascii_serialization())).collect()
    }
}

/// Where the store is: in the data directory, unless the configuration says otherwise.
pub fn store_address(config: &Config) -> Address {
    let address = config.storage.store.clone();
    address.unwrap_or_else(|| Address::Directory(config.general.data_dir.join("outputs")))
}

/// The secrets that sign webhooks, the present one first: those that are configured, else what is kept in the database. They
/// are asked for anew each time, so that a rotation reaches every process at once.
pub async fn webhook_secrets(config: &Config, conn: &mut db::Connection) -> anyhow::Result<Vec<webhook::Secret>> {
    if !config.webhooks.secrets.is_empty() {
        return Ok(config.webhooks.secrets.clone());
    }
    let fresh = webhook::Secret::generate();
    let present = secret::get_or_create(conn, secret::WEBHOOKS, fresh.reveal().as_bytes()).await?;
    let former = secret::get(conn, secret::FORMER_WEBHOOKS).await?;
    let parse = |kept: Vec<u8>| anyhow::Ok(webhook::Secret::parse(std::str::from_utf8(&kept)?)?);
    let secrets: anyhow::Result<_> = std::iter::once(present).chain(former).map(parse).collect();
    secrets.context("read the stored webhook secrets")
}
