//! Which names this server answers to, and which web pages may call it.
//! A page on a foreign site gets 403, also when its DNS name was made to point at this machine.
//!
//! A server bound to loopback needs no key, so a browser on the same machine is its weak side: any
//! page can send it simple requests and open WebSockets (refused by `Origin`), and a page whose own
//! name resolves to 127.0.0.1 would even be same-origin (refused by `Host`: DNS rebinding).

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

use super::graphql::DoorError;

/// The `Host` names this server answers to.
#[derive(Debug, Clone, Default)]
pub enum AllowedHosts {
    /// Any name. For servers that are not bound to loopback: they ask for a key instead.
    Any,
    /// `localhost`, names under it, loopback addresses, and the host of the public URL if there is one.
    #[default]
    Loopback,
}

/// The rules about names and pages; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Site {
    hosts: AllowedHosts,
    public: Option<Url>,
    origins: Vec<String>,
}

/// An entry of the list of origins is not `scheme://host[:port]`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an origin; write it as `https://shop.example.com`")]
pub struct NotAnOrigin(String);

impl Site {
    /// `public` is the address people use to reach this server; its host and origin are always ours.
    /// `origins` are the other sites whose pages may call it (CORS), as `scheme://host[:port]`; `*` is
    /// every site. Empty: none.
    ///
    /// # Errors
    /// [`NotAnOrigin`] for the first entry that is none.
    pub fn new(hosts: AllowedHosts, public: Option<Url>, origins: &[String]) -> Result<Self, NotAnOrigin> {
        let origins = origins.iter().map(|text| origin(text)).collect::<Result<_, _>>()?;
        Ok(Self { hosts, public, origins })
    }

    /// The answer to preflight requests and the headers that let listed pages read answers; `None`
    /// when no origin is listed.
    pub fn cors(&self) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let allowed = if self.lets_every_origin() {
            AllowOrigin::any()
        } else {
            let values = self.origins.iter();
            AllowOrigin::list(values.filter_map(|origin| HeaderValue::from_str(origin).ok()))
        };
        let headers = [
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("graphql-preflight"),
            HeaderName::from_static("apollo-require-preflight"),
        ];
        Some(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods([Method::GET, Method::POST])
                .allow_headers(headers)
                .max_age(std::time::Duration::from_secs(600)),
        )
    }

    /// Whether a request with these headers may come in.
    ///
    /// # Errors
    /// 400 without a readable `Host`, 403 for a foreign `Host` or `Origin`.
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), DoorError> {
        let host =
            host_of(uri, headers).ok_or_else(|| DoorError::bad_request("The request has no readable Host header."))?;
        if !self.answers_to(host.host()) {
            return Err(DoorError::new(
                StatusCode::FORBIDDEN,
                "HOST_NOT_ALLOWED",
                "This server does not answer to the name in the Host header.",
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        match origin.to_str() {
            Ok(origin) if self.trusts(origin, &host) => Ok(()),
            _ => Err(DoorError::new(
                StatusCode::FORBIDDEN,
                "ORIGIN_NOT_ALLOWED",
                "Pages of another site may not call this server; its owner can list their origin.",
            )),
        }
    }

    fn answers_to(&self, host: &str) -> bool {
        match self.hosts {
            AllowedHosts::Any => true,
            AllowedHosts::Loopback => {
                let public = self.public.as_ref().and_then(Url::host_str);
                is_loopback(host) || public.is_some_and(|own| own.eq_ignore_ascii_case(host))
            }
        }
    }

    fn lets_every_origin(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }

    fn trusts(&self, claimed: &str, host: &Authority) -> bool {
        if self.lets_every_origin() {
            return true;
        }
        let Ok(url) = Url::parse(claimed) else {
            return false; // also "null": a sandboxed frame or a local file
        };
        let serialised = url.origin().ascii_serialization();
        if self.origins.contains(&serialised) {
            return true;
        }
        if let Some(public) = &self.public
            && public.origin() == url.origin()
        {
            return true;
        }
        // A proxy may have ended TLS, so that the scheme here is unknown: a missing port is the default one.
        let same_port = host.port_u16() == url.port()
            || (host.port_u16().is_some() && host.port_u16() == url.port_or_known_default());
        url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host.host()) && same_port)
    }
}

/// Middleware: refuses what [`Site::admit`] refuses.
pub async fn check(State(site): State<Site>, request: Request, next: Next) -> Response {
    match site.admit(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut named = headers.get_all(header::HOST).iter();
    match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        (None, _) => uri.authority().cloned(), // HTTP/2
        _ => None,
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn origin(text: &str) -> Result<String, NotAnOrigin> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let refuse = || NotAnOrigin(text.to_owned());
    let url = Url::parse(text).map_err(|_| refuse())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !bare || url.host().is_none() {
        return Err(refuse());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(hosts: AllowedHosts, public: Option<&str>, origins: &[&str]) -> Site {
        let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let public = public.map(|url| Url::parse(url).expect("a URL"));
        Site::new(hosts, public, &origins).expect("origins")
    }

    fn verdict(site: &Site, host: &str, origin: Option<&str>) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).expect("a header"));
        }
        match site.admit(&Uri::from_static("/graphql"), &headers) {
            Ok(()) => "ok",
            Err(error) => error.code,
        }
    }

    #[test]
    fn a_loopback_server_answers_only_to_loopback_names_and_its_public_one() {
        let site = site(AllowedHosts::Loopback, Some("https://pics.example.com/x"), &[]);
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST.",
            "a.localhost:1",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:8080",
            "[::1]",
            "pics.example.com",
            "PICS.example.com:443",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(verdict(&site, host, None), "ok", "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "notlocalhost",
            "128.0.0.1",
            "10.0.0.1:8080",
            "[::2]:1",
            "127.0.0.1.evil.example",
            "example.com",
            "0.0.0.0",
        ] {
            assert_eq!(verdict(&site, host, None), "HOST_NOT_ALLOWED", "{host}");
        }
        for host in ["", "a b", "a.example, localhost"] {
            assert_eq!(verdict(&site, host, None), "BAD_REQUEST", "{host}");
        }
    }

    #[test]
    fn a_page_may_call_its_own_server_and_no_other() {
        let own = site(AllowedHosts::Loopback, None, &[]);
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("localhost", "http://localhost"),
            ("localhost:80", "http://localhost"),
        ] {
            assert_eq!(verdict(&own, host, Some(origin)), "ok", "{origin}");
        }
        for origin in [
            "https://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "null",
            "",
            "garbage",
            "http://127.0.0.1:8080",
            "http://localhost.evil.example:8080",
            "file://",
        ] {
            let verdict = verdict(&own, "localhost:8080", Some(origin));
            assert_eq!(verdict, "ORIGIN_NOT_ALLOWED", "{origin}");
        }
    }

    #[test]
    fn the_public_url_and_listed_origins_are_trusted_behind_a_proxy() {
        let listed = ["https://shop.example.com", "http://localhost:5173/"];
        let site = site(AllowedHosts::Any, Some("https://pics.example.com"), &listed);
        for origin in ["https://pics.example.com", "https://shop.example.com", "http://localhost:5173"] {
            assert_eq!(verdict(&site, "10.0.0.7:8080", Some(origin)), "ok", "{origin}");
        }
        for origin in ["http://shop.example.com", "https://shop.example.com:8443", "https://x.example"] {
            let verdict = verdict(&site, "10.0.0.7:8080", Some(origin));
            assert_eq!(verdict, "ORIGIN_NOT_ALLOWED", "{origin}");
        }
        assert!(site.cors().is_some());
    }

    #[test]
    fn a_star_trusts_every_page_and_other_nonsense_is_refused() {
        let open = site(AllowedHosts::Any, None, &["*"]);
        assert_eq!(verdict(&open, "a.example", Some("https://b.example")), "ok");
        for text in ["shop.example.com", "https://a.example/path", "ftp://a.example", "null", "https://"] {
            let made = Site::new(AllowedHosts::Any, None, &[text.to_owned()]);
            assert!(made.is_err(), "{text}");
        }
        assert!(site(AllowedHosts::Any, None, &[]).cors().is_none());
    }
}
