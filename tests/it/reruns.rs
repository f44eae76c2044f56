//! A request that is run again for what changed: what has not changed is not downloaded, compressed or stored again, and no
//! address ever gives other bytes.

use bytes::Bytes;
use halftone::pipeline::store_audit;
use serde_json::{Value, json};

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;

const STATE: &str = "query ($id: ID!) { processingRequest(id: $id) {
    changes { changed unchanged newlyBroken mended } run { number reason changes { changed unchanged newlyBroken mended } }
    runs { number changes { mended } savings { compressed keptOriginal unchanged avoidedDownloads avoidedBytes } }
    savings { compressed keptOriginal unchanged avoidedDownloads avoidedBytes }
    result(kind: DETAIL_CSV) { url } } }";

async fn rerun(client: &Client, id: &str, only_changed: bool) -> Value {
    let mutation = "mutation ($id: ID!, $only: Boolean!) {
        rerunProcessingRequest(input: { id: $id, onlyChanged: $only }) {
            processingRequest { status progress { total succeeded } } userErrors { code field } } }";
    let mut data = client.query(mutation, json!({ "id": id, "only": only_changed })).await;
    data["rerunProcessingRequest"].take()
}

/// Runs it again and waits for the end.
async fn rerun_to_its_end(client: &Client, id: &str, only_changed: bool) -> Value {
    let begun = rerun(client, id, only_changed).await;
    assert_eq!(begun["userErrors"], json!([]), "{begun}");
    client.finished(id).await
}

async fn state(client: &Client, id: &str) -> Value {
    let mut data = client.query(STATE, json!({ "id": id })).await;
    data["processingRequest"].take()
}

fn column<'a>(images: &'a [Value], name: &str) -> Vec<&'a Value> {
    images.iter().map(|image| &image[name]).collect()
}

/// What an image's output is downloaded as.
async fn output(client: &Client, image: &Value) -> (String, Bytes) {
    let url = image["output"]["url"].as_str().expect("an output").to_owned();
    let bytes = client.download(&url).await;
    (url, bytes)
}

/// Nothing is stored that no row names, and nothing is missing.
async fn assert_store_agrees(halftone: &Halftone) {
    let mut findings = Vec::new();
    store_audit::audit(halftone.app(), false, |finding| findings.push(format!("{finding:?}"))).await.unwrap();
    assert_eq!(findings, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_keeps_its_output_and_the_rest_is_told_apart() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let picture = |seed| images::jpeg(160, 120, seed);
    let urls = [
        origin.set("tagged.jpg", Answer::Tagged("\"1\"", picture(1))),
        origin.set("plain.jpg", Answer::Image(picture(2))),
        origin.set("changed.jpg", Answer::Tagged("\"1\"", picture(3))),
        origin.set("broken.jpg", Answer::Image(picture(4))),
        origin.set("mended.jpg", Answer::Status(404)),
        origin.set("missing.jpg", Answer::Status(404)),
    ];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({ "webhookUrl": sink.url })).await;
    client.finished(&id).await;
    let before = client.images(&id).await;
    assert_eq!(state(client, &id).await["changes"], Value::Null, "the first run compares with nothing");
    let [tagged, plain, changed, broken] = [0, 1, 2, 3].map(|place| output(client, &before[place]));
    let former = [tagged.await, plain.await, changed.await, broken.await];

    origin.set("changed.jpg", Answer::Tagged("\"2\"", picture(30)));
    origin.set("broken.jpg", Answer::Status(404));
    origin.set("mended.jpg", Answer::Image(picture(5)));
    let ended = rerun_to_its_end(client, &id, true).await;
    assert_eq!(ended["status"], "COMPLETED_WITH_ERRORS", "{ended}");
    let after = client.images(&id).await;
    assert_eq!(
        column(&after, "change"),
        [
            &json!("UNCHANGED"),
            &json!("UNCHANGED"),
            &json!("CHANGED"),
            &json!("NEWLY_BROKEN"),
            &json!("MENDED"),
            &Value::Null
        ]
    );
    assert_eq!(column(&after, "outcome")[..3], ["UNCHANGED", "UNCHANGED", "COMPRESSED"]);
    for place in [0, 1] {
        assert_eq!(after[place]["output"], before[place]["output"], "it keeps its address");
        assert_eq!(after[place]["receipt"], before[place]["receipt"]);
    }
    let (address, bytes) = output(client, &after[2]).await;
    assert!(address != former[2].0 && bytes != former[2].1, "other bytes have another address");
    for (url, bytes) in &former {
        assert!(client.download(url).await == *bytes, "{url} gives what it gave");
    }
    assert_eq!(after[3]["output"], Value::Null, "{}", after[3]);
    assert_eq!(origin.not_modified(), 1, "one host gives validators for what has not changed");
    assert_eq!(["tagged.jpg", "plain.jpg", "changed.jpg"].map(|path| origin.hits(path)), [2, 2, 2]);

    let told = state(client, &id).await;
    let mut changes = json!({ "changed": 1, "unchanged": 2, "newlyBroken": 1, "mended": 1 });
    assert_eq!((&told["changes"], &told["run"]["changes"]), (&changes, &changes), "{told}");
    assert_eq!((&told["run"]["number"], &told["run"]["reason"]), (&json!(2), &json!("RERUN")));
    let bytes = &before[0]["source"]["byteSize"];
    let savings =
        json!({ "compressed": 2, "keptOriginal": 0, "unchanged": 2, "avoidedDownloads": 1, "avoidedBytes": bytes });
    assert_eq!((&told["savings"], &told["runs"][1]["savings"]), (&savings, &savings), "{told}");
    let details = client.download(told["result"]["url"].as_str().unwrap()).await;
    let mut details = csv::Reader::from_reader(&details[..]);
    let place = details.headers().unwrap().iter().position(|name| name == "Change").expect("a column");
    let said: Vec<String> = details.records().map(|record| record.unwrap()[place].to_owned()).collect();
    assert_eq!(said, ["UNCHANGED", "UNCHANGED", "CHANGED", "NEWLY_BROKEN", "MENDED", ""]);
    let mut sent = sink.received(2).await;
    sent.sort_by_key(|webhook| webhook.body["data"]["run"].as_i64());
    changes["added"] = json!(0);
    changes["removed"] = json!(0);
    assert_eq!((&sent[0].body["data"]["changes"], &sent[1].body["data"]["changes"]), (&Value::Null, &changes));
    assert_store_agrees(&halftone).await;

    // What was broken comes back: its output never went away.
    origin.set("broken.jpg", Answer::Image(picture(4)));
    let retry = "mutation ($id: ID!) { retryFailedImages(input: { requestId: $id }) { imageCount } }";
    assert_eq!(client.query(retry, json!({ "id": id })).await["retryFailedImages"]["imageCount"], 2);
    client.finished(&id).await;
    let mended = client.images(&id).await;
    assert_eq!((&mended[3]["change"], &mended[3]["output"]), (&json!("MENDED"), &before[3]["output"]));
    assert_eq!(mended[2], after[2], "a retry is not about it");

    // The third file at an address, and the second one's thumbnail is not the third one's.
    origin.set("changed.jpg", Answer::Tagged("\"3\"", picture(31)));
    let ended = rerun_to_its_end(client, &id, true).await;
    assert_eq!(ended["progress"]["succeeded"], 5, "{ended}");
    let last = client.images(&id).await;
    let addresses = [&former[2].0, &address, last[2]["output"]["url"].as_str().unwrap()];
    assert!(
        addresses[0] != addresses[1] && addresses[1] != addresses[2] && addresses[0] != addresses[2],
        "{addresses:?}"
    );
    for at in addresses {
        let image_id = last[2]["id"].as_str().unwrap();
        let number = at.split(image_id).nth(1).unwrap().trim_matches('/').split('/').next().unwrap();
        let thumbnail = format!("{}/thumbnails/{image_id}/{number}", client.url);
        let thumbnail = if at == former[2].0 { thumbnail.rsplit_once('/').unwrap().0.to_owned() } else { thumbnail };
        client.download(&thumbnail).await;
        client.download(at).await;
    }
    for wrong in ["1", "4", "02", "+2", "x"] {
        let url = format!("{}/thumbnails/{}/{wrong}", client.url, last[2]["id"].as_str().unwrap());
        assert_eq!(client.http.get(&url).send().await.unwrap().status(), 404, "{url}");
    }
    assert_eq!(client.images(&id).await[2]["change"], "CHANGED");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_done_again_when_that_is_asked_for() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let url = origin.set("1.jpg", Answer::Tagged("\"1\"", images::jpeg(160, 120, 1)));
    let id = client.accepted(&csv(&[&[&url]]), json!({})).await;
    let refused = rerun(client, "01a209b3-bc2e-71b0-baf0-b18030c0664d", true).await;
    assert_eq!(refused["userErrors"][0]["code"], "NOT_FOUND", "{refused}");
    client.finished(&id).await;
    let before = client.images(&id).await;
    rerun_to_its_end(client, &id, false).await;
    let after = client.images(&id).await;
    assert_eq!((origin.hits("1.jpg"), origin.not_modified()), (2, 0));
    assert_eq!((&after[0]["outcome"], &after[0]["change"]), (&json!("COMPRESSED"), &json!("UNCHANGED")));
    assert_eq!(after[0]["output"], before[0]["output"], "the same bytes have the same address");
    assert_store_agrees(&halftone).await;

    // As after a backup that lacks an object.
    let (address, bytes) = output(client, &before[0]).await;
    let image = halftone.data_dir().join("outputs").join(&id).join(before[0]["id"].as_str().unwrap());
    std::fs::remove_dir_all(image).unwrap();
    assert_eq!(client.http.get(&address).send().await.unwrap().status(), 404);
    rerun_to_its_end(client, &id, false).await;
    assert_eq!(client.download(&address).await, bytes, "what was lost is stored again");
    assert_store_agrees(&halftone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_that_is_canceled_loses_nothing() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--downloads", "1"]).await;
    let client = &halftone.client;
    let urls: Vec<String> = (0..8)
        .map(|n| {
            let picture = images::jpeg(64, 48, n);
            origin.set(&format!("{n}.jpg"), Answer::Script(vec![Answer::Image(picture.clone()), Answer::Held(picture)]))
        })
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    client.finished(&id).await;
    let before = client.images(&id).await;
    let begun = rerun(client, &id, true).await;
    let progress = json!({ "total": 8, "succeeded": 0 });
    assert_eq!(begun["processingRequest"]["progress"], progress, "{begun}");
    origin.held(1).await;
    let refused = rerun(client, &id, true).await;
    assert_eq!(refused["userErrors"][0]["code"], "WRONG_STATUS", "{refused}");
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    client.query(cancel, json!({ "id": id })).await;
    origin.open();
    let ended = client.finished(&id).await;
    assert_eq!(ended["status"], "CANCELED", "{ended}");
    for image in &before {
        output(client, image).await;
    }
    let retry = "mutation ($id: ID!) { retryFailedImages(input: { requestId: $id }) { imageCount } }";
    client.query(retry, json!({ "id": id })).await;
    assert_eq!(client.finished(&id).await["status"], "COMPLETED");
    let after = client.images(&id).await;
    assert_eq!(column(&after, "output"), column(&before, "output"));
    assert!(column(&after, "change").iter().all(|change| *change == "UNCHANGED"), "{after:?}");
    assert_store_agrees(&halftone).await;
}

const COMPARED: &str = "query ($id: ID!) { processingRequest(id: $id) {
    changes { added removed changed unchanged newlyBroken mended }
    runs { basedOnId changes { added removed changed unchanged newlyBroken mended } } } }";

async fn compared(client: &Client, id: &str) -> Value {
    let mut data = client.query(COMPARED, json!({ "id": id })).await;
    data["processingRequest"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_compared_with_the_request_that_it_is_based_on() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let picture = |seed| images::jpeg(160, 120, seed);
    let same = origin.set("same.jpg", Answer::Tagged("\"1\"", picture(1)));
    let changed = origin.set("changed.jpg", Answer::Image(picture(2)));
    let broken = origin.set("broken.jpg", Answer::Image(picture(3)));
    let mended = origin.set("mended.jpg", Answer::Status(404));
    let missing = origin.set("missing.jpg", Answer::Status(404));
    let (removed, gone) = (origin.url("removed.jpg"), origin.url("gone.jpg"));
    let base =
        client.accepted(&csv(&[&[&same, &changed, &broken, &mended], &[&missing, &removed, &gone]]), json!({})).await;
    client.finished(&base).await;

    origin.set("changed.jpg", Answer::Image(picture(20)));
    origin.set("broken.jpg", Answer::Status(404));
    origin.set("mended.jpg", Answer::Image(picture(4)));
    let added = origin.set("added.jpg", Answer::Image(picture(5)));
    let added_and_broken = origin.url("added-and-broken.jpg");
    let sheet = csv(&[&[&added, &same, &changed], &[&broken, &mended], &[&missing, &added_and_broken, &same]]);
    let input = json!({ "basedOn": base, "webhookUrl": sink.url });
    let id = client.accepted(&sheet, input).await;
    client.finished(&id).await;
    let images = client.images(&id).await;
    let added_change = json!("ADDED");
    assert_eq!(
        column(&images, "change"),
        [
            &added_change,
            &json!("UNCHANGED"),
            &json!("CHANGED"),
            &json!("NEWLY_BROKEN"),
            &json!("MENDED"),
            &Value::Null,
            &added_change
        ]
    );
    assert_eq!(images[1]["outcome"], "REUSED");
    let changes = json!({ "added": 2, "removed": 2, "changed": 1, "unchanged": 1, "newlyBroken": 1, "mended": 1 });
    let told = compared(client, &id).await;
    assert_eq!((&told["changes"], &told["runs"][0]["changes"]), (&changes, &changes), "{told}");
    assert_eq!(told["runs"][0]["basedOnId"], json!(base));
    assert_eq!(sink.received(1).await[0].body["data"]["changes"], changes);

    // A retry compares with the run before it, not with the other request, which need not be there any more.
    let delete = "mutation ($id: ID!) { deleteProcessingRequest(input: { id: $id }) { deletedId } }";
    client.query(delete, json!({ "id": base })).await;
    origin.set("added-and-broken.jpg", Answer::Image(picture(6)));
    let retry = "mutation ($id: ID!) { retryFailedImages(input: { requestId: $id }) { imageCount } }";
    client.query(retry, json!({ "id": id })).await;
    client.finished(&id).await;
    let changes = json!({ "added": 0, "removed": 0, "changed": 0, "unchanged": 0, "newlyBroken": 0, "mended": 1 });
    assert_eq!(compared(client, &id).await["changes"], changes);
    assert_eq!(client.images(&id).await[6]["change"], "MENDED");
    let refused = client.upload(&*sheet, json!({ "basedOn": base })).await;
    assert_eq!(refused["userErrors"][0]["code"], "NOT_FOUND", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_compared_with_a_request_only_once_that_has_ended() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--downloads", "1"]).await;
    let client = &halftone.client;
    let urls: Vec<String> =
        (0..8).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let sheet = csv(&[&urls]);
    let base = client.accepted(&sheet, json!({})).await;
    origin.held(1).await;
    let input = json!({ "basedOn": base, "idempotencyKey": "1" });
    let refused = client.upload(&*sheet, input.clone()).await;
    assert_eq!(refused["userErrors"][0]["code"], "WRONG_STATUS", "{refused}");
    assert_eq!(refused["userErrors"][0]["field"], json!(["input", "basedOn"]));
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    client.query(cancel, json!({ "id": base })).await;
    origin.open();
    let canceled = client.finished(&base).await;
    assert_eq!(canceled["status"], "CANCELED", "{canceled}");

    // Images that were canceled never were anything that others could be compared with.
    let id = client.accepted(&sheet, input.clone()).await;
    client.finished(&id).await;
    let changes = json!({ "added": 0, "removed": 0, "changed": 0, "unchanged": canceled["progress"]["succeeded"],
        "newlyBroken": 0, "mended": 0 });
    assert_eq!(compared(client, &id).await["changes"], changes);

    // The same upload again is the same request, whatever became of the one that it is based on.
    let delete = "mutation ($id: ID!) { deleteProcessingRequest(input: { id: $id }) { deletedId } }";
    client.query(delete, json!({ "id": base })).await;
    let again = client.upload(&*sheet, input.clone()).await;
    assert_eq!((&again["replayed"], &again["processingRequest"]["id"]), (&json!(true), &json!(id)), "{again}");
    let mut elsewhere = input;
    elsewhere["basedOn"] = json!(id);
    let conflict = client.upload(&*sheet, elsewhere).await;
    assert_eq!(conflict["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED", "{conflict}");
}
