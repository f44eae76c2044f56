//! The database that a command works with: opened before, stopped after; and the commands that need nothing else.

use anyhow::Context as _;

use crate::config::{Config, DatabaseUrl, LogFormat};
use crate::db::secret;
use crate::db::server::Database;
use crate::{app, db, telemetry, webhook};

/// What to do with the secret that is kept in the database.
#[derive(clap::Args)]
pub struct WebhookSecretArguments {
    /// Create a new one. Webhooks are signed with both until the former one is forgotten
    #[arg(long, conflicts_with = "forget_former")]
    rotate: bool,
    /// Sign with the current one only, once every receiver has it
    #[arg(long)]
    forget_former: bool,
}

/// `halftone webhook-secret`.
pub async fn webhook_secret(config: Config, arguments: &WebhookSecretArguments) -> anyhow::Result<()> {
    let WebhookSecretArguments { rotate, forget_former } = *arguments;
    // A secret that is configured needs no database.
    if let Some(secret) = config.webhooks.secrets.first() {
        anyhow::ensure!(
            !rotate && !forget_former,
            "the secret is configured; rotate it there: HALFTONE_WEBHOOK_SECRET=new,former signs with both"
        );
        say!("HALFTONE_WEBHOOK_SECRET={}", secret.reveal());
        return Ok(());
    }
    with_database(config, async |config, database| {
        db::migrate(database.url()).await?;
        let pool = db::pool(database.url(), 1)?;
        let conn = &mut *db::connect(&pool).await?;
        if rotate {
            let fresh = webhook::Secret::generate();
            secret::replace(conn, secret::WEBHOOKS, secret::FORMER_WEBHOOKS, fresh.reveal().as_bytes()).await?;
        }
        if forget_former && !secret::forget(conn, secret::FORMER_WEBHOOKS).await? {
            eprintln!("There is no former secret.");
        }
        let secrets = app::webhook_secrets(&config, conn).await?;
        say!("HALFTONE_WEBHOOK_SECRET={}", secrets.first().context("there is a secret")?.reveal());
        if secrets.len() > 1 {
            eprintln!(
                "Webhooks are signed with the former secret too. When every receiver has this one: halftone webhook-secret \
                 --forget-former"
            );
        }
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
    telemetry::init(&general.log, general.log_format == LogFormat::Json, general.otlp_endpoint.as_deref())?;
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
