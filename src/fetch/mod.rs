//! URL → bytes, within limits on address, size, time, redirects, memory and requests per host.
//! Once admitted, every fetch ends within its total timeout and holds at most `max_bytes`, reserved before they arrive.
//!
//! Two waits are our own and count against no timeout: for a slot at the host's gate, and for room in the memory
//! budget. They cannot deadlock: a fetch that waits for memory needs nothing but memory, and a [`Fetched`] that holds
//! memory never waits for another fetch. A caller must not wait for one fetch while it keeps the result of another that
//! it would have to drop first.

mod body;
mod budget;
mod error;
mod gate;
mod time_budget;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response};
use url::Url;

use crate::guard::{Client, Guard, Options, retry_after};
use budget::{Budget, Reservation};
use gate::{Gates, Slot};
use time_budget::TimeBudget;

pub use error::{Error, Stage};

/// The memory for downloads that are under way or wait for the CPU, unless configured otherwise: 256 MiB.
pub const DEFAULT_BUDGET_BYTES: u64 = 256 * 1024 * 1024;

/// A longer `Retry-After` is cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What one fetch may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body, in bytes.
    pub max_bytes: u64,
    /// Name resolution, TCP and TLS together, per hop.
    pub connect_timeout: Duration,
    /// From the start of a hop, connecting included, to the head of its answer.
    pub first_byte_timeout: Duration,
    /// All hops and the body together.
    pub total_timeout: Duration,
    /// Smallest average rate of a body. 0: none.
    pub min_bytes_per_second: u64,
    /// The time a body may take before its rate is looked at.
    pub rate_grace: Duration,
    pub max_redirects: usize,
    /// The most downloads at once from one host. It starts at 8 and grows to this while the host copes.
    pub max_per_host: usize,
    /// The longest a fetch waits for its host's gate: for a slot, and for a `Retry-After` to pass. What would take longer
    /// fails at once.
    pub max_wait: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_bytes: 25 * 1024 * 1024,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            min_bytes_per_second: 16 * 1024,
            rate_grace: Duration::from_secs(5),
            max_redirects: 5,
            max_per_host: 64,
            max_wait: Duration::from_secs(10),
        }
    }
}

/// Downloads images. Cheap to clone; clones share connections, gates and the memory budget.
#[derive(Clone, Debug)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    limits: Limits,
    gates: Gates,
    budget: Budget,
}

/// A downloaded body. Its bytes count against the memory budget until it is dropped, so drop it as soon as they are
/// decoded, and do not keep a clone of `bytes` longer than this.
pub struct Fetched {
    pub bytes: Bytes,
    /// What the host called it, as sent; not to be trusted.
    pub content_type: Option<String>,
    _memory: Reservation,
}

impl fmt::Debug for Fetched {
    /// Everything but the bytes themselves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Fetched");
        shown.field("size_bytes", &self.bytes.len()).field("content_type", &self.content_type);
        shown.finish_non_exhaustive()
    }
}

/// The client that fetches: guarded, with the limits' connect timeout and as many idle connections as a host may have slots.
pub fn client(guard: &Guard, limits: &Limits) -> anyhow::Result<Client> {
    let options = Options { connect_timeout: limits.connect_timeout, max_idle_per_host: limits.max_per_host };
    Client::new(guard.clone(), &options)
}

/// One hop's answer.
enum Hop {
    Redirect(Url),
    Done(Fetched),
}

impl Fetcher {
    /// `budget_bytes`: the memory all fetched bodies together may hold, see [`DEFAULT_BUDGET_BYTES`].
    pub fn new(client: Client, limits: Limits, budget_bytes: u64) -> Fetcher {
        let gates = Gates::new(limits.max_per_host, limits.max_wait);
        let budget = Budget::new(budget_bytes);
        Fetcher { inner: Arc::new(Inner { client, limits, gates, budget }) }
    }

    /// Downloads `url`, following redirects, each checked and queued at its host's gate anew.
    pub async fn get(&self, url: &str) -> Result<Fetched, Error> {
        let Inner { client, limits, gates, .. } = &*self.inner;
        let mut url = Url::parse(url.trim()).map_err(|error| invalid(error, "it is not a web address"))?;
        let mut time = TimeBudget::new(limits.total_timeout);
        for _ in 0..=limits.max_redirects {
            // Checked before queueing: a refused URL does not wait.
            client.guard().check_url(&url).map_err(|reason| Error::from_blocked(reason, &host(&url)))?;
            let slot = gates.enter(&url.origin().ascii_serialization()).await;
            let slot = slot.map_err(|closed| Error::from_closed(closed, &host(&url)))?;
            let hop = self.hop(&url, &mut time).await;
            report_to_gate(slot, hop.as_ref().err());
            match hop? {
                Hop::Redirect(next) => url = next,
                Hop::Done(fetched) => return Ok(fetched),
            }
        }
        Err(Error::TooManyRedirects { limit: limits.max_redirects })
    }

    async fn hop(&self, url: &Url, time: &mut TimeBudget) -> Result<Hop, Error> {
        let Inner { client, limits, budget, .. } = &*self.inner;
        let sent = client.execute(request(url.clone()));
        let response = time
            .run(Stage::FirstByte, limits.first_byte_timeout, sent)
            .await?
            .map_err(|failure| Error::from_failure(failure, &host(url), limits.connect_timeout))?;

        let status = response.status();
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
            && let Some(location) = response.headers().get(LOCATION)
        {
            let next = redirect_target(url, location)?;
            body::drain(response, time).await;
            return Ok(Hop::Redirect(next));
        }
        if !status.is_success() {
            let retry_after = retry_after::parse(response.headers(), SystemTime::now(), MAX_RETRY_AFTER);
            body::drain(response, time).await;
            return Err(Error::Http { status: status.as_u16(), retry_after });
        }
        let content_type = content_type(&response);
        let (bytes, memory) = body::read(response, limits, budget, time).await?;
        Ok(Hop::Done(Fetched { bytes: bytes.into(), content_type, _memory: memory }))
    }
}

/// Tells the gate how the host coped.
fn report_to_gate(slot: Slot, error: Option<&Error>) {
    match error {
        Some(Error::Http { status: status @ (429 | 503), retry_after }) => {
            if let Some(wait) = retry_after {
                slot.pause(*status, *wait);
            }
            slot.overloaded();
        }
        Some(Error::ConnectFailure { .. } | Error::Timeout { during: Stage::Connect | Stage::FirstByte, .. }) => {
            slot.unanswered()
        }
        Some(Error::Timeout { during: Stage::Body | Stage::Total, .. }) => slot.overloaded(),
        // These say nothing about how much the host can take.
        Some(
            Error::InvalidUrl { .. }
            | Error::BlockedAddress { .. }
            | Error::DnsFailure { .. }
            | Error::TlsFailure { .. }
            | Error::ConnectionLost { .. }
            | Error::HostDown { .. }
            | Error::HostBusy { .. }
            | Error::HostPaused { .. },
        ) => drop(slot),
        Some(
            Error::Http { .. }
            | Error::TooManyBytes { .. }
            | Error::TooManyRedirects { .. }
            | Error::ContentEncoding { .. },
        )
        | None => slot.coped(),
    }
}

fn request(url: Url) -> Request {
    let mut request = Request::new(Method::GET, url);
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("image/*,*/*;q=0.8"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request
}

fn redirect_target(from: &Url, location: &HeaderValue) -> Result<Url, Error> {
    // Locations are ASCII by the standard and UTF-8 in practice.
    let location = std::str::from_utf8(location.as_bytes());
    let location = location.map_err(|error| invalid(error, "it redirects to an address that is not valid"))?;
    from.join(location).map_err(|error| invalid(error, "it redirects to an address that is not valid"))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static, reason: &str) -> Error {
    Error::InvalidUrl { reason: format!("{reason} ({error})"), source: Some(error.into()) }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn content_type(response: &Response) -> Option<String> {
    let headers: &HeaderMap = response.headers();
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.chars().take(255).collect())
}
