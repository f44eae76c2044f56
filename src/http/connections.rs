//! The connections of a listener: how many there are, what each of them waits for, and which has to go.
//!
//! While a request is worked on or an answer is made, the client waits for us. All the rest of the time we wait for the client:
//! for the encryption to begin, for the next request's head, for an answer to be taken. That has an end.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Between two looks for a place.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Of all connections the part that goes at once: those that come would wait too long for one after the other.
const LET_GO: usize = 20;
/// A client that has been silent for less is left alone also when there is no place for others.
const SHORTLY: Duration = Duration::from_secs(1);

/// All connections of a listener. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    most: usize,
    places: Arc<Semaphore>,
    open: Arc<Mutex<HashMap<u64, Arc<Activity>>>>,
}

impl Connections {
    pub fn new(most: usize) -> Self {
        Self { most, places: Arc::new(Semaphore::new(most)), open: Arc::default() }
    }

    /// A place for a connection. While there is none, those clients have to go that have been silent longest.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        let mut acquiring = std::pin::pin!(self.places.clone().acquire_owned());
        loop {
            // Never closed, so there always is a place some time.
            if let Ok(Ok(place)) = timeout(LOOK_INTERVAL, &mut acquiring).await {
                return place;
            }
            self.let_longest_silent_go(self.most.div_ceil(LET_GO));
        }
    }

    /// Notes a connection that has just been accepted.
    pub fn enter(&self, place: OwnedSemaphorePermit) -> Entered {
        let activity = Arc::new(Activity::default());
        let mut open = lock(&self.open);
        // Numbers that are in use are not far below.
        let mut number = open.len() as u64;
        while open.contains_key(&number) {
            number += 1;
        }
        open.insert(number, activity.clone());
        Entered { activity, open: self.open.clone(), number, _place: place }
    }

    /// Lets those go who leave us waiting for longer than `patience`, until it is dropped.
    pub async fn watch(self, patience: Duration) {
        let mut ticks = interval((patience / 10).clamp(Duration::from_millis(1), Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for activity in lock(&self.open).values() {
                if activity.waiting_for().is_some_and(|waiting| waiting > patience) {
                    activity.gone.cancel();
                }
            }
        }
    }

    /// Lets all go that have no request in hand.
    pub fn let_silent_go(&self) {
        let open = lock(&self.open);
        open.values().filter(|activity| activity.silent_for().is_some()).for_each(|activity| activity.gone.cancel());
    }

    fn let_longest_silent_go(&self, count: usize) {
        let open = lock(&self.open);
        let remaining = open.values().filter(|activity| !activity.gone.is_cancelled());
        let silent = remaining.filter_map(|activity| Some((activity.silent_for()?, activity)));
        let mut silent: Vec<_> = silent.filter(|(silent, _)| *silent > SHORTLY).collect();
        silent.sort_unstable_by_key(|(silent, _)| Reverse(*silent));
        silent.iter().take(count).for_each(|(_, activity)| activity.gone.cancel());
    }
}

/// What a connection is doing.
pub struct Activity {
    state: Mutex<State>,
    gone: CancellationToken,
}

struct State {
    /// Requests that have no whole answer yet.
    requests: usize,
    /// Those of them with which it is our turn.
    ours: usize,
    /// Since when it has been the client's turn alone.
    waiting_since: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        let state = State { requests: 0, ours: 0, waiting_since: Instant::now() };
        Self { state: Mutex::new(state), gone: CancellationToken::new() }
    }
}

impl Activity {
    /// Returns when the connection has to go.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// How long we have been waiting for the client.
    fn waiting_for(&self) -> Option<Duration> {
        let state = lock(&self.state);
        (state.ours == 0).then(|| state.waiting_since.elapsed())
    }

    /// The same, if there is no request at all.
    fn silent_for(&self) -> Option<Duration> {
        let state = lock(&self.state);
        (state.requests == 0).then(|| state.waiting_since.elapsed())
    }
}

/// A connection that is open, with its place. It leaves when it is dropped.
pub struct Entered {
    activity: Arc<Activity>,
    open: Arc<Mutex<HashMap<u64, Arc<Activity>>>>,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Entered {
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.number);
    }
}

/// A request from the end of its head to the end of its answer.
pub struct InHand {
    activity: Arc<Activity>,
    is_ours: bool,
}

impl InHand {
    pub fn begin(activity: Arc<Activity>) -> Self {
        {
            let mut state = lock(&activity.state);
            state.requests += 1;
            state.ours += 1;
        }
        Self { activity, is_ours: true }
    }

    /// The answer's body, which notes when the client has to take a piece of it.
    pub fn answering(mut self, body: Body) -> Body {
        self.set_ours(false);
        Body::new(Answer { body, in_hand: self })
    }

    fn set_ours(&mut self, is_ours: bool) {
        let mut state = lock(&self.activity.state);
        match (self.is_ours, is_ours) {
            (false, true) => state.ours += 1,
            (true, false) => {
                state.ours -= 1;
                state.waiting_since = Instant::now();
            }
            _ => {}
        }
        self.is_ours = is_ours;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.set_ours(false);
        lock(&self.activity.state).requests -= 1;
    }
}

/// The library asks for the next piece when the client has taken those before, up to what is buffered on the way.
struct Answer {
    body: Body,
    in_hand: InHand,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.in_hand.set_ours(true);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.in_hand.set_ours(false);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
