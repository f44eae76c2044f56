//! The transaction that records how images end.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Context as _;
use uuid::Uuid;

use super::{AttemptResult, Ending};
use crate::app::App;
use crate::db::Connection;
use crate::db::ending::{self, Error, ImageEnd, Output};
use crate::db::image::ImageStatus;
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::events;
use crate::pipeline::notify;
use crate::queue::Claim;
use crate::queue::jobs::{self, Requeue};
use crate::queue::pauses;

/// Records these endings. The requests are locked first, in one order for everyone. Claims that were lost are left out, by
/// lease: a worker that was given up may have claimed an image again before its first attempt ended. Returns the leases that
/// still held, or whose output is recorded, and the requests that have ended.
pub(super) async fn record_in(
    app: &App,
    conn: &mut Connection,
    endings: &[&Ending],
) -> anyhow::Result<(HashSet<i64>, Vec<ProcessingRequest>)> {
    let request_ids: BTreeSet<Uuid> = endings.iter().map(|ending| ending.claim.group_id).collect();
    let request_ids: Vec<Uuid> = request_ids.into_iter().collect();
    let requests: HashMap<Uuid, ProcessingRequest> = ProcessingRequest::lock(conn, Viewer::Operator, &request_ids)
        .await?
        .into_iter()
        .map(|request| (request.id, request))
        .collect();

    let mut ended = Vec::new();
    let mut requeued = Vec::new();
    for Ending { claim, result } in endings {
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
    let unheld: Vec<(i64, (Uuid, &str))> = endings
        .iter()
        .filter(|ending| !held.contains(&ending.claim.lease))
        .filter_map(|Ending { claim, result }| match result {
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
pub(in crate::pipeline) async fn finish_requests(
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
