//! The guarded client against real local servers: what it connects to and what it does not.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Request};
use tokio::task::JoinSet;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::*;
use crate::guard::resolve::Resolver;
use crate::testing::scripted_server as scripted;

fn client(guard: Guard) -> Client {
    let options = Options { connect_timeout: Duration::from_secs(5), max_idle_per_host: 1, user_agent: None };
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
    let answer = client(allowed).execute(get(&url)).await.expect("an answer");
    assert_eq!(answer.bytes().await.expect("a body").as_ref(), b"image");

    // The port reaches the resolver: our own listener is refused by name, too.
    let own = guard(&["127.0.0.0/8"]).refusing(vec![server.address]);
    let refused = client(own).execute(get(&url)).await;
    assert!(matches!(refused, Err(Failure::Blocked(Blocked::Own(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_resolver_outside_of_a_guarded_request_refuses() {
    use reqwest::dns::Resolve;
    let resolver = Resolver::new(guard(&["127.0.0.0/8"])).expect("a resolver");
    let resolved = resolver.resolve("localhost".parse().expect("a name")).await;
    assert!(resolved.err().expect("no port, no address").to_string().contains("outside of a guarded request"));
}

/// A name server on loopback, its answers' time to live in seconds, and how many questions for an IPv4 address it had.
async fn name_server(address: Option<[u8; 4]>, ttl: u8) -> (SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let at = socket.local_addr().expect("its address");
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            // A header of 12 bytes, the name, then type and class; what may follow is not answered.
            let name = question[12..length].iter().position(|byte| *byte == 0).expect("a name") + 13;
            let is_ipv4 = question[name..name + 2] == [0, 1];
            counting.fetch_add(usize::from(is_ipv4), Ordering::SeqCst);
            let Some(address) = address else { continue };
            let mut answer = question[..name + 4].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
            if is_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4]);
                answer.extend(address);
            }
            socket.send_to(&answer, from).await.expect("answered");
        }
    });
    (at, asked, serving)
}

/// A client that asks this name server.
fn client_asking(name_server: SocketAddr, guard: Guard) -> Client {
    let mut server = NameServerConfig::udp(name_server.ip());
    server.connections[0].port = name_server.port();
    let config = ResolverConfig::from_name_servers(vec![server]);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let resolver = Resolver::with(guard.clone(), builder).expect("a resolver");
    let options = Options { connect_timeout: Duration::from_secs(1), max_idle_per_host: 0, user_agent: None };
    Client::with_resolver(resolver, guard, &options).expect("a client")
}

#[tokio::test]
async fn an_address_is_asked_for_once_in_its_time_to_live_and_vetted_every_time() {
    let server = scripted::serve(|exchange| exchange.answer("200 OK", "", b"image")).await;
    let (asking, asked, _serving) = name_server(Some([127, 0, 0, 1]), 60).await;
    let url = format!("http://images.example:{}/", server.address.port());
    let allowing = guard(&["127.0.0.1/32"]);
    let client = client_asking(asking, allowing.clone());
    for _ in 0..3 {
        assert_eq!(client.execute(get(&url)).await.expect("an answer").status().as_u16(), 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let refusing = client_asking(asking, guard(&["10.0.0.0/8"]));
    let refused = refusing.execute(get(&url)).await;
    assert!(matches!(refused, Err(Failure::Blocked(Blocked::Address { reason: "loopback", .. }))), "{refused:?}");
}

#[tokio::test]
async fn an_address_is_asked_for_again_when_its_time_to_live_is_over() {
    let server = scripted::serve(|exchange| exchange.answer("200 OK", "", b"image")).await;
    let (asking, asked, _serving) = name_server(Some([127, 0, 0, 1]), 0).await;
    let url = format!("http://images.example:{}/", server.address.port());
    let client = client_asking(asking, guard(&["127.0.0.1/32"]));
    for expected in 1..=2 {
        assert!(client.execute(get(&url)).await.is_ok());
        assert_eq!(asked.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn any_number_of_questions_without_an_answer_end_with_the_connect_timeout() {
    let (asking, asked, _serving) = name_server(None, 0).await;
    let client = client_asking(asking, guard(&["127.0.0.1/32"]));
    let lost: Vec<_> = (0..200).map(|i| get(&format!("http://images-{i}.example/"))).collect();
    let lost = futures_util::future::join_all(lost.into_iter().map(|request| client.execute(request))).await;
    for lost in lost {
        assert!(matches!(&lost, Err(Failure::Http(error)) if error.is_timeout() && error.is_connect()), "{lost:?}");
    }
    assert!(asked.load(Ordering::SeqCst) > 0);
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
