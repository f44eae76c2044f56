//! The fetcher against local servers that behave well, badly, and dishonestly.
//! Servers follow scripts; small limits stand in for long waits.

mod bodies;
mod conditions;
mod hosts;
mod redirects;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::guard::DEFAULT_PORTS;
use crate::testing::scripted_server::{self as scripted, Exchange, Server};

use super::*;

const KIB: u64 = 1024;

fn limits() -> Limits {
    Limits { max_bytes: 256 * KIB, ..Limits::default() }
}

/// A fetcher that may contact 127.0.0.1, and nothing else that is not public.
fn fetcher(limits: Limits) -> Fetcher {
    fetcher_with_budget(limits, DEFAULT_BUDGET_BYTES)
}

fn fetcher_with_budget(limits: Limits, budget_bytes: u64) -> Fetcher {
    let allow = vec!["127.0.0.1/32".parse().expect("a network")];
    let guard = Guard::new(allow, DEFAULT_PORTS.to_vec());
    let client = client(&guard, &limits, None).expect("a client");
    Fetcher::new(client, limits, budget_bytes)
}

/// A server that answers every request with these bytes and closes.
async fn saying(raw: impl Into<Vec<u8>>) -> Server {
    let raw: Arc<[u8]> = raw.into().into();
    scripted::serve(move |mut exchange| {
        let raw = Arc::clone(&raw);
        async move {
            exchange.write(raw).await;
        }
    })
    .await
}

async fn failure(limits: Limits, server: &Server) -> Error {
    fetcher(limits).get(&server.url("/image.jpg")).await.expect_err("the fetch must fail")
}

#[tokio::test]
async fn an_image_arrives_with_what_the_host_calls_it() {
    let server = scripted::serve(async |exchange: Exchange| {
        assert!(exchange.head.contains("accept-encoding: identity\r\n"), "{}", exchange.head);
        assert!(exchange.head.contains("user-agent: halftone/"), "{}", exchange.head);
        assert!(!exchange.head.contains("referer"), "{}", exchange.head);
        exchange.answer("200 OK", "Content-Type: image/jpeg\r\n", &[7; 100_000]).await;
    })
    .await;
    let fetched = fetcher(limits()).get(&format!(" {} ", server.url("/a.jpg?x=1#y"))).await.expect("an image");
    assert_eq!(fetched.bytes, vec![7; 100_000]);
    assert_eq!(fetched.content_type.as_deref(), Some("image/jpeg"));
}

#[tokio::test]
async fn a_page_instead_of_an_image_is_handed_on_as_it_is() {
    let page = b"<!doctype html><title>Gone fishing</title>";
    let server = scripted::serve(move |exchange| exchange.answer("200 OK", "Content-Type: text/html\r\n", page)).await;
    let fetched = fetcher(limits()).get(&server.url("/")).await.expect("a page");
    assert_eq!((fetched.bytes.as_ref(), fetched.content_type.as_deref()), (page.as_slice(), Some("text/html")));
}

#[tokio::test]
async fn statuses_are_sorted_into_those_that_may_heal_and_those_that_do_not() {
    for (status, transient) in [
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (410, false),
        (418, false),
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (502, true),
        (503, true),
        (599, true),
        (300, false),
        (304, false),
    ] {
        let server = saying(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).await;
        let error = failure(limits(), &server).await;
        assert_eq!((error.http_status(), error.is_transient()), (Some(status), transient), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn likely_causes_of_a_refusal_are_named() {
    let server = scripted::serve(async |exchange: Exchange| match exchange.path.as_str() {
        "/a" => exchange.answer("404 X", "", b"").await,
        _ => exchange.answer("403 X", "", b"<Error><Message>Request has expired</Message></Error>").await,
    })
    .await;
    for (path, hint) in [("/a", None), ("/a#b.jpg", Some(Hint::Fragment)), ("/signed", Some(Hint::Expired))] {
        let error = fetcher(limits()).get(&server.url(path)).await.expect_err("refused");
        assert!(matches!(error, Error::Http { hint: found, .. } if found == hint), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_named_before_anything_is_sent() {
    let fetcher = fetcher(limits());
    for url in ["", "image.jpg", "//example.com/a.jpg", "http://", "ftp://example.com/a.jpg", "http://u:p@example.com/"]
    {
        let error = fetcher.get(url).await.expect_err("not a URL");
        assert!(matches!(error, Error::InvalidUrl { .. }), "{url}: {error:?}");
        assert!(!error.is_transient());
    }
    for url in ["http://10.0.0.1/a.jpg", "http://[::1]/", "http://127.0.0.2/", "http://8.8.8.8:22/"] {
        let error = fetcher.get(url).await.expect_err("a refused address");
        assert!(matches!(error, Error::BlockedAddress { .. }), "{url}: {error:?}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_dns_failure() {
    // A name server that is not there takes its time to say so.
    let patience = Duration::from_secs(30);
    let limits = Limits { connect_timeout: patience, first_byte_timeout: patience, ..limits() };
    // RFC 6761: no name below .invalid exists.
    let error = fetcher(limits).get("http://no-such-host.invalid/a.jpg").await.expect_err("no such name");
    assert!(matches!(&error, Error::DnsFailure { host, .. } if host == "no-such-host.invalid"), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_a_connect_failure() {
    let url = saying("").await.url("/");
    let error = fetcher(limits()).get(&url).await.expect_err("nobody listens");
    assert!(matches!(error, Error::ConnectFailure { .. }), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_host_that_does_not_speak_tls_is_a_tls_failure() {
    // Reads raw bytes, not a request: a TLS hello is none.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/", listener.local_addr().expect("its address"));
    let fetcher = fetcher(limits());
    let answering = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        stream
    };
    let (fetched, _stream) = tokio::join!(fetcher.get(&url), answering);
    let error = fetched.expect_err("no TLS");
    assert!(matches!(error, Error::TlsFailure { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn error_messages_and_causes_never_show_the_query_of_a_url() {
    let url = saying("").await.url("/a.jpg?signature=SECRET");
    let mut error: Option<&dyn std::error::Error> = None;
    let failed = fetcher(limits()).get(&url).await.expect_err("nobody listens");
    let mut shown = format!("{failed:?}");
    let mut next = Some(&failed as &dyn std::error::Error);
    while let Some(cause) = next {
        shown += &cause.to_string();
        error = Some(cause);
        next = cause.source();
    }
    assert!(error.is_some() && !shown.contains("SECRET"), "{shown}");
}
