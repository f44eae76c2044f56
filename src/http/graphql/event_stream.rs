//! Answers as Server-Sent Events: GraphQL over SSE, "distinct connections mode",
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>.
//! A stream that ends without `complete` was cut off, by shutdown or by a reader that stalled.

use std::time::Duration;

use async_graphql::Response as Answer;
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::Wire,
    options::{EndpointOptions, StreamLimits},
};

/// What a stream may still take to hand over its last event once shutdown began.
const GRACE: Duration = Duration::from_secs(1);
const COMMENT: &[u8] = b":\n\n";
// Browsers ignore an event without a `data` field.
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// Streams the answers until they end, the client leaves or stalls, or the server shuts down.
///
/// A task of its own drives them, so that a client that stops reading cannot hold the subscription:
/// the connection's task would not be polled again.
pub(super) fn respond(answers: BoxStream<'static, Answer>, options: &EndpointOptions) -> Response {
    let (events, outlet) = mpsc::channel(1);
    options.tasks.spawn(pump(answers, events, options.shutdown.clone(), options.stream));
    let outlet = stream::unfold(outlet, |mut outlet| async move {
        let event = outlet.recv().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(event), outlet))
    });
    with_headers(Body::from_stream(outlet))
}

/// One answer that is known already.
pub(super) fn respond_once(answer: Answer) -> Response {
    let mut events = next(&answer);
    events.extend_from_slice(COMPLETE);
    with_headers(Body::from(events))
}

async fn pump(
    mut answers: BoxStream<'static, Answer>,
    events: mpsc::Sender<Bytes>,
    shutdown: CancellationToken,
    limits: StreamLimits,
) {
    // The first comment goes at once: the client learns that the stream is open.
    let mut idle = interval_at(Instant::now(), limits.keep_alive);
    idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut ends = false;
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            () = events.closed() => return,
            answer = answers.next() => match answer {
                Some(answer) => Bytes::from(next(&answer)),
                None => {
                    ends = true;
                    Bytes::from_static(COMPLETE)
                }
            },
            _ = idle.tick() => Bytes::from_static(COMMENT),
        };
        let sent = tokio::select! {
            sent = timeout(limits.send, events.send(event)) => matches!(sent, Ok(Ok(()))),
            () = async { shutdown.cancelled().await; sleep(GRACE).await } => false,
        };
        if !sent || ends {
            return;
        }
    }
}

fn next(answer: &Answer) -> Vec<u8> {
    let mut event = b"event: next\ndata: ".to_vec();
    // An answer is made of values that all have a JSON form; JSON has no line breaks of its own.
    if serde_json::to_writer(&mut event, &Wire::from(answer)).is_err() {
        tracing::error!("an answer could not be written as JSON");
    }
    event.extend_from_slice(b"\n\n");
    event
}

fn with_headers(body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies of the nginx family hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
