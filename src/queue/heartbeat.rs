//! Says every few seconds that this process lives, on a thread and a connection of its own: neither a busy runtime nor an
//! exhausted pool may make a working process look dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::db::connect;
use crate::db::target::Target;

/// How long after a failure the next try follows.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);
/// Beats within the time after which a silent worker counts as dead.
const BEATS_PER_TIMEOUT: u32 = 5;

/// A gap of more than $4 seconds begins a new steady time.
const BEAT: &str = "INSERT INTO workers (id, hostname, pid) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(),
        steady_since = CASE WHEN workers.heartbeat_at < now() - make_interval(secs => $4)
                            THEN now() ELSE workers.steady_since END";

/// The running heartbeat. Dropping it stops it.
pub struct Heartbeat {
    alive: Alive,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// When the last beat was stored. Cheap to clone.
#[derive(Clone)]
pub struct Alive {
    start: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Alive {
    fn new() -> Self {
        Self { start: Instant::now(), last_ms: Arc::default() }
    }

    /// How long ago the last beat was sent that was stored.
    pub fn silence(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }

    fn beaten(&self, sent: Instant) {
        let sent = sent.duration_since(self.start).as_millis();
        self.last_ms.store(u64::try_from(sent).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What the thread needs.
struct Beater {
    target: Target,
    id: Uuid,
    timeout: Duration,
    alive: Alive,
    first_beat: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Heartbeat {
    /// Starts beating for the worker `id`, which counts as dead after `timeout` without a beat, in the database at `url`.
    /// Returns when the first beat is stored: a worker must be known before it claims.
    pub async fn start(url: &str, id: Uuid, timeout: Duration) -> anyhow::Result<Self> {
        let target: Target = url.parse().context("read the database URL")?;
        let stop = CancellationToken::new();
        let (first_beat, beaten) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let alive = Alive::new();
        let mut beater = Beater { target, id, timeout, alive: alive.clone(), first_beat: Some(first_beat) };
        let until = stop.clone();
        let thread = std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
            runtime.block_on(async {
                let _ = until.run_until_cancelled(beater.beat_for_ever()).await;
            });
        })?;
        let heartbeat = Self { alive, stop, thread: Some(thread) };
        beaten.await.context("start the heartbeat")?;
        Ok(heartbeat)
    }

    pub fn alive(&self) -> Alive {
        self.alive.clone()
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Beater {
    async fn beat_for_ever(&mut self) {
        loop {
            if let Err(error) = self.beat_while_connected().await {
                warn!(worker.id = %self.id, "heartbeat failed, trying again: {error:#}");
            }
            tokio::time::sleep(RECONNECT_INTERVAL.min(self.interval())).await;
        }
    }

    fn interval(&self) -> Duration {
        (self.timeout / BEATS_PER_TIMEOUT).max(Duration::from_millis(100))
    }

    /// Each step has so long: two tries must fit into the timeout.
    fn patience(&self) -> Duration {
        (self.timeout / 3).max(Duration::from_secs(1))
    }

    async fn beat_while_connected(&mut self) -> anyhow::Result<()> {
        let (interval, patience) = (self.interval(), self.patience());
        let within =
            |what: &'static str| move |_| anyhow::anyhow!("the database did not answer within {patience:?} ({what})");
        let connecting = tokio::time::timeout(patience, connect::establish(&self.target)).await;
        let (client, connection) = connecting.map_err(within("connect"))?.context("connect")?;
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        let gap = self.timeout.as_secs_f64() / 2.0;
        let mut beats = async || -> anyhow::Result<std::convert::Infallible> {
            let prepared = tokio::time::timeout(patience, client.prepare(BEAT)).await;
            let statement = prepared.map_err(within("prepare"))?.context("prepare the beat")?;
            loop {
                let sent = Instant::now();
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&self.id, &hostname, &pid, &gap];
                let beat = client.execute(&statement, &values);
                tokio::time::timeout(patience, beat).await.map_err(within("beat"))?.context("store the beat")?;
                self.alive.beaten(sent);
                if let Some(first) = self.first_beat.take() {
                    let _ = first.send(());
                }
                tokio::time::sleep(interval).await;
            }
        };
        tokio::select! {
            ended = connection => ended.context("keep the connection"),
            Err(error) = beats() => Err(error),
        }
    }
}
