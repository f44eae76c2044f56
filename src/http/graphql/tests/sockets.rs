//! What a WebSocket does while all is well.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http},
};

use super::toy::{Toy, person, serve};
use crate::http::graphql::{Authenticate, EndpointOptions, Refusal, StreamLimits};

pub struct Peer(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn request(toy: &Toy, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://{}/graphql", toy.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, http::HeaderValue::from_str(value).unwrap());
        }
        Ok(Self(connect_async(request).await?.0))
    }

    /// A socket that has said nothing yet.
    pub async fn connect(toy: &Toy) -> Self {
        let protocol = [("sec-websocket-protocol", "graphql-transport-ws")];
        Self::request(toy, &protocol).await.expect("a socket")
    }

    /// A socket that is acknowledged.
    pub async fn open(toy: &Toy) -> Self {
        let mut peer = Self::connect(toy).await;
        peer.say(json!({ "type": "connection_init" })).await;
        assert_eq!(peer.hear().await, json!({ "type": "connection_ack" }));
        peer
    }

    pub async fn say(&mut self, message: Json) {
        self.0.send(Message::text(message.to_string())).await.expect("it is sent");
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    /// The next message that is not a WebSocket ping.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await;
            match message.expect("a message in time")?.expect("a message") {
                Message::Ping(_) => {}
                message => return Some(message),
            }
        }
    }

    pub async fn hear(&mut self) -> Json {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The close code, after whatever still comes.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => return frame.code.into(),
                Some(Message::Close(None)) | None => panic!("closed without a code"),
                Some(_) => {}
            }
        }
    }
}

fn next(id: &str, data: Json) -> Json {
    json!({ "type": "next", "id": id, "payload": { "data": data } })
}

fn complete(id: &str) -> Json {
    json!({ "type": "complete", "id": id })
}

#[tokio::test]
async fn queries_mutations_and_subscriptions_go_over_one_socket() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    peer.say(json!({ "type": "subscribe", "id": "q", "payload": {
        "query": "query A { me } query B($n: String) { hello(name: $n) }",
        "operationName": "B", "variables": { "n": "you" }, "extensions": {},
    } }))
    .await;
    assert_eq!(peer.hear().await, next("q", json!({ "hello": "hello you" })));
    assert_eq!(peer.hear().await, complete("q"));
    peer.subscribe("m", "mutation { bump }").await;
    assert_eq!(peer.hear().await, next("m", json!({ "bump": 1 })));
    assert_eq!(peer.hear().await, complete("m"));
    peer.subscribe("s", "subscription { count(to: 2) }").await;
    for number in 0..2 {
        assert_eq!(peer.hear().await, next("s", json!({ "count": number })));
    }
    assert_eq!(peer.hear().await, complete("s"));
    // An id is free again once its operation is over.
    peer.subscribe("s", "{ hello }").await;
    assert_eq!(peer.hear().await, next("s", json!({ "hello": "hello world" })));
}

#[tokio::test]
async fn operations_that_never_ran_get_an_error_message_and_no_complete() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    let bomb = format!("{{ {} }}", "hello ".repeat(2_001));
    for (query, code) in [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", "OPERATION_RESOLUTION_FAILED"),
        (&bomb, "QUERY_TOO_COMPLEX"),
        ("mutation { upload(file: \"#__graphql_file__:0\") { size } }", "BAD_UPLOAD"),
    ] {
        peer.subscribe("e", query).await;
        let told = peer.hear().await;
        assert_eq!((&told["type"], &told["id"]), (&json!("error"), &json!("e")));
        assert_eq!(told["payload"][0]["extensions"]["code"], code, "{told}");
    }
    // The id is free, and nothing but this comes.
    peer.subscribe("e", "{ hello }").await;
    assert_eq!(peer.hear().await, next("e", json!({ "hello": "hello world" })));
    // A failing field did run.
    peer.subscribe("f", "{ fails }").await;
    assert_eq!(peer.hear().await, complete("e"));
    let told = peer.hear().await;
    assert_eq!((&told["type"], &told["payload"]["data"]), (&json!("next"), &json!(null)));
    assert_eq!(peer.hear().await, complete("f"));
}

#[tokio::test]
async fn a_panic_ends_its_operation_and_not_the_socket() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    peer.subscribe("q", "{ panics }").await;
    let told = peer.hear().await;
    assert_eq!((&told["type"], &told["payload"][0]["extensions"]["code"]), (&json!("error"), &json!("INTERNAL")));
    peer.subscribe("s", "subscription { panics }").await;
    assert_eq!(peer.hear().await, next("s", json!({ "panics": 0 })));
    let told = peer.hear().await;
    assert_eq!((&told["type"], &told["id"]), (&json!("error"), &json!("s")));
    peer.subscribe("r", "subscription { refuses }").await;
    assert!(peer.hear().await.to_string().contains("no such thing"));
}

#[tokio::test]
async fn a_completed_subscription_stops_and_its_id_can_be_used_again() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    peer.subscribe("a", "subscription { count(to: 1000000) }").await;
    peer.hear().await;
    peer.say(complete("a")).await;
    peer.say(complete("unknown")).await;
    toy.alive(0).await;
    peer.subscribe("a", "{ hello }").await;
    loop {
        match peer.hear().await {
            told if told["payload"]["data"]["count"].is_number() => {} // was on its way
            told => break assert_eq!(told, next("a", json!({ "hello": "hello world" }))),
        }
    }
    assert_eq!(peer.hear().await, complete("a"));
}

#[tokio::test]
async fn pings_are_answered_before_and_after_the_acknowledgement() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::connect(&toy).await;
    peer.say(json!({ "type": "ping" })).await;
    assert_eq!(peer.hear().await, json!({ "type": "pong" }));
    peer.say(json!({ "type": "connection_init", "payload": {} })).await;
    peer.hear().await;
    peer.say(json!({ "type": "ping", "payload": { "sent": 7 } })).await;
    assert_eq!(peer.hear().await, json!({ "type": "pong", "payload": { "sent": 7 } }));
    peer.say(json!({ "type": "pong", "payload": {} })).await;
    peer.0.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(peer.next().await, Some(Message::Pong("x".into())));
}

#[tokio::test]
async fn the_server_pings_and_keeps_a_socket_that_answers() {
    let stream = StreamLimits { ping: Duration::from_millis(50), ..StreamLimits::default() };
    let toy = serve(EndpointOptions { stream, ..EndpointOptions::default() }).await;
    let mut peer = Peer::open(&toy).await;
    for _ in 0..5 {
        // Reading is what answers a ping.
        let message = tokio::time::timeout(Duration::from_secs(5), peer.0.next()).await;
        assert!(matches!(message, Ok(Some(Ok(Message::Ping(_))))), "{message:?}");
    }
    peer.subscribe("q", "{ hello }").await;
    assert_eq!(peer.hear().await["type"], "next");
}

#[tokio::test]
async fn a_socket_runs_fifty_operations_and_refuses_the_next() {
    let toy = serve(EndpointOptions::default()).await;
    let mut peer = Peer::open(&toy).await;
    for number in 0..50 {
        peer.subscribe(&number.to_string(), "subscription { silence }").await;
    }
    toy.alive(50).await;
    peer.subscribe("51st", "subscription { silence }").await;
    let told = peer.hear().await;
    assert_eq!(told["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
    peer.say(complete("7")).await;
    peer.subscribe("again", "{ hello }").await;
    assert_eq!(peer.hear().await["type"], "next");
    drop(peer);
    toy.alive(0).await;
}

#[tokio::test]
async fn a_key_comes_with_the_init_payload_or_with_the_handshake() {
    let authenticate = Authenticate::with(|credentials| async move {
        match credentials.bearer {
            Some(token) if token.starts_with("good") => Ok(person(token)),
            Some(token) if token == "trouble" => Err(Refusal::internal()),
            _ => Err(Refusal::new(http::StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Show a key.")),
        }
    });
    let toy = serve(EndpointOptions { authenticate, ..EndpointOptions::default() }).await;
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    let init = |token: &str| json!({ "type": "connection_init", "payload": { "Authorization": token } });

    let mut peer = Peer::connect(&toy).await;
    peer.say(init("Bearer good-1")).await;
    peer.hear().await;
    for query in ["{ me }", "subscription { me }"] {
        peer.subscribe("a", query).await;
        assert_eq!(peer.hear().await, next("a", json!({ "me": "good-1" })));
        assert_eq!(peer.hear().await, complete("a"));
    }
    let mut peer = Peer::request(&toy, &[protocol, ("authorization", "bearer good-2")]).await.unwrap();
    peer.say(json!({ "type": "connection_init" })).await;
    assert_eq!(peer.hear().await["type"], "connection_ack");

    for (token, code) in [("Bearer bad", 4403), ("good-1", 4403), ("Bearer trouble", 1011)] {
        let mut peer = Peer::connect(&toy).await;
        peer.say(init(token)).await;
        assert_eq!(peer.closed().await, code, "{token}");
    }
}
