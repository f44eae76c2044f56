//! Receivers that fail or hang, and cancels that meet the end of a request.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use crate::support::images;
use crate::support::origin::Answer;
use crate::support::sink::Sink;
use crate::world::World;

fn cancel(id: &str) -> String {
    format!("mutation {{ cancelProcessingRequest(id: \"{id}\") {{ userErrors {{ code }} }} }}")
}

/// Two failures, then success: the same message three times.
pub async fn receiver_fails_first(world: &mut World) {
    world.sink = Sink::start(&[500, 503]).await;
    let _server = world.serve(&["--webhook-schedule", "0s,1s,1s,1s"]).await;
    let id = world.upload(3, Answer::Image).await;
    world.succeeded(&id).await;
    world.sink.received(3).await;
}

/// A cancel at the moment in which the last image ends, thirty times.
pub async fn cancel_races_the_end(world: &mut World) {
    let _server = world.serve(&[]).await;
    let slow = Answer::Slow(Duration::from_millis(50), images::jpeg(96, 64, 1));
    let url = world.origin.set("one.jpg", slow);
    let mut canceled = 0;
    for round in 0..30 {
        let id = world.upload_urls(std::slice::from_ref(&url), json!({ "webhookUrl": world.sink.url })).await;
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        world.client().query(&cancel(&id), json!({})).await;
        canceled += i32::from(world.finished(&id).await["status"] == "CANCELED");
    }
    world.note(format!("{canceled} of 30 canceled"));
}

/// As many waiting images as a cancel ends in one batch.
pub async fn cancel_of_five_thousand_waiting_images(world: &mut World) {
    let api = world.serve(&["--compressions", "0"]).await;
    let id = world.upload(5_000, |_| Answer::Status(404)).await;
    world.client().query(&cancel(&id), json!({})).await;
    drop(api);
    let _server = world.serve(&[]).await;
    assert_eq!(world.finished(&id).await["status"], "CANCELED");
}

/// Forty receivers that take a connection and never answer, then one that does.
pub async fn receivers_hang(world: &mut World) {
    let _server = world.serve(&[]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let hook = format!("http://{}/hook", silent.local_addr().expect("an address"));
    let url = world.origin.set("one.jpg", Answer::Image(images::jpeg(96, 64, 1)));
    for _ in 0..40 {
        let id = world.upload_urls(std::slice::from_ref(&url), json!({ "webhookUrl": hook })).await;
        world.succeeded(&id).await;
        world.without_webhook.push(id);
    }
    let id = world.upload_urls(&[url], json!({ "webhookUrl": world.sink.url })).await;
    world.succeeded(&id).await;
    let ended = Instant::now();
    world.sink.received(1).await;
    let took = ended.elapsed().as_secs_f64();
    assert!(took < 15.0, "the webhook came {took:.1} s after the end");
    world.note(format!("the webhook came {took:.1} s after the end"));
}
