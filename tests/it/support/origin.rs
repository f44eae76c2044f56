//! A real image host on loopback whose every answer is scripted: `http://…/<anything>?…` by path.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::wait::in_time;

/// What the host does with a request.
#[derive(Clone)]
pub enum Answer {
    /// 200 and these bytes.
    Image(Bytes),
    /// A web page.
    Html,
    Status(u16),
    /// This status and `Retry-After` in seconds.
    RetryAfter(u16, u64),
    Redirect(String),
    /// 200 and these bytes after this long.
    Slow(Duration, Bytes),
    /// Begins a body and breaks off.
    Reset,
    /// A body that never ends.
    Endless,
    /// 200 and these bytes under this entity tag; 304 for those who have it.
    Tagged(&'static str, Bytes),
    /// 200 and these bytes once [`Origin::open`] was called.
    Held(Bytes),
    /// These answers one after the other, the last one for good.
    Script(Vec<Answer>),
}

/// A running image host. It ends when it is dropped.
pub struct Origin {
    address: SocketAddr,
    state: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    hits: Mutex<HashMap<String, usize>>,
    not_modified: AtomicUsize,
    traced: AtomicUsize,
    waiting: AtomicUsize,
    arrived: watch::Sender<usize>,
    gate: watch::Sender<bool>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Origin {
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    pub async fn start_at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("listen");
        let address = listener.local_addr().expect("address");
        let state = Arc::new(Shared {
            answers: Mutex::default(),
            hits: Mutex::default(),
            not_modified: AtomicUsize::new(0),
            traced: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            arrived: watch::Sender::new(0),
            gate: watch::Sender::new(false),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let router = Router::new().route("/{*path}", get(counted)).with_state(state.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("serve") });
        Self { address, state, _server: server }
    }

    /// Scripts an answer; returns the URL that gets it.
    pub fn set(&self, path: &str, answer: Answer) -> String {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
        self.url(path)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// How often a path was asked for.
    pub fn hits(&self, path: &str) -> usize {
        self.state.hits.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    /// How many requests were answered with 304.
    pub fn not_modified(&self) -> usize {
        self.state.not_modified.load(Ordering::SeqCst)
    }

    /// How many requests named a trace.
    pub fn traced(&self) -> usize {
        self.state.traced.load(Ordering::SeqCst)
    }

    /// The most requests there were at once since this was last asked.
    pub fn most_at_once(&self) -> usize {
        self.state.most_at_once.swap(0, Ordering::SeqCst)
    }

    /// Returns when this many requests wait for [`Self::open`].
    pub async fn held(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        let held = arrived.wait_for(|arrived| *arrived >= count);
        in_time(&format!("{count} requests to hold"), held).await.expect("the origin runs");
    }

    /// Answers all requests that are held, now and later.
    pub fn open(&self) {
        self.state.gate.send_replace(true);
    }
}

async fn counted(state: State<Arc<Shared>>, path: Path<String>, headers: HeaderMap) -> Response {
    let shared = state.0.clone();
    shared.traced.fetch_add(usize::from(headers.contains_key("traceparent")), Ordering::SeqCst);
    let at_once = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_at_once.fetch_max(at_once, Ordering::SeqCst);
    let response = answer(state, path, &headers).await;
    shared.at_once.fetch_sub(1, Ordering::SeqCst);
    response
}

async fn answer(State(state): State<Arc<Shared>>, Path(path): Path<String>, headers: &HeaderMap) -> Response {
    let hit = {
        let mut hits = state.hits.lock().unwrap();
        let hits = hits.entry(path.clone()).or_default();
        *hits += 1;
        *hits
    };
    let mut answer = state.answers.lock().unwrap().get(&path).cloned().unwrap_or(Answer::Status(404));
    if let Answer::Script(script) = answer {
        answer = script[(hit - 1).min(script.len() - 1)].clone();
    }
    match answer {
        Answer::Image(bytes) => image(bytes),
        Answer::Html => axum::response::Html("<!doctype html><title>Sign in</title>").into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::RetryAfter(status, seconds) => {
            (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, HeaderValue::from(seconds))]).into_response()
        }
        Answer::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Answer::Slow(delay, bytes) => {
            tokio::time::sleep(delay).await;
            image(bytes)
        }
        Answer::Reset => {
            let broken = futures_util::stream::iter([
                Ok(Bytes::from_static(b"\xff\xd8\xff")),
                Err(std::io::Error::other("reset")),
            ]);
            Body::from_stream(broken).into_response()
        }
        Answer::Endless => {
            let chunk = Bytes::from(vec![0xff; 64 * 1024]);
            Body::from_stream(futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone())))
                .into_response()
        }
        Answer::Tagged(tag, _) if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag) => {
            state.not_modified.fetch_add(1, Ordering::SeqCst);
            StatusCode::NOT_MODIFIED.into_response()
        }
        Answer::Tagged(tag, bytes) => ([(header::ETAG, HeaderValue::from_static(tag))], image(bytes)).into_response(),
        Answer::Held(bytes) => {
            let waiting = state.waiting.fetch_add(1, Ordering::SeqCst) + 1;
            state.arrived.send_replace(waiting);
            state.gate.subscribe().wait_for(|open| *open).await.expect("the origin runs");
            image(bytes)
        }
        Answer::Script(_) => unreachable!("scripts do not nest"),
    }
}

fn image(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}
