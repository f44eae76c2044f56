//! The messages of `graphql-transport-ws`, and the codes it closes with.

use async_graphql::ServerError;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromClient {
    ConnectionInit {
        #[serde(default)]
        payload: Json,
    },
    Subscribe {
        id: String,
        payload: Json,
    },
    Complete {
        id: String,
    },
    Ping {
        #[serde(default)]
        payload: Json,
    },
    Pong {},
}

/// What we say.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToClient<'a> {
    ConnectionAck,
    /// Nothing was executed; the operation is over.
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
    Pong {
        #[serde(skip_serializing_if = "Json::is_null")]
        payload: &'a Json,
    },
}

/// `next`, around an answer that is JSON already.
pub(super) fn next(id: &str, payload: &str) -> String {
    format!(r#"{{"type":"next","id":{},"payload":{payload}}}"#, Json::from(id))
}

/// Why a socket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// We close it, with a code and a reason.
    Close(u16, String),
    /// The peer closed it.
    ByPeer,
    /// The peer is gone, or does not read: nothing more can be sent.
    Lost,
}

/// The longest reason a close frame can carry, by RFC 6455, 5.5.
const REASON_BYTES: usize = 123;

impl End {
    fn because(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let fits = |end: &usize| reason.is_char_boundary(*end);
        let end = (0..=REASON_BYTES.min(reason.len())).rev().find(fits);
        reason.truncate(end.unwrap_or(0));
        Self::Close(code, reason)
    }

    pub(super) fn going_away() -> Self {
        Self::because(1001, "The server is shutting down")
    }
    pub(super) fn too_big(limit: usize) -> Self {
        Self::because(1009, format!("Messages may have at most {limit} bytes"))
    }
    pub(super) fn internal() -> Self {
        Self::because(1011, "Internal server error")
    }
    pub(super) fn bad_message(reason: impl Into<String>) -> Self {
        Self::because(4400, reason)
    }
    pub(super) fn unauthorized() -> Self {
        Self::because(4401, "Unauthorized")
    }
    pub(super) fn forbidden(reason: impl Into<String>) -> Self {
        Self::because(4403, reason)
    }
    pub(super) fn wrong_protocol() -> Self {
        Self::because(4406, "Subprotocol not acceptable")
    }
    pub(super) fn init_timeout() -> Self {
        Self::because(4408, "Connection initialisation timeout")
    }
    pub(super) fn duplicate(id: &str) -> Self {
        Self::because(4409, format!("Subscriber for {id} already exists"))
    }
    pub(super) fn initialised_twice() -> Self {
        Self::because(4429, "Too many initialisation requests")
    }
}
