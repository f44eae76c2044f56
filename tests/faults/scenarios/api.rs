//! What callers do at once, or to many images.

use serde_json::{Value, json};

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

const REPLACE: &str = "mutation ($input: ReplaceImageUrlsInput!) {
    replaceImageUrls(input: $input) { imageCount skippedCount userErrors { message } } }";

async fn result(world: &World, id: &str, kind: &str) -> String {
    let query = format!("query ($id: ID!) {{ processingRequest(id: $id) {{ result(kind: {kind}) {{ url }} }} }}");
    let data = world.client().query(&query, json!({ "id": id })).await;
    let url = data["processingRequest"]["result"]["url"].as_str().expect("an address");
    String::from_utf8(world.client().download(url).await.to_vec()).expect("UTF-8")
}

/// Of 2,000 images 300 are broken, and mended by a corrected file: only those are done again, every other row stays as it was byte for
/// byte, and each run is announced once.
pub async fn three_hundred_of_two_thousand_are_corrected(world: &mut World) {
    let _server = world.serve(&[]).await;
    let is_broken = |n: u32| n % 20 < 3;
    let image = |n: u32| Answer::Image(images::jpeg(96, 64, n));
    let path = |n: u32| if is_broken(n) { format!("broken/{n}.jpg") } else { format!("good/{n}.jpg") };
    for n in (0..2_000).filter(|n| !is_broken(*n)) {
        world.origin.set(&path(n), image(n));
    }
    let urls: Vec<String> = (0..2_000).map(|n| world.origin.url(&path(n))).collect();
    let id = world.upload_urls(&urls, json!({ "webhookUrl": world.sink.url })).await;
    let counts = |request: Value| {
        (request["progress"]["succeeded"].as_u64().unwrap(), request["progress"]["failed"].as_u64().unwrap())
    };
    assert_eq!(counts(world.finished(&id).await), (1_700, 300));
    let (before, failed) = (result(world, &id, "OUTPUT_CSV").await, result(world, &id, "FAILED_ROWS_CSV").await);

    for n in (0..2_000).filter(|n| is_broken(*n)) {
        world.origin.set(&format!("mended/{n}.jpg"), image(n));
    }
    let corrected = failed.replace("/broken/", "/mended/");
    let input = json!({ "input": { "requestId": id, "file": null } });
    let answer = world.client().send_file(REPLACE, input, "variables.input.file", corrected).await;
    let expected = json!({ "imageCount": 300, "skippedCount": 0, "userErrors": [] });
    assert_eq!(answer["data"]["replaceImageUrls"], expected, "{answer}");
    assert_eq!(counts(world.finished(&id).await), (2_000, 0));

    let after = result(world, &id, "OUTPUT_CSV").await;
    assert_eq!(before.lines().count(), after.lines().count());
    let mut corrected = 0;
    for (old, new) in before.lines().zip(after.lines()) {
        if old.contains("/broken/") {
            assert!(new.contains("/mended/") && new.contains("/images/"), "{new}");
            corrected += 1;
        } else {
            assert_eq!(old, new);
        }
    }
    assert_eq!(corrected, 300);
    for n in 0..2_000 {
        assert_eq!(world.origin.hits(&path(n)), 1, "{n}");
        assert_eq!(world.origin.hits(&format!("mended/{n}.jpg")), usize::from(is_broken(n)), "{n}");
    }
    let query = "query ($id: ID!) { processingRequest(id: $id) { runs { reason progress { total } } } }";
    let runs = world.client().query(query, json!({ "id": id })).await["processingRequest"]["runs"].take();
    assert_eq!(runs[1], json!({ "reason": "CORRECTION", "progress": { "total": 300 } }), "{runs}");
    let mut announced: Vec<Value> =
        world.sink.received(2).await.iter().map(|webhook| webhook.body["data"]["run"].clone()).collect();
    announced.sort_by_key(Value::as_u64);
    assert_eq!(announced, [json!(1), json!(2)]);
}
