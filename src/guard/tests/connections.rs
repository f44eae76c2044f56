//! The guarded client against real local servers: what it connects to and what it does not.

use std::process::Command;
use std::time::Duration;

use reqwest::{Method, Request};

use super::*;
use crate::testing::scripted_server as scripted;

fn client(guard: Guard) -> Client {
    let options = Options { connect_timeout: Duration::from_secs(5), max_idle_per_host: 1 };
    Client::new(guard, &options).expect("a client")
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, url.parse().expect("a URL"))
}

#[tokio::test]
async fn a_name_that_resolves_to_a_refused_address_is_never_connected_to() {
    let server = scripted::serve(|exchange| exchange.answer("200 OK", "", b"secret")).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let with_port = Guard::new(Vec::new(), vec![server.address.port()]);
    let refused = client(with_port).execute(get(&url)).await.expect_err("loopback is refused");
    assert!(matches!(refused, Failure::Blocked(Blocked::Address { reason: "loopback", .. })), "{refused:?}");

    // An allowed network elsewhere lets the URL pass; the resolver still judges address and port.
    let elsewhere = client(guard(&["10.0.0.0/8"])).execute(get(&url)).await;
    assert!(matches!(elsewhere, Err(Failure::Blocked(Blocked::Address { .. }))), "{elsewhere:?}");
}

#[tokio::test]
async fn a_name_that_resolves_into_an_allowed_network_is_contacted_on_any_port() {
    let server = scripted::serve(|exchange| exchange.answer("200 OK", "", b"image")).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let allowed = guard(&["127.0.0.0/8", "::1/128"]);
    let answer = client(allowed.clone()).execute(get(&url)).await.expect("an answer");
    assert_eq!(answer.bytes().await.expect("a body").as_ref(), b"image");

    // The port reaches the resolver: our own listener is refused by name, too.
    let own = allowed.refusing(vec![server.address]);
    let refused = client(own).execute(get(&url)).await;
    assert!(matches!(refused, Err(Failure::Blocked(Blocked::Own(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_resolver_outside_of_a_guarded_request_refuses() {
    use reqwest::dns::Resolve;
    let resolved = guard(&["127.0.0.0/8"]).resolve("localhost".parse().expect("a name")).await;
    assert!(resolved.err().expect("no port, no address").to_string().contains("outside of a guarded request"));
}

#[tokio::test]
async fn redirects_are_not_followed_by_the_client() {
    let server = scripted::serve(|exchange| exchange.answer("302 Found", "Location: /next\r\n", b"")).await;
    let answer = client(guard(&["127.0.0.0/8"])).execute(get(&server.url("/"))).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 302);
}

/// Also run by the test below in a process without certificates.
#[tokio::test]
async fn http_works_whatever_certificates_there_are() {
    let server = scripted::serve(|exchange| exchange.answer("200 OK", "", b"image")).await;
    let answer = client(guard(&["127.0.0.0/8"])).execute(get(&server.url("/"))).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
}

#[test]
fn http_works_where_no_certificates_are_installed() {
    let this = std::env::current_exe().expect("the path of this test");
    let output = Command::new(this)
        .args(["--exact", "guard::tests::connections::http_works_whatever_certificates_there_are"])
        .env("SSL_CERT_FILE", "/nonexistent/certificates.pem")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .expect("run this test again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
