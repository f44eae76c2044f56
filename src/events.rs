//! "Something changed": Postgres notifications, turned into wake-ups inside this process.
//!
//! A notification only wakes: its receiver reads the rows again. A lost or doubled one is harmless, and every receiver also
//! polls slowly. After a lost connection everyone is woken, since nobody knows what was missed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use diesel::QueryResult;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl as _;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio_postgres::AsyncMessage;
use tracing::warn;
use uuid::Uuid;

use crate::db::target::Target;
use crate::db::{Connection, connect};

/// The channel whose payload is the id of a request that changed.
const REQUESTS: &str = "halftone_requests";
/// The channel whose payload is the kind of jobs that became ready.
const JOBS: &str = "halftone_jobs";
/// The channel that says that an API key was made or revoked.
const KEYS: &str = "halftone_keys";

/// How long after a lost connection the next try follows.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(500);

/// How often the connection, on which nothing may be said for hours, is asked whether it still works.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes whoever watches this request, in every process, when the transaction commits.
pub async fn announce_request(conn: &mut Connection, id: Uuid) -> QueryResult<()> {
    notify(conn, REQUESTS, &id.to_string()).await
}

/// Wakes the workers that wait for jobs of this kind, in every process, when the transaction commits.
pub async fn announce_jobs(conn: &mut Connection, kind: &str) -> QueryResult<()> {
    notify(conn, JOBS, kind).await
}

/// Says, in every process, that API keys have changed, when the transaction commits.
pub async fn announce_keys(conn: &mut Connection) -> QueryResult<()> {
    notify(conn, KEYS, "").await
}

async fn notify(conn: &mut Connection, channel: &str, payload: &str) -> QueryResult<()> {
    let notify = diesel::sql_query("SELECT pg_notify($1, $2)").bind::<Text, _>(channel).bind::<Text, _>(payload);
    notify.execute(conn).await?;
    Ok(())
}

/// The wake-ups of this process. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    requests: Arc<Mutex<HashMap<Uuid, watch::Sender<()>>>>,
    any_request: Arc<watch::Sender<()>>,
    jobs: Arc<watch::Sender<()>>,
    keys: Arc<watch::Sender<()>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            requests: Arc::default(),
            any_request: Arc::new(watch::Sender::new(())),
            jobs: Arc::new(watch::Sender::new(())),
            keys: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Events {
    /// Changes whenever this request may have changed.
    pub fn request(&self, id: Uuid) -> watch::Receiver<()> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // Each new watcher removes abandoned entries, so the map holds at most twice as many as there are watched requests.
        if requests.len() >= 64 && requests.len().is_power_of_two() {
            requests.retain(|_, sender| sender.receiver_count() > 0);
        }
        requests.entry(id).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// Changes whenever any request may have changed.
    pub fn any_request(&self) -> watch::Receiver<()> {
        self.any_request.subscribe()
    }

    /// Changes whenever jobs may have become ready.
    pub fn jobs(&self) -> watch::Receiver<()> {
        self.jobs.subscribe()
    }

    /// Changes whenever API keys may have changed.
    pub fn keys(&self) -> watch::Receiver<()> {
        self.keys.subscribe()
    }

    /// Listens to the database at `url` until it is dropped.
    pub async fn listen(self, url: &str) {
        loop {
            if let Err(error) = self.listen_while_connected(url).await {
                warn!("lost the connection for notifications, reconnecting: {error:#}");
            }
            tokio::time::sleep(RECONNECT_INTERVAL).await;
        }
    }

    async fn listen_while_connected(&self, url: &str) -> anyhow::Result<()> {
        let target: Target = url.parse().context("read the database URL")?;
        let (client, mut connection) = connect::establish(&target).await.context("connect")?;
        let mut messages = futures_util::stream::poll_fn(|cx| connection.poll_message(cx));
        let listen = async {
            let listen = format!("LISTEN {REQUESTS}; LISTEN {JOBS}; LISTEN {KEYS}");
            client.batch_execute(&listen).await.context("listen")?;
            self.wake_everyone();
            loop {
                tokio::time::sleep(PING_INTERVAL).await;
                client.batch_execute("SELECT 1").await.context("ask whether the connection works")?;
            }
        };
        tokio::pin!(listen);
        loop {
            tokio::select! {
                failed = &mut listen => return failed,
                message = messages.next() => match message {
                    Some(Ok(AsyncMessage::Notification(note))) => self.wake(note.channel(), note.payload()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => anyhow::bail!("the server closed the connection"),
                },
            }
        }
    }

    fn wake(&self, channel: &str, payload: &str) {
        if let Some(changed) = [(JOBS, &self.jobs), (KEYS, &self.keys)].iter().find(|(name, _)| *name == channel) {
            changed.1.send_replace(());
            return;
        }
        self.any_request.send_replace(());
        let Ok(id) = payload.parse::<Uuid>() else { return };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = requests.get(&id)
            && sender.send(()).is_err()
        {
            requests.remove(&id);
        }
    }

    fn wake_everyone(&self) {
        self.jobs.send_replace(());
        self.keys.send_replace(());
        self.any_request.send_replace(());
        for sender in self.requests.lock().unwrap_or_else(PoisonError::into_inner).values() {
            sender.send_replace(());
        }
    }
}
