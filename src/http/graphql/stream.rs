//! Answers as a stream, in one of two forms: Server-Sent Events as in GraphQL over SSE, "distinct connections mode",
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, or the parts of a `multipart/mixed` body,
//! <https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>.
//! A stream that ends without its last word was cut off, by shutdown or by a reader that stalled.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    answer::{self, Answers},
    options::{EndpointOptions, StreamLimits},
};
use crate::access::Caller;
use crate::graphql::watching::Rendered;

/// What a stream may still take to hand over its last event once shutdown began.
const GRACE: Duration = Duration::from_secs(1);

/// How answers are put into a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-Sent Events.
    Events,
    /// Parts of `multipart/mixed`. The boundary follows a part at once: a reader takes it for complete only then.
    Parts,
}

impl Form {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Parts => "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0",
        })
    }

    /// What is sent at once: the client learns that the stream is open.
    fn opening(self) -> &'static [u8] {
        match self {
            Self::Events => b":\n\n",
            Self::Parts => b"\r\n--graphql",
        }
    }

    /// What says that the stream is still there.
    fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::Events => b":\n\n",
            Self::Parts => b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql",
        }
    }

    /// What says that nothing more will come.
    fn last_word(self) -> &'static [u8] {
        match self {
            // Browsers ignore an event without a `data` field.
            Self::Events => b"event: complete\ndata:\n\n",
            Self::Parts => b"--\r\n",
        }
    }

    fn next(self, answer: &Rendered) -> Bytes {
        let (before, after) = match self {
            Self::Events => ("event: next\ndata: ", "\n\n"),
            Self::Parts => ("\r\ncontent-type: application/json\r\n\r\n{\"payload\":", "}\r\n--graphql"),
        };
        // JSON has no line breaks of its own.
        [before, &answer::json(answer), after].concat().into()
    }
}

/// Streams the answers until they end, the client leaves or stalls, its key ends, or the server shuts down.
///
/// A task of its own drives them, so that a client that stops reading cannot hold the subscription:
/// the connection's task would not be polled again.
pub(super) fn respond(answers: Answers, form: Form, caller: &Caller, options: &EndpointOptions) -> Response {
    let (events, outlet) = mpsc::channel(1);
    let pump = pump(answers, form, events, caller.clone(), options.shutdown.clone(), options.stream);
    options.tasks.spawn(pump.in_current_span());
    let outlet = stream::unfold(outlet, |mut outlet| async move {
        let event = outlet.recv().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(event), outlet))
    });
    with_headers(Body::from_stream(outlet), form)
}

/// One answer that is known already.
pub(super) fn respond_once(answer: &Rendered, form: Form) -> Response {
    let body = [form.opening(), &form.next(answer), form.last_word()].concat();
    with_headers(Body::from(body), form)
}

async fn pump(
    mut answers: Answers,
    form: Form,
    events: mpsc::Sender<Bytes>,
    caller: Caller,
    shutdown: CancellationToken,
    limits: StreamLimits,
) {
    if events.send(Bytes::from_static(form.opening())).await.is_err() {
        return;
    }
    let mut idle = interval_at(Instant::now() + limits.keep_alive, limits.keep_alive);
    idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut ends = false;
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            () = caller.ended() => return,
            () = events.closed() => return,
            answer = answers.next() => match answer {
                Some(answer) => form.next(&answer),
                None => {
                    ends = true;
                    Bytes::from_static(form.last_word())
                }
            },
            _ = idle.tick() => Bytes::from_static(form.heartbeat()),
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

fn with_headers(body: Body, form: Form) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, form.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies of the nginx family hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
