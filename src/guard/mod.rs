//! Which hosts may be contacted: public addresses on listed ports, private ones only where the operator said so.
//! Every connection made through [`Client`] goes to an address this module vetted together with the port it is used on.
//!
//! # How a check cannot be outrun
//!
//! A name is resolved once per connection, inside the HTTP client, by this module's resolver; the client connects to what
//! that resolver returned and to nothing else, so a DNS answer that changes between check and use finds nothing. A resolver
//! is told the name but not the port, and the rule depends on both. [`Client::execute`] therefore carries the port of its URL
//! to the resolver in a task-local; a resolver call that finds no port refuses every address. IP literals never reach a
//! resolver: [`Guard::check_url`] judges them, and [`Client`] calls it for every request. Redirects are off in the
//! client, so each hop is a request of its own and is checked anew.

mod address;
mod client;
mod resolve;
pub mod retry_after;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::IpNet;
use url::{Host, Url};

pub use client::{Client, Failure, Options};

/// The ports of public hosts that are contacted unless configured otherwise: HTTP and HTTPS.
pub const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// The address rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    allow: Vec<IpNet>,
    ports: Vec<u16>,
    own: Vec<SocketAddr>,
    /// Where other processes of this service listen.
    learned: RwLock<Vec<SocketAddr>>,
}

/// Why a host or a URL is refused. The sentence does not name a resolved address: it is shown to the person who supplied
/// the URL, who must not learn what a name means inside the operator's network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("only http and https URLs can be used, not {0:?}")]
    Scheme(String),
    #[error("it contains a user name or password; remove it")]
    Credentials,
    #[error("it has no host name")]
    NoHost,
    #[error("port {0} is not one of the ports that may be contacted")]
    Port(u16),
    #[error("the host does not have a public address ({reason})")]
    Address { address: IpAddr, reason: &'static str },
    #[error("it points to this service itself")]
    Own(SocketAddr),
}

impl Blocked {
    /// The option that would allow it, in a sentence.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Blocked::Address { .. } => Some("To allow its network, start the server with `--allow-net`."),
            Blocked::Port(_) => Some("To allow it, start the server with `--fetch-ports`."),
            Blocked::Scheme(_) | Blocked::Credentials | Blocked::NoHost | Blocked::Own(_) => None,
        }
    }
}

impl Guard {
    /// `allow`: networks that may be contacted on any port although they are not public. `ports`: the ports of public
    /// addresses that may be contacted, see [`DEFAULT_PORTS`].
    pub fn new(allow: Vec<IpNet>, ports: Vec<u16>) -> Guard {
        Guard { rules: Arc::new(Rules { allow, ports, own: Vec::new(), learned: RwLock::default() }) }
    }

    /// The same rules, and the addresses this process itself listens on are refused even inside an allowed network.
    /// A wildcard listener (`0.0.0.0`, `::`) means every address of this machine.
    pub fn refusing(&self, own: Vec<SocketAddr>) -> Guard {
        let Rules { allow, ports, .. } = &*self.rules;
        let (allow, ports) = (allow.clone(), ports.clone());
        Guard { rules: Arc::new(Rules { allow, ports, own, learned: RwLock::default() }) }
    }

    /// From now on these addresses are refused too, and no longer those of the last call.
    pub fn refuse(&self, listeners: Vec<SocketAddr>) {
        *self.rules.learned.write().unwrap_or_else(PoisonError::into_inner) = listeners;
    }

    /// Judges an address together with the port it would be contacted on.
    pub fn check_address(&self, ip: IpAddr, port: u16) -> Result<(), Blocked> {
        // A v4-mapped address is the v4 host itself: the kernel sends IPv4.
        let ip = ip.to_canonical();
        if self.is_own(ip, port) {
            return Err(Blocked::Own(SocketAddr::new(ip, port)));
        }
        if self.rules.allow.iter().any(|net| net.contains(&ip)) {
            return Ok(());
        }
        if let Some(reason) = address::not_public(ip) {
            return Err(Blocked::Address { address: ip, reason });
        }
        if !self.rules.ports.contains(&port) {
            return Err(Blocked::Port(port));
        }
        Ok(())
    }

    /// Judges everything about a URL that is known before its name is resolved: scheme, credentials, an IP literal with its
    /// port (the `url` crate has turned `0x7f.1`, `2130706433` and the like into addresses), and for a name the port, unless
    /// some network is allowed on every port; then the resolver, which knows the address, judges the port.
    pub fn check_url(&self, url: &Url) -> Result<(), Blocked> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Blocked::Scheme(url.scheme().chars().take(32).collect()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked::Credentials);
        }
        let port = url.port_or_known_default().ok_or(Blocked::NoHost)?;
        match url.host().ok_or(Blocked::NoHost)? {
            Host::Ipv4(ip) => self.check_address(ip.into(), port),
            Host::Ipv6(ip) => self.check_address(ip.into(), port),
            Host::Domain("") => Err(Blocked::NoHost),
            Host::Domain(_) if self.rules.allow.is_empty() && !self.rules.ports.contains(&port) => {
                Err(Blocked::Port(port))
            }
            Host::Domain(_) => Ok(()),
        }
    }

    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        let learned = self.rules.learned.read().unwrap_or_else(PoisonError::into_inner);
        self.rules.own.iter().chain(learned.iter()).filter(|own| own.port() == port).any(|own| {
            let listening = own.ip().to_canonical();
            listening == ip || (listening.is_unspecified() && is_this_machine(ip))
        })
    }
}

/// Whether packets to `ip` stay on this machine. Only an address of this machine can be bound, which asks the kernel
/// itself and needs no list of interfaces; nothing is sent.
fn is_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}
