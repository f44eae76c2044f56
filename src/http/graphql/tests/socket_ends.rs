//! How WebSockets end: every close code, and the peers that do not even close.

use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{
    sockets::Peer,
    toy::{Toy, serve},
};
use crate::http::graphql::{EndpointOptions, StreamLimits};

async fn impatient(change: impl FnOnce(&mut StreamLimits)) -> Toy {
    let mut stream = StreamLimits::default();
    change(&mut stream);
    serve(EndpointOptions { stream, ..EndpointOptions::default() }).await
}

#[tokio::test]
async fn messages_outside_the_protocol_close_with_4400() {
    let toy = serve(EndpointOptions::default()).await;
    for message in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"type":"start"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","id":1,"payload":{"query":"{hello}"}}"#,
        r#"{"type":"subscribe","id":"","payload":{"query":"{hello}"}}"#,
        r#"{"type":"subscribe","id":"a","payload":{}}"#,
        r#"{"type":"subscribe","id":"a","payload":{"query":7}}"#,
        r#"{"type":"subscribe","id":"a","payload":{"query":"{hello}","variables":[]}}"#,
        r#"{"type":"subscribe","id":"a"}"#,
        r#"{"type":"complete"}"#,
    ] {
        let mut peer = Peer::open(&toy).await;
        peer.0.send(Message::text(message)).await.unwrap();
        assert_eq!(peer.closed().await, 4400, "{message}");
    }
    let mut peer = Peer::open(&toy).await;
    peer.0.send(Message::binary("{}")).await.unwrap();
    assert_eq!(peer.closed().await, 4400);
    let mut peer = Peer::connect(&toy).await;
    peer.say(json!({ "type": "connection_init", "payload": "x" })).await;
    assert_eq!(peer.closed().await, 4400);
}

#[tokio::test]
async fn subscribing_before_the_acknowledgement_closes_with_4401() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::connect(&toy).await;
    peer.subscribe("a", "{ hello }").await;
    assert_eq!(peer.closed().await, 4401);
}

#[tokio::test]
async fn other_subprotocols_close_with_4406() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::request(&toy, &[]).await.expect("a socket");
    assert_eq!(peer.closed().await, 4406);
    // A client that offered one and got none fails the handshake itself.
    let legacy = Peer::request(&toy, &[("sec-websocket-protocol", "graphql-ws")]).await;
    assert!(legacy.is_err());
    let both = Peer::request(&toy, &[("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")]).await;
    assert!(both.is_ok());
}

#[tokio::test]
async fn silence_before_the_init_closes_with_4408() {
    let toy = impatient(|limits| limits.init = Duration::from_millis(50)).await;
    let mut peer = Peer::connect(&toy).await;
    assert_eq!(peer.closed().await, 4408);
}

#[tokio::test]
async fn an_id_in_use_closes_with_4409_and_drops_what_ran() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    let long = "ä".repeat(300);
    peer.subscribe(&long, "subscription { silence }").await;
    toy.alive(1).await;
    peer.subscribe(&long, "{ hello }").await;
    assert_eq!(peer.closed().await, 4409);
    toy.alive(0).await;
}

#[tokio::test]
async fn a_second_init_closes_with_4429() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    peer.say(json!({ "type": "connection_init" })).await;
    assert_eq!(peer.closed().await, 4429);
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    let padding = |size: usize| json!({ "type": "ping", "payload": { "x": "x".repeat(size) } });
    peer.say(padding(255 * 1024)).await;
    assert_eq!(peer.hear().await["type"], "pong");
    peer.say(padding(256 * 1024)).await;
    assert_eq!(peer.closed().await, 1009);
}

#[tokio::test]
async fn a_peer_that_lets_pings_pass_in_silence_is_dropped() {
    let toy = impatient(|limits| limits.ping = Duration::from_millis(300)).await;
    let mut peer = Peer::open(&toy).await;
    peer.subscribe("a", "subscription { silence }").await;
    toy.alive(1).await;
    // Not reading is not answering.
    toy.alive(0).await;
    drop(peer);
}

#[tokio::test]
async fn a_reader_that_stalls_is_disconnected_and_its_subscriptions_freed() {
    let toy = impatient(|limits| limits.send = Duration::from_millis(500)).await;
    let mut stalled = Peer::open(&toy).await;
    stalled.subscribe("b", "subscription { silence }").await;
    toy.alive(1).await;
    stalled.subscribe("a", "subscription { flood }").await;
    toy.alive(2).await;
    let begun = Instant::now();
    toy.alive(0).await;
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    // Others were not held up.
    let mut other = Peer::open(&toy).await;
    other.subscribe("a", "{ hello }").await;
    assert_eq!(other.hear().await["type"], "next");
}

#[tokio::test]
async fn a_slow_reader_that_keeps_reading_is_kept() {
    let toy = impatient(|limits| limits.send = Duration::from_secs(1)).await;
    let mut slow = Peer::open(&toy).await;
    slow.subscribe("a", "subscription { flood }").await;
    // Longer than the limit in all, and never that long between two messages.
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(slow.hear().await["type"], "next");
    }
    assert_eq!(toy.alive.count(), 1);
}

#[tokio::test]
async fn a_peer_that_closes_is_answered_and_one_that_vanishes_is_forgotten() {
    let toy = serve(EndpointOptions::default()).await;
    let mut polite = Peer::open(&toy).await;
    polite.subscribe("a", "subscription { silence }").await;
    toy.alive(1).await;
    polite.0.close(None).await.unwrap();
    assert!(matches!(polite.next().await, Some(Message::Close(_)) | None));
    toy.alive(0).await;
    let mut rude = Peer::open(&toy).await;
    rude.subscribe("a", "subscription { silence }").await;
    toy.alive(1).await;
    drop(rude);
    toy.alive(0).await;
}

#[tokio::test]
async fn shutdown_closes_sockets_with_1001_after_whole_messages_and_promptly() {
    let toy = serve(EndpointOptions::default()).await;
    let mut busy = Peer::open(&toy).await;
    busy.subscribe("a", "subscription { count(to: 1000000) }").await;
    busy.hear().await;
    let mut idle = Peer::open(&toy).await;
    let mut waiting = Peer::connect(&toy).await;
    let mut stalled = Peer::open(&toy).await;
    stalled.subscribe("a", "subscription { flood }").await;
    toy.alive(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await; // until the stalled one's buffers are full

    let begun = Instant::now();
    toy.options.shutdown.cancel();
    toy.options.tasks.close();
    let (busy, idle, waiting) = tokio::join!(busy.closed(), idle.closed(), waiting.closed());
    assert_eq!((busy, idle, waiting), (1001, 1001, 1001));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    let ended = tokio::time::timeout(Duration::from_secs(3), toy.options.tasks.wait()).await;
    assert!(ended.is_ok(), "a stalled socket may not hold the shutdown up");
    assert_eq!(toy.alive.count(), 0);
    drop(stalled);
}

#[tokio::test]
async fn a_foreign_page_cannot_open_a_socket() {
    let toy = serve(EndpointOptions::default()).await;
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    let own = format!("http://{}", toy.address);
    assert!(Peer::request(&toy, &[protocol, ("origin", &own)]).await.is_ok());
    for foreign in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")] {
        match Peer::request(&toy, &[protocol, foreign]).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403),
            other => panic!("{:?}", other.map(|_| "a socket")),
        }
    }
}

#[tokio::test]
async fn a_broken_handshake_is_a_coded_refusal() {
    let toy = serve(EndpointOptions::default()).await;
    let request = toy.client.get(toy.url()).header("sec-websocket-key", "x").header("upgrade", "websocket");
    let response = request.send().await.unwrap();
    assert!(response.status().is_client_error());
    assert!(response.text().await.unwrap().contains("BAD_HANDSHAKE"));
}
