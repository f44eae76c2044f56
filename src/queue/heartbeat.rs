//! Says every few seconds that this process lives, on a thread and a connection of its own: neither a busy runtime nor an
//! exhausted pool may make a working process look dead.

use std::time::Duration;

use anyhow::Context as _;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// How long after a failure the next try follows.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

const BEAT: &str = "INSERT INTO workers (id, hostname, pid) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()";

/// The running heartbeat. Dropping it stops it.
pub struct Heartbeat {
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts beating every `interval` for the worker `id` in the database at `url`. Returns when the first beat is
    /// stored: a worker must be known before it claims.
    pub async fn start(url: &str, id: Uuid, interval: Duration) -> anyhow::Result<Self> {
        let config: tokio_postgres::Config = url.parse().context("read the database URL")?;
        let stop = CancellationToken::new();
        let (first_beat, beaten) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let until = stop.clone();
        let thread = std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
            runtime.block_on(async {
                let _ = until.run_until_cancelled(beat_for_ever(&config, id, interval, first_beat)).await;
            });
        })?;
        let heartbeat = Self { stop, thread: Some(thread) };
        beaten.await.context("start the heartbeat")?;
        Ok(heartbeat)
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

async fn beat_for_ever(
    config: &tokio_postgres::Config,
    id: Uuid,
    interval: Duration,
    first_beat: tokio::sync::oneshot::Sender<()>,
) {
    let mut first_beat = Some(first_beat);
    loop {
        if let Err(error) = beat_while_connected(config, id, interval, &mut first_beat).await {
            warn!(worker.id = %id, "heartbeat failed, trying again: {error:#}");
        }
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }
}

async fn beat_while_connected(
    config: &tokio_postgres::Config,
    id: Uuid,
    interval: Duration,
    first_beat: &mut Option<tokio::sync::oneshot::Sender<()>>,
) -> anyhow::Result<()> {
    let (client, connection) = config.connect(NoTls).await.context("connect")?;
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let mut beats = async || -> Result<std::convert::Infallible, tokio_postgres::Error> {
        let statement = client.prepare(BEAT).await?;
        loop {
            client.execute(&statement, &[&id, &hostname, &pid]).await?;
            if let Some(first) = first_beat.take() {
                let _ = first.send(());
            }
            tokio::time::sleep(interval).await;
        }
    };
    tokio::select! {
        ended = connection => ended.context("keep the connection"),
        Err(error) = beats() => Err(error).context("store the beat"),
    }
}
