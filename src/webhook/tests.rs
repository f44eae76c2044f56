//! Signatures against published vectors; deliveries against local receivers.

use std::sync::{Arc, Mutex};

use super::*;
use crate::guard::{DEFAULT_PORTS, Guard, Options};
use crate::testing::scripted_server::{self as scripted, Exchange, Server};

const MS: Duration = Duration::from_millis(1);

/// The example secret of the specification's reference libraries.
const EXAMPLE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn client() -> Client {
    let guard = Guard::new(vec!["127.0.0.1/32".parse().expect("a network")], DEFAULT_PORTS.to_vec());
    let options = Options { connect_timeout: Duration::from_secs(30), max_idle_per_host: 1, user_agent: None };
    Client::new(guard, &options).expect("a client")
}

fn delivery(url: String) -> Delivery {
    let id = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
    Delivery { id, url, body: Bytes::from_static(br#"{"type":"processing_request.finished"}"#) }
}

async fn attempt(url: String) -> Attempt {
    attempt_within(30_000 * MS, url).await
}

async fn attempt_within(limit: Duration, url: String) -> Attempt {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let secret = Secret::parse(EXAMPLE).expect("a secret");
    send(&client(), &delivery(url), &[secret], now, limit).await
}

async fn answering(status: &'static str, headers: &'static str) -> Server {
    scripted::serve(move |exchange: Exchange| exchange.answer(status, headers, b"noted")).await
}

#[test]
fn signatures_match_the_published_vectors() {
    for (secret, id, timestamp, body, signature) in [
        (
            EXAMPLE,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ] {
        let secret = Secret::parse(secret).expect("a secret");
        assert_eq!(sign(&secret, id, timestamp, body.as_bytes()), signature);
        assert_ne!(sign(&secret, id, timestamp + 1, body.as_bytes()), signature);
    }
}

#[test]
fn secrets_are_read_generated_and_never_printed_by_accident() {
    let secret = Secret::parse(&format!(" {EXAMPLE}\n")).expect("a secret");
    assert_eq!(secret.reveal(), EXAMPLE);
    assert_eq!(format!("{secret:?}"), "Secret(…)");

    let generated = Secret::generate();
    assert_ne!(generated.reveal(), Secret::generate().reveal());
    let parsed = Secret::parse(&generated.reveal()).expect("its own text");
    assert_eq!(parsed.reveal(), generated.reveal());

    for (text, expected) in [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", InvalidSecret::Prefix),
        ("", InvalidSecret::Prefix),
        ("whsec_not base64!", InvalidSecret::Encoding),
        ("whsec_c2hvcnQ=", InvalidSecret::Length(5)),
        ("whsec_", InvalidSecret::Length(0)),
    ] {
        assert_eq!(Secret::parse(text).err(), Some(expected), "{text}");
    }
    let long = format!("whsec_{}", "AAAA".repeat(22));
    assert_eq!(Secret::parse(&long).err(), Some(InvalidSecret::Length(66)));
}

#[tokio::test]
async fn a_delivery_is_posted_as_json_with_the_three_headers() {
    let received = Arc::new(Mutex::new(None));
    let noting = Arc::clone(&received);
    let server = scripted::serve(move |exchange: Exchange| {
        *noting.lock().expect("not poisoned") = Some((exchange.head.clone(), exchange.body.clone()));
        exchange.answer("204 No Content", "", b"")
    })
    .await;
    let attempt = attempt(server.url("/hooks?tenant=1")).await;
    assert_eq!((attempt.http_status, &attempt.error, attempt.verdict()), (Some(204), &None, Verdict::Delivered));

    let (head, body) = received.lock().expect("not poisoned").take().expect("a request");
    let sent = delivery(String::new());
    let secret = Secret::parse(EXAMPLE).expect("a secret");
    let signature = sign(&secret, &sent.id.to_string(), 1_700_000_000, &sent.body);
    assert!(head.starts_with("post /hooks?tenant=1 http/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/json\r\n".to_owned(),
        format!("webhook-id: {}\r\n", sent.id),
        "webhook-timestamp: 1700000000\r\n".to_owned(),
        // The server keeps the head in lower case.
        format!("webhook-signature: {}\r\n", signature.to_lowercase()),
    ] {
        assert!(head.contains(&line), "{line} not in {head}");
    }
    assert_eq!(body, sent.body);
}

#[tokio::test]
async fn statuses_become_verdicts() {
    for (status, code, verdict, says) in [
        ("200 OK", 200, Verdict::Delivered, None),
        ("202 Accepted", 202, Verdict::Delivered, None),
        ("410 Gone", 410, Verdict::Gone, Some("no more deliveries")),
        ("404 Not Found", 404, Verdict::Retry, Some("404")),
        ("500 Oops", 500, Verdict::Retry, Some("500")),
    ] {
        let attempt = attempt(answering(status, "").await.url("/")).await;
        assert_eq!((attempt.http_status, attempt.verdict()), (Some(code), verdict), "{attempt:?}");
        match says {
            None => assert_eq!(attempt.error, None),
            Some(says) => assert!(attempt.error.as_ref().is_some_and(|error| error.contains(says)), "{attempt:?}"),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_a_failed_attempt_that_says_so() {
    let server = scripted::serve(async |exchange: Exchange| {
        assert_eq!(exchange.path, "/", "the redirect was followed");
        exchange.answer("308 Permanent Redirect", "Location: /elsewhere\r\n", b"").await;
    })
    .await;
    let attempt = attempt(server.url("/")).await;
    assert_eq!((attempt.http_status, attempt.verdict()), (Some(308), Verdict::Retry));
    assert!(attempt.error.is_some_and(|error| error.contains("redirects are not followed")));
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let attempt = attempt(answering("429 Slow Down", "Retry-After: 600\r\n").await.url("/")).await;
    assert_eq!(attempt.retry_after, Some(Duration::from_secs(600)));
    assert_eq!(retry_delay(&DEFAULT_SCHEDULE, 1, attempt.retry_after), Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up() {
    let server = scripted::serve(Exchange::until_gone).await;
    let attempt = attempt_within(200 * MS, server.url("/")).await;
    assert_eq!((attempt.http_status, attempt.verdict()), (None, Verdict::Retry));
    assert!(attempt.error.as_ref().is_some_and(|error| error.contains("did not answer within 0.2 s")), "{attempt:?}");
    assert!(attempt.duration >= 200 * MS);
}

#[tokio::test]
async fn an_endless_answer_is_neither_read_nor_waited_for() {
    let flooding = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
        exchange.drip(&[b'x'; 4096], Duration::ZERO).await;
    })
    .await;
    let dripping = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
        exchange.drip(b"x", 5 * MS).await;
    })
    .await;
    for server in [flooding, dripping] {
        let attempt = attempt_within(1000 * MS, server.url("/")).await;
        assert_eq!((attempt.http_status, attempt.verdict()), (Some(200), Verdict::Delivered));
        assert!(attempt.duration < 3000 * MS, "{attempt:?}");
    }
}

#[tokio::test]
async fn receivers_that_cannot_be_reached_are_told_apart() {
    let nobody = answering("200 OK", "").await.url("/");
    let broken = scripted::serve(async |exchange: Exchange| exchange.reset()).await;
    for (url, says) in [
        ("http://10.0.0.1/hook".to_owned(), "may not be contacted"),
        ("http://localhost.invalid/hook".to_owned(), "could not be found"),
        ("http://user:pass@example.com/".to_owned(), "may not be contacted"),
        ("not a url".to_owned(), "not valid"),
        (nobody, "No connection"),
        (broken.url("/"), "closed the connection"),
    ] {
        let attempt = attempt(url.clone()).await;
        assert_eq!((attempt.http_status, attempt.verdict()), (None, Verdict::Retry));
        assert!(attempt.error.as_ref().is_some_and(|error| error.contains(says)), "{url}: {attempt:?}");
    }
}
