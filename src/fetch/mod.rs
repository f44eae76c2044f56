//! URL → bytes, within limits on address, size, time, redirects, memory and requests per host.
//! Once admitted, every fetch ends within its total timeout and holds at most `max_bytes`, reserved before they arrive.
//!
//! Two waits are our own and count against no timeout: for a slot at the host's gate, and for room in the memory
//! budget. They cannot deadlock: a fetch that waits for memory needs nothing but memory, and a [`Fetched`] that holds
//! memory never waits for another fetch. A caller must not wait for one fetch while it keeps the result of another that
//! it would have to drop first.

mod body;
mod cookies;
mod downloads;
mod encoding;
mod error;
mod gate;
mod share_links;
mod time_budget;
mod validators;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use percent_encoding::{CONTROLS, percent_encode};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

use crate::budget::{Budget, Reservation};
use crate::guard::{Client, Failure, Guard, Options, retry_after};
use cookies::Cookies;
use downloads::Downloads;
use gate::{Gates, Slot};
use time_budget::TimeBudget;

pub use error::{Error, Hint, Stage};
pub use gate::{Report, Share};
pub use validators::Validators;

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
    /// The most downloads at once, from all hosts together.
    pub downloads: usize,
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
            downloads: 72,
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
    downloads: Downloads,
    budget: Budget,
}

/// A downloaded body. Its bytes count against the memory budget until it is dropped, so drop it as soon as they are
/// decoded, and do not keep a clone of `bytes` longer than this.
pub struct Fetched {
    pub bytes: Bytes,
    /// What the host called it, as sent; not to be trusted.
    pub content_type: Option<String>,
    /// What the person who supplied the URL should know although the download succeeded.
    pub warnings: Vec<String>,
    /// By what its host can be asked whether it has changed.
    pub validators: Option<Validators>,
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

/// The client that fetches: guarded, with the limits' connect timeout and as many idle connections as a host may have
/// slots. `user_agent`: what it calls itself, unless its own name.
pub fn client(guard: &Guard, limits: &Limits, user_agent: Option<&str>) -> anyhow::Result<Client> {
    let options = Options {
        connect_timeout: limits.connect_timeout,
        max_idle_per_host: limits.max_per_host,
        user_agent: user_agent.map(str::to_owned),
    };
    Client::new(guard.clone(), &options)
}

/// What is counted and limited together when `url` is fetched: the scheme, host and port that are contacted first. Empty
/// for what is no URL.
pub fn host_key(url: &str) -> String {
    let Ok(url) = Url::parse(url.trim()) else { return String::new() };
    let url = share_links::download_address(&url).map_or(url, |(download, _)| download);
    url.origin().ascii_serialization()
}

/// One hop's answer.
enum Hop {
    Redirect(Url),
    Unchanged,
    Done(Fetched),
}

impl Fetcher {
    /// `budget_bytes`: the memory all fetched bodies together may hold, see [`DEFAULT_BUDGET_BYTES`].
    pub fn new(client: Client, limits: Limits, budget_bytes: u64) -> Fetcher {
        let gates = Gates::new(limits.max_per_host, limits.max_wait);
        let downloads = Downloads::new(limits.downloads);
        let budget = Budget::new(budget_bytes);
        Fetcher { inner: Arc::new(Inner { client, limits, gates, downloads, budget }) }
    }

    /// Downloads `url`, following redirects, each checked and queued at its host's gate anew.
    pub async fn get(&self, url: &str) -> Result<Fetched, Error> {
        let fetched = self.get_if_changed(url, None).await?;
        // Nothing was asked that could be answered so.
        fetched.ok_or(Error::Http { status: StatusCode::NOT_MODIFIED.as_u16(), retry_after: None, hint: None })
    }

    /// As [`Self::get`]; `None` when the host says that the file is the one these validators are of.
    pub async fn get_if_changed(&self, url: &str, known: Option<&Validators>) -> Result<Option<Fetched>, Error> {
        let Inner { client, limits, gates, downloads, .. } = &*self.inner;
        let mut url = Url::parse(url.trim()).map_err(|error| invalid(error, "it is not a web address"))?;
        let has_fragment = url.fragment().is_some_and(|fragment| !fragment.is_empty());
        let mut warnings = Vec::new();
        if let Some((download, service)) = share_links::download_address(&url) {
            warnings
                .push(format!("This is a share link of {service}; the image was downloaded from its direct address."));
            url = download;
        }
        let mut cookies = Cookies::default();
        let mut time = TimeBudget::new(limits.total_timeout);
        for _ in 0..=limits.max_redirects {
            // Checked before queueing: a refused URL does not wait.
            client.guard().check_url(&url).map_err(|reason| Error::from_blocked(reason, &host(&url)))?;
            let slot = gates.enter(&url.origin().ascii_serialization()).await;
            let slot = slot.map_err(|closed| Error::from_closed(closed, &host(&url)))?;
            // After the gate: a fetch that waits for its host must not take a place from one that does not.
            let _download = downloads.start(&url.origin().ascii_serialization()).await;
            let hop = self.hop(&url, known, &mut cookies, &mut time).await;
            report_to_gate(slot, hop.as_ref().err());
            match hop {
                Ok(Hop::Redirect(next)) => url = next,
                Ok(Hop::Unchanged) => return Ok(None),
                Ok(Hop::Done(fetched)) => return Ok(Some(Fetched { warnings, ..fetched })),
                Err(Error::Http { status: status @ (404 | 410), retry_after, hint: None }) if has_fragment => {
                    return Err(Error::Http { status, retry_after, hint: Some(Hint::Fragment) });
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::TooManyRedirects { limit: limits.max_redirects })
    }

    /// How many downloads each host may have under way, where that is not [`Self::first_window`]; 0: it is left alone for a
    /// while.
    pub fn windows(&self) -> Vec<(String, usize)> {
        self.inner.gates.windows()
    }

    /// How many downloads a host of which nothing is known may have under way.
    pub fn first_window(&self) -> usize {
        self.inner.gates.first_window()
    }

    /// What other workers should know of the hosts in use.
    pub fn report(&self) -> Vec<Report> {
        self.inner.gates.report()
    }

    /// Keeps to what all workers together know of their hosts.
    pub fn adopt(&self, shares: &[Share]) {
        self.inner.gates.adopt(shares);
    }

    async fn hop(
        &self,
        url: &Url,
        known: Option<&Validators>,
        cookies: &mut Cookies,
        time: &mut TimeBudget,
    ) -> Result<Hop, Error> {
        let Inner { client, limits, budget, .. } = &*self.inner;
        let mut headers: HeaderMap = known.map(|known| known.conditions(url)).unwrap_or_default().into_iter().collect();
        let is_conditional = !headers.is_empty();
        headers.extend(cookies.header(url).map(|cookies| (COOKIE, cookies)));
        let sent = send(client, url, headers);
        let response = time
            .run(Stage::FirstByte, limits.first_byte_timeout, sent)
            .await?
            .map_err(|failure| Error::from_failure(failure, &host(url), limits.connect_timeout))?;

        cookies.keep(url, response.headers());
        let status = response.status();
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
            && let Some(location) = response.headers().get(LOCATION)
        {
            let next = redirect_target(url, location)?;
            body::drain(response, time).await;
            return Ok(Hop::Redirect(next));
        }
        if status == StatusCode::NOT_MODIFIED && is_conditional {
            return Ok(Hop::Unchanged);
        }
        if !status.is_success() {
            let retry_after = retry_after::parse(response.headers(), SystemTime::now(), MAX_RETRY_AFTER);
            let body = body::drain(response, time).await;
            let hint = (status == 403 && is_expired(&body)).then_some(Hint::Expired);
            return Err(Error::Http { status: status.as_u16(), retry_after, hint });
        }
        let content_type = content_type(&response);
        let validators = Validators::of(url, response.headers());
        let (bytes, memory) = body::read(response, limits, budget, time).await?;
        Ok(Hop::Done(Fetched { bytes: bytes.into(), content_type, warnings: Vec::new(), validators, _memory: memory }))
    }
}

/// Tells the gate how the host coped.
fn report_to_gate(slot: Slot, error: Option<&Error>) {
    if error.is_none() {
        slot.succeeded();
    }
    match error {
        Some(error) if error.is_own_fault() => drop(slot),
        Some(Error::Http { status: status @ (429 | 503), retry_after, .. }) => {
            if let Some(wait) = retry_after {
                slot.pause(*status, *wait);
            }
            slot.overloaded();
        }
        Some(Error::ConnectFailure { .. } | Error::Timeout { during: Stage::Connect | Stage::FirstByte, .. }) => {
            slot.unanswered();
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
            | Error::BadAnswer { .. }
            | Error::ContentEncoding { .. },
        )
        | None => slot.coped(),
    }
}

/// Sends a request. A host may close a connection that we keep for the next one just as it is used: what is lost before
/// an answer begins is sent once more, over a connection of its own.
async fn send(client: &Client, url: &Url, headers: HeaderMap) -> Result<Response, Failure> {
    match client.execute(request(url.clone(), headers.clone())).await {
        Err(failure) if failure.is_lost() => client.execute_on_new_connection(request(url.clone(), headers)).await,
        done => done,
    }
}

fn request(url: Url, mut headers: HeaderMap) -> Request {
    let mut request = Request::new(Method::GET, url);
    headers.insert(ACCEPT, HeaderValue::from_static("image/*,*/*;q=0.8"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    *request.headers_mut() = headers;
    request
}

fn redirect_target(from: &Url, location: &HeaderValue) -> Result<Url, Error> {
    // ASCII by the standard and UTF-8 in practice; other bytes are sent back as they are, as browsers do.
    let location = match std::str::from_utf8(location.as_bytes()) {
        Ok(location) => Cow::Borrowed(location),
        Err(_) => percent_encode(location.as_bytes(), CONTROLS).into(),
    };
    from.join(&location).map_err(|error| invalid(error, "it redirects to an address that is not valid"))
}

/// Whether a refusal says that a signed link is out of date, in the words of Amazon S3 and of the stores that follow it.
fn is_expired(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    ["Request has expired", "<Code>ExpiredToken</Code>", "Signature has expired"]
        .iter()
        .any(|words| body.contains(words))
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
