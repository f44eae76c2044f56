//! Halftone as a whole, over all processes on its database: what is to be done, who does it, which hosts hold it up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::db::host::{self, HostState};
use crate::db::{self, Connection};
use crate::queue::{jobs, workers};

pub use crate::queue::jobs::JobCount;
pub use crate::queue::workers::WorkerState;

/// Workers and hosts that are listed.
const MAX_LISTED: i64 = 100;
/// How long a reading is good for at least, and how much longer than it took: counting a long queue takes a while.
const FRESH: Duration = Duration::from_secs(1);
const REST: u32 = 20;

/// What was read at one moment.
pub struct System {
    pub jobs: Vec<JobCount>,
    pub workers: Vec<WorkerState>,
    /// Hosts that are paused or down.
    pub hosts: Vec<HostState>,
}

/// The last reading, shared by all who ask this process.
#[derive(Default)]
pub struct Readings(Mutex<Option<(Instant, Arc<System>)>>);

impl Readings {
    /// The last reading while it is fresh, else a new one. Those who ask meanwhile wait for it.
    pub async fn take(&self, app: &App) -> anyhow::Result<Arc<System>> {
        let mut last = self.0.lock().await;
        if let Some((until, system)) = &*last
            && Instant::now() < *until
        {
            return Ok(system.clone());
        }
        let began = Instant::now();
        let mut conn = db::connect(&app.pool).await?;
        let system = Arc::new(read(&mut conn, app.config.workers.worker_timeout).await?);
        let took = began.elapsed();
        *last = Some((Instant::now() + FRESH.max(REST * took), system.clone()));
        Ok(system)
    }
}

async fn read(conn: &mut Connection, timeout: Duration) -> anyhow::Result<System> {
    let closed_hosts = host::closed(conn).await?;
    Ok(System {
        jobs: jobs::counts(conn, &closed_hosts).await?,
        workers: workers::states(conn, timeout, MAX_LISTED).await?,
        hosts: host::unavailable(conn, MAX_LISTED).await?,
    })
}
