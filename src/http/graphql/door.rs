//! The door's settings: limits, who may come in, and how it is shut. Cheap to clone.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use async_graphql::Data;
use axum::http::{HeaderMap, header};
use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::error::DoorError;
use crate::{graphql::guard::QueryLimits, http::site::Site};

/// What the GraphQL endpoint allows, and the signal that ends its streams.
#[derive(Clone)]
pub struct Door {
    pub query: QueryLimits,
    pub upload: UploadLimits,
    pub stream: StreamLimits,
    /// Which names and pages may call.
    pub site: Site,
    /// Who may call; asked once for a request or a socket. Everyone unless set.
    pub admit: Admit,
    /// When cancelled, sockets close with 1001 and event streams end, each after the message in hand.
    pub shutdown: CancellationToken,
    /// Every socket and event stream; close it and wait on it after cancelling `shutdown`.
    pub tasks: TaskTracker,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            query: QueryLimits::default(),
            upload: UploadLimits::default(),
            stream: StreamLimits::default(),
            site: Site::default(),
            admit: Admit::everyone(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

/// What a multipart request may bring.
#[derive(Debug, Clone)]
pub struct UploadLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files in one request.
    pub files: usize,
    /// Longest wait for the next piece of any body.
    pub idle: Duration,
    /// Longest wait for the whole of any body.
    pub total: Duration,
    /// Where files are kept while they arrive; `None`: the system's temporary directory. They have no
    /// name there and vanish with the process.
    pub directory: Option<PathBuf>,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 50 * 1024 * 1024,
            files: 1,
            idle: Duration::from_secs(30),
            total: Duration::from_secs(15 * 60),
            directory: None,
        }
    }
}

/// What a WebSocket or an event stream may take.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// From the opening of a socket to its accepted `connection_init`.
    pub init: Duration,
    /// Operations running at once on one socket.
    pub operations: usize,
    /// Bytes of one message from the client.
    pub message_bytes: usize,
    /// Longest wait for the client to take one message; then it is cut off.
    pub send: Duration,
    /// Between two pings of a socket. A peer that lets one interval pass in silence is dropped.
    pub ping: Duration,
    /// Between two comments on an idle event stream, so that proxies keep it open.
    pub keep_alive: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            init: Duration::from_secs(10),
            operations: 50,
            message_bytes: 256 * 1024,
            send: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// What a caller shows: the token of `Authorization: Bearer <token>`, which a WebSocket may send as
/// the member `authorization` of its `connection_init` payload instead.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub bearer: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.bearer.as_ref().map(|_| "(secret)");
        f.debug_struct("Credentials").field("bearer", &shown).finish()
    }
}

impl Credentials {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(header::AUTHORIZATION);
        Self::parse(value.and_then(|value| value.to_str().ok()))
    }

    /// From the payload of `connection_init`, else from the headers of the upgrade.
    pub(super) fn of_init(payload: &serde_json::Value, headers: &Self) -> Self {
        let named = payload.as_object().into_iter().flatten();
        let value =
            named.filter(|(key, _)| key.eq_ignore_ascii_case("authorization")).find_map(|(_, value)| value.as_str());
        match value {
            Some(value) => Self::parse(Some(value)),
            None => headers.clone(),
        }
    }

    fn parse(value: Option<&str>) -> Self {
        let bearer = value.and_then(|value| {
            let (scheme, token) = value.trim().split_once(' ')?;
            (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim().to_owned())
        });
        Self { bearer }
    }
}

/// Decides who may call.
#[derive(Clone)]
pub struct Admit(Arc<Decide>);

type Decide = dyn Fn(Credentials) -> BoxFuture<'static, Result<Pass, DoorError>> + Send + Sync;

impl Admit {
    /// No questions asked.
    pub fn everyone() -> Self {
        Self::by(|_| async { Ok(Pass::blank()) })
    }

    /// Ask `decide`; its error is what the caller gets (a socket is closed with 4403).
    pub fn by<F, R>(decide: F) -> Self
    where
        F: Fn(Credentials) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Pass, DoorError>> + Send + 'static,
    {
        Self(Arc::new(move |credentials| decide(credentials).boxed()))
    }

    pub(super) async fn ask(&self, credentials: Credentials) -> Result<Pass, DoorError> {
        (self.0)(credentials).await
    }
}

/// Someone who may come in, and what resolvers learn about them.
#[derive(Clone)]
pub struct Pass(Option<Arc<Stamp>>);

type Stamp = dyn Fn(&mut Data) + Send + Sync;

impl Pass {
    /// Resolvers learn nothing.
    pub fn blank() -> Self {
        Self(None)
    }

    /// Resolvers find `caller` by its type: `ctx.data::<T>()`.
    pub fn of<T: Clone + Send + Sync + 'static>(caller: T) -> Self {
        Self(Some(Arc::new(move |data| data.insert(caller.clone()))))
    }

    pub(super) fn stamp(&self, data: &mut Data) {
        if let Some(stamp) = &self.0 {
            stamp(data);
        }
    }
}
