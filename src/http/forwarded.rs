//! Who is calling and how they reached us, through the proxies that are trusted to say so.
//!
//! `X-Forwarded-For`, `-Proto` and `-Host` are believed from `--trusted-proxy` alone; from others they are as if they had not
//! been sent.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use super::server::Peer;
use crate::config::Server;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The proxies in front of this server.
#[derive(Clone)]
pub struct Proxies {
    trusted: Arc<[IpNet]>,
    /// Whether they say how clients reach this server, since no setting does.
    name_origin: bool,
}

impl Proxies {
    pub fn of(server: &Server) -> Self {
        Self { trusted: server.trusted_proxies.clone().into(), name_origin: server.public_url.is_none() }
    }
}

/// What is known of a caller before any credentials; in the extensions of each request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Of the client, or of the last proxy that is not trusted; none in a server without connections.
    pub client: Option<IpAddr>,
    /// The scheme and host under which the client reached a trusted proxy, such as `https://images.example.com`.
    pub origin: Option<Arc<str>>,
}

/// Middleware: notes the [`Route`].
pub async fn read(State(proxies): State<Proxies>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    let mut route = route(&proxies.trusted, peer, request.headers());
    route.origin = route.origin.filter(|_| proxies.name_origin);
    request.extensions_mut().insert(route);
    next.run(request).await
}

fn route(trusted: &[IpNet], peer: Option<IpAddr>, headers: &HeaderMap) -> Route {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let Some(mut client) = peer.filter(is_trusted) else { return Route { client: peer, origin: None } };
    // Each proxy appends whom it was called by, so what stands before an address that is not trusted may be invented.
    for named in listed(headers, &FOR).rev() {
        let Some(address) = address(named) else { break };
        client = address;
        if !is_trusted(&address) {
            break;
        }
    }
    Route { client: Some(client), origin: origin(headers) }
}

/// By the last of each, which the nearest proxy wrote.
fn origin(headers: &HeaderMap) -> Option<Arc<str>> {
    let (proto, host) = (listed(headers, &PROTO).next_back(), listed(headers, &HOST).next_back());
    if proto.is_none() && host.is_none() {
        return None;
    }
    let scheme = match proto.unwrap_or("http") {
        http if http.eq_ignore_ascii_case("http") || http.eq_ignore_ascii_case("ws") => "http",
        https if https.eq_ignore_ascii_case("https") || https.eq_ignore_ascii_case("wss") => "https",
        _ => return None,
    };
    let host: Authority = host.or_else(|| headers.get(header::HOST)?.to_str().ok())?.parse().ok()?;
    let origin = url::Url::parse(&format!("{scheme}://{host}")).ok()?;
    // A user's name, or anything else that is not a host and a port.
    let is_plain = origin.username().is_empty() && origin.password().is_none() && origin.path() == "/";
    is_plain.then(|| origin.origin().ascii_serialization().into())
}

/// The members of a header that is a list, over all its lines.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// `192.0.2.1`, `2001:db8::1`, and both with a port as some proxies write them.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let address: Option<IpAddr> = text.parse().ok();
    let address = address.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip())).or_else(bracketed);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_client_is_the_nearest_who_is_not_trusted() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).into();
        for (peer, named, client) in [
            ("10.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.2.3.4"], "203.0.113.7"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.7", "10.2.3.4"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7:4711, fd00::1"], "203.0.113.7"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["6.6.6.6, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, _hidden, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("203.0.113.9", &["6.6.6.6"], "203.0.113.9"),
            ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
        ] {
            let lines: Vec<_> = named.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let route = route(&trusted, Some(peer.parse().unwrap()), &headers(&lines));
            assert_eq!(route.client, Some(client.parse().unwrap()), "{peer} {named:?}");
        }
    }

    #[test]
    fn the_origin_is_that_of_the_nearest_proxy_and_only_of_one_that_is_trusted() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let (host, proto, own) = ("x-forwarded-host", "x-forwarded-proto", "host");
        for (lines, origin) in [
            (&[(host, "a.example"), (proto, "https")][..], Some("https://a.example")),
            (&[(host, "evil.example, a.example:8443"), (proto, "http, https")], Some("https://a.example:8443")),
            (&[(host, "a.example:443"), (proto, "HTTPS")], Some("https://a.example")),
            (&[(proto, "https"), (own, "b.example")], Some("https://b.example")),
            (&[(host, "[2001:db8::1]:80")], Some("http://[2001:db8::1]")),
            (&[(own, "b.example")], None),
            (&[(host, "a.example"), (proto, "javascript")], None),
            (&[(host, "user@a.example"), (proto, "https")], None),
            (&[(host, "a.example/path"), (proto, "https")], None),
            (&[(host, ""), (proto, "https")], None),
        ] {
            let route = |peer: &str| route(&trusted, Some(peer.parse().unwrap()), &headers(lines));
            assert_eq!(route("10.0.0.1").origin.as_deref(), origin, "{lines:?}");
            assert_eq!(route("203.0.113.9").origin, None, "{lines:?}");
        }
    }
}
