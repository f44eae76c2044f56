//! What subscribers watch, read once per request and process, however many of them there are.
//!
//! One task follows a request as long as somebody watches it: it reads the row, its progress and the images that ended, and
//! publishes them together. Those who come later, or fell behind, read what they missed for themselves.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use uuid::Uuid;

use super::watching::Answers;
use crate::app::App;
use crate::db;
use crate::db::image::{Image, ImageState};
use crate::db::page::Page;
use crate::db::progress::Progress;
use crate::db::request::{ProcessingRequest, RequestFilter, RequestStatus};
use crate::db::viewer::Viewer;

/// Shortest time between two reads of one request.
const READ_INTERVAL: Duration = Duration::from_millis(50);
/// Shortest time between two reads of the list of requests.
const LIST_INTERVAL: Duration = Duration::from_millis(250);
/// How often is read although nothing said that there was a change.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long watching goes on while the database does not answer, and the pause between two tries.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
const DATABASE_REST: Duration = Duration::from_secs(1);
/// Ended images read at once, and kept for those who have not taken them yet.
const IMAGES_PER_READ: i64 = 256;
const IMAGES_KEPT: usize = 1_024;
/// Requests a console shows: the newest, and all that run.
const NEWEST: i64 = 50;
const MOST_RUNNING: i64 = 1_000;

/// A request at one moment.
pub struct Snapshot {
    pub request: ProcessingRequest,
    pub progress: Progress,
    /// The images that ended last, in the order in which they did: all those with a revision above `images_after`.
    pub images: Vec<Arc<ImageState>>,
    pub images_after: i64,
    /// The request has ended and every image that ended with it is in `images` or came before: no snapshot follows.
    pub is_last: bool,
    /// How many watched when it was made.
    pub watchers: usize,
    /// Cancelled after the last snapshot.
    pub over: CancellationToken,
    pub answers: Answers,
}

/// What is known of something that is watched.
pub enum Seen<T> {
    /// Nothing yet.
    Nothing,
    This(Arc<T>),
    /// It does not exist any more.
    Gone,
    /// The database did not answer for [`DATABASE_PATIENCE`]; nothing more will come.
    Lost(Arc<anyhow::Error>),
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::This(value) => Self::This(value.clone()),
            Self::Gone => Self::Gone,
            Self::Lost(error) => Self::Lost(error.clone()),
        }
    }
}

type Sender<T> = watch::Sender<Seen<T>>;
pub type Receiver<T> = watch::Receiver<Seen<T>>;

/// Everything that is watched in this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Snapshots(Arc<Watched>);

#[derive(Default)]
struct Watched {
    /// Each by who may see it, so that nobody takes what was read for others.
    requests: Mutex<HashMap<(Viewer, Uuid), Sender<Snapshot>>>,
    lists: Mutex<HashMap<Viewer, Sender<Vec<ProcessingRequest>>>>,
    tasks: TaskTracker,
}

impl Snapshots {
    /// Watches a request. The sender goes when the request has ended or is lost, after the last snapshot.
    pub fn request(&self, app: &App, viewer: Viewer, id: Uuid) -> Receiver<Snapshot> {
        let mut requests = lock(&self.0.requests);
        if let Some(sender) = requests.get(&(viewer, id)) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Seen::Nothing);
        requests.insert((viewer, id), sender.clone());
        let (app, watched) = (app.clone(), self.0.clone());
        self.0.tasks.spawn(async move {
            loop {
                let is_over = follow_request(&app, viewer, id, &sender).await;
                let mut requests = lock(&watched.requests);
                // Someone may have come between the last one's leaving and now.
                if is_over || sender.receiver_count() == 0 {
                    requests.remove(&(viewer, id));
                    return;
                }
            }
        });
        receiver
    }

    /// Watches the newest requests and those that run.
    pub fn list(&self, app: &App, viewer: Viewer) -> Receiver<Vec<ProcessingRequest>> {
        let mut lists = lock(&self.0.lists);
        if let Some(sender) = lists.get(&viewer) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Seen::Nothing);
        lists.insert(viewer, sender.clone());
        let (app, watched) = (app.clone(), self.0.clone());
        self.0.tasks.spawn(async move {
            loop {
                let is_over = follow_list(&app, viewer, &sender).await;
                let mut lists = lock(&watched.lists);
                if is_over || sender.receiver_count() == 0 {
                    lists.remove(&viewer);
                    return;
                }
            }
        });
        receiver
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Publishes snapshots until nobody watches (`false`) or there will be no more (`true`).
async fn follow_request(app: &App, viewer: Viewer, id: Uuid, sender: &Sender<Snapshot>) -> bool {
    let mut changed = app.events.request(id);
    let mut images: Vec<Arc<ImageState>> = Vec::new();
    let mut images_after: Option<i64> = None;
    let over = CancellationToken::new();
    let _over = over.clone().drop_guard();
    loop {
        changed.mark_unchanged();
        let read_at = Instant::now();
        let from = images.last().map(|last| last.image.revision).or(images_after);
        let read = tokio::select! {
            () = sender.closed() => return false,
            read = patiently(|| read(app, viewer, id, from)) => read,
        };
        let read = match read {
            Ok(Some(read)) => read,
            Ok(None) => {
                sender.send_replace(Seen::Gone);
                return true;
            }
            Err(error) => {
                sender.send_replace(Seen::Lost(Arc::new(error)));
                return true;
            }
        };
        let (request, progress, ended) = read;
        let has_more = ended.len() as i64 == IMAGES_PER_READ;
        images_after.get_or_insert(request.revision);
        images.extend(ended.into_iter().map(Arc::new));
        if images.len() > IMAGES_KEPT {
            let gone = images.len() - IMAGES_KEPT;
            images_after = images.drain(..gone).next_back().map(|last| last.image.revision);
        }
        let is_last = request.status.is_final() && !has_more;
        let images_after = images_after.unwrap_or(i64::MAX);
        let snapshot = Snapshot {
            request,
            progress,
            images: images.clone(),
            images_after,
            is_last,
            watchers: sender.receiver_count(),
            over: over.clone(),
            answers: Answers::default(),
        };
        sender.send_replace(Seen::This(Arc::new(snapshot)));
        if is_last {
            return true;
        }
        if !has_more {
            tokio::select! {
                () = sender.closed() => return false,
                _ = timeout(POLL_INTERVAL, changed.changed()) => {}
            }
        }
        sleep_until(read_at + READ_INTERVAL).await;
    }
}

/// The request first: when it has ended, no image that is read later can be missing.
async fn read(
    app: &App,
    viewer: Viewer,
    id: Uuid,
    images_after: Option<i64>,
) -> anyhow::Result<Option<(ProcessingRequest, Progress, Vec<ImageState>)>> {
    let mut conn = db::connect(&app.pool).await?;
    let Some(request) = ProcessingRequest::find(&mut conn, viewer, id).await? else { return Ok(None) };
    let Some(progress) = Progress::of(&mut conn, &[id]).await?.pop() else { return Ok(None) };
    let images = match images_after {
        Some(after) => Image::ended_after(&mut conn, id, after, IMAGES_PER_READ).await?,
        None => Vec::new(),
    };
    let progress = progress.seen_with(&request);
    Ok(Some((request, progress, images)))
}

/// As [`follow_request`], for the list of requests, which never ends by itself.
async fn follow_list(app: &App, viewer: Viewer, sender: &Sender<Vec<ProcessingRequest>>) -> bool {
    let mut changed = app.events.any_request();
    let mut running = HashSet::new();
    loop {
        changed.mark_unchanged();
        let read_at = Instant::now();
        let requests = tokio::select! {
            () = sender.closed() => return false,
            requests = patiently(|| list(app, viewer, &running)) => requests,
        };
        let requests = match requests {
            Ok(requests) => requests,
            Err(error) => {
                sender.send_replace(Seen::Lost(Arc::new(error)));
                return true;
            }
        };
        running = requests.iter().filter(|request| !request.status.is_final()).map(|request| request.id).collect();
        sender.send_replace(Seen::This(Arc::new(requests)));
        tokio::select! {
            () = sender.closed() => return false,
            _ = timeout(POLL_INTERVAL, changed.changed()) => {}
        }
        sleep_until(read_at + LIST_INTERVAL).await;
    }
}

/// The newest requests, those that run, and those of `running` that have ended; the oldest first.
async fn list(app: &App, viewer: Viewer, running: &HashSet<Uuid>) -> anyhow::Result<Vec<ProcessingRequest>> {
    let mut conn = db::connect(&app.pool).await?;
    let mut requests: HashMap<Uuid, ProcessingRequest> = HashMap::new();
    let open = Some(vec![RequestStatus::Pending, RequestStatus::Processing]);
    for (statuses, most) in [(None, NEWEST), (open, MOST_RUNNING)] {
        let filter = RequestFilter { statuses, ..RequestFilter::default() };
        let rows = ProcessingRequest::page(&mut conn, viewer, &filter, &Page::first(most)).await?;
        requests.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    let ended: Vec<Uuid> = running.iter().filter(|id| !requests.contains_key(id)).copied().collect();
    if !ended.is_empty() {
        let rows = ProcessingRequest::load(&mut conn, viewer, &ended).await?;
        requests.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    let mut requests: Vec<_> = requests.into_values().collect();
    requests.sort_unstable_by_key(|request| request.id);
    Ok(requests)
}

/// Reads again while the database does not answer: a subscription that ended with an error would look finished.
pub async fn patiently<V, F: Future<Output = anyhow::Result<V>>>(read: impl Fn() -> F) -> anyhow::Result<V> {
    let give_up = Instant::now() + DATABASE_PATIENCE;
    let mut is_first = true;
    loop {
        match read().await {
            Err(error) if Instant::now() < give_up => {
                if std::mem::take(&mut is_first) {
                    warn!("cannot read what subscribers watch, trying again: {error:#}");
                }
                sleep(DATABASE_REST).await;
            }
            done => return done,
        }
    }
}
