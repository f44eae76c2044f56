//! One image: fetch, compress, store, record. Safe to run twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, info, warn};

use super::assign::{Assigned, Assigner};
use super::failure::{Failure, Next, internal_error};
use super::output::{describe, directory, is_before, key, name};
use super::pace::{Pace, Step};
use super::reuse::{InTurn, Known, Recipe};
use super::settle::{AttemptResult, EndingRecorder};
use crate::app::App;
use crate::db;
use crate::db::ending::Output;
use crate::db::image::{Assignment, ImageErrorCode, ImageOutcome};
use crate::db::request::ProcessingRequest;
use crate::db::reuse;
use crate::events;
use crate::metrics::Stage;
use crate::queue::risk::RiskLog;
use crate::queue::{Claim, Job, Limits, Outcome};
use crate::store::PutError;
use crate::trace;
use halftone_compress::{self as compress, Format, Settings};

/// An image that crashed a process this often, alone, is not tried again.
const MAX_CRASHES: i32 = 2;
/// How long after its first try an image can be put off without an attempt being counted.
const MAX_POSTPONED: Duration = Duration::from_secs(24 * 3600);
/// Longest wait before another attempt, unless the host asked for more.
const MAX_BACKOFF: Duration = Duration::from_secs(24 * 3600);
/// Factor between the waits before two attempts.
const BACKOFF: u32 = 3;
/// Images held for each that may be downloading: the others wait for a core, are stored or recorded meanwhile, or are
/// ready so that no download place stays empty.
const JOBS_PER_DOWNLOAD: usize = 2;
/// Images held of a host, for each that may be downloading from it.
const JOBS_PER_HOST_DOWNLOAD: usize = 2;
/// How long an output that is being stored may still take once the process is to stop.
const STORE_GRACE: Duration = Duration::from_secs(5);
/// How long the removal of what earlier attempts stored may delay a result. What is left is removed with the request.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The job that brings one image to its end.
pub struct ProcessImage {
    app: App,
    assigner: Assigner,
    recorder: EndingRecorder,
    pace: Pace,
    risk: RiskLog,
    in_turn: InTurn,
}

impl ProcessImage {
    /// How many images are held at most.
    pub fn most_held(app: &App) -> usize {
        JOBS_PER_DOWNLOAD * app.config.workers.downloads
    }

    /// The job with its share of the machine: as many cores and as much memory as the configuration gives.
    pub fn new(app: App, assigner: Assigner, recorder: EndingRecorder, risk: RiskLog) -> Self {
        Self {
            pace: Pace::new(app.config.workers.compressions, Self::most_held(&app)),
            risk,
            in_turn: InTurn::default(),
            app,
            assigner,
            recorder,
        }
    }
}

impl Job for ProcessImage {
    const KIND: &'static str = "process_image";

    fn limits(&self) -> Limits {
        let jobs = self.pace.limit();
        // However many a host takes at once, it leaves places for others.
        let places = Self::most_held(&self.app);
        let most = places - places / 8;
        let of_window = |window: usize| (JOBS_PER_HOST_DOWNLOAD * window).min(most);
        let hosts = self.app.fetcher.windows().into_iter().map(|(host, window)| (host, of_window(window)));
        Limits { jobs, per_host: of_window(self.app.fetcher.first_window()), hosts: HashMap::from_iter(hosts) }
    }

    async fn run(&self, claim: Claim, stop: CancellationToken) -> anyhow::Result<Outcome> {
        let _held = self.pace.enter(Step::Held);
        let attempt = self.recorder.begin();
        let Some(Assigned { assignment, of_url }) = self.assigner.ask(claim.id).await? else {
            return Ok(Outcome::Gone);
        };
        if assignment.paused && !assignment.cancel_requested {
            return Ok(Outcome::GivenBack);
        }
        if !assignment.started {
            let mut conn = db::connect(&self.app.worker_pool).await?;
            if ProcessingRequest::mark_processing(&mut conn, assignment.request_id).await? {
                events::announce_request(&mut conn, assignment.request_id).await?;
            }
        }

        // Given up once the output is recorded, so that the next one finds it.
        let mut turn = None;
        let result = if assignment.cancel_requested {
            AttemptResult::Canceled
        } else if claim.attempts >= i32::try_from(self.app.config.fetching.max_attempts).unwrap_or(i32::MAX) {
            // Its last attempt ended without a word, by a fault of this program.
            AttemptResult::Failed(internal_error())
        } else if claim.crashes >= MAX_CRASHES {
            let message = "Processing crashed several times on this image, so it will not be tried again.";
            AttemptResult::Failed(Failure::new(ImageErrorCode::WorkerCrashed, message.to_owned()).error)
        } else {
            let parent = assignment.traceparent.as_ref().and_then(|parent| parent.parse().ok());
            let span = if trace::is_exported() {
                tracing::error_span!("image", id = %assignment.image_id)
            } else {
                Span::none()
            };
            let processing = self.process(&assignment, of_url, &claim, &stop, &mut turn);
            match trace::within(parent, span, processing).await? {
                Some(Ok(output)) => AttemptResult::Succeeded(Box::new(output)),
                Some(Err(failure)) => self.after(&claim, failure),
                None => return Ok(Outcome::GivenBack),
            }
        };
        let directory = directory(&assignment);
        let key = match &result {
            AttemptResult::Succeeded(output) => Some(output.output_key.clone()),
            _ => None,
        };
        // What an earlier run stored is none of this attempt's.
        let key = key.filter(|key| key.starts_with(&format!("{directory}/")));
        // Before the result is recorded: a process that dies in between leaves the job to one that removes the rest.
        if claim.is_reclaimed {
            let removing = self.app.store.remove_parts(&directory, is_before(claim.lease));
            let removed = tokio::time::timeout(REMOVE_TIMEOUT, removing).await.map_err(anyhow::Error::from);
            if let Err(error) = removed.flatten() {
                warn!(image.id = %assignment.image_id, "cannot remove what an earlier attempt stored: {error:#}");
            }
        }
        let began = Instant::now();
        let is_held = attempt.record(claim, result).await?;
        drop(turn);
        self.app.metrics.image_stage(Stage::Settle, began.elapsed());
        if !is_held {
            if let Some(key) = key
                && let Err(error) = self.app.store.remove(&key).await
            {
                warn!(image.id = %assignment.image_id, "cannot remove a discarded output: {error:#}");
            }
            info!(image.id = %assignment.image_id, "another worker has this image now; the result of this one is discarded");
        }
        Ok(Outcome::Recorded)
    }
}

impl ProcessImage {
    /// Fetches, compresses and stores the image; `None` when told to stop before its compression began.
    ///
    /// # Errors
    /// A fault of this process.
    async fn process(
        &self,
        assignment: &Assignment,
        of_url: Option<serde_json::Value>,
        claim: &Claim,
        stop: &CancellationToken,
        turn: &mut Option<OwnedMutexGuard<()>>,
    ) -> anyhow::Result<Option<Result<Output, Failure>>> {
        let image_id = assignment.image_id;
        let settings: Settings = match serde_json::from_value(assignment.settings.clone()) {
            Ok(settings) => settings,
            Err(error) => return Ok(Some(Err(Failure::internal(image_id, &error.into())))),
        };
        let former: Option<Output> = match assignment.former.clone().map(serde_json::from_value).transpose() {
            Ok(former) => former,
            Err(error) => return Ok(Some(Err(Failure::internal(image_id, &error.into())))),
        };
        // That of other bytes than it had: an address gives the same bytes or none.
        let number = former.as_ref().map_or(0, |former| former.output_number).max(assignment.expired_outputs) + 1;
        let recipe = Recipe::new(assignment.tenant_id, &settings)?;
        let url_key = recipe.url_key(&assignment.input_url);
        let reuses = !self.app.config.workers.no_reuse;
        // What serves if the source has not changed.
        let mut known = match former.clone() {
            _ if assignment.is_fresh => None,
            Some(output) => Some(Known { output, is_own: true }),
            None => Known::of_other(of_url)?,
        };
        let fetched = loop {
            let validators = known.as_ref().and_then(Known::validators);
            let fetching = async {
                let _at = self.pace.enter(Step::Downloading);
                let _at_risk = self.risk.enter(image_id);
                let began = Instant::now();
                let fetched = self.app.fetcher.get_if_changed(&assignment.input_url, validators.as_ref()).await;
                if matches!(fetched, Ok(Some(_))) {
                    self.pace.downloaded(began.elapsed());
                    self.app.metrics.image_stage(Stage::Fetch, began.elapsed());
                }
                fetched
            };
            let Some(fetched) = stop.run_until_cancelled(fetching).await else { return Ok(None) };
            match fetched {
                Ok(Some(fetched)) => break fetched,
                Ok(None) => {
                    let known =
                        known.take().context("a host was not asked whether an image has changed, and said so")?;
                    if let Some(output) = self.take_over(known, number, assignment, claim).await {
                        return Ok(Some(Ok(Output { download_avoided: true, ..output })));
                    }
                }
                Err(error) if error.is_own_fault() => return Err(error).context("download an image"),
                Err(error) => {
                    debug!(image.id = %image_id, "cannot fetch: {error:#}");
                    return Ok(Some(Err(Failure::of_fetch(&error))));
                }
            }
        };
        let validators = fetched.validators.as_ref().map(serde_json::to_value).transpose()?;
        let limits = self.app.config.compress;
        // Looking into a hostile file can take a while, so it is not done on the runtime's own threads.
        let (bytes, asked) = (fetched.bytes.clone(), settings.clone());
        let examined = spawn_blocking(move || {
            (hex::encode(Sha256::digest(&bytes)), compress::memory_needed(&bytes, &asked, &limits))
        });
        let (source_sha256, needed) = match examined.await.context("examine an image") {
            Ok(examined) => examined,
            Err(error) => return Ok(Some(Err(Failure::internal(image_id, &error)))),
        };
        let content_key = recipe.content_key(&source_sha256);
        // What is to be said of this download is none of another's business.
        let is_plain = fetched.warnings.is_empty();
        known = known.filter(|known| known.output.source_sha256 == source_sha256);
        if known.is_none() && reuses && !assignment.is_fresh {
            let Some(entered) = stop.run_until_cancelled(self.in_turn.enter(content_key)).await else {
                return Ok(None);
            };
            let mut conn = db::connect(&self.app.worker_pool).await?;
            known = Known::of_other(reuse::by_content(&mut conn, content_key).await?)?;
            // Only who has to compress it keeps the others waiting.
            *turn = known.is_none().then_some(entered);
        }
        if let Some(known) = known
            && let Some(mut output) = self.take_over(known, number, assignment, claim).await
        {
            for warning in fetched.warnings {
                if !output.warnings.contains(&warning) {
                    output.warnings.push(warning);
                }
            }
            if output.outcome == ImageOutcome::Reused {
                output.url_key = Some(url_key);
            }
            let content_key = output.content_key.filter(|_| is_plain);
            return Ok(Some(Ok(Output { validators, content_key, download_avoided: false, ..output })));
        }
        let needed = match needed {
            Ok(needed) => needed,
            Err(error) => return Ok(Some(Err(Failure::of_compress(&error)))),
        };
        // Memory before a core: an image that waits for memory must not keep one from working.
        let admitted = async {
            let _at = self.pace.enter(Step::WaitingForCore);
            let memory = self.app.decode_memory.reserve(needed).await;
            (memory, self.app.cores.clone().acquire_owned().await)
        };
        let Some((mut memory, core)) = stop.run_until_cancelled(admitted).await else { return Ok(None) };

        let risk = self.risk.clone();
        let began = Instant::now();
        let compressed = spawn_blocking(move || {
            let _core = core;
            let _at_risk = risk.enter(image_id);
            let source = fetched.bytes.clone();
            let compressed = compress::compress(&source, &settings, &limits);
            compressed.map(|mut compressed| {
                compressed.warnings.extend_from_slice(&fetched.warnings);
                let format = compressed.output.format;
                let (output, bytes) = describe(&source, source_sha256, compressed);
                (output, bytes, format, fetched)
            })
        });
        let (output, bytes, format, fetched) = match compressed.await.context("compress") {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Ok(Some(Err(Failure::of_compress(&error)))),
            Err(error) => return Ok(Some(Err(Failure::internal(image_id, &error)))),
        };
        self.pace.compressed(began.elapsed());
        self.app.metrics.image_stage(Stage::Compress, began.elapsed());
        // Until it is stored, an output counts against the memory that it was made in, and a source that is kept against
        // that for downloads.
        memory.shrink(bytes.len() as u64);
        let source = (output.outcome == ImageOutcome::KeptOriginal).then_some(fetched);
        let name = name(&assignment.input_url, format);
        let content_key = Some(content_key).filter(|_| is_plain && reuses);
        let url_key = Some(url_key).filter(|_| reuses);
        let output = Output { validators, content_key, url_key, ..output };
        // The address of an output is that of its bytes.
        let same = former.filter(|former| {
            former.output_sha256 == output.output_sha256 && former.output_key.rsplit('/').next() == Some(&name)
        });
        // When everything is to be done again, they are stored again too: the object may be what was lost.
        let is_stored = same.is_some() && !assignment.is_fresh;
        let (output_key, output_number) = match same {
            Some(former) => (former.output_key, former.output_number),
            None => (key(assignment, claim.lease, &name), number),
        };
        let output = Output { output_key, output_number, ..output };
        if is_stored {
            return Ok(Some(Ok(output)));
        }
        let began = Instant::now();
        let putting = self.app.store.put(&output.output_key, format.content_type(), bytes);
        let stopping = async {
            stop.cancelled().await;
            tokio::time::sleep(STORE_GRACE).await;
        };
        let stored = tokio::select! {
            stored = putting => stored,
            // Whoever has it next removes what may have come of it.
            () = stopping => return Ok(None),
        };
        self.app.metrics.image_stage(Stage::Store, began.elapsed());
        drop((source, memory));
        match stored {
            Ok(()) => Ok(Some(Ok(output))),
            Err(PutError::Name(error)) => {
                warn!(image.id = %image_id, "cannot store an output: {error:#}");
                let message = "The compressed image could not be stored under its name.".to_owned();
                let mut failure = Failure::new(ImageErrorCode::StorageFailure, message);
                failure.next = Next::Nothing;
                Ok(Some(Err(failure)))
            }
            Err(PutError::Store(error)) => Err(error),
        }
    }

    /// Makes a known output that of this image: its own one as it is, another image's under a key of its own and with this
    /// number. `None` when that cannot be had.
    async fn take_over(
        &self,
        known: Known,
        output_number: i32,
        assignment: &Assignment,
        claim: &Claim,
    ) -> Option<Output> {
        if known.is_own {
            return Some(Output { outcome: ImageOutcome::Unchanged, ..known.output });
        }
        let format = Format::from_name(&known.output.output_format)?;
        let output_key = key(assignment, claim.lease, &name(&assignment.input_url, format));
        match self.app.store.copy(&known.output.output_key, &output_key).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                debug!(image.id = %assignment.image_id, "an output cannot be reused: {error:#}");
                return None;
            }
        }
        Some(Output { outcome: ImageOutcome::Reused, output_key, output_number, ..known.output })
    }

    /// What a failure means: another attempt, if it may pass and there is one left.
    fn after(&self, claim: &Claim, failure: Failure) -> AttemptResult {
        let made = u32::try_from(claim.attempts).unwrap_or(0) + 1;
        let delay = self.app.config.fetching.retry_delay;
        // A little later than the host said: others were told the same.
        let asked = |asked: Duration| asked + delay.mul_f64(rand::random_range(0.0..0.25));
        match failure.next {
            // A host that never lets an image through must not keep its request from ending.
            Next::Postpone { not_before } if claim.tried_for() < MAX_POSTPONED => {
                AttemptResult::Postponed { after: not_before.map_or(delay, asked), error: failure.error }
            }
            Next::Postpone { not_before } | Next::Retry { not_before }
                if made < self.app.config.fetching.max_attempts =>
            {
                let backoff = delay.saturating_mul(BACKOFF.saturating_pow(made - 1)).min(MAX_BACKOFF);
                let backoff = backoff.mul_f64(rand::random_range(0.75..1.25));
                // The host's wish lengthens the wait and never shortens it.
                let after = not_before.map_or(backoff, |not_before| backoff.max(asked(not_before)));
                AttemptResult::Retry { after, error: failure.error }
            }
            Next::Postpone { .. } | Next::Retry { .. } | Next::Nothing => AttemptResult::Failed(failure.error),
        }
    }
}
