//! How images end. Results of attempts are gathered and recorded together: up to a batch of them, or whatever came within
//! a fraction of a second, in one transaction that ends the images and their jobs, moves the requests' counters and, when the
//! last image of a request ends, ends the request and stores its webhook.
//!
//! While the database is away, results wait for it. A result that the database refuses is tried alone, so that it delays
//! no other. If the database would have taken a failure each time, that is recorded in the end.

mod record;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use diesel::result::DatabaseErrorKind;
use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

pub(super) use self::record::finish_requests;
use self::record::record_in;
use super::failure::internal_error;
use crate::app::App;
use crate::db;
use crate::db::ending::{Error, Output};
use crate::metrics::Metrics;
use crate::queue::Claim;

/// Results recorded by one transaction at most.
const BATCH: usize = 64;
/// How long a batch waits for more results, and which part of all attempts in hand ends the wait: all of them at first, then
/// a quarter. A host that takes few requests at a time must not wait for its results to be recorded.
const PATIENCE: [(Duration, usize); 2] = [(Duration::from_millis(25), 1), (Duration::from_millis(100), 4)];
/// How long a batch waits for a database that is away: doubles up to the second value while it is.
const OUTAGE_DELAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How long a result that the database refused waits for its next try: doubles with each up to the second value.
const REFUSED_DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// Refusals after which a result is recorded as a failure instead. What breaks a constraint is so at once.
const MAX_REFUSALS: u32 = 3;
/// Writes some megabytes to the database's disk, for as long as the transaction takes.
const FIND_ROOM: &str = "DO $$ BEGIN
    IF has_database_privilege(current_database(), 'TEMP') THEN
        CREATE TEMP TABLE room ON COMMIT DROP AS SELECT repeat('x', 1900) FROM generate_series(1, 2000);
    END IF;
END $$";

/// How one attempt at an image ended.
#[derive(Debug, Clone)]
pub enum AttemptResult {
    Succeeded(Box<Output>),
    Failed(Error),
    /// This attempt failed; another one follows.
    Retry {
        after: Duration,
        error: Error,
    },
    /// The attempt was never started; it will be rescheduled and does not count.
    Postponed {
        after: Duration,
        error: Error,
    },
    /// Its request was canceled before anything was done.
    Canceled,
}

/// An attempt that has ended, and how.
struct Ending {
    claim: Claim,
    result: AttemptResult,
}

/// An ending that waits to be recorded.
struct Entry {
    ending: Ending,
    /// How long it waits for its next try, should the database not take it.
    delay: Duration,
    /// How often the database refused it and would have taken a failure.
    refusals: u32,
    /// Whether the result is a failure in the place of one that the database did not take.
    is_replaced: bool,
    recorded: oneshot::Sender<anyhow::Result<bool>>,
    _in_hand: InHand,
}

/// Counts an attempt as in hand until it is dropped.
struct InHand(Arc<AtomicUsize>);

impl InHand {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Records the results of attempts; see [`recorder`].
pub struct EndingRecorder {
    entries: mpsc::Sender<Entry>,
    in_hand: Arc<AtomicUsize>,
}

/// An attempt that has not ended.
pub struct Attempt {
    entries: mpsc::Sender<Entry>,
    in_hand: InHand,
}

impl EndingRecorder {
    pub fn begin(&self) -> Attempt {
        Attempt { entries: self.entries.clone(), in_hand: InHand::new(&self.in_hand) }
    }
}

impl Attempt {
    /// Records how the attempt at this claim ended. Returns when that is durable: whether the claim was still held. If it
    /// was lost to another worker, this result is void.
    pub async fn record(self, claim: Claim, result: AttemptResult) -> anyhow::Result<bool> {
        let (recorded, done) = oneshot::channel();
        let entry = Entry {
            ending: Ending { claim, result },
            delay: REFUSED_DELAY.0,
            refusals: 0,
            is_replaced: false,
            recorded,
            _in_hand: self.in_hand,
        };
        self.entries.send(entry).await.ok().context("the recorder has stopped")?;
        done.await.context("the recorder has stopped")?
    }
}

/// A recorder and the task that does its work; the task ends when the recorder and all attempts are dropped.
pub fn recorder(app: App) -> (EndingRecorder, impl Future<Output = ()> + Send) {
    let (entries, mut incoming) = mpsc::channel(4 * BATCH);
    let in_hand = Arc::new(AtomicUsize::new(0));
    let recorder = EndingRecorder { entries, in_hand: in_hand.clone() };
    let work = async move {
        let mut refused: JoinSet<Entry> = JoinSet::new();
        loop {
            let batch = tokio::select! {
                first = incoming.recv() => match first {
                    Some(first) => gather(first, &mut incoming, &in_hand).await,
                    None => return,
                },
                Some(Ok(entry)) = refused.join_next() => vec![entry],
            };
            for mut entry in record_or_wait(&app, batch).await {
                refused.spawn(async move {
                    tokio::time::sleep(entry.delay).await;
                    entry.delay = (entry.delay * 2).min(REFUSED_DELAY.1);
                    entry
                });
            }
        }
    };
    (recorder, work)
}

async fn gather(first: Entry, incoming: &mut mpsc::Receiver<Entry>, in_hand: &AtomicUsize) -> Vec<Entry> {
    let mut batch = vec![first];
    let began = Instant::now();
    for (patience, part) in PATIENCE {
        while batch.len() < BATCH.min(in_hand.load(Ordering::Relaxed) / part)
            && let Ok(Some(next)) = tokio::time::timeout_at(began + patience, incoming.recv()).await
        {
            batch.push(next);
        }
    }
    batch
}

/// Why a batch was not recorded.
enum NotRecorded {
    /// The database is away or stands still: every other batch would fail too.
    Outage(anyhow::Error),
    /// The database does not take this batch, or not now.
    Refused(anyhow::Error),
}

impl From<anyhow::Error> for NotRecorded {
    fn from(error: anyhow::Error) -> Self {
        use diesel::result::Error::{DatabaseError, RollbackErrorOnCommit};
        let cause = error.downcast_ref::<diesel::result::Error>();
        let takes_nothing = matches!(
            cause,
            Some(DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) | RollbackErrorOnCommit { .. })
        );
        if takes_nothing || db::is_unavailable(&error) { Self::Outage(error) } else { Self::Refused(error) }
    }
}

fn violates_constraint(error: &anyhow::Error) -> bool {
    use DatabaseErrorKind::{CheckViolation, ForeignKeyViolation, NotNullViolation, UniqueViolation};
    matches!(
        error.downcast_ref(),
        Some(diesel::result::Error::DatabaseError(
            CheckViolation | ForeignKeyViolation | NotNullViolation | UniqueViolation,
            _
        ))
    )
}

/// Records a batch, once the database is there. Returns the entries that it refuses, to be tried again later.
async fn record_or_wait(app: &App, mut batch: Vec<Entry>) -> Vec<Entry> {
    let mut delay = OUTAGE_DELAY.0;
    loop {
        // Jobs that were aborted wait for no answer; what they did is done again.
        batch.retain(|entry| !entry.recorded.is_closed());
        if batch.is_empty() {
            return batch;
        }
        match record(app, &batch).await {
            Ok(held) => {
                for entry in batch {
                    let is_held = held.contains(&entry.ending.claim.lease);
                    // The job may have been aborted during shutdown; the recorded result is valid regardless.
                    let _ = entry.recorded.send(Ok(is_held));
                }
                return Vec::new();
            }
            Err(NotRecorded::Outage(error)) => {
                warn!(images = batch.len(), "cannot record finished images, trying again: {error:#}");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(OUTAGE_DELAY.1);
            }
            Err(NotRecorded::Refused(_)) if batch.len() > 1 => {
                // One of them may be what the database does not take: the others must not suffer for it.
                let mut refused = Vec::new();
                for entry in batch {
                    refused.extend(Box::pin(record_or_wait(app, vec![entry])).await);
                }
                return refused;
            }
            Err(NotRecorded::Refused(cause)) => {
                let entry = &mut batch[0];
                let image_id = entry.ending.claim.id;
                if !violates_constraint(&cause) {
                    entry.refusals += u32::from(takes_a_failure(app, entry).await);
                    if entry.refusals <= MAX_REFUSALS {
                        warn!(image.id = %image_id, "the database refuses the result of an image, trying again: {cause:#}");
                        return batch;
                    }
                }
                if entry.is_replaced {
                    error!(image.id = %image_id, "the end of an image cannot be recorded, trying again: {cause:#}");
                    return batch;
                }
                error!(image.id = %image_id, "the result of an image cannot be recorded, so it fails: {cause:#}");
                entry.ending.result = AttemptResult::Failed(internal_error());
                entry.is_replaced = true;
            }
        }
    }
}

/// Whether the database would record a failure of this image now, and has room for more. If not, the result is not what it
/// refuses: its disk may be full, or somebody holds a lock.
async fn takes_a_failure(app: &App, entry: &Entry) -> bool {
    let failure = Ending { claim: entry.ending.claim.clone(), result: AttemptResult::Failed(internal_error()) };
    let Ok(mut conn) = db::connect(&app.worker_pool).await else { return false };
    let rehearsed: anyhow::Result<()> = conn
        .transaction(async |conn| {
            record_in(app, conn, &[&failure]).await?;
            conn.batch_execute(FIND_ROOM).await?;
            Err(diesel::result::Error::RollbackTransaction.into())
        })
        .await;
    rehearsed.is_err_and(|error| matches!(error.downcast_ref(), Some(diesel::result::Error::RollbackTransaction)))
}

/// Returns the leases that were still held, or whose output is recorded: the answer to a commit can be lost.
async fn record(app: &App, batch: &[Entry]) -> Result<HashSet<i64>, NotRecorded> {
    let mut conn = db::connect(&app.worker_pool).await.map_err(NotRecorded::Outage)?;
    let endings: Vec<&Ending> = batch.iter().map(|entry| &entry.ending).collect();
    let (held, finished) = conn.transaction(async |conn| record_in(app, conn, &endings).await).await?;
    endings
        .iter()
        .filter(|ending| held.contains(&ending.claim.lease))
        .for_each(|ending| count(&app.metrics, &ending.result));
    for request in finished {
        info!(
            request.id = %request.id, status = %request.status, images = request.total, failed = request.failed,
            input_bytes = request.input_bytes, output_bytes = request.output_bytes, "request finished"
        );
    }
    Ok(held)
}

/// Counts a result that was recorded.
fn count(metrics: &Metrics, result: &AttemptResult) {
    match result {
        AttemptResult::Succeeded(output) => {
            metrics.image_attempt(&output.outcome.as_str().to_lowercase(), "");
            metrics.image_bytes(output.source_bytes, output.output_bytes);
        }
        AttemptResult::Failed(error) => metrics.image_attempt("failed", error.error_code.as_str()),
        AttemptResult::Retry { error, .. } => metrics.image_attempt("retried", error.error_code.as_str()),
        AttemptResult::Postponed { error, .. } => metrics.image_attempt("postponed", error.error_code.as_str()),
        AttemptResult::Canceled => metrics.image_attempt("canceled", ""),
    }
}
