//! What was compressed before with the same settings is not compressed again, whichever request it was for, and nobody loses
//! an output that somebody else had first.

use std::os::unix::fs::MetadataExt as _;

use futures_util::future::join_all;
use halftone::pipeline::{delete, leftovers, store_audit};
use serde_json::{Value, json};

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::keys;
use crate::support::origin::{Answer, Origin};

const SAVINGS: &str = "query ($id: ID!) { processingRequest(id: $id) {
    savings { compressed keptOriginal unchanged reused avoidedDownloads inputBytes outputBytes } } }";

async fn delete(client: &Client, id: &str) -> Value {
    let mutation = "mutation ($id: ID!) { deleteProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    let mut data = client.query(mutation, json!({ "id": id })).await;
    data["deleteProcessingRequest"]["userErrors"].take()
}

/// Uploads the sheet and waits for its end; its id and its images.
async fn done(client: &Client, sheet: &str, input: Value) -> (String, Vec<Value>) {
    let id = client.accepted(sheet, input).await;
    client.finished(&id).await;
    let images = client.images(&id).await;
    (id, images)
}

async fn savings(client: &Client, id: &str) -> Value {
    let mut data = client.query(SAVINGS, json!({ "id": id })).await;
    data["processingRequest"]["savings"].take()
}

fn outcomes(images: &[Value]) -> Vec<&str> {
    images.iter().map(|image| image["outcome"].as_str().unwrap_or_default()).collect()
}

async fn bytes(client: &Client, image: &Value) -> bytes::Bytes {
    client.download(image["output"]["url"].as_str().expect("an output")).await
}

async fn assert_store_agrees(halftone: &Halftone) {
    let mut findings = Vec::new();
    store_audit::audit(halftone.app(), false, |finding| findings.push(format!("{finding:?}"))).await.unwrap();
    assert_eq!(findings, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_catalogue_again_costs_a_conditional_request_for_each_url_and_no_compression() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let picture = |seed| images::jpeg(160, 120, seed);
    let urls = [
        origin.set("one.jpg", Answer::Tagged("\"1\"", picture(1))),
        origin.set("two.jpg", Answer::Tagged("\"2\"", picture(2))),
        origin.set("plain.jpg", Answer::Image(picture(3))),
    ];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let sheet = csv(&[&urls]);
    let (first, before) = done(client, &sheet, json!({})).await;
    assert_eq!(outcomes(&before), ["COMPRESSED"; 3]);
    let (second, after) = done(client, &sheet, json!({})).await;
    assert_eq!(outcomes(&after), ["REUSED"; 3]);
    assert_eq!((origin.hits("one.jpg"), origin.hits("plain.jpg"), origin.not_modified()), (2, 2, 2));
    let (mut was, mut is) = (savings(client, &first).await, savings(client, &second).await);
    assert_eq!(is["inputBytes"].take(), was["inputBytes"].take());
    assert_eq!(is["outputBytes"].take(), was["outputBytes"].take());
    assert_eq!((&was["compressed"], &was["reused"]), (&json!(3), &json!(0)), "{was}");
    assert_eq!(
        (&is["compressed"], &is["unchanged"], &is["reused"], &is["avoidedDownloads"]),
        (&json!(0), &json!(0), &json!(3), &json!(2)),
        "{is}"
    );
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before["output"]["url"], after["output"]["url"]);
        assert!(bytes(client, before).await == bytes(client, after).await);
        assert_eq!((&before["receipt"], &before["source"]), (&after["receipt"], &after["source"]));
    }

    // The same file elsewhere has a name of its own; other settings are another matter.
    let twin = origin.set("twin.jpg", Answer::Image(picture(1)));
    let (_, twins) = done(client, &csv(&[&[&twin]]), json!({})).await;
    assert_eq!(outcomes(&twins), ["REUSED"]);
    assert!(twins[0]["output"]["url"].as_str().unwrap().ends_with("/compressed_twin.jpg"), "{}", twins[0]);
    let (_, smaller) = done(client, &sheet, json!({ "compression": { "quality": 30 } })).await;
    assert_eq!(outcomes(&smaller), ["COMPRESSED"; 3]);

    // The bytes are there once, and stay as long as anybody has them.
    let image = halftone.data_dir().join("outputs").join(&second).join(after[0]["id"].as_str().unwrap());
    let lease = std::fs::read_dir(image.join("run1")).unwrap().next().unwrap().unwrap().path();
    let file = lease.join("compressed_one.jpg");
    assert_eq!(std::fs::metadata(&file).unwrap().nlink(), 3, "the first, the second and the twin");
    assert_eq!(delete(client, &first).await, json!([]));
    delete::sweep(halftone.app()).await.unwrap();
    leftovers::sweep(halftone.app()).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().nlink(), 2);
    for image in after.iter().chain(&twins) {
        bytes(client, image).await;
    }
    assert_store_agrees(&halftone).await;
    let (_, third) = done(client, &sheet, json!({})).await;
    assert_eq!(outcomes(&third), ["REUSED"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reused_when_that_is_switched_off_or_the_output_is_gone() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let url = origin.set("1.jpg", Answer::Tagged("\"1\"", images::jpeg(160, 120, 1)));
    let sheet = csv(&[&[&url]]);
    let (first, _) = done(&halftone.client, &sheet, json!({})).await;
    std::fs::remove_dir_all(halftone.data_dir().join("outputs").join(&first)).unwrap();
    let (_, again) = done(&halftone.client, &sheet, json!({})).await;
    assert_eq!(outcomes(&again), ["COMPRESSED"], "{again:?}");
    assert_eq!((origin.hits("1.jpg"), origin.not_modified()), (3, 1), "asked, and then downloaded");
    bytes(&halftone.client, &again[0]).await;

    // What one tenant has is of no use to another.
    for (tenant, outcome) in [("one", "COMPRESSED"), ("other", "COMPRESSED"), ("one", "REUSED")] {
        let key = keys::create(&halftone.database_url, &["--tenant", tenant]).await;
        let (_, images) = done(&halftone.client.with_key(&key), &sheet, json!({})).await;
        assert_eq!(outcomes(&images), [outcome], "{tenant}");
    }
    assert_eq!(origin.not_modified(), 2);

    let off = Halftone::start(&["--no-reuse"]).await;
    for _ in 0..2 {
        let (_, images) = done(&off.client, &sheet, json!({})).await;
        assert_eq!(outcomes(&images), ["COMPRESSED"]);
    }
    assert_eq!(origin.not_modified(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_images_with_the_same_content_at_once_one_is_compressed() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let urls: Vec<String> =
        (0..40).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(160, 120, n % 2)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = halftone.client.accepted(&csv(&[&urls]), json!({})).await;
    origin.held(8).await;
    origin.open();
    halftone.client.finished(&id).await;
    let savings = savings(&halftone.client, &id).await;
    assert_eq!((&savings["compressed"], &savings["reused"]), (&json!(2), &json!(38)), "{savings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_are_deleted_while_they_are_reused_are_lost_to_nobody() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let urls: Vec<String> =
        (0..12).map(|n| origin.set(&format!("{n}.jpg"), Answer::Tagged("\"1\"", images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let sheet = csv(&[&urls]);
    let (mut last, _) = done(client, &sheet, json!({})).await;
    for _ in 0..10 {
        let removing = async {
            assert_eq!(delete(client, &last).await, json!([]));
            delete::sweep(halftone.app()).await.unwrap();
            leftovers::sweep(halftone.app()).await.unwrap();
        };
        let ((), (next, images)) = tokio::join!(removing, done(client, &sheet, json!({})));
        assert!(images.iter().all(|image| image["status"] == "SUCCEEDED"), "{images:?}");
        join_all(images.iter().map(|image| bytes(client, image))).await;
        last = next;
    }
    assert_store_agrees(&halftone).await;
}
