//! How images end. Endings are gathered and recorded together: up to a batch of them, or whatever came within a
//! few milliseconds, in one transaction that ends the images and their jobs, moves the requests' counters and, when the last image of a
//! request ends, ends the request and stores its webhook.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::notify;
use crate::app::App;
use crate::db::image::ImageStatus;
use crate::db::request::{self, ProcessingRequest};
use crate::db::settle::{self, Error, Output, Settlement};
use crate::db::{self, Connection};
use crate::queue::{Claim, jobs};

/// Endings recorded by one transaction at most.
const BATCH: usize = 64;
/// How long the first ending of a batch waits for others.
const PATIENCE: Duration = Duration::from_millis(25);
/// How long a batch that the database refused rests before it is tried again, and how often it is.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const RETRIES: usize = 20;
/// Tries after which the endings of a batch are recorded one by one.
const TOGETHER: usize = 3;

/// How one attempt at an image ended.
#[derive(Debug, Clone)]
pub enum Ending {
    Succeeded(Box<Output>),
    Failed(Error),
    /// This attempt failed for this reason; another one follows.
    Retry {
        after: Duration,
        reason: String,
    },
    /// This attempt did not come about; it will.
    Postponed {
        after: Duration,
    },
    /// Its request was canceled before anything was done.
    Canceled,
}

struct Entry {
    claim: Claim,
    ending: Ending,
    recorded: oneshot::Sender<anyhow::Result<()>>,
}

/// Takes endings; see [`settler`]. Cheap to clone.
#[derive(Clone)]
pub struct Settler(mpsc::Sender<Entry>);

impl Settler {
    /// Records how the attempt at this claim ended. Returns when that is durable, or when it turns out that the claim
    /// was lost to another worker, which makes this ending void.
    pub async fn settle(&self, claim: Claim, ending: Ending) -> anyhow::Result<()> {
        let (recorded, done) = oneshot::channel();
        self.0.send(Entry { claim, ending, recorded }).await.ok().context("the settler has stopped")?;
        done.await.context("the settler has stopped")?
    }
}

/// A settler and the task that does its work; the task ends when the last settler is dropped.
pub fn settler(app: App) -> (Settler, impl Future<Output = ()> + Send) {
    let (endings, mut incoming) = mpsc::channel(4 * BATCH);
    let work = async move {
        while let Some(first) = incoming.recv().await {
            let mut batch = vec![first];
            let deadline = Instant::now() + PATIENCE;
            while batch.len() < BATCH
                && let Ok(Some(next)) = tokio::time::timeout_at(deadline, incoming.recv()).await
            {
                batch.push(next);
            }
            record_with_retries(&app, batch).await;
        }
    };
    (Settler(endings), work)
}

async fn record_with_retries(app: &App, batch: Vec<Entry>) {
    let mut result = record(app, &batch).await;
    for attempt in 0..RETRIES {
        let Err(error) = &result else { break };
        if attempt == TOGETHER && batch.len() > 1 {
            // One of them may be what the database does not take: the others must not suffer for it.
            for entry in batch {
                Box::pin(record_with_retries(app, vec![entry])).await;
            }
            return;
        }
        warn!(images = batch.len(), "cannot record finished images, trying again: {error:#}");
        tokio::time::sleep(RETRY_DELAY).await;
        result = record(app, &batch).await;
    }
    for entry in batch {
        // A job that stopped waiting was told to end: what was recorded stands all the same.
        let _ = entry.recorded.send(match &result {
            Ok(()) => Ok(()),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        });
    }
}

async fn record(app: &App, batch: &[Entry]) -> anyhow::Result<()> {
    let mut conn = db::connect(&app.worker_pool).await?;
    let finished = conn.transaction(async |conn| record_in(app, conn, batch).await).await?;
    for request in finished {
        info!(
            request.id = %request.id, status = %request.status, images = request.total, failed = request.failed,
            input_bytes = request.input_bytes, output_bytes = request.output_bytes, "request finished"
        );
    }
    Ok(())
}

/// One transaction's worth. The requests are locked first, in one order for everyone; a claim that was lost is left out.
async fn record_in(app: &App, conn: &mut Connection, batch: &[Entry]) -> anyhow::Result<Vec<ProcessingRequest>> {
    let request_ids: BTreeSet<Uuid> = batch.iter().map(|entry| entry.claim.group_id).collect();
    let request_ids: Vec<Uuid> = request_ids.into_iter().collect();
    let requests: HashMap<Uuid, ProcessingRequest> =
        ProcessingRequest::lock(conn, &request_ids).await?.into_iter().map(|request| (request.id, request)).collect();

    let mut ended = Vec::new();
    for Entry { claim, ending, .. } in batch {
        let canceled = requests.get(&claim.group_id).is_none_or(|request| request.cancel_requested_at.is_some());
        match ending {
            Ending::Retry { .. } | Ending::Postponed { .. } if canceled => ended.push((claim, End::canceled())),
            Ending::Retry { after, reason } => {
                jobs::retry(conn, claim, *after, reason).await?;
            }
            Ending::Postponed { after } => {
                jobs::postpone(conn, claim, *after).await?;
            }
            Ending::Succeeded(output) => ended.push((claim, End::succeeded(output))),
            Ending::Failed(error) => ended.push((claim, End::failed(error))),
            Ending::Canceled => ended.push((claim, End::canceled())),
        }
    }
    let claims: Vec<Claim> = ended.iter().map(|(claim, _)| (*claim).clone()).collect();
    let held: HashSet<Uuid> = jobs::finish(conn, &claims).await?.into_iter().collect();
    ended.retain(|(claim, _)| held.contains(&claim.id));
    let settlements: Vec<Settlement> = ended.into_iter().map(|(claim, end)| end.of(claim)).collect();
    settle::touch(conn, &request_ids).await?;
    settle::images(conn, &settlements).await?;
    finish_requests(app, conn, &request_ids).await
}

/// Ends those of these requests that are complete, stores their webhooks, and wakes whoever watches any of them.
/// The caller holds their locks.
pub(super) async fn finish_requests(
    app: &App,
    conn: &mut Connection,
    request_ids: &[Uuid],
) -> anyhow::Result<Vec<ProcessingRequest>> {
    let finished = settle::finish_requests(conn, request_ids).await?;
    let finished = ProcessingRequest::load(conn, &finished).await?;
    for request in &finished {
        notify::enqueue(app, conn, request).await?;
    }
    for id in request_ids {
        request::announce(conn, *id).await?;
    }
    Ok(finished)
}

/// How an image ends for good.
struct End {
    status: ImageStatus,
    /// Whether the attempt counts.
    attempted: bool,
    output: Option<Output>,
    error: Option<Error>,
}

impl End {
    fn succeeded(output: &Output) -> Self {
        Self { status: ImageStatus::Succeeded, attempted: true, output: Some(output.clone()), error: None }
    }

    fn failed(error: &Error) -> Self {
        let mut error = error.clone();
        // Decoders quote what they read; the database takes no NUL.
        error.error_message.retain(|character| !character.is_control());
        Self { status: ImageStatus::Failed, attempted: true, output: None, error: Some(error) }
    }

    fn canceled() -> Self {
        Self { status: ImageStatus::Canceled, attempted: false, output: None, error: None }
    }

    fn of(self, claim: &Claim) -> Settlement {
        Settlement {
            id: claim.id,
            request_id: claim.group_id,
            status: self.status,
            attempt_count: claim.attempts + i32::from(self.attempted),
            output: self.output,
            error: self.error,
        }
    }
}
