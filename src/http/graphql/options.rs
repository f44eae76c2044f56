//! The settings of the GraphQL endpoint: its limits, who may call, and the signal that ends its streams. Cheap to clone.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::caller::Authenticate;
use crate::{
    graphql::{admission::QueryLimits, watching::Watching},
    http::origins::OriginPolicy,
};

/// What the GraphQL endpoint allows, and the signal that ends its streams.
#[derive(Clone)]
pub struct EndpointOptions {
    pub query: QueryLimits,
    pub upload: UploadLimits,
    pub stream: StreamLimits,
    /// Which host names it answers to, and which web pages may call it.
    pub origins: OriginPolicy,
    /// Who may call; asked once per request or socket. Everyone unless set.
    pub authenticate: Authenticate,
    /// Where the snapshots of requests come from that many subscribers share; without it each reads its own.
    pub watching: Option<Watching>,
    /// When cancelled, sockets close with 1001 and event streams end, each after the message in hand.
    pub shutdown: CancellationToken,
    /// WebSockets that may still be opened.
    pub sockets: Arc<Semaphore>,
    /// Every socket and event stream; close it and wait on it after cancelling `shutdown`.
    pub tasks: TaskTracker,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            query: QueryLimits::default(),
            upload: UploadLimits::default(),
            stream: StreamLimits::default(),
            origins: OriginPolicy::default(),
            authenticate: Authenticate::everyone(),
            watching: None,
            shutdown: CancellationToken::new(),
            sockets: Arc::new(Semaphore::new(4_096)),
            tasks: TaskTracker::new(),
        }
    }
}

/// What a multipart request may bring.
#[derive(Debug, Clone)]
pub struct UploadLimits {
    /// Bytes per file.
    pub file_bytes: u64,
    /// Files in one request.
    pub files: usize,
    /// Multipart requests read at once.
    pub at_once: Arc<Semaphore>,
    /// Longest wait for a place among them; then 503.
    pub place: Duration,
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
            at_once: Arc::new(Semaphore::new(64)),
            place: Duration::from_secs(10),
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
    /// Between two pings of a socket. A peer that lets one interval caller in silence is dropped.
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
