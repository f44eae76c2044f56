//! Locks that last as long as a connection of their own: each ends with the process that has it, however that ends.

use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::connect;
use super::target::Target;

/// How long a lock is waited for: longer than the server takes to see that a connection was closed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A lock that nobody else has. Dropping it gives it up.
pub struct SessionLock {
    _client: Client,
    _connection: JoinSet<()>,
}

impl SessionLock {
    /// Takes the lock with this name in the database at `url`; `None` when somebody else has it.
    pub async fn take(url: &str, name: &str) -> anyhow::Result<Option<Self>> {
        let target: Target = url.parse().context("read the database URL")?;
        let (client, driver) = connect::establish(&target).await.context("connect to the database")?;
        let mut connection = JoinSet::new();
        connection.spawn(async move {
            if let Err(error) = driver.await {
                tracing::warn!("lost the database connection of a lock: {error:#}");
            }
        });
        // The server is to notice within half a minute when a whole machine is gone.
        let settings = format!(
            "SET lock_timeout = '{}ms'; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4",
            PATIENCE.as_millis()
        );
        client.batch_execute(&settings).await.context("prepare to lock")?;
        match client.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&name]).await {
            Ok(_) => Ok(Some(Self { _client: client, _connection: connection })),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(None),
            Err(error) => Err(error).context("take a lock"),
        }
    }
}
