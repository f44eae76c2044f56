//! Cookies along one chain of redirects: some hosts set one and redirect to the same URL before they send the image.
//! A cookie goes back only to the host that set it, never in clear what came over TLS, and is gone when the fetch ends.

use std::time::SystemTime;

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

/// What one fetch keeps: more is no image host's.
const MAX_COOKIES: usize = 32;
const MAX_BYTES: usize = 16 * 1024;

/// The cookies of one fetch.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    kept: Vec<Cookie>,
}

#[derive(Debug)]
struct Cookie {
    host: String,
    over_tls: bool,
    name: String,
    value: String,
}

impl Cookies {
    /// Keeps what an answer from `url` sets, and forgets what it takes back.
    pub(super) fn keep(&mut self, url: &Url, headers: &HeaderMap) {
        let host = url.host_str().unwrap_or_default();
        for header in headers.get_all(SET_COOKIE) {
            let Ok(header) = std::str::from_utf8(header.as_bytes()) else { continue };
            let mut parts = header.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let (name, value) = (name.trim(), value.trim());
            self.kept.retain(|cookie| cookie.host != host || cookie.name != name);
            let bytes: usize = self.kept.iter().map(|cookie| cookie.name.len() + cookie.value.len()).sum();
            if !parts.any(takes_back) && self.kept.len() < MAX_COOKIES && bytes + name.len() + value.len() <= MAX_BYTES
            {
                let over_tls = url.scheme() == "https";
                let (host, name, value) = (host.to_owned(), name.to_owned(), value.to_owned());
                self.kept.push(Cookie { host, over_tls, name, value });
            }
        }
    }

    /// The `Cookie` header for a request to `url`, if it gets any.
    pub(super) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let pairs: Vec<String> = self
            .kept
            .iter()
            .filter(|cookie| Some(cookie.host.as_str()) == url.host_str())
            .filter(|cookie| !cookie.over_tls || url.scheme() == "https")
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| HeaderValue::from_str(&pairs.join("; ")).ok()).flatten()
    }
}

/// Whether an attribute says that the cookie has expired, which is how a host takes it back.
fn takes_back(attribute: &str) -> bool {
    let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
    match name.trim().to_ascii_lowercase().as_str() {
        "max-age" => value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0),
        "expires" => httpdate::parse_http_date(value.trim()).is_ok_and(|at| at <= SystemTime::now()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    fn after(set: &[(&str, &str)]) -> Cookies {
        let mut cookies = Cookies::default();
        for (from, cookie) in set {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, cookie.parse().expect("a header"));
            cookies.keep(&url(from), &headers);
        }
        cookies
    }

    fn sent(cookies: &Cookies, to: &str) -> String {
        cookies.header(&url(to)).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_back_to_its_host_only() {
        let cookies = after(&[("https://a.example/x", "ok=1; Path=/; Secure"), ("http://b.example/", "n=2")]);
        assert_eq!(sent(&cookies, "https://a.example/y"), "ok=1");
        assert_eq!(sent(&cookies, "http://a.example/y"), "");
        assert_eq!(sent(&cookies, "https://b.example/"), "n=2");
        assert_eq!(sent(&cookies, "https://c.a.example/"), "");
    }

    #[test]
    fn a_cookie_is_replaced_taken_back_and_bounded() {
        let from = "http://a.example/";
        assert_eq!(sent(&after(&[(from, "a=1"), (from, "b=2"), (from, "a=3")]), from), "b=2; a=3");
        assert_eq!(sent(&after(&[(from, "a=1"), (from, "a=; Max-Age=0")]), from), "");
        assert_eq!(sent(&after(&[(from, "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT")]), from), "");
        assert_eq!(sent(&after(&[(from, "no pair")]), from), "");
        let large = format!("a={}", "x".repeat(MAX_BYTES));
        assert_eq!(sent(&after(&[(from, &large)]), from), "");
        let many: Vec<String> = (0..100).map(|i| format!("c{i}=1")).collect();
        let many: Vec<_> = many.iter().map(|cookie| (from, cookie.as_str())).collect();
        assert_eq!(sent(&after(&many), from).matches('=').count(), MAX_COOKIES);
    }
}
