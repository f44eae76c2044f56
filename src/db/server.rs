//! Which Postgres this process works with: the one it was told of, or one it runs itself.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use super::local::{Durability, LocalPostgres};

/// The database of the managed server.
const DATABASE: &str = "halftone";

/// A database that can be connected to.
pub struct Database {
    url: String,
    local: Option<LocalPostgres>,
}

impl Database {
    /// The server at `url`; without one, a managed server whose files are in `data_dir`, started or joined.
    pub async fn open(url: Option<&str>, data_dir: PathBuf) -> anyhow::Result<Self> {
        if let Some(url) = url {
            return Ok(Self {
                url: url.to_owned(),
                local: None,
            });
        }
        let start = move || LocalPostgres::start(&data_dir.join("postgres"), Durability::Full);
        let local = spawn_blocking(start).await.context("start the managed Postgres")??;
        Ok(Self {
            url: local.url(DATABASE),
            local: Some(local),
        })
    }

    /// How to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops a server this process runs, unless another process uses it too.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.local {
            Some(local) => Ok(spawn_blocking(|| local.stop())
                .await
                .context("stop the managed Postgres")??),
            None => Ok(()),
        }
    }
}
