//! How many estimates run: one for each caller in all processes on the database, and a few in each process.

use anyhow::Context as _;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::app::App;
use crate::db::session_lock::SessionLock;

/// Leave to make an estimate, until it is dropped.
pub struct Place {
    _lock: SessionLock,
    _permit: OwnedSemaphorePermit,
}

/// What becomes of a wish for a place.
pub enum Entered {
    Free(Place),
    /// The caller has an estimate running, here or in another process.
    HasOne,
    /// This process makes as many as it can.
    Full,
}

/// A place for a caller: a tenant, and the key that it called with.
pub async fn enter(app: &App, tenant_id: Uuid, key: Option<&str>) -> anyhow::Result<Entered> {
    let Ok(permit) = app.estimates.clone().try_acquire_owned() else { return Ok(Entered::Full) };
    let name = format!("estimate {tenant_id} {}", key.unwrap_or_default());
    let lock = SessionLock::take(&app.database_url, &name).await.context("enter an estimate")?;
    Ok(lock.map_or(Entered::HasOne, |lock| Entered::Free(Place { _lock: lock, _permit: permit })))
}
