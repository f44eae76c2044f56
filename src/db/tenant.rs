//! Tenants: groups of callers to whom nothing of the other groups exists.

use diesel::prelude::*;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// The tenant of those who call without a key.
pub const DEFAULT: Uuid = Uuid::nil();
/// Its name.
pub const DEFAULT_NAME: &str = "default";

/// A row of `tenants`.
#[derive(Debug, Clone, QueryableByName)]
pub struct Tenant {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub name: String,
}

impl Default for Tenant {
    fn default() -> Self {
        Self { id: DEFAULT, name: DEFAULT_NAME.to_owned() }
    }
}

/// The tenant with this name. Returns true with one that is made because there was none.
pub async fn find_or_create(conn: &mut Connection, name: &str) -> QueryResult<(Tenant, bool)> {
    let made = diesel::sql_query("INSERT INTO tenants (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    let made = made.bind::<SqlUuid, _>(Uuid::now_v7()).bind::<Text, _>(name).execute(conn).await?;
    let find = diesel::sql_query("SELECT id, name FROM tenants WHERE name = $1").bind::<Text, _>(name);
    Ok((find.get_result(conn).await?, made > 0))
}
