//! Subscriptions in the parts of a `multipart/mixed` body.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Response, header::ACCEPT};
use serde_json::json;

use super::toy::{Toy, serve};
use crate::http::graphql::{EndpointOptions, StreamLimits};

/// As Apollo Client asks for a subscription.
const APOLLO: &str =
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9";
const CONTENT_TYPE: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0";

async fn ask(toy: &Toy, query: &str, accept: &str) -> Response {
    toy.post(json!({ "query": query })).header(ACCEPT, accept).send().await.unwrap()
}

/// The bodies of the parts.
async fn parts(response: Response) -> Vec<String> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], CONTENT_TYPE);
    let text = tokio::time::timeout(Duration::from_secs(5), response.text()).await;
    let text = text.expect("the stream ends").unwrap();
    let inner = text.strip_prefix("\r\n--graphql").and_then(|text| text.strip_suffix("\r\n--graphql--\r\n"));
    let parts = inner.unwrap_or_else(|| panic!("{text:?}")).split("\r\n--graphql");
    let body = |part: &str| part.strip_prefix("\r\ncontent-type: application/json\r\n\r\n").map(str::to_owned);
    parts.map(|part| body(part).unwrap_or_else(|| panic!("{part:?}"))).collect()
}

#[tokio::test]
async fn each_answer_is_a_part_and_a_refusal_is_a_plain_answer() {
    let toy = serve(EndpointOptions::default()).await;
    let streamed = parts(ask(&toy, "subscription { count(to: 2) }", APOLLO).await).await;
    let next = |number| format!("{{\"payload\":{{\"data\":{{\"count\":{number}}}}}}}");
    assert_eq!(streamed, [next(0), next(1)]);
    let panicked = parts(ask(&toy, "subscription { panics }", APOLLO).await).await;
    assert!(panicked[1].starts_with("{\"payload\":{\"errors\"") && panicked[1].contains("INTERNAL"), "{panicked:?}");

    let answer = ask(&toy, "{ hello }", APOLLO).await;
    assert_eq!(answer.headers()["content-type"], "application/graphql-response+json; charset=utf-8");
    let refused = ask(&toy, "subscription { nope(", APOLLO).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("GRAPHQL_PARSE_FAILED"));
    let only = "multipart/mixed;subscriptionSpec=1.0";
    let refused = parts(ask(&toy, "subscription { nope }", only).await).await;
    assert!(refused[0].contains("GRAPHQL_VALIDATION_FAILED"), "{refused:?}");
    // For other kinds of answers in parts it says nothing.
    let other = ask(&toy, "subscription { count(to: 2) }", "multipart/mixed;deferSpec=20220824,application/json").await;
    assert_eq!(other.status(), 406);
}

#[tokio::test]
async fn a_part_is_complete_when_it_is_sent_and_silence_is_broken_by_empty_ones() {
    let stream = StreamLimits { keep_alive: Duration::from_millis(20), ..StreamLimits::default() };
    let toy = serve(EndpointOptions { stream, ..EndpointOptions::default() }).await;
    let mut pieces = ask(&toy, "subscription { silence }", APOLLO).await.bytes_stream();
    let mut read = String::new();
    let heartbeats = "\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql".repeat(2);
    while read.len() < "\r\n--graphql".len() + heartbeats.len() {
        let piece = tokio::time::timeout(Duration::from_secs(5), pieces.next()).await.expect("in time");
        read.push_str(std::str::from_utf8(&piece.unwrap().unwrap()).unwrap());
    }
    assert!(read.starts_with(&format!("\r\n--graphql{heartbeats}")), "{read:?}");
}
