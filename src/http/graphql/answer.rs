//! Runs one operation and puts its answers on the wire.
//! A resolver that panics is an `INTERNAL` error of that operation and nothing else.

use std::{collections::BTreeMap, panic::AssertUnwindSafe};

use async_graphql::{
    ErrorExtensionValues, Executor, Request, Response as Answer, ServerError, Value, parser::types::OperationType,
};
use async_graphql_axum::GraphQLResponse;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;

use crate::{
    graphql::admission::{TOO_COMPLEX, VALIDATION_FAILED},
    http::{
        media::Media,
        refusal::{INTERNAL, Refusal},
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

/// The answer to a query or mutation.
pub(super) async fn once<E: Executor>(executor: &E, request: Request) -> Answer {
    match AssertUnwindSafe(executor.execute(request)).catch_unwind().await {
        Ok(answer) => coded(answer),
        Err(_) => panicked(),
    }
}

/// The answers to any operation: one for a query or mutation, as they come for a subscription.
pub(super) fn all<E: Executor>(executor: &E, request: Request, kind: OperationType) -> BoxStream<'static, Answer> {
    if kind == OperationType::Subscription {
        let answers = executor.execute_stream(request, None);
        return AssertUnwindSafe(answers)
            .catch_unwind()
            .map(|answer| answer.map_or_else(|_| panicked(), coded))
            .boxed();
    }
    let executor = executor.clone();
    stream::once(async move { once(&executor, request).await }).boxed()
}

/// The answer over HTTP.
pub(super) fn respond(answer: Answer, media: Media) -> Response {
    let status = match (is_request_error(&answer), media) {
        (true, _) if has_code(&answer, INTERNAL) => StatusCode::INTERNAL_SERVER_ERROR,
        (true, Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let mut response = if is_request_error(&answer) {
        // The stock answer would hold `"data": null`, as if execution had begun.
        match serde_json::to_vec(&Wire::from(&answer)) {
            Ok(body) => body.into_response(),
            Err(_) => return Refusal::internal().respond(media),
        }
    } else {
        GraphQLResponse::from(answer).into_response()
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn panicked() -> Answer {
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

/// Gives the schema's own refusals, which have no code, one.
fn coded(mut answer: Answer) -> Answer {
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
    answer
}
