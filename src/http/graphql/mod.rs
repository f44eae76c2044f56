//! GraphQL at `/graphql`: one address for POST, GET, uploads, event streams and WebSockets.
//! Nothing changes state by GET or by a form another site can send; every refusal is a GraphQL answer
//! with a code; whatever arrives is bounded before memory is spent on it.

// In the order a request meets them: the rules, what the client takes and sends, how answers go out.
mod door;
mod error;

mod accept;
mod body;
mod multipart;
mod request;

mod answer;
mod event_stream;
mod websocket;

use std::any::Any;

use async_graphql::{Executor, Request, Response as Answer, parser::types::OperationType};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware,
    response::{IntoResponse, Response},
    routing::any,
};
use tower_http::catch_panic::CatchPanicLayer;

pub use door::{Admit, Credentials, Door, Pass, StreamLimits, UploadLimits};
pub use error::DoorError;

use super::site;
use accept::Accept;
use body::Patience;

/// The routes of the GraphQL endpoint: `/graphql`, for `executor`, by the rules of `door`.
pub fn routes<E: Executor>(executor: E, door: Door) -> Router {
    let site = door.site.clone();
    let cors = site.cors();
    let routes = Router::new()
        .route("/graphql", any(enter::<E>))
        .with_state((executor, door))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(site, site::check));
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request to the GraphQL endpoint panicked; it was answered with INTERNAL");
    DoorError::internal().into_response()
}

async fn enter<E: Executor>(State((executor, door)): State<(E, Door)>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return websocket::upgrade(executor, door, parts).await;
    }
    let accept = match Accept::of(&parts.headers) {
        Ok(accept) => accept,
        Err(error) => {
            body::turn_away(body, &parts.headers).await;
            return error.into_response();
        }
    };
    match answer(&executor, &door, &parts, body, accept).await {
        Ok(response) => response,
        Err(error) => error.respond(accept.media()),
    }
}

async fn answer<E: Executor>(
    executor: &E,
    door: &Door,
    parts: &Parts,
    body: Body,
    accept: Accept,
) -> Result<Response, DoorError> {
    let by_get = parts.method == Method::GET;
    let (content, pass) = match admit(door, parts).await {
        Ok(admitted) => admitted,
        Err(error) => {
            body::turn_away(body, &parts.headers).await;
            return Err(error);
        }
    };
    let prepare = |request: Request| request::prepare(request, &pass, door);
    let prepared = match content {
        Content::Query => prepare(request::from_query(parts.uri.query().unwrap_or_default())?),
        Content::Json => {
            let bytes = body::read(body, door.query.body_bytes, Patience::of(&door.upload)).await?;
            prepare(request::from_bytes(&bytes)?)
        }
        Content::Multipart { boundary } => multipart::read(body, boundary, &parts.headers, &pass, door).await?,
    };
    match prepared {
        Ok((_, OperationType::Mutation)) if by_get => {
            let error = DoorError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Mutations go by POST.");
            let mut response = error.respond(accept.media());
            let headers = response.headers_mut();
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            Ok(response)
        }
        Ok((request, kind)) => run(executor, door, request, kind, accept).await,
        // An event stream reports a refused document as an event: browsers hide the body of a refusal.
        Err(refusal) => {
            let answer = Answer::from_errors(vec![refusal.into()]);
            Ok(match accept.single() {
                Some(media) => answer::respond(answer, media),
                None => event_stream::respond_once(answer),
            })
        }
    }
}

/// What can be decided before the body is read.
async fn admit(door: &Door, parts: &Parts) -> Result<(Content, Pass), DoorError> {
    let content = match parts.method {
        Method::GET => Content::Query,
        Method::POST => Content::of(&parts.headers)?,
        _ => {
            return Err(DoorError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "Send queries by POST or GET, everything else by POST.",
            ));
        }
    };
    if matches!(content, Content::Multipart { .. }) {
        multipart::check_preflight(&parts.headers)?;
    }
    let pass = door.admit.ask(Credentials::of(&parts.headers)).await?;
    Ok((content, pass))
}

async fn run<E: Executor>(
    executor: &E,
    door: &Door,
    request: Request,
    kind: OperationType,
    accept: Accept,
) -> Result<Response, DoorError> {
    let subscription = kind == OperationType::Subscription;
    if subscription && !accept.takes_streams() {
        return Err(DoorError::new(
            StatusCode::NOT_ACCEPTABLE,
            "STREAM_NOT_ACCEPTED",
            "Subscribe with `Accept: text/event-stream`, or over a WebSocket.",
        ));
    }
    match accept.single().filter(|_| !subscription) {
        Some(media) => Ok(answer::respond(answer::once(executor, request).await, media)),
        None => Ok(event_stream::respond(answer::all(executor, request, kind), door)),
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
    fn of(headers: &HeaderMap) -> Result<Self, DoorError> {
        let refuse = || {
            DoorError::new(
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
            let boundary = multer::parse_boundary(value)
                .map_err(|_| DoorError::bad_request("The multipart body names no boundary."))?;
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

#[cfg(test)]
mod tests;
