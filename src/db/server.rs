//! Which Postgres this process works with: the configured one, or one it runs itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::spawn_blocking;

use super::connect;
use super::target::Target;
use local_postgres::{LocalPostgres, Options};

/// The database of the managed server, and its owner.
const DATABASE: &str = "halftone";

/// How long a server may take to answer the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A database that can be connected to.
pub struct Database {
    url: String,
    local: Option<LocalPostgres>,
}

impl Database {
    /// The server at `url`; without one, a managed server whose files are in `data_dir`, started or joined.
    pub async fn open(url: Option<&str>, data_dir: PathBuf) -> anyhow::Result<Self> {
        if let Some(url) = url {
            reach(url).await?;
            return Ok(Self { url: url.to_owned(), local: None });
        }
        let options = Options { owner: DATABASE.to_owned(), ..Options::default() };
        let start = move || LocalPostgres::start(&data_dir.join("postgres"), options);
        let started = spawn_blocking(start).await.context("start the managed Postgres")?;
        let local =
            started.map_err(|error| anyhow!("{error}\nTo use another PostgreSQL database, set DATABASE_URL."))?;
        Ok(Self { url: local.url(DATABASE), local: Some(local) })
    }

    /// How to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops a server this process runs, unless another process uses it too.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.local {
            Some(local) => Ok(spawn_blocking(|| local.stop()).await.context("stop the managed Postgres")??),
            None => Ok(()),
        }
    }
}

/// Connects once, to say at once and in full what is wrong with an address. The URL holds a password: it is not repeated.
async fn reach(url: &str) -> anyhow::Result<()> {
    let target: Target = url.parse().context("read DATABASE_URL")?;
    let connected = tokio::time::timeout(PATIENCE, connect::establish(&target)).await;
    let connected =
        connected.with_context(|| format!("the database of DATABASE_URL did not answer within {PATIENCE:?}"))?;
    // Dropping the connection closes it.
    let (_client, _connection) = connected.context("connect to the database of DATABASE_URL")?;
    Ok(())
}
