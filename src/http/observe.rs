//! Each request has an id, in its answer and in every line that is logged for it, and is counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use uuid::Uuid;

use super::forwarded::Route;
use crate::app::App;
use crate::trace::{self, Trace};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over from a proxy or a client.
const MAX_ID_BYTES: usize = 100;

/// Middleware around everything that is served.
pub async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_id(id));
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let method = method.as_str();
    let known = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"].into_iter().find(|known| *known == method);
    let trace: Option<Trace> =
        request.headers().get(trace::HEADER).and_then(|parent| parent.to_str().ok()?.parse().ok());
    let trace_id = trace.map(|trace| format!("{:032x}", trace.trace_id));
    let client = request.extensions().get::<Route>().and_then(|route| route.client);
    let client = client.map(tracing::field::display);
    // At this level it is there whatever is logged.
    let span = tracing::error_span!(
        "request",
        id,
        client,
        trace_id,
        otel.kind = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty
    );
    if trace::is_exported() {
        span.record("otel.kind", "server").record("http.request.method", method).record("http.route", &route);
    }
    let began = Instant::now();
    let mut response = trace::within(trace, span.clone(), next.run(request)).await;
    if trace::is_exported() {
        span.record("http.response.status_code", response.status().as_u16());
    }
    app.metrics.http_request(&route, known.unwrap_or("other"), response.status().as_u16(), began.elapsed());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Whether this may be logged as it is.
fn is_id(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'=' | b'+');
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}
