//! What callers do at once.

use serde_json::json;

use crate::support::halftone::csv;
use crate::support::images;
use crate::support::origin::Answer;
use crate::world::World;

/// Twenty times the same upload with the same key, at once, over two APIs.
pub async fn same_upload_twenty_times_at_once(world: &mut World) {
    let _first = world.serve(&[]).await;
    let first = world.client().clone();
    let _second = world.serve(&[]).await;
    let second = world.client().clone();
    let url = world.origin.set("one.jpg", Answer::Image(images::jpeg(96, 64, 1)));
    let sheet = csv(&[&[&url]]);
    let input = json!({ "idempotencyKey": "a", "webhookUrl": world.sink.url });
    let uploads = (0..20).map(|n| {
        let client = if n % 2 == 0 { &first } else { &second };
        client.upload(sheet.clone(), input.clone())
    });
    let answers = futures_util::future::join_all(uploads).await;
    let id = &answers[0]["processingRequest"]["id"];
    assert!(id.is_string(), "{}", answers[0]);
    assert!(answers.iter().all(|answer| answer["processingRequest"]["id"] == *id), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    world.succeeded(id.as_str().expect("an id")).await;
}
