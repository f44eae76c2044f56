//! Runs one operation and puts its answers on the wire.
//! A resolver that panics is an `INTERNAL` error of that operation and nothing else.

use std::{borrow::Cow, collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{
    ErrorExtensionValues, Executor, Request, Response as Answer, ServerError, Value, parser::types::OperationType,
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    graphql::admission::{TOO_COMPLEX, VALIDATION_FAILED},
    graphql::error::{FORBIDDEN, RATE_LIMITED, UNAVAILABLE},
    graphql::watching::Rendered,
    http::{
        media::Media,
        refusal::{INTERNAL, RETRY_AFTER, Refusal},
    },
};

/// An answer as clients read it: `data` is there exactly when execution began.
#[derive(Serialize)]
pub(super) struct Wire<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, Value>,
}

impl<'a> From<&'a Answer> for Wire<'a> {
    fn from(answer: &'a Answer) -> Self {
        Self {
            errors: &answer.errors,
            data: (!is_request_error(answer)).then_some(&answer.data),
            extensions: &answer.extensions,
        }
    }
}

/// Whether the answer only says why nothing was executed. Errors of execution have a path.
pub(super) fn is_request_error(answer: &Answer) -> bool {
    answer.data == Value::Null && !answer.errors.is_empty() && answer.errors.iter().all(|error| error.path.is_empty())
}

/// Longest answer, in bytes of JSON without the escapes of its strings.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Longest a query runs. A mutation runs to its end: half of one would be worse than a late answer.
const QUERY_TIME: Duration = Duration::from_secs(30);

/// The answer to a query or mutation.
pub(super) async fn once<E: Executor>(executor: &E, request: Request, kind: OperationType) -> Answer {
    let run = AssertUnwindSafe(executor.execute(request)).catch_unwind();
    let ran = match kind {
        OperationType::Query => match timeout(QUERY_TIME, run).await {
            Ok(ran) => ran,
            Err(_) => {
                let message = "The query took too long; request less, or try again later.";
                return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "QUERY_TIMEOUT", message).into();
            }
        },
        _ => run.await,
    };
    ran.map_or_else(|_| panicked(), finished)
}

/// The answers of an operation, as they are sent.
pub(super) type Answers = BoxStream<'static, Arc<Rendered>>;

/// The answers to any operation: one for a query or mutation, as they come for a subscription.
pub(super) fn all<E: Executor>(executor: &E, request: Request, kind: OperationType) -> Answers {
    if kind == OperationType::Subscription {
        let answers = executor.execute_stream(request, None);
        return AssertUnwindSafe(answers)
            .catch_unwind()
            .map(|answer| rendered(answer.map_or_else(|_| panicked(), finished)))
            .boxed();
    }
    let executor = executor.clone();
    stream::once(async move { rendered(once(&executor, request, kind).await) }).boxed()
}

/// The same answers, which hold something until they have ended.
pub(super) fn holding(answers: Answers, held: impl Send + 'static) -> Answers {
    answers
        .inspect(move |_| {
            let _held = &held;
        })
        .boxed()
}

/// Made once, also if many are sent it.
pub(super) fn rendered(answer: Answer) -> Arc<Rendered> {
    if is_request_error(&answer) {
        return Arc::new(Rendered::Refused(answer.errors));
    }
    match serde_json::to_string(&Wire::from(&answer)) {
        Ok(json) => Arc::new(Rendered::Executed(json)),
        Err(_) => rendered(Refusal::internal().into()),
    }
}

/// The whole of it: `{"data": …}`, or `{"errors": …}` if nothing was executed.
pub(super) fn json(answer: &Rendered) -> Cow<'_, str> {
    match answer {
        Rendered::Executed(json) => json.into(),
        Rendered::Refused(errors) => json!({ "errors": errors }).to_string().into(),
    }
}

/// The answer over HTTP.
pub(super) fn respond(answer: &Answer, media: Media) -> Response {
    let status = match (is_request_error(answer), media) {
        _ if has_code(answer, UNAVAILABLE) || has_code(answer, "QUERY_TIMEOUT") => StatusCode::SERVICE_UNAVAILABLE,
        _ if retry_after(answer).is_some() => StatusCode::TOO_MANY_REQUESTS,
        (true, _) if has_code(answer, INTERNAL) => StatusCode::INTERNAL_SERVER_ERROR,
        (true, _) if has_code(answer, FORBIDDEN) => StatusCode::FORBIDDEN,
        (true, Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let Ok(body) = serde_json::to_vec(&Wire::from(answer)) else {
        return Refusal::internal().respond(media);
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    } else if let Some(seconds) = retry_after(answer) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// How soon the caller's key may do again what it may not now, in seconds.
fn retry_after(answer: &Answer) -> Option<u64> {
    let limited = Value::from(RATE_LIMITED);
    let extensions = answer.errors.iter().filter_map(|error| error.extensions.as_ref());
    let mut limited = extensions.filter(|extensions| extensions.get("code") == Some(&limited));
    match limited.next()?.get("retryAfter")? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    }
}

pub(super) fn panicked() -> Answer {
    tracing::error!("a resolver panicked; its operation was answered with INTERNAL");
    Refusal::internal().into()
}

fn has_code(answer: &Answer, code: &str) -> bool {
    let code = Value::from(code);
    answer.errors.iter().any(|error| {
        let extensions = error.extensions.as_ref();
        extensions.and_then(|extensions| extensions.get("code")) == Some(&code)
    })
}

/// The most reasons for refusing one document; the schema may find one in each of its tokens.
const MAX_REASONS: usize = 50;

/// The answer as it is sent: with a code for each of the schema's own refusals, and within the limit of its size.
fn finished(mut answer: Answer) -> Answer {
    let mut room = MAX_ANSWER_BYTES;
    if !fits(&answer.data, &mut room) {
        let message = format!("The response is larger than {} MiB; request less at once.", MAX_ANSWER_BYTES >> 20);
        return Refusal::too_large("ANSWER_TOO_LARGE", message).into();
    }
    for error in &mut answer.errors {
        let what = error.message.strip_suffix(", Oneof input objects requires have exactly one field");
        if let Some(place) = what.and_then(|what| what.strip_prefix("Invalid value for argument ")) {
            error.message = format!("Give exactly one of the fields of {place}, and not null.");
        }
    }
    if is_request_error(&answer) {
        answer.errors.truncate(MAX_REASONS);
        for error in &mut answer.errors {
            // The sentences with which the schema's limits refuse; it gives them no other mark.
            let code = match error.message.as_str() {
                "Query is too complex." | "Query is nested too deep." => TOO_COMPLEX,
                _ => VALIDATION_FAILED,
            };
            let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
            if extensions.get("code").is_none() {
                extensions.set("code", code);
            }
        }
    }
    for error in &mut answer.errors {
        // The library's own complaints about a value that only a resolver sees.
        let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
        if extensions.get("code").is_none() {
            extensions.set("code", "BAD_USER_INPUT");
        }
    }
    answer
}

/// Whether the value's JSON fits into `room`, which shrinks by it. Escapes count as the characters they stand for.
fn fits(value: &Value, room: &mut usize) -> bool {
    let (own, inner) = match value {
        Value::String(text) => (text.len() + 3, true),
        Value::List(items) => (2, items.iter().all(|item| fits(item, room))),
        Value::Object(fields) => {
            (2, fields.iter().all(|(name, field)| take(room, name.len() + 4) && fits(field, room)))
        }
        _ => (8, true),
    };
    inner && take(room, own)
}

fn take(room: &mut usize, bytes: usize) -> bool {
    let left = room.checked_sub(bytes);
    *room = left.unwrap_or(0);
    left.is_some()
}
