//! GraphQL over a WebSocket, subprotocol `graphql-transport-ws`,
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.
//! A socket holds one message out and one message in, whatever its peer does.

mod message;
mod session;

use std::sync::Arc;

use async_graphql::Executor;
use axum::{
    extract::{FromRequestParts, ws::WebSocketUpgrade},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};

use tracing::Instrument as _;

use super::{caller::Credentials, options::EndpointOptions};
use crate::http::refusal::Refusal;
use session::Session;

const PROTOCOL: &str = "graphql-transport-ws";

/// Tungstenite keeps this much for reading, 128 KiB unless told otherwise; messages may be longer.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Accepts the socket and serves it until it ends.
///
/// A client that does not offer our subprotocol is accepted too, and closed with 4406: a refused
/// handshake would only tell it that something failed, and make it try again.
pub(super) async fn upgrade<E: Executor>(executor: E, options: Arc<EndpointOptions>, mut parts: Parts) -> Response {
    let credentials = Credentials::of(&parts);
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.protocols([PROTOCOL]),
        Err(rejection) => {
            let status = match rejection.into_response().status() {
                status if status.is_client_error() => status,
                _ => StatusCode::BAD_REQUEST,
            };
            let message = "The request is not a WebSocket handshake.";
            return Refusal::new(status, "BAD_HANDSHAKE", message).into_response();
        }
    };
    let speaks_ours = upgrade.selected_protocol().is_some();
    // Counted from here on, so that a shutdown does not overlook a socket between its two halves.
    let counted = options.tasks.token();
    let Ok(place) = options.sockets.clone().try_acquire_owned() else {
        return Refusal::unavailable("The server has reached its limit of open WebSockets; try again later.")
            .into_response();
    };
    let span = tracing::Span::current();
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(options.stream.message_bytes)
        .max_frame_size(options.stream.message_bytes)
        .on_upgrade(move |socket| {
            let session = async move {
                Session::new(socket, executor, options).serve(credentials, speaks_ours).await;
                drop((counted, place));
            };
            session.instrument(span)
        })
}
