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

use super::forwarded::Route;
use super::observe::REQUEST_ID;
use super::refusal::Refusal;
use crate::web_origin::WebOrigin;

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
pub struct OriginPolicy {
    hosts: AllowedHosts,
    public: Option<Url>,
    listed: Vec<WebOrigin>,
}

impl OriginPolicy {
    /// `public` is the address people use to reach this server; its host and origin are always ours.
    /// `listed` are the other origins whose pages may call it (CORS).
    pub fn new(hosts: AllowedHosts, public: Option<Url>, listed: Vec<WebOrigin>) -> Self {
        Self { hosts, public, listed }
    }

    /// The answer to preflight requests and the headers that let listed pages read answers; `None`
    /// when no origin is listed.
    pub fn cors(&self) -> Option<CorsLayer> {
        if self.listed.is_empty() {
            return None;
        }
        let allowed = if self.lets_every_origin() {
            AllowOrigin::any()
        } else {
            let exact = self.listed.iter().filter_map(|origin| match origin {
                WebOrigin::Exact(origin) => HeaderValue::from_str(origin).ok(),
                WebOrigin::Any => None,
            });
            AllowOrigin::list(exact)
        };
        let headers = [
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("graphql-preflight"),
            HeaderName::from_static("apollo-require-preflight"),
            // What clients send about themselves, and tracing.
            HeaderName::from_static("apollographql-client-name"),
            HeaderName::from_static("apollographql-client-version"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            HeaderName::from_static("x-requested-with"),
            header::CACHE_CONTROL,
            header::IF_NONE_MATCH,
            header::RANGE,
        ];
        let readable =
            [header::CONTENT_DISPOSITION, header::CONTENT_RANGE, header::ETAG, header::RETRY_AFTER, REQUEST_ID];
        Some(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods([Method::GET, Method::POST])
                .allow_headers(headers)
                .expose_headers(readable)
                // For a proxy in front that knows its users by a cookie; browsers refuse it together with `*`.
                .allow_credentials(!self.lets_every_origin())
                .max_age(std::time::Duration::from_secs(600)),
        )
    }

    /// Whether this request may be answered. `forwarded` is the origin at which a trusted proxy has taken it in; its pages are
    /// ours.
    ///
    /// # Errors
    /// 400 without one readable `Host`, 403 for a foreign `Host` or `Origin`, and for a query that a page of another
    /// origin sends without CORS: an `<img>` or a link.
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap, forwarded: Option<&str>) -> Result<(), Refusal> {
        let host = host_of(uri, headers)
            .ok_or_else(|| Refusal::bad_request("The request must name exactly one valid host."))?;
        if !self.answers_to(host.host()) {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "HOST_NOT_ALLOWED",
                "This server does not answer to the name in the Host header.",
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            // Browsers say where a request comes from even where they send no `Origin`. Without a query nothing is run.
            let from = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
            return match from {
                None | Some(b"same-origin" | b"none") => Ok(()),
                Some(_) if uri.query().is_none() => Ok(()),
                Some(_) => Err(foreign_page("a page of another origin")),
            };
        };
        match origin.to_str() {
            Ok(origin) if self.trusts(origin, &host) || forwarded == Some(origin) => Ok(()),
            _ => Err(foreign_page(&String::from_utf8_lossy(origin.as_bytes()))),
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
        self.listed.contains(&WebOrigin::Any)
    }

    fn trusts(&self, claimed: &str, host: &Authority) -> bool {
        if self.lets_every_origin() {
            return true;
        }
        let Ok(url) = Url::parse(claimed) else {
            return false; // also "null": a sandboxed frame or a local file
        };
        let serialised = url.origin().ascii_serialization();
        if self.listed.contains(&WebOrigin::Exact(serialised)) {
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

/// Browsers hide the answer from the page, so the log says it too.
fn foreign_page(origin: &str) -> Refusal {
    tracing::warn!(origin = %origin.chars().take(200).collect::<String>(), "refused a call from a web page; list its origin with --cors-origin to allow it");
    Refusal::new(
        StatusCode::FORBIDDEN,
        "ORIGIN_NOT_ALLOWED",
        "Pages of this origin may not call this server. Start the server with `--cors-origin` and the page's origin to allow it.",
    )
}

/// Middleware: refuses what [`OriginPolicy::admit`] refuses.
pub async fn check(State(policy): State<OriginPolicy>, request: Request, next: Next) -> Response {
    let route: Option<&Route> = request.extensions().get();
    match policy.admit(request.uri(), request.headers(), route.and_then(|route| route.origin.as_deref())) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut named = headers.get_all(header::HOST).iter();
    let named: Option<Authority> = match (named.next(), named.next()) {
        (Some(host), None) => Some(host.to_str().ok()?.parse().ok()?),
        (None, _) => None,
        _ => return None,
    };
    // That of the address is HTTP/2's, or in a request line that has the whole address, as for proxies.
    let authority = match (named, uri.authority()) {
        (Some(named), Some(authority)) => (named == *authority).then_some(named)?,
        (named, authority) => named.or_else(|| authority.cloned())?,
    };
    // `evil.example@localhost` and `[::1].evil.example` have a host by the parser's lights; nobody sends them honestly.
    let rest = authority.as_str().strip_prefix(authority.host())?;
    (rest.is_empty() || rest.starts_with(':')).then_some(authority)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hosts: AllowedHosts, public: Option<&str>, origins: &[&str]) -> OriginPolicy {
        let listed = origins.iter().map(|origin| origin.parse().expect("an origin")).collect();
        let public = public.map(|url| Url::parse(url).expect("a URL"));
        OriginPolicy::new(hosts, public, listed)
    }

    fn verdict(policy: &OriginPolicy, host: &str, origin: Option<&str>) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).expect("a header"));
        }
        match policy.admit(&Uri::from_static("/graphql"), &headers, None) {
            Ok(()) => "ok",
            Err(error) => error.code,
        }
    }

    #[test]
    fn a_loopback_server_answers_only_to_loopback_names_and_its_public_one() {
        let policy = policy(AllowedHosts::Loopback, Some("https://pics.example.com/x"), &[]);
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
            assert_eq!(verdict(&policy, host, None), "ok", "{host}");
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
            assert_eq!(verdict(&policy, host, None), "HOST_NOT_ALLOWED", "{host}");
        }
        for host in ["", "a b", "a.example, localhost", "evil.example@localhost", "[::1].evil.example"] {
            assert_eq!(verdict(&policy, host, None), "BAD_REQUEST", "{host}");
        }
    }

    #[test]
    fn a_page_may_call_its_own_server_and_no_other() {
        let own = policy(AllowedHosts::Loopback, None, &[]);
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
        let policy = policy(AllowedHosts::Any, Some("https://pics.example.com"), &listed);
        for origin in ["https://pics.example.com", "https://shop.example.com", "http://localhost:5173"] {
            assert_eq!(verdict(&policy, "10.0.0.7:8080", Some(origin)), "ok", "{origin}");
        }
        for origin in ["http://shop.example.com", "https://shop.example.com:8443", "https://x.example"] {
            let verdict = verdict(&policy, "10.0.0.7:8080", Some(origin));
            assert_eq!(verdict, "ORIGIN_NOT_ALLOWED", "{origin}");
        }
        assert!(policy.cors().is_some());
    }

    #[test]
    fn a_star_trusts_every_page() {
        let open = policy(AllowedHosts::Any, None, &["*"]);
        assert_eq!(verdict(&open, "a.example", Some("https://b.example")), "ok");
        assert!(policy(AllowedHosts::Any, None, &[]).cors().is_none());
    }

    #[test]
    fn a_query_that_a_foreign_page_sends_without_cors_is_refused() {
        let policy = policy(AllowedHosts::Loopback, None, &["https://shop.example.com"]);
        let verdict = |uri: &'static str, from: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost:8080"));
            headers.insert("sec-fetch-site", HeaderValue::from_static(from));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            policy.admit(&Uri::from_static(uri), &headers, None).map_err(|refusal| refusal.code)
        };
        for from in ["cross-site", "same-site"] {
            assert_eq!(verdict("/graphql?query={a}", from, None), Err("ORIGIN_NOT_ALLOWED"), "{from}");
            assert_eq!(verdict("/graphql", from, None), Ok(()), "{from}");
        }
        for from in ["same-origin", "none"] {
            assert_eq!(verdict("/graphql?query={a}", from, None), Ok(()), "{from}");
        }
        assert_eq!(verdict("/graphql?query={a}", "cross-site", Some("https://shop.example.com")), Ok(()));
    }
}
