//! How images end. Results of attempts are gathered and recorded together: up to a batch of them, or whatever came within
//! a fraction of a second, in one transaction that ends the images and their jobs, moves the requests' counters and, when the
//! last image of a request ends, ends the request and stores its webhook.
//!
//! While the database is away, results wait for it. A result that the database refuses is tried alone, so that it delays
//! no other, and in the end recorded as a failure: not before the database would have taken one each time.

use std::collections::{BTreeSet, HashMap, HashSet};
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
use uuid::Uuid;

use super::failure::internal_error;
use super::notify;
use crate::app::App;
use crate::db::ending::{self, Error, ImageEnd, Output};
use crate::db::image::ImageStatus;
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::db::{self, Connection};
use crate::events;
use crate::metrics::Metrics;
use crate::queue::Claim;
use crate::queue::jobs::{self, Requeue};
use crate::queue::pauses;

/// Results recorded by one transaction at most.
const BATCH: usize = 64;
/// How long the first result of a batch waits for others, until which part of all attempts is in it: for all at first, then
/// for a quarter. A host that gives few images at a time must not wait for their records.
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

struct Entry {
    claim: Claim,
    result: AttemptResult,
    /// How long it waits for its next try, should the database not take it.
    delay: Duration,
    /// How often the database refused it and would have taken a failure.
    refusals: u32,
    /// Whether the result is a failure in the place of one that the database did not take.
    is_replaced: bool,
    recorded: oneshot::Sender<anyhow::Result<bool>>,
    _in_hand: InHand,
}

impl Entry {
    fn new(
        claim: Claim,
        result: AttemptResult,
        recorded: oneshot::Sender<anyhow::Result<bool>>,
        in_hand: InHand,
    ) -> Self {
        let delay = REFUSED_DELAY.0;
        Self { claim, result, delay, refusals: 0, is_replaced: false, recorded, _in_hand: in_hand }
    }
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
        let entry = Entry::new(claim, result, recorded, self.in_hand);
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
                    let is_held = held.contains(&entry.claim.lease);
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
                let image_id = entry.claim.id;
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
                entry.result = AttemptResult::Failed(internal_error());
                entry.is_replaced = true;
            }
        }
    }
}

/// Whether the database would record a failure of this image now, and has room for more. If not, it is not to be said that it
/// refused the result: it may be full, or somebody holds a lock.
async fn takes_a_failure(app: &App, entry: &Entry) -> bool {
    let (recorded, _) = oneshot::channel();
    let failed = AttemptResult::Failed(internal_error());
    let failure = Entry::new(entry.claim.clone(), failed, recorded, InHand::new(&entry._in_hand.0));
    let Ok(mut conn) = db::connect(&app.worker_pool).await else { return false };
    let rehearsed: anyhow::Result<()> = conn
        .transaction(async |conn| {
            record_in(app, conn, &[failure]).await?;
            conn.batch_execute(FIND_ROOM).await?;
            Err(diesel::result::Error::RollbackTransaction.into())
        })
        .await;
    rehearsed.is_err_and(|error| matches!(error.downcast_ref(), Some(diesel::result::Error::RollbackTransaction)))
}

/// Returns the leases that were still held, or whose output is recorded: the answer to a commit can be lost.
async fn record(app: &App, batch: &[Entry]) -> Result<HashSet<i64>, NotRecorded> {
    let mut conn = db::connect(&app.worker_pool).await.map_err(NotRecorded::Outage)?;
    let (held, finished) = conn.transaction(async |conn| record_in(app, conn, batch).await).await?;
    batch.iter().filter(|entry| held.contains(&entry.claim.lease)).for_each(|entry| count(&app.metrics, &entry.result));
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

/// One transaction's worth. The requests are locked first, in one order for everyone; a claim that was lost is left out. That
/// goes by lease: a worker that was given up may have claimed an image again before its first attempt ended.
async fn record_in(
    app: &App,
    conn: &mut Connection,
    batch: &[Entry],
) -> anyhow::Result<(HashSet<i64>, Vec<ProcessingRequest>)> {
    let request_ids: BTreeSet<Uuid> = batch.iter().map(|entry| entry.claim.group_id).collect();
    let request_ids: Vec<Uuid> = request_ids.into_iter().collect();
    let requests: HashMap<Uuid, ProcessingRequest> = ProcessingRequest::lock(conn, Viewer::Operator, &request_ids)
        .await?
        .into_iter()
        .map(|request| (request.id, request))
        .collect();

    let mut ended = Vec::new();
    let mut requeued = Vec::new();
    for Entry { claim, result, .. } in batch {
        let canceled = requests.get(&claim.group_id).is_none_or(|request| request.cancel_requested_at.is_some());
        match result {
            AttemptResult::Retry { .. } | AttemptResult::Postponed { .. } if canceled => {
                ended.push((claim, FinalState::canceled()));
            }
            AttemptResult::Retry { after, error } | AttemptResult::Postponed { after, error } => {
                let is_attempt = matches!(result, AttemptResult::Retry { .. });
                let reason = serde_json::to_string(error).context("write why an image is tried again")?;
                requeued.push(Requeue { claim, after: *after, is_attempt, reason: Some(reason.into()) });
            }
            AttemptResult::Succeeded(output) => ended.push((claim, FinalState::succeeded(output))),
            AttemptResult::Failed(error) => ended.push((claim, FinalState::failed(error))),
            AttemptResult::Canceled => ended.push((claim, FinalState::canceled())),
        }
    }
    let mut held: HashSet<i64> = HashSet::new();
    if !requeued.is_empty() {
        held.extend(jobs::requeue(conn, &requeued).await?);
        let changed: BTreeSet<Uuid> = requeued.iter().map(|requeue| requeue.claim.group_id).collect();
        ending::bump_revisions(conn, &Vec::from_iter(changed)).await?;
    }
    if !ended.is_empty() {
        let claims: Vec<Claim> = ended.iter().map(|(claim, _)| (*claim).clone()).collect();
        held.extend(jobs::finish(conn, &claims).await?);
        ended.retain(|(claim, _)| held.contains(&claim.lease));
        let ends: Vec<ImageEnd> = ended.into_iter().map(|(claim, end)| end.of(claim)).collect();
        ending::images(conn, &ends).await?;
    }
    let unheld: Vec<(i64, (Uuid, &str))> = batch
        .iter()
        .filter(|entry| !held.contains(&entry.claim.lease))
        .filter_map(|Entry { claim, result, .. }| match result {
            AttemptResult::Succeeded(output) => Some((claim.lease, (claim.id, &*output.output_key))),
            _ => None,
        })
        .collect();
    if !unheld.is_empty() {
        let outputs: Vec<(Uuid, &str)> = unheld.iter().map(|(_, output)| *output).collect();
        let recorded = ending::recorded(conn, &outputs).await?;
        let kept = unheld.iter().filter(|(_, (_, key))| recorded.iter().any(|recorded| recorded == key));
        held.extend(kept.map(|(lease, _)| lease));
    }
    let finished = finish_requests(app, conn, &request_ids).await?;
    Ok((held, finished))
}

/// Ends those of these requests that are complete, stores their webhooks, and wakes everyone who watches any of them.
/// The caller holds their locks.
pub(super) async fn finish_requests(
    app: &App,
    conn: &mut Connection,
    request_ids: &[Uuid],
) -> anyhow::Result<Vec<ProcessingRequest>> {
    let finished = ending::finish_requests(conn, request_ids).await?;
    let finished = ProcessingRequest::load(conn, Viewer::Operator, &finished).await?;
    for request in &finished {
        notify::enqueue(app, conn, request).await?;
        pauses::resume(conn, &[request.id]).await?;
    }
    for id in request_ids {
        events::announce_request(conn, *id).await?;
    }
    Ok(finished)
}

/// How an image ends for good.
struct FinalState {
    status: ImageStatus,
    /// Whether the attempt counts.
    attempted: bool,
    output: Option<Output>,
    error: Option<Error>,
}

impl FinalState {
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

    fn of(self, claim: &Claim) -> ImageEnd {
        ImageEnd {
            id: claim.id,
            request_id: claim.group_id,
            status: self.status,
            attempt_count: claim.attempts + i32::from(self.attempted),
            output: self.output,
            error: self.error,
        }
    }
}
