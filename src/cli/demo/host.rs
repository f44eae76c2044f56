//! The host that the sample catalogue's images come from, and its habits: it also moves, is busy, and shows web pages.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use include_dir::{Dir, include_dir};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The catalogue and its photos; `demo/README.md` says where they come from.
static DEMO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/demo");
/// The origins that the catalogue names: in place of the first the demo's own host is put, in place of the second one where
/// nobody listens.
const PLACEHOLDER: &str = "http://demo.invalid";
const CLOSED_PLACEHOLDER: &str = "http://closed.invalid";

/// The running host. It ends when this is dropped.
pub struct Host {
    /// The catalogue, with addresses that work.
    pub catalogue: String,
    _server: JoinSet<std::io::Result<()>>,
}

#[derive(Clone)]
struct Habits {
    /// How long each photo takes.
    pace: Duration,
    /// The photos for which it was busy once.
    asked: Arc<Mutex<HashSet<String>>>,
}

impl Host {
    /// Starts the host on a free port of loopback.
    pub async fn start(pace: Duration) -> anyhow::Result<Self> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(loopback).await.context("listen for the photos")?;
        let origin = format!("http://{}", listener.local_addr()?);
        // Bound and dropped: nobody listens there now.
        let closed = format!("http://{}", TcpListener::bind(loopback).await?.local_addr()?);
        let catalogue =
            DEMO.get_file("catalogue.csv").and_then(|file| file.contents_utf8()).context("read the catalogue")?;
        let catalogue = catalogue.replace(PLACEHOLDER, &origin).replace(CLOSED_PLACEHOLDER, &closed);
        let routes = Router::new()
            .route("/photos/{name}", get(photo))
            .route("/moved/{name}", get(moved))
            .route("/busy/{name}", get(busy))
            .route("/pages/{name}", get(page))
            .with_state(Habits { pace, asked: Arc::default() });
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { catalogue, _server: server })
    }
}

async fn photo(State(habits): State<Habits>, Path(name): Path<String>) -> Response {
    let Some(file) = DEMO.get_file(format!("photos/{name}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    tokio::time::sleep(habits.pace).await;
    let content_type = match name.rsplit('.').next() {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        _ => "image/jpeg",
    };
    ([(header::CONTENT_TYPE, content_type)], file.contents()).into_response()
}

/// An old address of a photo.
async fn moved(Path(name): Path<String>) -> Redirect {
    Redirect::permanent(&format!("/photos/{name}"))
}

/// A photo that is only there at the second call.
async fn busy(State(habits): State<Habits>, Path(name): Path<String>) -> Response {
    if habits.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    photo(State(habits), Path(name)).await
}

/// The page of a photo instead of the photo.
async fn page(Path(name): Path<String>) -> Html<String> {
    let shown = name.replace(|character: char| !character.is_ascii_alphanumeric(), " ");
    Html(format!("<!doctype html><title>{shown}</title><p>Sign in to see this photo.</p>"))
}
