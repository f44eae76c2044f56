//! Keys every process of an installation must share, made once and kept in the database.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Connection;
use super::schema::secrets;

/// Signs download links.
pub const DOWNLOAD_LINKS: &str = "download_links";
/// Signs webhooks.
pub const WEBHOOKS: &str = "webhooks";

/// The secret of this name; `fresh` becomes it when there is none yet. All callers get the same one.
pub async fn get_or_create(conn: &mut Connection, name: &str, fresh: &[u8]) -> QueryResult<Vec<u8>> {
    diesel::insert_into(secrets::table)
        .values((secrets::name.eq(name), secrets::value.eq(fresh)))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    secrets::table.find(name).select(secrets::value).first(conn).await
}
