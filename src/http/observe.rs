//! Each request has an id, in its answer and in every line that is logged for it, and is counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::App;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over from a proxy or a client.
const MAX_ID_BYTES: usize = 100;

/// Middleware around everything that is served.
pub async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_id(id));
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().as_str();
    let known = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"].into_iter().find(|known| *known == method);
    // At this level it is there whatever is logged.
    let span = tracing::error_span!("request", id);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span).await;
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
