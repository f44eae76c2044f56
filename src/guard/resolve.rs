//! Names to vetted addresses, for the HTTP client.
//! Returns only addresses that may be contacted on the request's port; if none is left, the error is [`Blocked`], not "DNS".

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Blocked, Guard};

tokio::task_local! {
    /// The port of the request whose connection is being made, see the parent module.
    pub(super) static PORT: u16;
}

/// A resolver was called outside of a request, so the port is not known and nothing can be vetted.
#[derive(Debug, thiserror::Error)]
#[error("a name was resolved outside of a guarded request")]
struct Unguarded;

/// Names whose addresses are remembered, as long as their time to live allows.
const CACHED_NAMES: u64 = 4096;

/// The longest an address is remembered, and the longest that a name has none.
const LONGEST_CACHED: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(30));

/// Questions under way to one name server at once: every download may ask two.
const QUESTIONS: usize = 512;

/// Asks the system's name servers, and lets only vetted addresses through. A question can be dropped at any time: unlike
/// the C library's, it occupies no thread.
#[derive(Clone)]
pub(super) struct Resolver {
    guard: Guard,
    names: TokioResolver,
}

impl Resolver {
    /// A resolver with the system's configuration, as it is now.
    pub(super) fn new(guard: Guard) -> anyhow::Result<Resolver> {
        let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!("no name servers are configured, only names in the hosts file are found: {error}");
            TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
        });
        Resolver::with(guard, builder)
    }

    pub(super) fn with(guard: Guard, mut builder: ResolverBuilder<TokioRuntimeProvider>) -> anyhow::Result<Resolver> {
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = CACHED_NAMES;
        options.positive_max_ttl = Some(LONGEST_CACHED.0);
        options.negative_max_ttl = Some(LONGEST_CACHED.1);
        options.max_active_requests = QUESTIONS;
        Ok(Resolver { guard, names: builder.build().context("set up name resolution")? })
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        // Read here and not in the future: this call happens while the request is polled, the future may outlive it
        // when the connection is finished in the background for the pool.
        let port = PORT.try_with(|port| *port);
        let Resolver { guard, names } = self.clone();
        Box::pin(async move {
            let port = port.map_err(|_| Unguarded)?;
            let found = names.lookup_ip(name.as_str()).await?;
            // Vetted anew each time, remembered or not.
            let vetted = guard.vet(found.iter().map(|address| SocketAddr::new(address, port)))?;
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

impl Guard {
    /// Drops every blocked address. All of them blocked: the first one's reason. None at all: an `io::Error`.
    pub(super) fn vet(
        &self,
        found: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let mut blocked: Option<Blocked> = None;
        let mut vetted = Vec::new();
        for address in found {
            match self.check_address(address.ip(), address.port()) {
                Ok(()) => vetted.push(address),
                Err(reason) => {
                    tracing::debug!(%address, %reason, "dropped an address a name resolved to");
                    blocked.get_or_insert(reason);
                }
            }
        }
        match blocked {
            _ if !vetted.is_empty() => Ok(vetted),
            Some(reason) => Err(reason.into()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
        }
    }
}
