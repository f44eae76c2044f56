//! Who may call: API keys, and what a caller may see and do.
//!
//! Without any key in the database everyone may call, which is only served to this machine. From the first key on, a key is
//! needed.

pub mod key;

pub mod quota;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::key::Key;
use self::quota::{Allowance, Quota};
use crate::app::App;
use crate::db::api_key::{ApiKey, NewApiKey, Scope};
use crate::db::tenant::Tenant;
use crate::db::viewer::Viewer;
use crate::db::{self, Connection};
use crate::events;

/// How often is looked whether the keys of open sockets and streams still work, when nothing says that keys have changed.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// How long it is taken for granted that there is no key, when nothing says so.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Quotas that are remembered before those of addresses that call no more are forgotten.
const MAX_QUOTAS: usize = 50_000;

/// Someone who may call.
#[derive(Debug, Clone)]
pub struct Caller {
    pub tenant: Tenant,
    pub scope: Scope,
    /// What they showed; `None` where no key is needed.
    pub key: Option<Arc<ApiKey>>,
    /// What is left of what they may do in a minute, and at once.
    pub quota: Arc<Quota>,
    /// How they reach this server, as a trusted proxy says: what links for them begin with.
    pub origin: Option<Arc<str>>,
    /// Cancelled when they may no longer call.
    ended: Arc<CancellationToken>,
}

impl Caller {
    /// Someone of whom no key is asked.
    pub fn anonymous() -> Self {
        Self {
            tenant: Tenant::default(),
            scope: Scope::Admin,
            key: None,
            quota: Arc::default(),
            origin: None,
            ended: Arc::default(),
        }
    }

    /// Someone who has shown this key.
    pub fn with_key(key: ApiKey) -> Self {
        Self {
            tenant: key.tenant(),
            scope: key.scope,
            key: Some(Arc::new(key)),
            quota: Arc::default(),
            origin: None,
            ended: Arc::default(),
        }
    }

    /// Whose rows they see.
    pub fn viewer(&self) -> Viewer {
        Viewer::Tenant(self.tenant.id)
    }

    /// Whether they may change something.
    pub fn may_write(&self) -> bool {
        self.scope != Scope::Read
    }

    /// Whether they may see what concerns all tenants.
    pub fn is_admin(&self) -> bool {
        self.scope == Scope::Admin
    }

    /// Returns when they may no longer call.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// Why someone may not call.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("This server requires an API key. Send it in the header `Authorization: Bearer halftone_…`.")]
    NoKey,
    #[error("The bearer token is not a Halftone API key. Check that the whole key was copied.")]
    NotAKey,
    #[error("This API key is not known to this server. Ask for a new one.")]
    Unknown,
    #[error("This API key was revoked. Ask for a new one.")]
    Revoked,
    #[error("This API key has expired. Ask for a new one.")]
    Expired,
    /// Nobody knows whether they may.
    #[error("{0:#}")]
    Fault(anyhow::Error),
}

/// Decides who may call, and ends the sockets and streams of those who no longer may. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    app: App,
    need: Arc<Mutex<Need>>,
    open: Arc<Mutex<Open>>,
    quotas: Arc<Mutex<HashMap<Holder, Arc<Quota>>>>,
}

/// Whether a key is needed, as far as this process knows.
struct Need {
    is_needed: bool,
    asked_at: Option<Instant>,
    changed: watch::Receiver<()>,
}

/// Who has a quota.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Holder {
    /// Of a key with this id.
    Key(String),
    /// At an address, where no key is asked for.
    Address(Option<IpAddr>),
}

/// Those who may have a socket or a stream open, by the id of their key.
type Open = HashMap<Option<String>, Weak<CancellationToken>>;

impl Gate {
    pub fn new(app: App) -> Self {
        let need = Need { is_needed: false, asked_at: None, changed: app.events.keys() };
        Self { app, need: Arc::new(Mutex::new(need)), open: Arc::default(), quotas: Arc::default() }
    }

    /// Who is calling, by the bearer token they show and the address they call from.
    pub async fn admit(&self, bearer: Option<&str>, client: Option<IpAddr>) -> Result<Caller, Denied> {
        let mut caller = match (bearer, bearer.and_then(Key::parse)) {
            (_, Some(key)) => self.holder(&key).await?,
            // Whatever else a proxy passes on was for the proxy.
            _ if self.app.config.server.insecure_no_auth => Caller::anonymous(),
            (Some(_), None) => return Err(Denied::NotAKey),
            (None, None) if self.is_key_needed().await.map_err(Denied::Fault)? => return Err(Denied::NoKey),
            (None, None) => Caller::anonymous(),
        };
        let id = caller.key.as_ref().map(|key| key.id.clone());
        caller.quota = self.quota_of(id.clone().map_or(Holder::Address(client.map(network)), Holder::Key));
        let mut open = self.open();
        let known = open.entry(id).or_default();
        match known.upgrade() {
            Some(ended) => caller.ended = ended,
            None => *known = Arc::downgrade(&caller.ended),
        }
        Ok(caller)
    }

    fn quota_of(&self, holder: Holder) -> Arc<Quota> {
        let mut quotas = lock(&self.quotas);
        // There are no more keys than were made, but any number of addresses. Those who hold their quota keep it.
        if quotas.len() >= MAX_QUOTAS && !quotas.contains_key(&holder) {
            quotas.retain(|holder, quota| matches!(holder, Holder::Key(_)) || Arc::strong_count(quota) > 1);
        }
        quotas.entry(holder).or_insert_with(|| Arc::new(self.quota())).clone()
    }

    fn quota(&self) -> Quota {
        let quotas = &self.app.config.quotas;
        Quota::new(Allowance {
            uploads_per_minute: quotas.uploads_per_minute(),
            complexity_per_minute: quotas.complexity_per_minute(),
            subscriptions: quotas.subscriptions_per_key,
        })
    }

    async fn holder(&self, key: &Key) -> Result<Caller, Denied> {
        let find = async {
            let mut conn = db::connect(&self.app.pool).await?;
            let found = ApiKey::find(&mut conn, key.id()).await?.filter(|found| key.has_hash(&found.hash));
            if let Some(found) = &found
                && !found.is_use_noted
            {
                ApiKey::note_use(&mut conn, &found.id).await?;
            }
            anyhow::Ok(found)
        };
        match find.await.map_err(Denied::Fault)? {
            None => Err(Denied::Unknown),
            Some(found) if found.revoked_at.is_some() => Err(Denied::Revoked),
            Some(found) if found.is_expired => Err(Denied::Expired),
            Some(found) => Ok(Caller::with_key(found)),
        }
    }

    /// Whether there is a key, so that everyone needs one. There is no way back, so it is not asked again.
    async fn is_key_needed(&self) -> anyhow::Result<bool> {
        {
            let mut need = lock(&self.need);
            let is_known = need.asked_at.is_some_and(|at| at.elapsed() < ASK_INTERVAL)
                && !need.changed.has_changed().unwrap_or(true);
            if need.is_needed || is_known {
                return Ok(need.is_needed);
            }
            need.changed.mark_unchanged();
        }
        let asked_at = Some(Instant::now());
        let is_needed = is_any_key(&self.app).await?;
        let mut need = lock(&self.need);
        need.is_needed |= is_needed;
        need.asked_at = need.asked_at.max(asked_at);
        Ok(is_needed)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }

    /// Lets those go whose keys were revoked or have expired, until it is dropped.
    pub async fn watch(self) {
        let mut changed = self.app.events.keys();
        loop {
            let _ = tokio::time::timeout(CHECK_INTERVAL, changed.changed()).await;
            if let Err(error) = self.let_go().await {
                warn!("cannot check whether keys are still valid, trying again: {error:#}");
            }
        }
    }

    async fn let_go(&self) -> anyhow::Result<()> {
        let (keys, without_key): (Vec<_>, Vec<_>) = {
            let mut open = self.open();
            open.retain(|_, ended| ended.strong_count() > 0);
            open.keys().cloned().partition(Option::is_some)
        };
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        let mut gone: Vec<Option<String>> = Vec::new();
        if !keys.is_empty() {
            let ended = ApiKey::ended_among(&mut *db::connect(&self.app.pool).await?, &keys).await?;
            gone.extend(ended.into_iter().map(Some));
        }
        if !without_key.is_empty() && !self.app.config.server.insecure_no_auth && self.is_key_needed().await? {
            gone.push(None);
        }
        for id in gone {
            let ended = self.open().remove(&id).and_then(|ended| ended.upgrade());
            ended.inspect(|ended| ended.cancel());
        }
        Ok(())
    }
}

/// What counts as one caller's address: of IPv6 the half that names the network, since the other half is theirs to choose.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stores a new key. Every process learns of it.
pub async fn store(conn: &mut Connection, new: &NewApiKey<'_>) -> diesel::QueryResult<()> {
    ApiKey::insert(conn, new).await?;
    events::announce_keys(conn).await
}

/// Ends a key for good. Returns false when there is none with this id.
pub async fn revoke(conn: &mut Connection, id: &str) -> diesel::QueryResult<bool> {
    let is_there = ApiKey::revoke(conn, id).await?;
    events::announce_keys(conn).await?;
    Ok(is_there)
}

async fn is_any_key(app: &App) -> anyhow::Result<bool> {
    Ok(ApiKey::is_any(&mut *db::connect(&app.pool).await?).await?)
}

/// Refuses to serve other machines without asking anyone who they are.
///
/// # Errors
/// A sentence that says what to do.
pub async fn check_exposure(app: &App, address: SocketAddr) -> anyhow::Result<()> {
    let is_safe = address.ip().is_loopback() || app.config.server.insecure_no_auth || is_any_key(app).await?;
    anyhow::ensure!(
        is_safe,
        "--listen {address} can be reached by other machines, and there is no API key yet. Create one with `halftone keys \
         create --name NAME`, listen on 127.0.0.1, or add --insecure-no-auth if a proxy in front of Halftone authenticates \
         callers."
    );
    Ok(())
}
