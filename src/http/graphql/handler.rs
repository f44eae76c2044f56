//! Answers one HTTP request to the endpoint, from its headers to its last byte.

use std::sync::Arc;

use async_graphql::{Executor, Request, Response as Answer, parser::types::OperationType};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    accept::Accept,
    answer,
    body::{self, Patience},
    caller::Credentials,
    multipart,
    options::EndpointOptions,
    request, shared, stream, websocket,
};
use crate::access::Caller;
use crate::http::refusal::Refusal;

pub(super) async fn handle<E: Executor>(
    State((executor, options)): State<(E, Arc<EndpointOptions>)>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return websocket::upgrade(executor, options, parts).await;
    }
    let accept = match Accept::of(&parts.headers) {
        Ok(accept) => accept,
        Err(error) => {
            body::drain_and_refuse(body, &parts.headers).await;
            return error.into_response();
        }
    };
    match answer(&executor, &options, &parts, body, accept).await {
        Ok(response) => response,
        Err(error) => error.respond(accept.media()),
    }
}

async fn answer<E: Executor>(
    executor: &E,
    options: &Arc<EndpointOptions>,
    parts: &Parts,
    body: Body,
    accept: Accept,
) -> Result<Response, Refusal> {
    let by_get = parts.method == Method::GET;
    let (content, caller) = match admit(options, parts).await {
        Ok(admitted) => admitted,
        Err(error) => {
            body::drain_and_refuse(body, &parts.headers).await;
            return Err(error);
        }
    };
    let taken = if matches!(content, Content::Multipart { .. }) { caller.quota.upload() } else { Ok(()) };
    if let Err(exceeded) = taken {
        body::drain_and_refuse(body, &parts.headers).await;
        return Err(Refusal::rate_limited(exceeded));
    }
    let prepare = |request: Request| request::prepare(request, &caller, options);
    let prepared = match content {
        Content::Query => prepare(request::from_query(parts.uri.query().unwrap_or_default())?),
        Content::Json => {
            let bytes = body::read(body, options.query.body_bytes, Patience::of(&options.upload)).await?;
            prepare(request::from_bytes(&bytes)?)
        }
        Content::Multipart { boundary } => multipart::read(body, boundary, &parts.headers, &caller, options).await?,
    };
    match prepared {
        Ok((_, OperationType::Mutation)) if by_get => {
            let error = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Send mutations by POST.");
            let mut response = error.respond(accept.media());
            let headers = response.headers_mut();
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            Ok(response)
        }
        Ok((request, kind)) => run(executor, options, request, kind, &caller, accept).await,
        // A stream reports a refused document as an event: browsers hide the body of a refusal.
        Err(refusal) => {
            let answer = Answer::from_errors(vec![refusal.into()]);
            Ok(match accept.single() {
                Some(media) => answer::respond(&answer, media),
                None => stream::respond_once(&answer::rendered(answer), accept.form()),
            })
        }
    }
}

/// What can be decided before the body is read.
async fn admit(options: &EndpointOptions, parts: &Parts) -> Result<(Content, Caller), Refusal> {
    let content = match parts.method {
        Method::GET => Content::Query,
        Method::POST => Content::of(&parts.headers)?,
        _ => {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "Send queries by POST or GET, everything else by POST.",
            ));
        }
    };
    if matches!(content, Content::Multipart { .. }) {
        multipart::check_preflight(&parts.headers)?;
    }
    let caller = options.authenticate.ask(Credentials::of(parts)).await?;
    Ok((content, caller))
}

async fn run<E: Executor>(
    executor: &E,
    options: &Arc<EndpointOptions>,
    mut request: Request,
    kind: OperationType,
    caller: &Caller,
    accept: Accept,
) -> Result<Response, Refusal> {
    let subscription = kind == OperationType::Subscription;
    if subscription && !accept.takes_streams() {
        return Err(Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "STREAM_NOT_ACCEPTED",
            "Subscribe with `Accept: text/event-stream` or `multipart/mixed;subscriptionSpec=1.0`, or over a WebSocket.",
        ));
    }
    let place = match subscription {
        true => caller.quota.subscribe().map_err(Refusal::rate_limited)?,
        false => None,
    };
    match accept.single().filter(|_| !subscription) {
        Some(media) => Ok(answer::respond(&answer::once(executor, request, kind).await, media)),
        None => {
            let answers = shared::answers(executor, &mut request, caller, options)
                .unwrap_or_else(|| answer::all(executor, request, kind));
            let answers = answer::holding(answers, place);
            Ok(stream::respond(answers, accept.form(), caller, options))
        }
    }
}

/// Where the request is.
enum Content {
    Query,
    Json,
    Multipart { boundary: String },
}

impl Content {
    /// # Errors
    /// 415 for every other form, so that no form another site can send is read as JSON.
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let refuse = || {
            Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "Send `Content-Type: application/json` in UTF-8, or multipart/form-data for files.",
            )
        };
        let value = headers.get(header::CONTENT_TYPE).ok_or_else(refuse)?;
        let value = value.to_str().map_err(|_| refuse())?;
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if name.eq_ignore_ascii_case("multipart/form-data") {
            let boundary = multer::parse_boundary(value).map_err(|_| {
                Refusal::bad_request("The Content-Type of the multipart request has no valid boundary.")
            })?;
            return Ok(Content::Multipart { boundary });
        }
        let utf8 = parts.all(|parameter| match parameter.split_once('=') {
            Some((key, value)) if key.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        });
        if name.eq_ignore_ascii_case("application/json") && utf8 {
            return Ok(Content::Json);
        }
        Err(refuse())
    }
}
