//! What each API key may do: beyond it, a refusal says when to come back, and other keys go on.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{ACCEPT, RETRY_AFTER};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::keys;
use crate::support::wait::{found, in_time, until};

fn sheet(images: usize) -> String {
    let urls: Vec<String> = (0..images).map(|n| format!("https://www.example.com/{n}.jpg")).collect();
    csv(&[&urls.iter().map(String::as_str).collect::<Vec<_>>()])
}

/// Checks that an answer says when to come back, in its header and its body.
async fn assert_limited(answer: reqwest::Response) {
    let header = answer.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(answer.status(), 429);
    let answer: Value = answer.json().await.unwrap();
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!((&extensions["code"], extensions["retryAfter"].as_u64()), (&json!("RATE_LIMITED"), header), "{answer}");
    assert!(header.is_some_and(|seconds| (1..=60).contains(&seconds)), "{answer}");
}

async fn query(client: &Client, query: &str) -> reqwest::Response {
    client.http.post(format!("{}/graphql", client.url)).json(&json!({ "query": query })).send().await.unwrap()
}

/// Asks again and again until it is too often: how much comes back meanwhile depends on how busy the machine is.
async fn until_limited(mut ask: impl AsyncFnMut() -> reqwest::Response) -> reqwest::Response {
    found("a refusal", async || {
        let answer = ask().await;
        assert!([200, 429].contains(&answer.status().as_u16()), "{}", answer.status());
        (answer.status() == 429).then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_queries_are_limited_for_each_key() {
    let limits = ["--uploads-per-minute", "2", "--complexity-per-minute", "1000"];
    let halftone = Halftone::start(&[&["--compressions", "0"], &limits[..]].concat()).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(halftone.client.with_key(&keys::create(&halftone.database_url, &[]).await));
    }
    let [busy, other] = &clients[..] else { panic!("two clients") };
    for _ in 0..2 {
        busy.accepted(&sheet(1), json!({})).await;
    }
    assert_limited(until_limited(async || busy.upload_request(sheet(1), json!({})).send().await.unwrap()).await).await;
    other.accepted(&sheet(1), json!({})).await;

    let shown = "{ limits { key { uploadsPerMinute complexityPerMinute subscriptions queuedImages } } }";
    let expected =
        json!({ "uploadsPerMinute": 2, "complexityPerMinute": 1000, "subscriptions": null, "queuedImages": null });
    assert_eq!(other.query(shown, json!({})).await["limits"]["key"], expected);

    let costly = "{ processingRequests(first: 50) { nodes { id status label images(first: 1) { nodes { id } } } } }";
    assert_eq!(query(busy, costly).await.status(), 200);
    assert_limited(until_limited(async || query(busy, costly).await).await).await;
    // Over a socket the operation alone is refused.
    let mut socket = busy.socket().await;
    let mut count = 0;
    let refused = found("a refusal over a socket", async || {
        count += 1;
        let subscribe = json!({ "id": count.to_string(), "type": "subscribe", "payload": { "query": costly } });
        socket.send(Message::text(subscribe.to_string())).await.unwrap();
        loop {
            let message = socket.next().await.unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            match message["type"].as_str() {
                Some("error") => return Some(message),
                Some("complete") => return None,
                _ => {}
            }
        }
    })
    .await;
    let extensions = &refused["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED", "{refused}");
    assert!(extensions["retryAfter"].as_u64().is_some(), "{refused}");
    assert_eq!(query(other, costly).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_key_are_limited_over_every_transport_and_come_back_when_one_ends() {
    let halftone = Halftone::start(&["--compressions", "0", "--subscriptions-per-key", "2"]).await;
    let client = halftone.client.with_key(&keys::create(&halftone.database_url, &[]).await);
    let id = client.accepted(&sheet(1), json!({})).await;
    let operations = ["requestUpdated(id: $id) { id status }", "imageUpdated(requestId: $id) { cursor }"];
    let stream = || {
        let query = format!("subscription ($id: ID!) {{ {} }}", operations[0]);
        let body = json!({ "query": query, "variables": { "id": id } });
        client.http.post(format!("{}/graphql", client.url)).header(ACCEPT, "text/event-stream").json(&body).send()
    };
    let mut socket = client.socket().await;
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": {
        "query": format!("subscription ($id: ID!) {{ {} }}", operations[0]), "variables": { "id": id } } });
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    let first = in_time("the first snapshot", socket.next()).await.unwrap().unwrap();
    assert!(first.to_text().unwrap().contains("next"), "{first}");
    let open = stream().await.unwrap();
    assert_eq!(open.status(), 200);
    assert_limited(stream().await.unwrap()).await;
    drop(open);
    until("the place of a stream that was closed is free", async || stream().await.unwrap().status() == 200).await;
    let complete = json!({ "id": "1", "type": "complete" });
    socket.send(Message::text(complete.to_string())).await.unwrap();
    until("the place of an operation that was completed is free", async || {
        let both = [stream().await.unwrap(), stream().await.unwrap()];
        both.iter().all(|answer| answer.status() == 200)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_queues_so_many_images_and_no_more() {
    let halftone = Halftone::start(&["--compressions", "0", "--max-queued-images", "5"]).await;
    let client = halftone.client.with_key(&keys::create(&halftone.database_url, &["--tenant", "shop"]).await);
    let first = client.accepted(&sheet(3), json!({ "idempotencyKey": "first" })).await;
    assert_limited(client.upload_request(sheet(4), json!({})).send().await.unwrap()).await;
    // What is there already is found, and what fits is taken.
    assert_eq!(client.upload(sheet(3), json!({ "idempotencyKey": "first" })).await["replayed"], true);
    client.accepted(&sheet(2), json!({})).await;
    assert_limited(client.upload_request(sheet(1), json!({})).send().await.unwrap()).await;
    let other = halftone.client.with_key(&keys::create(&halftone.database_url, &["--tenant", "press"]).await);
    other.accepted(&sheet(5), json!({})).await;
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { userErrors { message } } }";
    client.query(cancel, json!({ "id": first })).await;
    client.accepted(&sheet(3), json!({})).await;
    let kept = "SELECT count(*) FROM store_removals";
    assert_eq!(
        crate::support::database::number(&halftone.database_url, kept).await,
        0,
        "refused uploads leave no file"
    );
}
