//! Poolers between us and Postgres that give each transaction another connection, as PgBouncer does with
//! `pool_mode = transaction`. Notifications, advisory locks, settings and prepared statements belong to a connection and get
//! lost there.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect;
use super::target::Target;

/// How long to look.
const PATIENCE: Duration = Duration::from_secs(20);
/// Others may use the pooler at the same time, so that a single look might be deceived.
const LOOKS: usize = 3;

pub const REFUSAL: &str = "There is a pooler between Halftone and PostgreSQL that may give each transaction a different \
    connection. Notifications and prepared statements need a dedicated one: use session \
    pooling (in PgBouncer pool_mode = session), or connect \
    to PostgreSQL itself.";

/// Refuses such a pooler.
///
/// # Errors
/// A sentence that says what to do; or the database does not answer.
pub async fn refuse(target: &Target) -> anyhow::Result<()> {
    anyhow::ensure!(!shares_connections(target).await?, REFUSAL);
    Ok(())
}

/// Whether two connections of ours have the same process of the server, or one of them another process than before.
pub async fn shares_connections(target: &Target) -> anyhow::Result<bool> {
    let looking = async {
        let (first, mut first_driver) = connect::establish(target).await?;
        let (second, mut second_driver) = connect::establish(target).await?;
        let look = async {
            let own = process(&first).await?;
            for _ in 0..LOOKS {
                // While the second one has a transaction, it keeps what it was given: the process that was free last.
                second.simple_query("BEGIN").await?;
                let shares = process(&second).await? == own || process(&first).await? != own;
                second.simple_query("COMMIT").await?;
                if shares {
                    return Ok(true);
                }
            }
            anyhow::Ok(false)
        };
        tokio::select! {
            looked = look => looked,
            ended = &mut first_driver => Err(ended.err().map_or_else(closed, Into::into)),
            ended = &mut second_driver => Err(ended.err().map_or_else(closed, Into::into)),
        }
    };
    timeout(PATIENCE, looking).await.context("the database did not answer in time")?
}

fn closed() -> anyhow::Error {
    anyhow::anyhow!("the server closed the connection")
}

/// The process of the server that answers; asked without a prepared statement, which such a pooler might not know.
async fn process(client: &Client) -> anyhow::Result<String> {
    let rows = client.simple_query("SELECT pg_backend_pid()").await?;
    let row = rows.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    row.context("ask for the process of the server")
}
