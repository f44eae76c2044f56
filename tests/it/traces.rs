//! Traces: what a caller names is passed on to the store and the webhook and to nobody else, and spans reach a collector.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::bucket::Bucket;
use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::Process;
use crate::support::sink::Sink;
use crate::support::wait::until;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "1112131415161718";

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLERS_SPAN}-01")
}

/// Uploads as part of the trace. Returns the ids of the processing request and of the HTTP request.
async fn upload(client: &Client, image: &str, sink: &Sink) -> (String, String) {
    let upload = client.upload_request(csv(&[&[image]]), json!({ "webhookUrl": sink.url }));
    let answer = upload.header("traceparent", traceparent()).send().await.unwrap();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let answer: Value = answer.json().await.unwrap();
    (answer["data"]["uploadCsv"]["processingRequest"]["id"].as_str().unwrap().to_owned(), request_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_passed_on_to_the_store_and_the_webhook_and_to_no_image_host() {
    let (origin, sink, bucket) = (Origin::start().await, Sink::start(&[]).await, Bucket::start().await);
    let image = origin.set("1.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let arguments = bucket.arguments();
    let halftone = Halftone::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (id, _) = upload(&halftone.client, &image, &sink).await;
    assert_eq!(halftone.client.finished(&id).await["status"], "COMPLETED");
    assert_eq!(sink.received(1).await[0].header("traceparent"), traceparent());
    // The uploaded file and the output.
    assert_eq!(bucket.traces(&Method::PUT), [traceparent(), traceparent()]);
    assert_eq!((origin.hits("1.jpg"), origin.traced()), (1, 0));

    // Without one there is none.
    let id = halftone.client.accepted(&csv(&[&[&image]]), json!({ "webhookUrl": sink.url })).await;
    halftone.client.finished(&id).await;
    assert!(!sink.received(2).await[1].headers.contains_key("traceparent"));
    assert_eq!(bucket.traces(&Method::PUT).len(), 2);
}

/// Bodies of what was exported.
type Exported = Arc<Mutex<Vec<Bytes>>>;

/// A collector: its address, and what it was sent.
async fn collector() -> (String, Exported, JoinSet<()>) {
    let take = async |State(exported): State<Exported>, headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        exported.lock().unwrap().push(body);
    };
    let exported = Exported::default();
    let router = Router::new().route("/v1/traces", post(take)).with_state(exported.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, exported, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_a_collector_and_continue_the_callers_trace() {
    let (origin, sink) = (Origin::start().await, Sink::start(&[]).await);
    let image = origin.set("1.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let (url, exported, _server) = collector().await;
    let directory = tempfile::tempdir().unwrap();
    let database_url = database::fresh().await;
    let (process, client) = Process::serve(&database_url, directory.path(), &["--otlp-endpoint", &url]).await;
    let (id, request_id) = upload(&client, &image, &sink).await;
    assert_eq!(client.finished(&id).await["status"], "COMPLETED");
    let webhook = sink.received(1).await[0].header("traceparent").to_owned();
    assert!(webhook.starts_with(&format!("00-{TRACE}-")) && !webhook.contains(CALLERS_SPAN), "{webhook}");
    // The webhook may be recorded after it has come.
    let delivered = "SELECT count(*) FROM webhook_deliveries WHERE status = 'DELIVERED'";
    until("the delivery is recorded", async || database::number(&database_url, delivered).await == 1).await;
    // What has not been sent is sent at the end.
    assert_eq!(process.terminate().await, Some(0));
    let exported = exported.lock().unwrap().concat();
    let has = |bytes: &[u8]| exported.windows(bytes.len()).any(|window| window == bytes);
    let hex = |text: &str| hex::decode(text).unwrap();
    for (what, bytes) in [
        ("the id of the HTTP request", request_id.into_bytes()),
        ("the route", b"http.route".to_vec()),
        ("the trace", hex(TRACE)),
        ("the caller's span as a parent", hex(CALLERS_SPAN)),
        ("the webhook's span", hex(&webhook[36..52])),
        ("the service", b"halftone".to_vec()),
    ] {
        assert!(has(&bytes), "{what} is not in what was exported");
    }
}
