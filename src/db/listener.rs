//! Where the APIs on this database listen, so that no worker fetches images from them.

use std::net::SocketAddr;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;

use super::Connection;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    address: String,
    #[diesel(sql_type = Bool)]
    is_own: bool,
}

/// Says that an API listens at `address` of the machine `hostname`. To be repeated, see [`find`].
pub async fn announce(conn: &mut Connection, hostname: &str, address: SocketAddr) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO api_listeners (hostname, address) VALUES ($1, $2)
         ON CONFLICT (hostname, address) DO UPDATE SET seen_at = now()",
    )
    .bind::<Text, _>(hostname)
    .bind::<Text, _>(address.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// The addresses that were announced within the last minute and mean the same on the machine `hostname`: all of its own,
/// and those of others that are neither loopback nor a wildcard.
pub async fn find(conn: &mut Connection, hostname: &str) -> QueryResult<Vec<SocketAddr>> {
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT address, hostname = $1 AS is_own FROM api_listeners WHERE seen_at > now() - interval '1 minute'",
    )
    .bind::<Text, _>(hostname)
    .load(conn)
    .await?;
    let reachable = |row: Row| {
        let address: SocketAddr = row.address.parse().ok()?;
        let is_public = !address.ip().is_loopback() && !address.ip().is_unspecified();
        (row.is_own || is_public).then_some(address)
    };
    Ok(rows.into_iter().filter_map(reachable).collect())
}

/// Forgets APIs that are gone.
pub async fn forget_gone(conn: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM api_listeners WHERE seen_at < now() - interval '1 hour'").execute(conn).await?;
    Ok(())
}
