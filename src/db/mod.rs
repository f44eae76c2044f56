//! The floor: a pool of connections to Postgres, the migrations, the managed local server, and the rows with their queries.
//!
//! A query is a function on its row and takes a connection, so the caller chooses the transaction. No SQL is written
//! outside this module and [`crate::queue`], and Postgres's `now()` is the only clock.

mod schema;

pub mod csv_issue;
pub mod idempotency;
pub mod image;
pub mod page;
pub mod product;
pub mod request;
pub mod secret;
pub mod server;
pub mod settle;
pub mod webhook;

mod text_enum;

use std::time::Duration;

use anyhow::Context as _;
use deadpool::Runtime;
use diesel_async::pooled_connection::deadpool::{Object, Pool as DieselPool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection as _, AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

/// A connection to Postgres.
pub type Connection = AsyncPgConnection;
/// Connections to Postgres, shared by everything in the process.
pub type Pool = DieselPool<AsyncPgConnection>;

/// The migrations of `migrations/`, embedded in the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How long a caller waits for a free connection, and for a new one to be made.
const POOL_PATIENCE: Duration = Duration::from_secs(10);

/// What every pooled connection is told first. A transaction whose caller went away (a client that hung up drops the future
/// in the middle) must not keep its locks, and a statement nobody waits for any more must not run on.
const SETTINGS: &str = "SET idle_in_transaction_session_timeout = '10s'; SET statement_timeout = '60s'";

/// A pool of at most `size` connections to the server at `url`; none is made before the first is needed.
pub fn pool(url: &str, size: usize) -> anyhow::Result<Pool> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(|url| {
        Box::pin(async move {
            let mut conn = AsyncPgConnection::establish(url).await?;
            let set = diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, SETTINGS).await;
            set.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
            Ok(conn)
        })
    });
    // A connection that died is noticed by its own use: asking before every use would double the round trips.
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(url, config);
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(POOL_PATIENCE))
        .create_timeout(Some(POOL_PATIENCE))
        .build()
        .context("build the connection pool")
}

/// A connection from the pool.
pub async fn connect(pool: &Pool) -> anyhow::Result<Object<AsyncPgConnection>> {
    pool.get().await.context("get a database connection")
}

/// Brings the database at `url` to this program's schema; returns the names of the migrations it applied.
///
/// Safe to call from several processes at once: an advisory lock lets one of them work while the others wait.
/// Needs tokio's multi-threaded runtime.
pub async fn migrate(url: &str) -> anyhow::Result<Vec<String>> {
    let mut conn = AsyncPgConnection::establish(url).await.context("connect to the database")?;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, "SELECT pg_advisory_lock(7364920153)")
        .await
        .context("wait for the migration lock")?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let applied = harness
        .run_pending_migrations(MIGRATIONS)
        .map_err(|error| anyhow::anyhow!(error))
        .context("migrate the database")?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// Undoes every migration: all tables go, with all they hold.
pub async fn revert_all(url: &str) -> anyhow::Result<Vec<String>> {
    let conn = AsyncPgConnection::establish(url).await.context("connect to the database")?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let reverted = harness
        .revert_all_migrations(MIGRATIONS)
        .map_err(|error| anyhow::anyhow!(error))
        .context("revert the migrations")?;
    Ok(reverted.iter().map(ToString::to_string).collect())
}
