//! "Something changed": Postgres notifications, turned into wake-ups inside this process.
//!
//! A notification only wakes; whoever wakes reads the rows again. A lost or doubled one is harmless, and everybody polls
//! slowly besides. After a lost connection everyone is woken, since nobody knows what was missed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, NoTls};
use tracing::warn;
use uuid::Uuid;

/// The channel whose payload is the id of a request that changed.
pub const REQUESTS: &str = "halftone_requests";

/// How long after a lost connection the next try follows.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(500);

/// The wake-ups of this process. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    requests: Arc<Mutex<HashMap<Uuid, watch::Sender<()>>>>,
    any_request: Arc<watch::Sender<()>>,
    jobs: Arc<watch::Sender<()>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            requests: Arc::default(),
            any_request: Arc::new(watch::Sender::new(())),
            jobs: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Events {
    /// Changes whenever this request may have changed.
    pub fn request(&self, id: Uuid) -> watch::Receiver<()> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever comes clears up behind those who left: the map holds no more than the requests being watched, twice.
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

    /// Listens to the database at `url` until it is dropped. `jobs_channel` is where the queue says that jobs are ready.
    pub async fn listen(self, url: &str, jobs_channel: &str) {
        loop {
            if let Err(error) = self.listen_while_connected(url, jobs_channel).await {
                warn!("lost the connection for notifications, reconnecting: {error:#}");
            }
            tokio::time::sleep(RECONNECT_INTERVAL).await;
        }
    }

    async fn listen_while_connected(&self, url: &str, jobs_channel: &str) -> anyhow::Result<()> {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.context("connect")?;
        let mut messages = futures_util::stream::poll_fn(|cx| connection.poll_message(cx));
        let listen = format!("LISTEN {REQUESTS}; LISTEN {jobs_channel}");
        let listening = client.batch_execute(&listen);
        tokio::pin!(listening);
        let mut is_listening = false;
        loop {
            tokio::select! {
                done = &mut listening, if !is_listening => {
                    done.context("listen")?;
                    is_listening = true;
                    self.wake_everyone();
                }
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
        if channel != REQUESTS {
            self.jobs.send_replace(());
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
        self.any_request.send_replace(());
        for sender in self.requests.lock().unwrap_or_else(PoisonError::into_inner).values() {
            sender.send_replace(());
        }
    }
}
