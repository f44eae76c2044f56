//! What `halftone doctor` asks a database.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::Utc;
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Double, Integer, Text};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl};
use diesel_migrations::MigrationHarness as _;

use super::{MIGRATIONS, connect, for_migrations, pool, pooler, unknown_migration};

/// What was found.
pub struct Examined {
    /// As a number, such as 160004, and as it is written.
    pub version: (i32, String),
    pub is_encrypted: bool,
    pub is_remote: bool,
    /// How far the clocks are apart, at least.
    pub clocks_apart: Duration,
    pub pending_migrations: usize,
    /// One that this version does not know.
    pub unknown_migration: Option<String>,
}

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = Bool)]
    is_encrypted: bool,
    #[diesel(sql_type = Bool)]
    is_remote: bool,
    #[diesel(sql_type = Double)]
    now: f64,
}

const SERVER: &str =
    "SELECT current_setting('server_version_num')::int4 AS number, current_setting('server_version') AS version,
    inet_client_addr() IS DISTINCT FROM inet_server_addr() AS is_remote,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS is_encrypted,
    extract(epoch FROM clock_timestamp())::float8 AS now";

/// Looks at the database at `url`; `None` behind a pooler that it does not work with. Needs tokio's multi-threaded runtime.
pub async fn examine(url: &str) -> anyhow::Result<Option<Examined>> {
    if pooler::shares_connections(&url.parse().context("read the database URL")?).await? {
        return Ok(None);
    }
    let mut conn = connect(&pool(url, 1)?).await?;
    let (asked, asked_at) = (Instant::now(), Utc::now());
    let server: Server = diesel::sql_query(SERVER).get_result(&mut conn).await?;
    let took = asked.elapsed();
    let between = server.now - (asked_at.timestamp_micros() as f64 / 1e6 + took.as_secs_f64() / 2.0);
    let apart = Duration::try_from_secs_f64(between.abs()).unwrap_or(Duration::MAX);

    let mut harness = AsyncMigrationHarness::new(for_migrations(url).await?);
    let unknown_migration = unknown_migration(&mut harness)?;
    let pending = harness.pending_migrations(MIGRATIONS).map_err(|error| anyhow::anyhow!(error))?;
    Ok(Some(Examined {
        version: (server.number, server.version),
        is_encrypted: server.is_encrypted,
        is_remote: server.is_remote,
        clocks_apart: apart.saturating_sub(took / 2),
        pending_migrations: pending.len(),
        unknown_migration,
    }))
}
