//! API keys: who may call, what with, and until when.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::keys;
use crate::support::process::{Process, halftone};
use crate::support::wait::in_time;

const VIEWER: &str = "{ viewer { key { name scope expiresAt } tenant { name usage { requests images } } } }";

async fn idle() -> Halftone {
    Halftone::start(&["--compressions", "0"]).await
}

fn sheet() -> String {
    csv(&[&["https://www.example.com/1.jpg"]])
}

/// The status and the code with which a query is refused.
async fn refusal(client: &Client, query: &str) -> (StatusCode, Value) {
    let post = client.http.post(format!("{}/graphql", client.url)).json(&json!({ "query": query }));
    let answer = post.send().await.unwrap();
    let status = answer.status();
    let mut answer: Value = answer.json().await.unwrap();
    (status, answer["errors"][0]["extensions"]["code"].take())
}

const UNAUTHENTICATED: &str = "UNAUTHENTICATED";

/// The code with which the server closes a socket.
async fn close_code<S>(socket: &mut tokio_tungstenite::WebSocketStream<S>) -> u16
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let closed = async {
        loop {
            if let Message::Close(frame) = socket.next().await.expect("a close frame").expect("a message") {
                return frame.expect("a code").code.into();
            }
        }
    };
    in_time("the end of a socket", closed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_key_on_everyone_needs_one() {
    let halftone = idle().await;
    let stranger = &halftone.client;
    let open = stranger.query(VIEWER, json!({})).await;
    let usage = json!({ "requests": 0, "images": 0 });
    assert_eq!(open["viewer"], json!({ "key": null, "tenant": { "name": "default", "usage": usage } }));
    stranger.accepted(&sheet(), json!({})).await;
    let mut socket = stranger.socket().await;

    let key = keys::create(&halftone.database_url, &["--tenant", "shop", "--expires", "90d"]).await;
    assert_eq!(close_code(&mut socket).await, 4403, "who was there before any key needs one too");
    assert_eq!(refusal(stranger, VIEWER).await, (StatusCode::UNAUTHORIZED, json!(UNAUTHENTICATED)));
    let refused = stranger.upload_request(sheet(), json!({})).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");

    let client = stranger.with_key(&key);
    let known = client.query(VIEWER, json!({})).await;
    assert_eq!(known["viewer"]["tenant"], json!({ "name": "shop", "usage": usage }));
    assert_eq!((&known["viewer"]["key"]["name"], &known["viewer"]["key"]["scope"]), (&json!("test"), &json!("WRITE")));
    let expires =
        known["viewer"]["key"]["expiresAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let days = (expires - chrono::Utc::now()).num_days();
    assert!((89..=90).contains(&days), "{days}");
    client.accepted(&sheet(), json!({})).await;
    assert_eq!(client.query(VIEWER, json!({})).await["viewer"]["tenant"]["usage"]["images"], 1);
    client.socket().await;

    let other = keys::create(&database::fresh().await, &[]).await;
    let mut changed = key.clone();
    changed.replace_range(20..21, if &key[20..21] == "a" { "b" } else { "a" });
    for wrong in [&other, &changed, "halftone_", "x"] {
        let refused = refusal(&stranger.with_key(wrong), VIEWER).await;
        assert_eq!(refused, (StatusCode::UNAUTHORIZED, json!(UNAUTHENTICATED)), "{wrong}");
    }
    // A proxy in front may have looked at either.
    let ask = stranger.http.post(format!("{}/graphql", stranger.url)).json(&json!({ "query": VIEWER }));
    let twice = ask.bearer_auth(&key).header("authorization", format!("Bearer {other}"));
    assert_eq!(twice.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_says_what_a_key_is_good_for() {
    let halftone = idle().await;
    let key = async |scope: &str| {
        let key = keys::create(&halftone.database_url, &["--scope", scope]).await;
        halftone.client.with_key(&key)
    };
    let (read, write, admin) = (key("read").await, key("write").await, key("admin").await);
    let id = write.accepted(&sheet(), json!({})).await;
    let cancel =
        format!("mutation {{ cancelProcessingRequest(input: {{ id: \"{id}\" }}) {{ userErrors {{ code }} }} }}");
    let forbidden = (StatusCode::FORBIDDEN, json!("FORBIDDEN"));
    assert_eq!(refusal(&read, &cancel).await, forbidden);
    // Where the document has several operations, the one that is meant counts.
    let named = json!({ "query": format!("query Q {{ __typename }} {}", cancel.replacen("mutation", "mutation M", 1)),
        "operationName": "M" });
    let answer = read.http.post(format!("{}/graphql", read.url)).json(&named).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let uploaded = read.upload_request(sheet(), json!({})).send().await.unwrap();
    assert_eq!(uploaded.status(), StatusCode::FORBIDDEN);
    let mut socket = read.socket().await;
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": cancel } });
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    let answer = in_time("an answer", socket.next()).await.unwrap().unwrap();
    assert!(answer.to_text().unwrap().contains("FORBIDDEN"), "{answer}");

    let status = format!("{{ processingRequest(id: \"{id}\") {{ status cancelRequestedAt }} }}");
    let seen = read.query(&status, json!({})).await;
    assert_eq!(seen["processingRequest"], json!({ "status": "PENDING", "cancelRequestedAt": null }));
    let system = "{ system { version } }";
    for client in [&read, &write] {
        assert_eq!(client.post(system, json!({})).await["errors"][0]["extensions"]["code"], "FORBIDDEN");
    }
    admin.query(system, json!({})).await;
    assert_eq!(admin.query(&cancel, json!({})).await["cancelProcessingRequest"]["userErrors"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_key_ends_its_sockets_and_streams_and_no_others() {
    let halftone = idle().await;
    let url = &halftone.database_url;
    let [revoked, other] = [keys::create(url, &[]).await, keys::create(url, &[]).await];
    let short = keys::create(url, &["--expires", "4s"]).await;
    let of_short = halftone.client.with_key(&short).socket().await;
    let client = halftone.client.with_key(&revoked);
    let id = client.accepted(&sheet(), json!({})).await;
    let mut sockets = [client.socket().await, of_short];
    let mut kept = halftone.client.with_key(&other).socket().await;
    let query = format!("subscription {{ requestUpdated(id: \"{id}\") {{ status }} }}");
    let stream = client.http.post(format!("{}/graphql", client.url)).header("accept", "text/event-stream");
    let mut stream = stream.json(&json!({ "query": query })).send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("PENDING") {
        seen.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("an event")).unwrap());
    }

    let output = keys::command(url, &["revoke", &revoked]).await;
    assert!(output.status.success());
    assert_eq!(refusal(&client, VIEWER).await, (StatusCode::UNAUTHORIZED, json!(UNAUTHENTICATED)));
    for socket in &mut sockets {
        assert_eq!(close_code(socket).await, 4403);
    }
    while let Some(chunk) = in_time("the end of the stream", stream.chunk()).await.unwrap() {
        let chunk = std::str::from_utf8(&chunk).unwrap();
        assert!(!chunk.contains("complete"), "a stream that was cut off does not look finished: {chunk}");
    }
    assert_eq!(refusal(&halftone.client.with_key(&short), VIEWER).await.1, UNAUTHENTICATED);
    kept.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    let answer = in_time("an answer", kept.next()).await.unwrap().unwrap();
    assert!(answer.to_text().unwrap().contains("pong"), "{answer}");

    let listed = String::from_utf8(keys::command(url, &["list"]).await.stdout).unwrap();
    let line = |key: &str| listed.lines().find(|line| line.starts_with(&key[9..17])).expect("its line").to_owned();
    assert!(line(&revoked).contains("revoked 20") && line(&short).contains("expired 20"), "{listed}");
    assert!(line(&other).ends_with("works") && !line(&other).contains("never"), "{listed}");
    assert!(!listed.contains(&other), "the list shows no secret");
    let unknown = keys::command(url, &["revoke", "nothing"]).await;
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_written_at_most_once_a_minute() {
    let halftone = idle().await;
    let url = &halftone.database_url;
    let key = keys::create(url, &[]).await;
    let client = halftone.client.with_key(&key);
    let version = "SELECT xmin::text::bigint FROM api_keys";
    let before = database::number(url, version).await;
    client.query("{ __typename }", json!({})).await;
    let noted = database::number(url, version).await;
    assert_ne!(noted, before);
    for _ in 0..5 {
        client.query("{ __typename }", json!({})).await;
    }
    assert_eq!(database::number(url, version).await, noted);
    database::execute(url, "UPDATE api_keys SET last_used_at = now() - interval '2 minutes'").await;
    client.query("{ __typename }", json!({})).await;
    let recent = "SELECT count(*) FROM api_keys WHERE last_used_at > now() - interval '1 minute'";
    assert_eq!(database::number(url, recent).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_served_only_when_a_key_is_asked_of_them() {
    let url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let serve = ["serve", "--listen", "0.0.0.0:0", "--compressions", "0", "--database-url", &url, "--data-dir"];
    let serve = [&serve[..], &[data_dir.path().to_str().unwrap()]].concat();
    let refused = halftone().args(&serve).kill_on_drop(true).output();
    let refused = in_time("its refusal", refused).await.unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("halftone keys create --name") && said.contains("--insecure-no-auth"), "{said}");

    let key = keys::create(&url, &[]).await;
    let mut process = Process::start(&serve);
    let line = process.log_line("ready at http").await;
    let port = line.split("0.0.0.0:").nth(1).and_then(|rest| rest.split('"').next()).expect("a port").to_owned();
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    assert_eq!(refusal(&client, VIEWER).await.0, StatusCode::UNAUTHORIZED);
    client.with_key(&key).query(VIEWER, json!({})).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_authenticates_its_own_tokens_are_passed_over() {
    let halftone = Halftone::start(&["--compressions", "0", "--insecure-no-auth"]).await;
    let key = keys::create(&halftone.database_url, &["--tenant", "shop"]).await;
    halftone.client.query(VIEWER, json!({})).await;
    let proxied = halftone.client.with_key("eyJhbGciOiJub25lIn0.e30.");
    assert_eq!(proxied.query(VIEWER, json!({})).await["viewer"]["tenant"]["name"], "default");
    let known = halftone.client.with_key(&key).query(VIEWER, json!({})).await;
    assert_eq!(known["viewer"]["tenant"]["name"], "shop");
}
