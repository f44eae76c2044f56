//! `halftone keys`: makes, lists and revokes API keys.

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::ValueEnum;

use super::database::with_database;
use crate::access::{self, key::Key};
use crate::config::Config;
use crate::db::api_key::{ApiKey, NewApiKey, Scope};
use crate::db::{self, Connection, tenant};

/// Longest name of a key or a tenant, in characters.
const MAX_NAME_CHARACTERS: usize = 100;

/// What to do with API keys.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Create a key and print it. It is not shown again
    Create(Create),
    /// List the keys, without their secrets
    List,
    /// Revoke a key for good. Its sockets and streams are closed within seconds
    Revoke {
        /// The key's ID, as `keys list` shows it, or the key itself
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(clap::Args)]
pub struct Create {
    /// A name for the key, by which to recognise it in the list
    #[arg(long, value_parser = name)]
    name: String,
    /// The tenant it belongs to, which is created if there is none with this name. Tenants cannot see each other's requests
    #[arg(long, default_value = tenant::DEFAULT_NAME, value_parser = name)]
    tenant: String,
    /// What it may be used for
    #[arg(long, value_enum, default_value_t = KeyScope::Write)]
    scope: KeyScope,
    /// How long it is valid, such as 90d. Default: until it is revoked
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<Duration>,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyScope {
    /// Queries and subscriptions
    Read,
    /// Mutations too
    Write,
    /// Everything, including what covers all tenants
    Admin,
}

impl From<KeyScope> for Scope {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Read => Self::Read,
            KeyScope::Write => Self::Write,
            KeyScope::Admin => Self::Admin,
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME_CHARACTERS || text.contains(char::is_control) {
        return Err(format!(
            "a name must have 1 to {MAX_NAME_CHARACTERS} characters, none of them a control character"
        ));
    }
    Ok(text.to_owned())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(100 * 365 * 24 * 3600);
    let lifetime = humantime::parse_duration(text.trim())
        .ok()
        .filter(|lifetime| (1..=longest.as_secs()).contains(&lifetime.as_secs()));
    lifetime.ok_or_else(|| "give a duration from 1s to 100y such as 90d or 12h".to_owned())
}

/// Exit code 1 when there is no key to revoke.
pub async fn keys(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    with_database(config, async |_, database| {
        db::migrate(database.url()).await?;
        let pool = db::pool(database.url(), 1)?;
        let conn = &mut *db::connect(&pool).await?;
        match command {
            Command::Create(new) => create(conn, &new).await?,
            Command::List => list(conn).await?,
            Command::Revoke { id } => return revoke(conn, &id).await,
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Only the key goes to the standard output, so that it can be put into a variable.
async fn create(conn: &mut Connection, new: &Create) -> anyhow::Result<()> {
    let (tenant, is_new) = tenant::find_or_create(conn, &new.tenant).await?;
    let key = Key::generate();
    let scope = Scope::from(new.scope);
    let (id, hash) = (key.id(), key.hash());
    let row = NewApiKey { id, tenant_id: tenant.id, name: &new.name, scope, hash: &hash, lifetime: new.expires };
    access::store(conn, &row).await?;
    let tenant = format!("{}{}", tenant.name, if is_new { ", which is new" } else { "" });
    eprintln!("The key {id} ({}) is for the tenant {tenant}, with the scope {}.", new.name, word(scope));
    eprintln!("Store it now: it will not be shown again. Send it as `Authorization: Bearer KEY`.");
    say!("{}", key.reveal());
    Ok(())
}

async fn list(conn: &mut Connection) -> anyhow::Result<()> {
    let keys = ApiKey::list(conn).await?;
    if keys.is_empty() {
        say!(
            "There are no keys. Callers on this machine need none; create one with `halftone keys create --name NAME`."
        );
        return Ok(());
    }
    let day = |time: DateTime<Utc>| time.format("%Y-%m-%d").to_string();
    let minute = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
    let mut rows = vec![["ID", "NAME", "TENANT", "SCOPE", "CREATED", "LAST USED", "STATE"].map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        let state = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {}", minute(at)),
            (None, Some(at)) if key.is_expired => format!("expired {}", minute(at)),
            (None, Some(at)) => format!("works until {}", minute(at)),
            (None, None) => "works".to_owned(),
        };
        [
            key.id.clone(),
            key.name.clone(),
            key.tenant_name.clone(),
            word(key.scope),
            day(key.created_at),
            key.last_used_at.map_or_else(|| "never".to_owned(), minute),
            state,
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        say!("{}", cells.join("  ").trim_end());
    }
    Ok(())
}

async fn revoke(conn: &mut Connection, given: &str) -> anyhow::Result<ExitCode> {
    let id = Key::parse(given.trim()).map_or_else(|| given.trim().to_owned(), |key| key.id().to_owned());
    if !access::revoke(conn, &id).await? {
        eprintln!("error: There is no key with the ID {id:?}. `halftone keys list` shows them.");
        return Ok(ExitCode::FAILURE);
    }
    say!("The key {id} is revoked.");
    Ok(ExitCode::SUCCESS)
}

/// A scope as the command line has it.
fn word(scope: Scope) -> String {
    scope.as_str().to_lowercase()
}
