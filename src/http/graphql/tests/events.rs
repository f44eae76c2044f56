//! Server-Sent Events.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Response, header::ACCEPT};
use serde_json::json;

use super::toy::{Toy, outcome, serve};
use crate::http::graphql::{EndpointOptions, StreamLimits};

async fn open(toy: &Toy, query: &str) -> Response {
    let request = toy.post(json!({ "query": query })).header(ACCEPT, "text/event-stream");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    response
}

/// The events without comments.
async fn events(response: Response) -> Vec<String> {
    let text = tokio::time::timeout(Duration::from_secs(5), response.text()).await;
    let text = text.expect("the stream ends").unwrap();
    let events = text.split("\n\n").filter(|event| !event.is_empty() && *event != ":");
    events.map(str::to_owned).collect()
}

const COMPLETE: &str = "event: complete\ndata:";

#[tokio::test]
async fn a_subscription_streams_and_completes() {
    let toy = serve(EndpointOptions::default()).await;
    let streamed = events(open(&toy, "subscription { count(to: 2) }").await).await;
    let next = |number| format!("event: next\ndata: {{\"data\":{{\"count\":{number}}}}}");
    assert_eq!(streamed, [next(0), next(1), COMPLETE.to_owned()]);
    let get = toy.get(&[("query", "subscription { count(to: 2) }")]);
    let response = get.header(ACCEPT, "text/event-stream").send().await.unwrap();
    assert_eq!(events(response).await, streamed);
}

#[tokio::test]
async fn a_query_and_a_mutation_are_a_stream_of_one_but_not_a_mutation_by_get() {
    let toy = serve(EndpointOptions::default()).await;
    let one = events(open(&toy, "{ hello }").await).await;
    assert_eq!(one, ["event: next\ndata: {\"data\":{\"hello\":\"hello world\"}}", COMPLETE]);
    let one = events(open(&toy, "mutation { bump }").await).await;
    assert_eq!(one[0], "event: next\ndata: {\"data\":{\"bump\":1}}");
    let get = toy.get(&[("query", "mutation { bump }")]);
    assert_eq!(outcome(get.header(ACCEPT, "text/event-stream")).await.0, 405);
}

#[tokio::test]
async fn refusals_and_panics_are_events() {
    let toy = serve(EndpointOptions::default()).await;
    for (query, code) in [
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("{ panics }", "INTERNAL"),
    ] {
        let told = events(open(&toy, query).await).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains(code) && !told[0].contains("\"data\":"), "{told:?}");
        assert_eq!(told[1], COMPLETE);
    }
    let told = events(open(&toy, "subscription { panics }").await).await;
    assert_eq!(told[0], "event: next\ndata: {\"data\":{\"panics\":0}}");
    assert!(told[1].contains("INTERNAL"), "{told:?}");
    assert_eq!(told[2], COMPLETE);
    assert_eq!(toy.ask("{ hello }").await["data"]["hello"], "hello world");
}

#[tokio::test]
async fn an_idle_stream_is_kept_alive_by_comments() {
    let stream = StreamLimits { keep_alive: Duration::from_millis(20), ..StreamLimits::default() };
    let toy = serve(EndpointOptions { stream, ..EndpointOptions::default() }).await;
    let mut pieces = open(&toy, "subscription { silence }").await.bytes_stream();
    for _ in 0..3 {
        let piece = tokio::time::timeout(Duration::from_secs(5), pieces.next()).await;
        assert_eq!(piece.expect("in time").unwrap().unwrap(), ":\n\n");
    }
    toy.alive(1).await;
    drop(pieces);
    toy.alive(0).await;
}

#[tokio::test]
async fn shutdown_ends_streams_without_completing_them() {
    let toy = serve(EndpointOptions::default()).await;
    let idle = open(&toy, "subscription { silence }").await;
    let busy = open(&toy, "subscription { count(to: 1000000) }").await;
    toy.alive(2).await;
    toy.options.shutdown.cancel();
    toy.options.tasks.close();
    assert_eq!(events(idle).await, [""; 0]);
    let streamed = events(busy).await;
    assert!(streamed.iter().all(|event| event.starts_with("event: next\ndata: {") && event.ends_with("}}")));
    let ended = tokio::time::timeout(Duration::from_secs(2), toy.options.tasks.wait()).await;
    assert!(ended.is_ok(), "the server and its streams ended");
    assert_eq!(toy.alive.count(), 0);
}

#[tokio::test]
async fn a_reader_that_stalls_loses_its_subscription() {
    let stream = StreamLimits { send: Duration::from_millis(500), ..StreamLimits::default() };
    let toy = serve(EndpointOptions { stream, ..EndpointOptions::default() }).await;
    let stalled = open(&toy, "subscription { flood }").await;
    toy.alive(1).await;
    toy.alive(0).await;
    drop(stalled);
}
