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

/// Cancels at the moment in which a request ends, and at that in which its last image is claimed. When these moments are
/// depends on the machine, so each cancel comes a little later than the last one if that was early, and earlier if not.
pub async fn cancel_races_the_end(world: &mut World) {
    let _server = world.serve(&["--downloads", "2"]).await;
    let urls: Vec<String> = (0..10)
        .map(|n| {
            let slow = Answer::Slow(Duration::from_millis(30), images::jpeg(96, 64, n));
            world.origin.set(&format!("{n}.jpg"), slow)
        })
        .collect();
    let (mut rounds, mut canceled, mut late) = (0, 0, 0);
    let [mut until_last_claim, mut until_end] = [Duration::from_millis(100); 2];
    // Until each outcome has been seen, however slow the machine is.
    while rounds < 24 || canceled == 0 || late == 0 || canceled + late == rounds {
        assert!(rounds < 200, "no race: of {rounds}, {canceled} were canceled and {late} had ended");
        rounds += 1;
        let races_the_end = rounds % 2 == 0;
        let id = world.upload_urls(&urls, json!({ "webhookUrl": world.sink.url })).await;
        tokio::time::sleep(if races_the_end { until_end } else { until_last_claim }).await;
        let answer = world.client().query(&cancel(&id), json!({})).await;
        let is_late = answer["cancelProcessingRequest"]["userErrors"] != json!([]);
        let is_canceled = world.finished(&id).await["status"] == "CANCELED";
        late += i32::from(is_late);
        canceled += i32::from(is_canceled);
        match races_the_end {
            true => until_end = until_end.mul_f64(if is_late { 0.8 } else { 1.25 }),
            false => until_last_claim = until_last_claim.mul_f64(if is_canceled { 1.25 } else { 0.8 }),
        }
    }
    world.note(format!("of {rounds}, {canceled} were canceled and {late} had ended"));
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

/// Forty receivers that take connections and never answer, with two webhooks each, then one that does.
pub async fn receivers_hang(world: &mut World) {
    let _server = world.serve(&[]).await;
    let url = world.origin.set("one.jpg", Answer::Image(images::jpeg(96, 64, 1)));
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpListener::bind("127.0.0.1:0").await.expect("listen"));
    }
    for receiver in silent.iter().chain(&silent) {
        let hook = format!("http://{}/hook", receiver.local_addr().expect("an address"));
        let id = world.upload_urls(std::slice::from_ref(&url), json!({ "webhookUrl": hook })).await;
        world.succeeded(&id).await;
        world.without_webhook.push(id);
    }
    let id = world.upload_urls(&[url], json!({ "webhookUrl": world.sink.url })).await;
    world.succeeded(&id).await;
    let ended = Instant::now();
    world.sink.received(1).await;
    let took = ended.elapsed().as_secs_f64();
    assert!(took < 5.0, "the webhook came {took:.1} s after the end");
    world.note(format!("the webhook came {took:.1} s after the end"));
}
