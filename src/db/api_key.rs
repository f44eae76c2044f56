//! API keys, as far as they are kept: all of a key but its secret.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Double, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::tenant::Tenant;
use super::{Connection, text_enum::text_enum};

text_enum! {
    /// What a key is good for; each includes those before it.
    pub enum Scope {
        Read = "READ",
        Write = "WRITE",
        Admin = "ADMIN",
    }
}

/// A row of `api_keys`, with its tenant and how it stands now.
#[derive(Debug, Clone, QueryableByName)]
pub struct ApiKey {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = SqlUuid)]
    pub tenant_id: Uuid,
    #[diesel(sql_type = Text)]
    pub tenant_name: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub scope: Scope,
    #[diesel(sql_type = Binary)]
    pub hash: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub revoked_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_used_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    pub is_expired: bool,
    /// A use was noted within the last minute.
    #[diesel(sql_type = Bool)]
    pub is_use_noted: bool,
}

/// What is kept of a new key.
pub struct NewApiKey<'a> {
    pub id: &'a str,
    pub tenant_id: Uuid,
    pub name: &'a str,
    pub scope: Scope,
    pub hash: &'a [u8],
    /// How long it works; `None`: until it is revoked.
    pub lifetime: Option<Duration>,
}

const SELECT: &str =
    "SELECT k.id, tenant_id, t.name AS tenant_name, k.name, scope, hash, k.created_at, expires_at, revoked_at,
        last_used_at, coalesce(expires_at <= now(), false) AS is_expired,
        coalesce(last_used_at > now() - interval '1 minute', false) AS is_use_noted
   FROM api_keys k JOIN tenants t ON t.id = tenant_id";

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct Any {
    #[diesel(sql_type = Bool)]
    any: bool,
}

impl ApiKey {
    /// The tenant it belongs to.
    pub fn tenant(&self) -> Tenant {
        Tenant { id: self.tenant_id, name: self.tenant_name.clone() }
    }

    /// The key with this id.
    pub async fn find(conn: &mut Connection, id: &str) -> QueryResult<Option<Self>> {
        let query = diesel::sql_query(format!("{SELECT} WHERE k.id = $1"));
        query.bind::<Text, _>(id).get_result(conn).await.optional()
    }

    /// All keys, the oldest first.
    pub async fn list(conn: &mut Connection) -> QueryResult<Vec<Self>> {
        diesel::sql_query(format!("{SELECT} ORDER BY k.created_at, k.id")).load(conn).await
    }

    /// Whether there is a key at all. One that was revoked or has expired counts: the end of the last key must not let
    /// everyone in.
    pub async fn is_any(conn: &mut Connection) -> QueryResult<bool> {
        Ok(diesel::sql_query("SELECT EXISTS (SELECT FROM api_keys) AS any").get_result::<Any>(conn).await?.any)
    }

    /// Stores a new key.
    pub async fn insert(conn: &mut Connection, new: &NewApiKey<'_>) -> QueryResult<()> {
        diesel::sql_query(
            "INSERT INTO api_keys (id, tenant_id, name, scope, hash, expires_at)
             VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
        )
        .bind::<Text, _>(new.id)
        .bind::<SqlUuid, _>(new.tenant_id)
        .bind::<Text, _>(new.name)
        .bind::<Text, _>(new.scope)
        .bind::<Binary, _>(new.hash)
        .bind::<Nullable<Double>, _>(new.lifetime.map(|lifetime| lifetime.as_secs_f64()))
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Ends a key for good. Returns false when there is none with this id; one that was revoked stays as it is.
    pub async fn revoke(conn: &mut Connection, id: &str) -> QueryResult<bool> {
        let revoke = diesel::sql_query("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1");
        Ok(revoke.bind::<Text, _>(id).execute(conn).await? > 0)
    }

    /// Notes that a key was used, unless that was noted within the last minute.
    pub async fn note_use(conn: &mut Connection, id: &str) -> QueryResult<()> {
        let note = diesel::sql_query(
            "UPDATE api_keys SET last_used_at = now()
              WHERE id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)",
        );
        note.bind::<Text, _>(id).execute(conn).await?;
        Ok(())
    }

    /// Those of these keys that no longer work.
    pub async fn ended_among(conn: &mut Connection, ids: &[String]) -> QueryResult<Vec<String>> {
        let ended = diesel::sql_query(
            "SELECT asked.id FROM unnest($1) AS asked (id) LEFT JOIN api_keys k ON k.id = asked.id
              WHERE k.id IS NULL OR revoked_at IS NOT NULL OR expires_at <= now()",
        );
        let ended: Vec<Id> = ended.bind::<Array<Text>, _>(ids).load(conn).await?;
        Ok(ended.into_iter().map(|row| row.id).collect())
    }
}
