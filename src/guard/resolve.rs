//! Names to vetted addresses, for the HTTP client.
//! Returns only addresses that may be contacted on the request's port; if none is left, the error is [`Blocked`], not "DNS".

use std::error::Error;
use std::io;
use std::net::SocketAddr;

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

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        // Read here and not in the future: this call happens while the request is polled, the future may outlive it
        // when the connection is finished in the background for the pool.
        let port = PORT.try_with(|port| *port);
        let guard = self.clone();
        Box::pin(async move {
            let port = port.map_err(|_| Unguarded)?;
            let found = tokio::net::lookup_host((name.as_str(), port)).await?;
            let vetted = guard.vet(found)?;
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
