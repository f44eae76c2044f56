//! GraphQL at `/graphql`: one address for POST, GET, uploads, event streams and WebSockets.
//! Nothing changes state by GET or by a form another site can send; every refusal is a GraphQL answer
//! with a code; whatever arrives is bounded before memory is spent on it.

// In the order a request meets them: the rules, what the client takes and sends, how answers go out, and what joins them.
mod caller;
mod options;

mod body;
mod multipart;
mod request;

mod accept;
mod answer;
mod shared;
mod stream;
mod websocket;

mod handler;

use std::{any::Any, sync::Arc};

use async_graphql::Executor;
use axum::{
    Router, middleware,
    response::{IntoResponse, Response},
    routing::any,
};
use tower_http::catch_panic::CatchPanicLayer;

pub use caller::{Authenticate, Credentials};
pub use options::{EndpointOptions, StreamLimits, UploadLimits};

use super::{origins, refusal::Refusal};

/// The routes of the GraphQL endpoint: `/graphql`, for `executor`, by the rules of `options`.
pub fn routes<E: Executor>(executor: E, options: EndpointOptions) -> Router {
    let policy = options.origins.clone();
    let cors = policy.cors();
    let routes = Router::new()
        .route("/graphql", any(handler::handle::<E>))
        .with_state((executor, Arc::new(options)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(policy, origins::check));
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request to the GraphQL endpoint panicked; it was answered with INTERNAL");
    Refusal::internal().into_response()
}

#[cfg(test)]
mod tests;
