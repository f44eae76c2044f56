//! The HTTP client for hosts that users name: every outgoing request goes through it, and so through the guard.
//! Checks every URL, resolves through the guard, follows no redirect, uses no proxy, decodes nothing.

use std::error::Error;
use std::io;
use std::time::Duration;

use anyhow::Context;
use reqwest::redirect::Policy;
use reqwest::{Request, Response};

use super::resolve::{PORT, Resolver};
use super::{Blocked, Guard};

/// Idle connections are kept this long, so that the next image of the same catalogue needs no new one.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What an HTTP/2 host may send ahead of being read, in bytes: per answer, and per connection. Bytes here are in no
/// download's budget, so they are kept few: half a MiB is 5 MB/s at 100 ms.
const HTTP2_WINDOWS: (u32, u32) = (512 * 1024, 2 * 1024 * 1024);

/// Headers of an answer that are read; the HTTP library's own limit is 100, which some shops exceed.
const MAX_HEADERS: usize = 500;

const USER_AGENT: &str = concat!("Halftone/", env!("CARGO_PKG_VERSION"), " (+image compression)");

/// How a [`Client`] connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Idle connections kept per host.
    pub max_idle_per_host: usize,
    /// What the client calls itself; by default Halftone and its version.
    pub user_agent: Option<String>,
}

/// An HTTP client that contacts only what its [`Guard`] lets through. Cheap to clone; clones share the connection pool.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Keeps no connections.
    unpooled: reqwest::Client,
    guard: Guard,
}

impl Client {
    /// Builds the client; TLS trusts the certificate authorities of the system. Where none are installed the client still works
    /// for http, and every https host fails as untrusted.
    pub fn new(guard: Guard, options: &Options) -> anyhow::Result<Client> {
        Client::with_resolver(Resolver::new(guard.clone())?, guard, options)
    }

    pub(super) fn with_resolver(resolver: Resolver, guard: Guard, options: &Options) -> anyhow::Result<Client> {
        // Only the first provider of a process can be installed; if one is there already, it is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = |max_idle_per_host| {
            reqwest::Client::builder()
                .user_agent(options.user_agent.as_deref().unwrap_or(USER_AGENT))
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .dns_resolver(resolver.clone())
                .connect_timeout(options.connect_timeout)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .pool_max_idle_per_host(max_idle_per_host)
                .http2_initial_stream_window_size(HTTP2_WINDOWS.0)
                .http2_initial_connection_window_size(HTTP2_WINDOWS.1)
                .tcp_nodelay(true)
                .http1_max_headers(MAX_HEADERS)
                // What old servers write and browsers read.
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .http1_ignore_invalid_headers_in_responses(true)
        };
        let both = |build: &dyn Fn(usize) -> reqwest::Result<reqwest::Client>| {
            Ok((build(options.max_idle_per_host)?, build(0)?))
        };
        let (http, unpooled) = match both(&|max_idle| builder(max_idle).build()) {
            Ok(clients) => clients,
            Err(error) => {
                let clients: reqwest::Result<_> = both(&|max_idle| builder(max_idle).tls_certs_only([]).build());
                let clients = clients.context("build the HTTP client")?;
                let reason = anyhow::Error::from(error);
                tracing::warn!("https hosts cannot be contacted: {reason:#}; install the system's CA certificates");
                clients
            }
        };
        Ok(Client { http, unpooled, guard })
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Sends a request and returns when the answer's head is in. [`Failure::Blocked`] means that the URL itself was
    /// refused, or every address its name resolved to.
    pub async fn execute(&self, request: Request) -> Result<Response, Failure> {
        self.execute_with(&self.http, request).await
    }

    /// The same over a connection that no request used before.
    pub async fn execute_on_new_connection(&self, request: Request) -> Result<Response, Failure> {
        self.execute_with(&self.unpooled, request).await
    }

    async fn execute_with(&self, http: &reqwest::Client, request: Request) -> Result<Response, Failure> {
        self.guard.check_url(request.url())?;
        let port = request.url().port_or_known_default().ok_or(Blocked::NoHost)?;
        let sent = PORT.scope(port, http.execute(request)).await;
        sent.map_err(|error| match cause::<Blocked>(&error) {
            Some(reason) => Failure::Blocked(reason.clone()),
            // Errors print the URL, whose query may be a signature.
            None => Failure::Http(error.without_url()),
        })
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Blocked(#[from] Blocked),
    #[error(transparent)]
    Http(reqwest::Error),
}

impl Failure {
    /// Whether TLS itself refused (a certificate, a protocol), rather than the connection under it.
    pub fn is_tls(&self) -> bool {
        match self {
            Failure::Blocked(_) => false,
            Failure::Http(error) => cause::<rustls::Error>(error).is_some(),
        }
    }

    /// Whether the connection ended before an answer began.
    pub fn is_lost(&self) -> bool {
        let Failure::Http(error) = self else { return false };
        let is_closed = |error: &hyper::Error| error.is_incomplete_message() || error.is_closed();
        let is_reset = |error: &io::Error| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
        };
        !error.is_connect()
            && (cause::<hyper::Error>(error).is_some_and(is_closed) || cause::<io::Error>(error).is_some_and(is_reset))
    }

    /// Whether what came as an answer is not HTTP.
    pub fn is_bad_answer(&self) -> bool {
        match self {
            Failure::Blocked(_) => false,
            Failure::Http(error) => cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse),
        }
    }
}

/// The first cause of `error` that is an `E`.
fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An io::Error hides what it wraps from `source()`.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
