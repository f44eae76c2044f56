//! Each request has an id, in its answer and in every line that is logged for it, and is counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use super::forwarded::Route;
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
    let trace = request.headers().get("traceparent").and_then(|parent| trace_id(parent.to_str().ok()?));
    // At this level it is there whatever is logged.
    let client = request.extensions().get::<Route>().and_then(|route| route.client);
    let client = client.map(tracing::field::display);
    let span = tracing::error_span!("request", id, client, trace_id = trace);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span).await;
    app.metrics.http_request(&route, known.unwrap_or("other"), response.status().as_u16(), began.elapsed());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The id of the trace that the request belongs to (W3C Trace Context, 3.2).
fn trace_id(parent: &str) -> Option<&str> {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = parent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let has_lengths = [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2];
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    let is_set = |text: &str| text.bytes().any(|byte| byte != b'0');
    let is_valid = has_lengths && is_known && [version, trace, span, flags].into_iter().all(is_hex);
    (is_valid && is_set(trace) && is_set(span)).then_some(trace)
}

/// Whether this may be logged as it is.
fn is_id(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'=' | b'+');
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_over_and_nothing_else() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (parent, known) in [
            (format!("00-{trace}-1112131415161718-01"), true),
            (format!("cc-{trace}-1112131415161718-01-more"), true),
            (format!("00-{trace}-1112131415161718-01-more"), false),
            (format!("ff-{trace}-1112131415161718-01"), false),
            (format!("00-{}-1112131415161718-01", trace.to_uppercase()), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (format!("00-{}-1112131415161718-01", "0".repeat(32)), false),
            (format!("00-{trace}-1112131415161718"), false),
            ("nonsense".to_owned(), false),
        ] {
            assert_eq!(trace_id(&parent), known.then_some(trace), "{parent}");
        }
    }
}
