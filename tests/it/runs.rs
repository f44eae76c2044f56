//! Runs of a request: failed images tried again in place, and every counter right whatever meets whatever.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::{Value, json};

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;
use crate::support::wait::in_time;

const RETRY: &str = "mutation ($input: RetryFailedImagesInput!) { retryFailedImages(input: $input) {
    imageCount processingRequest { status progress { total pending succeeded failed canceled percent revision } }
    userErrors { code message field } } }";

const RUNS: &str = "query ($id: ID!) { processingRequest(id: $id) {
    status finishedAt run { number } webhookDelivery { id }
    progress { total pending processing retrying succeeded failed canceled percent }
    savings { inputBytes outputBytes compressed }
    runs { number reason status finishedAt webhookDelivery { id }
           progress { total pending processing retrying succeeded failed canceled percent }
           savings { inputBytes outputBytes compressed } } } }";

async fn retry(client: &Client, input: Value) -> Value {
    let mut data = client.query(RETRY, json!({ "input": input })).await;
    data["retryFailedImages"].take()
}

async fn runs(client: &Client, id: &str) -> Value {
    let mut data = client.query(RUNS, json!({ "id": id })).await;
    data["processingRequest"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_images_are_tried_again_in_place_and_nothing_else_is() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let good = origin.set("good.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let [first, second] = ["first.jpg", "second.jpg"].map(|path| origin.url(path));
    let sheet = csv(&[&[&good, &first], &[&second, &good]]);
    let id = client.accepted(&sheet, json!({ "webhookUrl": sink.url })).await;
    let ended = client.finished(&id).await;
    assert_eq!(ended["status"], "COMPLETED_WITH_ERRORS", "{ended}");
    let before = client.images(&id).await;
    let output = client.download(ended["outputCsvUrl"].as_str().unwrap()).await;

    origin.set("first.jpg", Answer::Held(images::jpeg(160, 120, 2)));
    let begun = retry(client, json!({ "requestId": id, "filter": { "ids": [before[1]["id"]] } })).await;
    assert_eq!((&begun["imageCount"], &begun["userErrors"]), (&json!(1), &json!([])), "{begun}");
    let progress = &begun["processingRequest"]["progress"];
    assert_eq!(begun["processingRequest"]["status"], "PROCESSING");
    assert_eq!((&progress["total"], &progress["succeeded"], &progress["failed"]), (&json!(3), &json!(1), &json!(1)));
    assert!(progress["revision"].as_u64() > ended["progress"]["revision"].as_u64(), "{begun}");

    // While the second run is under way.
    origin.held(1).await;
    let under_way = runs(client, &id).await;
    assert_eq!((&under_way["finishedAt"], &under_way["webhookDelivery"]), (&Value::Null, &Value::Null));
    assert_eq!(under_way["runs"][1]["progress"]["processing"], 1, "{under_way}");
    assert_eq!(under_way["runs"][0]["progress"]["percent"], 100.0, "{under_way}");
    let refused = retry(client, json!({ "requestId": id })).await;
    assert_eq!(refused["userErrors"][0]["code"], "WRONG_STATUS", "{refused}");
    origin.open();
    client.finished(&id).await;

    // Everything that has no output yet.
    origin.set("second.jpg", Answer::Image(images::jpeg(160, 120, 3)));
    assert_eq!(retry(client, json!({ "requestId": id })).await["imageCount"], 1);
    let done = client.finished(&id).await;
    assert_eq!((&done["status"], &done["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(3)), "{done}");
    assert_eq!([origin.hits("good.jpg"), origin.hits("first.jpg"), origin.hits("second.jpg")], [1, 2, 2]);
    let after = client.images(&id).await;
    assert_eq!(before[0], after[0], "what has an output stays as it is");

    let told = runs(client, &id).await;
    assert_eq!(told["run"]["number"], 3);
    let seen: Vec<_> = told["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let progress = &run["progress"];
            json!([
                run["number"],
                run["reason"],
                run["status"],
                progress["total"],
                progress["succeeded"],
                progress["failed"]
            ])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!([1, "UPLOAD", "COMPLETED_WITH_ERRORS", 3, 1, 2]),
            json!([2, "RETRY", "COMPLETED_WITH_ERRORS", 1, 1, 0]),
            json!([3, "RETRY", "COMPLETED", 1, 1, 0]),
        ]
    );
    let sum =
        |what: &str| told["runs"].as_array().unwrap().iter().map(|run| run["savings"][what].as_u64().unwrap()).sum();
    for what in ["inputBytes", "outputBytes", "compressed"] {
        assert_eq!(told["savings"][what].as_u64(), Some(sum(what)), "{told}");
    }
    let mut announced: Vec<_> = sink
        .received(3)
        .await
        .iter()
        .map(|webhook| (webhook.body["data"]["run"].clone(), webhook.body["data"]["images"]["succeeded"].clone()))
        .collect();
    announced.sort_by_key(|(run, _)| run.as_i64());
    assert_eq!(announced, [(json!(1), json!(1)), (json!(2), json!(2)), (json!(3), json!(3))]);
    let corrected = client.download(done["outputCsvUrl"].as_str().unwrap()).await;
    assert_ne!(output, corrected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_is_chosen_by_code_host_and_image() {
    let origin = Origin::start().await;
    let other = Origin::start().await;
    let halftone = Halftone::start(&["--max-attempts", "1"]).await;
    let client = &halftone.client;
    let here = [origin.url("gone.jpg"), origin.set("page.jpg", Answer::Html)];
    let there = other.set("page.jpg", Answer::Html).replace("127.0.0.1", "127.0.0.2");
    let id = client.accepted(&csv(&[&[&here[0], &here[1], &there]]), json!({})).await;
    client.finished(&id).await;
    let images = client.images(&id).await;
    let codes: Vec<_> = images.iter().map(|image| &image["error"]["code"]).collect();
    assert_eq!(codes, ["HTTP_NOT_FOUND", "HTML_PAGE", "CONNECT_FAILURE"], "nobody listens at the third address");
    for (filter, count) in [
        (json!({ "codes": ["HTML_PAGE"] }), 1),
        (json!({ "codes": ["HTML_PAGE", "HTTP_NOT_FOUND"], "hosts": ["127.0.0.1"] }), 2),
        (json!({ "hosts": ["127.0.0.2"] }), 1),
        (json!({ "hosts": [there.rsplit_once('/').unwrap().0] }), 1),
        (json!({ "ids": [images[0]["id"], images[2]["id"]] }), 2),
        (json!({}), 3),
    ] {
        let begun = retry(client, json!({ "requestId": id, "filter": filter })).await;
        assert_eq!(begun["imageCount"], count, "{filter}: {begun}");
        client.finished(&id).await;
    }
    for filter in [
        json!({ "codes": ["TIMEOUT"] }),
        json!({ "hosts": ["\u{0}"] }),
        json!({ "ids": ["no id"] }),
        json!({ "codes": ["HTML_PAGE"], "ids": [images[0]["id"]] }),
    ] {
        let refused = retry(client, json!({ "requestId": id, "filter": filter })).await;
        assert_eq!(refused["userErrors"][0]["code"], "NOT_FOUND", "{filter}: {refused}");
        assert_eq!(refused["processingRequest"]["status"], "FAILED", "{refused}");
    }
    let refused = retry(client, json!({ "requestId": uuid::Uuid::now_v7() })).await;
    assert_eq!(refused["userErrors"][0]["field"], json!(["input", "requestId"]), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_change_log_names_each_image_once_for_every_run_in_which_it_ended() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--max-attempts", "1"]).await;
    let client = &halftone.client;
    let good = origin.set("good.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let urls: Vec<String> = (0..20).map(|n| origin.url(&format!("{n}.jpg"))).chain([good]).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    let watch = "subscription ($id: ID!, $after: String) { imageUpdated(requestId: $id, after: $after) {
        cursor image { id status } } }";
    let first = client.subscribe(watch, json!({ "id": id })).await;
    assert_eq!(first.len(), 21);
    let cursor = &first.last().unwrap()["imageUpdated"]["cursor"];
    assert_eq!(retry(client, json!({ "requestId": id })).await["imageCount"], 20);
    let second = client.subscribe(watch, json!({ "id": id, "after": cursor })).await;
    let mut again: Vec<_> = second.iter().map(|update| update["imageUpdated"]["image"]["id"].to_string()).collect();
    again.sort_unstable();
    again.dedup();
    assert_eq!((second.len(), again.len()), (20, 20));
    assert!(second.iter().all(|update| update["imageUpdated"]["image"]["status"] == "FAILED"));
    // Who comes only now sees every image as it is.
    assert_eq!(client.subscribe(watch, json!({ "id": id })).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_cancels_pauses_and_the_last_ending_meet_and_every_counter_is_right() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&["--max-attempts", "2"]).await;
    let client = halftone.client.clone();
    let good = origin.set("good.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let urls: Vec<String> = (0..6)
        .map(|n| origin.set(&format!("{n}.jpg"), Answer::Status(if n % 2 == 0 { 404 } else { 503 })))
        .chain([good])
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({ "webhookUrl": sink.url })).await;
    let steps = [
        "retryFailedImages(input: { requestId: $id }) { userErrors { code } }",
        "retryFailedImages(input: { requestId: $id, filter: { codes: [HTTP_NOT_FOUND] } }) { userErrors { code } }",
        "cancelProcessingRequest(id: $id) { userErrors { code } }",
        "pauseProcessingRequest(input: { id: $id }) { userErrors { code } }",
        "resumeProcessingRequest(input: { id: $id }) { userErrors { code } }",
        "rerunProcessingRequest(input: { id: $id }) { userErrors { code } }",
    ];
    // Each as often as it takes until all of them were possible.
    let done = steps.map(|_| AtomicUsize::new(0));
    let callers = steps.iter().zip(&done).map(async |(step, done_by_it)| {
        let mutation = format!("mutation ($id: ID!) {{ {step} }}");
        let mut tried = 0;
        while tried < 100 || done.iter().any(|done| done.load(SeqCst) == 0) {
            tried += 1;
            let data = client.query(&mutation, json!({ "id": id })).await;
            let payload = data.as_object().unwrap().values().next().unwrap();
            let errors = payload["userErrors"].as_array().unwrap();
            assert!(errors.iter().all(|error| error["code"] == "WRONG_STATUS" || error["code"] == "NOT_FOUND"));
            done_by_it.fetch_add(usize::from(errors.is_empty()), SeqCst);
        }
    });
    in_time("each to be possible", futures_util::future::join_all(callers)).await;
    let done = done.map(AtomicUsize::into_inner);
    let resume = format!("mutation ($id: ID!) {{ {} }}", steps[4]);
    client.query(&resume, json!({ "id": id })).await;
    client.finished(&id).await;

    let url = &halftone.database_url;
    let ended = database::number(url, "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL").await;
    assert_eq!(ended, database::number(url, "SELECT run::bigint FROM processing_requests").await);
    assert_eq!(ended, 1 + i64::try_from(done[0] + done[1] + done[5]).unwrap(), "a run for each retry and rerun");
    assert_eq!(database::number(url, "SELECT count(*) FROM paused_groups").await, 0);
    let told = sink.received(usize::try_from(ended).unwrap()).await;
    let mut told: Vec<i64> = told.iter().map(|webhook| webhook.body["data"]["run"].as_i64().unwrap()).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, (1..=ended).collect::<Vec<_>>(), "each run is announced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_request_begins_nothing_until_it_is_resumed() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--downloads", "1"]).await;
    let client = &halftone.client;
    let urls: Vec<String> =
        (0..12).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    origin.held(1).await;
    let step = async |name: &str| {
        let mutation = format!(
            "mutation ($id: ID!) {{ {name}ProcessingRequest(input: {{ id: $id }}) {{
                processingRequest {{ status pausedAt }} userErrors {{ code }} }} }}"
        );
        let mut data = client.query(&mutation, json!({ "id": id })).await;
        data[format!("{name}ProcessingRequest")].take()
    };
    let paused = step("pause").await;
    assert!(paused["processingRequest"]["pausedAt"].is_string(), "{paused}");
    assert_eq!(step("pause").await["userErrors"][0]["code"], "WRONG_STATUS");
    origin.open();
    // What is in hand ends; another request that comes now is done from its beginning to its end.
    let other = origin.set("other.jpg", Answer::Image(images::jpeg(64, 48, 50)));
    let next = client.accepted(&csv(&[&[&other]]), json!({})).await;
    assert_eq!(client.finished(&next).await["status"], "COMPLETED");
    let idle = "SELECT count(*) FROM jobs WHERE state = 'RUNNING'";
    database::number_is(&halftone.database_url, idle, |jobs| jobs == 0).await;
    let left = database::number(&halftone.database_url, "SELECT count(*) FROM images WHERE finished_at IS NULL").await;
    assert!(left >= 10, "two are in hand at most with one place for downloads: {left} are left");
    let resumed = step("resume").await;
    assert_eq!(resumed["processingRequest"]["pausedAt"], Value::Null, "{resumed}");
    assert_eq!(step("resume").await["userErrors"][0]["code"], "WRONG_STATUS");
    assert_eq!(client.finished(&id).await["status"], "COMPLETED");
    assert_eq!(step("pause").await["userErrors"][0]["code"], "WRONG_STATUS");
}
