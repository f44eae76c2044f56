//! The database: a pool of connections to Postgres, the migrations, the managed local server, and the rows with their queries.
//!
//! A query is a function on its row and takes a connection, so the caller chooses the transaction. No SQL is written
//! outside this module and [`crate::queue`], and Postgres's `now()` is the only clock.

mod schema;

pub mod api_key;
pub mod children;
pub mod connect;
pub mod correction;
pub mod csv_issue;
pub mod deletion;
pub mod doctor;
pub mod ending;
pub mod expiry;
pub mod host;

pub mod idempotency;
pub mod image;
pub mod listener;

pub mod page;
pub mod pooler;
pub mod product;
pub mod progress;
pub mod remembered_file;
pub mod request;
pub mod request_totals;
pub mod reuse;
pub mod run;
pub mod secret;
pub mod server;
pub mod session_lock;
pub mod store_audit;
pub mod store_removal;
pub mod target;
pub mod tenant;
pub mod tls;
pub mod viewer;
pub mod webhook;

mod text_enum;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use deadpool::Runtime;
use deadpool::managed::{Hook, HookError, Metrics};
use diesel::migration::MigrationSource;
use diesel_async::pooled_connection::deadpool::{Object, Pool as DieselPool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use futures_util::FutureExt as _;

use target::Target;

/// A connection to Postgres.
pub type Connection = AsyncPgConnection;
/// Connections to Postgres, shared by everything in the process.
pub type Pool = DieselPool<AsyncPgConnection>;

/// The migrations of `migrations/`, embedded in the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How long a caller waits for a free connection, and for a new one to be made.
const POOL_PATIENCE: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is asked whether it still works before it is used, and has so long to answer.
const IDLE: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The settings of every pooled connection. A transaction whose caller went away (a client that hung up drops the future
/// in the middle) must not keep its locks, and a statement nobody waits for any more must not run on. Compiling a statement
/// takes longer than running any of ours.
fn settings() -> String {
    let statement_ms = connect::STATEMENT_TIMEOUT.as_millis();
    format!(
        "SET idle_in_transaction_session_timeout = '10s'; SET statement_timeout = '{statement_ms}ms'; SET jit = off"
    )
}

/// A pool of at most `size` connections to the server at `url`; none is made before the first is needed.
pub fn pool(url: &str, size: usize) -> anyhow::Result<Pool> {
    let target: Target = url.parse().context("read the database URL")?;
    let fallen_silent = Arc::new(Mutex::new(None));
    let mut config = ManagerConfig::default();
    let noted = fallen_silent.clone();
    config.custom_setup = Box::new(move |_| open(target.clone(), noted.clone()).boxed());
    // A connection that was cut is noticed by its own use: asking before every use would double the round trips.
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(url, config);
    let is_current = Hook::async_fn(move |conn, metrics| {
        let last = *fallen_silent.lock().unwrap_or_else(PoisonError::into_inner);
        check(conn, *metrics, last).boxed()
    });
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(POOL_PATIENCE))
        .create_timeout(Some(POOL_PATIENCE))
        .pre_recycle(is_current)
        .build()
        .context("build the connection pool")
}

/// When a connection of a pool last failed because the server had fallen silent.
type FallenSilent = Arc<Mutex<Option<Instant>>>;

async fn open(target: Target, fallen_silent: FallenSilent) -> diesel::ConnectionResult<AsyncPgConnection> {
    let failed = |error: anyhow::Error| diesel::ConnectionError::BadConnection(format!("{error:#}"));
    let (client, driver) = connect::establish(&target).await.map_err(failed)?;
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection, which the pool owns")]
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            if is_timeout(&error) {
                *fallen_silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            tracing::warn!("lost a database connection: {error:#}");
        }
    });
    let mut conn = AsyncPgConnection::try_from(client).await?;
    let set = diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, &settings()).await;
    set.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

fn is_timeout(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// Whether a pooled connection may be used again. When one has met silence, those that are as old will too.
async fn check(
    conn: &mut AsyncPgConnection,
    metrics: Metrics,
    fallen_silent: Option<Instant>,
) -> Result<(), HookError<diesel_async::pooled_connection::PoolError>> {
    if fallen_silent.is_some_and(|then| metrics.created < then) {
        return Err(HookError::message("the server has left another connection of this age without an answer"));
    }
    if metrics.last_used() < IDLE {
        return Ok(());
    }
    let ping = diesel_async::SimpleAsyncConnection::batch_execute(conn, "SELECT 1");
    match tokio::time::timeout(PING_TIMEOUT, ping).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(HookError::message(format!("an idle connection has failed: {error}"))),
        Err(_) => Err(HookError::message("an idle connection does not answer")),
    }
}

/// A connection from the pool.
pub async fn connect(pool: &Pool) -> anyhow::Result<Object<AsyncPgConnection>> {
    pool.get().await.context("get a database connection")
}

/// Whether this failure says that the database is away rather than that a statement is wrong: trying again may help.
pub fn is_unavailable(error: &anyhow::Error) -> bool {
    use diesel::result::{DatabaseErrorKind, Error};
    error.chain().any(|cause| {
        let pool = cause.downcast_ref::<deadpool::managed::PoolError<diesel_async::pooled_connection::PoolError>>();
        pool.is_some()
            || match cause.downcast_ref::<Error>() {
                Some(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _)) => true,
                Some(Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _)) => true,
                // 57P01 to 57P03: the server shuts down, crashed, or is starting. 53100: its disk is full. The codes are not
                // handed on to us, and a server that speaks another language says it in other words.
                Some(Error::DatabaseError(_, info)) => {
                    let message = info.message();
                    ["terminating connection", "the database system is"].iter().any(|words| message.starts_with(words))
                        || message.ends_with(": No space left on device")
                }
                Some(Error::BrokenTransactionManager) => true,
                _ => false,
            }
    })
}

/// Brings the database at `url` to this program's schema; returns the names of the migrations it applied.
///
/// Safe to call from several processes at once: an advisory lock lets one of them work while the others wait.
/// Needs tokio's multi-threaded runtime.
pub async fn migrate(url: &str) -> anyhow::Result<Vec<String>> {
    pooler::refuse(&url.parse().context("read the database URL")?).await?;
    let mut conn = for_migrations(url).await?;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, "SELECT pg_advisory_lock(7364920153)")
        .await
        .context("wait for the migration lock")?;
    let mut harness = AsyncMigrationHarness::new(conn);
    refuse_newer_schema(&mut harness)?;
    let applied = harness
        .run_pending_migrations(MIGRATIONS)
        .map_err(|error| anyhow::anyhow!(error))
        .context("migrate the database")?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// A connection on which a statement may take as long as it needs.
async fn for_migrations(url: &str) -> anyhow::Result<AsyncPgConnection> {
    let target: Target = url.parse().context("read the database URL")?;
    let (client, mut driver) = connect::establish_patiently(&target).await.context("connect to the database")?;
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
    tokio::spawn(async move {
        // Notices, such as that a table exists already, are of no interest to anybody.
        while let Some(Ok(_)) = std::future::poll_fn(|cx| driver.poll_message(cx)).await {}
    });
    Ok(AsyncPgConnection::try_from(client).await?)
}

/// Refuses a database that a newer program has migrated: statements would fail on what they do not know.
fn refuse_newer_schema(harness: &mut AsyncMigrationHarness<AsyncPgConnection>) -> anyhow::Result<()> {
    if let Some(unknown) = unknown_migration(harness)? {
        anyhow::bail!(
            "A newer Halftone has migrated this database (this version does not know the migration {unknown}). \
             Start that version or a later one."
        );
    }
    Ok(())
}

/// A migration that was applied and that this program does not have.
fn unknown_migration(harness: &mut AsyncMigrationHarness<AsyncPgConnection>) -> anyhow::Result<Option<String>> {
    let applied =
        harness.applied_migrations().map_err(|error| anyhow::anyhow!(error)).context("read the migrations")?;
    let known = known_migrations()?;
    Ok(applied.iter().map(ToString::to_string).find(|version| !known.contains(version)))
}

#[derive(diesel::QueryableByName)]
struct Required {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

/// A migration that every process has to know that works on this database, and that this program does not have.
pub async fn unknown_requirement(conn: &mut Connection) -> anyhow::Result<Option<String>> {
    let required: Vec<Required> =
        diesel_async::RunQueryDsl::load(diesel::sql_query("SELECT version FROM required_migrations"), conn).await?;
    let known = known_migrations()?;
    Ok(required.into_iter().map(|required| required.version).find(|version| !known.contains(version)))
}

fn known_migrations() -> anyhow::Result<Vec<String>> {
    let known = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(|error| anyhow::anyhow!(error))?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Undoes every migration: all tables go, with all they hold.
pub async fn revert_all(url: &str) -> anyhow::Result<Vec<String>> {
    let conn = for_migrations(url).await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let reverted = harness
        .revert_all_migrations(MIGRATIONS)
        .map_err(|error| anyhow::anyhow!(error))
        .context("revert the migrations")?;
    Ok(reverted.iter().map(ToString::to_string).collect())
}
