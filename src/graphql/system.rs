//! Halftone as a whole, for those who run it.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use super::error::{forbidden, internal};
use super::host::HostStatus;
use super::limits::Limits;
use super::paging::list_cost;
use super::scalars::{DateTime, UnsignedInt53};
use super::viewer::caller;
use crate::app::App;
use crate::db::host::HostState;
use crate::pipeline::system::{self, Readings};

/// The state of a job.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It can run now and is waiting for a worker.
    Ready,
    /// It is waiting for its next attempt, which is due later.
    Waiting,
    /// A worker is running it.
    Running,
}

/// Number of jobs of one kind in one state.
#[derive(SimpleObject)]
pub struct JobCount {
    /// The kind of job: `process_image` or `deliver_webhook`.
    kind: String,
    /// The state of the jobs.
    state: JobState,
    /// Number of jobs, at least 1.
    count: UnsignedInt53,
}

impl JobCount {
    fn of(counted: &system::JobCount) -> Option<Self> {
        let state = match counted.state.as_str() {
            "READY" => JobState::Ready,
            "WAITING" => JobState::Waiting,
            "RUNNING" => JobState::Running,
            _ => return None,
        };
        Some(Self { kind: counted.kind.clone(), state, count: counted.count.into() })
    }
}

/// A process that runs jobs.
#[derive(SimpleObject)]
pub struct Worker {
    /// The worker's ID. A restarted process is a new worker.
    id: ID,
    /// The machine it runs on.
    hostname: String,
    /// Its process ID on that machine.
    pid: i32,
    /// When it was started.
    started_at: DateTime,
    /// When its last heartbeat was stored.
    last_heartbeat_at: DateTime,
    /// Whether that was within `--worker-timeout`. The jobs of a worker that is not alive are given to other workers.
    is_alive: bool,
    /// Number of jobs it is running.
    running: UnsignedInt53,
}

impl From<&system::WorkerState> for Worker {
    fn from(row: &system::WorkerState) -> Self {
        Self {
            id: row.id.into(),
            hostname: row.hostname.clone(),
            pid: row.pid,
            started_at: DateTime(row.started_at),
            last_heartbeat_at: DateTime(row.heartbeat_at),
            is_alive: row.is_alive,
            running: row.running.into(),
        }
    }
}

/// An image host from which nothing is downloaded at the moment.
#[derive(SimpleObject)]
pub struct UnavailableHost {
    /// Scheme, name and port, such as `https://images.example`.
    host: String,
    /// `PAUSED` or `DOWN`.
    status: HostStatus,
    /// When downloads resume.
    paused_until: Option<DateTime>,
}

impl From<&HostState> for UnavailableHost {
    fn from(row: &HostState) -> Self {
        Self {
            host: row.origin.clone(),
            status: HostStatus::of(row),
            paused_until: row.paused_until.max(row.down_until).map(DateTime),
        }
    }
}

/// What is to be done, by all workers together.
pub struct Queue(Arc<system::System>);

/// The jobs of all workers. A job is an image that has not finished, or a webhook to deliver.
#[Object]
impl Queue {
    /// Number of jobs by kind and state.
    async fn jobs(&self) -> Vec<JobCount> {
        self.0.jobs.iter().filter_map(JobCount::of).collect()
    }

    /// How long the oldest ready job has been waiting for a worker, in seconds; null if none is ready. With more workers it
    /// would have started sooner: jobs of paused requests, and of hosts that are paused, down or at their limit, are not
    /// counted.
    async fn oldest_ready_seconds(&self) -> Option<f64> {
        self.0.jobs.iter().filter_map(|jobs| jobs.oldest_ready).max_by(f64::total_cmp)
    }
}

pub struct System(Arc<system::System>);

impl System {
    pub async fn read(ctx: &Context<'_>) -> Result<Self> {
        if !caller(ctx).is_admin() {
            return Err(forbidden("This API key may not see the whole service. Use one with the scope `admin`."));
        }
        let readings = ctx.data_unchecked::<Readings>();
        Ok(Self(readings.take(ctx.data_unchecked::<App>()).await.map_err(internal)?))
    }
}

/// The whole service: all processes on its database. Refreshed at most once a second.
#[Object]
impl System {
    /// The version of the process that answers this query.
    async fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// The queue of jobs.
    async fn queue(&self) -> Queue {
        Queue(self.0.clone())
    }

    /// The processes that run jobs, live ones first, at most 100. A dead one stays listed for a day.
    #[graphql(complexity = list_cost(100, child_complexity))]
    async fn workers(&self) -> Vec<Worker> {
        self.0.workers.iter().map(Worker::from).collect()
    }

    /// The image hosts that are paused or down, at most 100.
    #[graphql(complexity = list_cost(100, child_complexity))]
    async fn hosts(&self) -> Vec<UnavailableHost> {
        self.0.hosts.iter().map(UnavailableHost::from).collect()
    }

    /// The limits in force.
    async fn limits(&self, ctx: &Context<'_>) -> Limits {
        Limits::of(ctx)
    }
}
