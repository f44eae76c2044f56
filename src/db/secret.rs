//! Keys every process of an installation must share, made once and kept in the database.

use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};
use diesel_async::RunQueryDsl;

use super::Connection;
use super::schema::secrets;

/// Signs download links.
pub const DOWNLOAD_LINKS: &str = "download_links";
/// Signs webhooks.
pub const WEBHOOKS: &str = "webhooks";
/// Signed webhooks before, and still does beside the present one.
pub const FORMER_WEBHOOKS: &str = "former_webhooks";

/// The secret of this name; `fresh` becomes it when there is none yet. All callers get the same one.
pub async fn get_or_create(conn: &mut Connection, name: &str, fresh: &[u8]) -> QueryResult<Vec<u8>> {
    diesel::insert_into(secrets::table)
        .values((secrets::name.eq(name), secrets::value.eq(fresh)))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    secrets::table.find(name).select(secrets::value).first(conn).await
}

/// The secret of this name, if there is one.
pub async fn get(conn: &mut Connection, name: &str) -> QueryResult<Option<Vec<u8>>> {
    secrets::table.find(name).select(secrets::value).first(conn).await.optional()
}

/// Makes `fresh` the secret of this name. What it was becomes that of the name `former`, whose own is forgotten.
pub async fn replace(conn: &mut Connection, name: &str, former: &str, fresh: &[u8]) -> QueryResult<()> {
    diesel::sql_query(
        "WITH kept AS (
            INSERT INTO secrets (name, value) SELECT $2, value FROM secrets WHERE name = $1
                ON CONFLICT (name) DO UPDATE SET value = excluded.value
         )
         INSERT INTO secrets (name, value) VALUES ($1, $3) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind::<Text, _>(name)
    .bind::<Text, _>(former)
    .bind::<Binary, _>(fresh)
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns whether there was one of this name.
pub async fn forget(conn: &mut Connection, name: &str) -> QueryResult<bool> {
    Ok(diesel::delete(secrets::table.find(name)).execute(conn).await? > 0)
}
