//! The HTTP client for hosts that users name: every outgoing request goes through it, and so through the guard.
//! Checks every URL, resolves through the guard, follows no redirect, uses no proxy, decodes nothing.

use std::error::Error;
use std::io;
use std::time::Duration;

use anyhow::Context;
use reqwest::redirect::Policy;
use reqwest::{Request, Response};

use super::resolve::PORT;
use super::{Blocked, Guard};

/// Idle connections are kept this long, so that the next image of the same catalogue needs no new one.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What an HTTP/2 host may send ahead of being read, in bytes: per answer, and per connection. Bytes here are in no
/// download's budget, so they are kept few: half a MiB is 5 MB/s at 100 ms.
const HTTP2_WINDOWS: (u32, u32) = (512 * 1024, 2 * 1024 * 1024);

const USER_AGENT: &str = concat!("Halftone/", env!("CARGO_PKG_VERSION"), " (+image compression)");

/// How a [`Client`] connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Idle connections kept per host.
    pub max_idle_per_host: usize,
}

/// An HTTP client that contacts only what its [`Guard`] lets through. Cheap to clone; clones share the connection pool.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    guard: Guard,
}

impl Client {
    /// Builds the client; TLS trusts the certificate authorities of the system. Where none are installed the client still works
    /// for http, and every https host fails as untrusted.
    pub fn new(guard: Guard, options: &Options) -> anyhow::Result<Client> {
        // Only the first provider of a process can be installed; if one is there already, it is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .dns_resolver(guard.clone())
                .connect_timeout(options.connect_timeout)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .pool_max_idle_per_host(options.max_idle_per_host)
                .http2_initial_stream_window_size(HTTP2_WINDOWS.0)
                .http2_initial_connection_window_size(HTTP2_WINDOWS.1)
                .tcp_nodelay(true)
        };
        let http = match builder().build() {
            Ok(http) => http,
            Err(error) => {
                let http = builder().tls_certs_only([]).build().context("build the HTTP client")?;
                let reason = anyhow::Error::from(error);
                tracing::warn!("https hosts cannot be contacted: {reason:#}; install the system's CA certificates");
                http
            }
        };
        Ok(Client { http, guard })
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Sends a request and returns when the answer's head is in. [`Failure::Blocked`] means that the URL itself was
    /// refused, or every address its name resolved to.
    pub async fn execute(&self, request: Request) -> Result<Response, Failure> {
        self.guard.check_url(request.url())?;
        let port = request.url().port_or_known_default().ok_or(Blocked::NoHost)?;
        let sent = PORT.scope(port, self.http.execute(request)).await;
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
