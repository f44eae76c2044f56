//! The database that a command works with: opened before, stopped after; and the commands that need nothing else.

use anyhow::Context as _;

use crate::config::{Config, DatabaseUrl, LogFormat};
use crate::db::server::Database;
use crate::{app, db, telemetry};

/// `halftone webhook-secret`.
pub async fn webhook_secret(config: Config) -> anyhow::Result<()> {
    // A secret that is configured needs no database.
    if let Some(secret) = &config.webhooks.secret {
        say!("HALFTONE_WEBHOOK_SECRET={}", secret.reveal());
        return Ok(());
    }
    with_database(config, async |config, database| {
        db::migrate(database.url()).await?;
        let pool = db::pool(database.url(), 1)?;
        let secret = app::webhook_secret(&config, &mut *db::connect(&pool).await?).await?;
        say!("HALFTONE_WEBHOOK_SECRET={}", secret.reveal());
        Ok(())
    })
    .await
}

/// `halftone migrate`.
pub async fn migrate(config: Config) -> anyhow::Result<()> {
    with_database(config, async |_, database| {
        let applied = db::migrate(database.url()).await?;
        match applied.as_slice() {
            [] => say!("The database is up to date."),
            applied => say!("Applied {}.", applied.join(", ")),
        }
        Ok(())
    })
    .await
}

/// Opens the configured database, does `work` with it, and stops it again whether or not the work succeeded.
pub async fn with_database<T>(
    mut config: Config,
    work: impl AsyncFnOnce(Config, &Database) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let general = &mut config.general;
    telemetry::init(&general.log, general.log_format == LogFormat::Json);
    let data_dir = &general.data_dir;
    std::fs::create_dir_all(data_dir).with_context(|| format!("create {}", data_dir.display()))?;
    general.data_dir = data_dir.canonicalize().with_context(|| format!("open {}", data_dir.display()))?;
    let url = general.database_url.as_ref().map(DatabaseUrl::reveal);
    let database = Database::open(url, general.data_dir.clone()).await?;
    let done = work(config, &database).await;
    let stopped = database.stop().await;
    let done = done?;
    stopped?;
    Ok(done)
}
