//! Estimates of what compressing a catalogue would save and cost.

use serde_json::{Value, json};

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::keys;
use crate::support::origin::{Answer, Origin};
use crate::support::process::Process;
use crate::support::wait::{in_time, until};

const ESTIMATE: &str = "subscription ($input: EstimateInput!) { estimate(input: $input) {
    isFinal sampled sampleSize images failed failing inputBytes inputBytesLow inputBytesHigh
    outputBytes outputBytesLow outputBytesHigh savedRatio savedRatioLow savedRatioHigh seconds
    formats { format count } failureGroups { code host count retryable message exampleUrl } } }";

fn request(client: &Client, sheet: &str, mut input: Value) -> reqwest::RequestBuilder {
    input["file"] = Value::Null;
    let request = client.file_request(ESTIMATE, json!({ "input": input }), "variables.input.file", sheet);
    request.header("accept", "text/event-stream")
}

/// The events of a stream that ends.
async fn events(request: reqwest::RequestBuilder) -> Vec<Value> {
    let text = in_time("an estimate", async { request.send().await.unwrap().text().await.unwrap() }).await;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str::<Value>(data).ok()).filter(Value::is_object).collect()
}

/// The estimates for this sheet, the last one included.
async fn estimates(client: &Client, sheet: &str, input: Value) -> Vec<Value> {
    let events = events(request(client, sheet, input)).await;
    let estimate = |mut event: Value| {
        assert_eq!(event.get("errors"), None, "{event}");
        event["data"]["estimate"].take()
    };
    events.into_iter().map(estimate).collect()
}

async fn refusal(client: &Client, sheet: &str, input: Value) -> Value {
    let mut events = events(request(client, sheet, input)).await;
    events.pop().expect("an answer")["errors"][0].take()
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_covers_the_truth_for_at_least_18_of_20_catalogues() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let mut dice = Dice(20);
    // Few different images, of sizes and kinds that are compressed very differently; which of them a catalogue has is drawn.
    let files: Vec<_> = (0..24)
        .map(|n| {
            let (width, height) = (16 + 3 * n * n / 4, 16 + n * n / 3);
            match n % 4 {
                0 | 1 => ("jpg", images::jpeg(width, height, n)),
                2 => ("png", images::png(width / 2 + 1, height / 2 + 1, n)),
                _ => ("webp", images::webp(width / 2 + 1, height / 2 + 1, n)),
            }
        })
        .collect();
    let mut covered = Vec::new();
    for catalogue in 0..20 {
        let (first, kinds, broken) = (dice.below(12), 4 + dice.below(9), 2 + dice.below(10));
        let urls: Vec<String> = (0..60)
            .map(|n| {
                let (ending, file) = &files[(first + dice.below(kinds)) as usize];
                let answer =
                    if dice.below(broken * 4) == 0 { Answer::Status(404) } else { Answer::Image(file.clone()) };
                origin.set(&format!("{catalogue}-{n}.{ending}"), answer)
            })
            .collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let sheet = csv(&[&urls]);
        let estimate = estimates(client, &sheet, json!({ "sample": 20 })).await.pop().unwrap();
        let id = client.accepted(&sheet, json!({})).await;
        let savings = client.finished(&id).await["savings"].take();
        let is_within = |name: &str, truth: &Value| {
            let of = |end: &str| estimate[format!("{name}{end}")].as_f64().unwrap();
            (of("Low")..=of("High")).contains(&truth.as_f64().unwrap())
        };
        covered.push([
            is_within("savedRatio", &savings["savedRatio"]),
            is_within("inputBytes", &savings["inputBytes"]),
            is_within("outputBytes", &savings["outputBytes"]),
        ]);
    }
    for place in 0..3 {
        assert!(covered.iter().filter(|covered| covered[place]).count() >= 18, "{place}: {covered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_sharpens_says_what_is_broken_and_stores_nothing() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let urls: Vec<String> = (0..40)
        .map(|n| match n % 4 {
            0 => origin.url(&format!("{n}.jpg")),
            1 => origin.set(&format!("{n}.png"), Answer::Image(images::png(40, 30, n))),
            _ => origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(80, 60, n))),
        })
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let snapshots = estimates(client, &csv(&[&urls, &urls]), json!({ "sample": 20 })).await;
    let progress: Vec<i64> = snapshots.iter().map(|snapshot| snapshot["sampled"].as_i64().unwrap()).collect();
    assert_eq!(progress, (0..=20).collect::<Vec<i64>>());
    let (first, last) = (&snapshots[0], &snapshots[20]);
    assert_eq!(first["inputBytes"].to_string(), "0.0", "not -0.0");
    assert_eq!(
        (&first["savedRatio"], &first["seconds"], &first["isFinal"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!((&last["isFinal"], &last["images"], &last["sampleSize"]), (&json!(true), &json!(40), &json!(20)));
    let (failed, failing) = (last["failed"].as_i64().unwrap(), last["failing"].as_i64().unwrap());
    let group = &last["failureGroups"][0];
    assert!(failed > 0 && failing >= 2 * failed - 2, "{last}");
    assert_eq!(
        (&group["code"], &group["count"], &group["retryable"]),
        (&json!("HTTP_NOT_FOUND"), &json!(failed), &json!(false))
    );
    assert_eq!(group["host"], json!(origin.url("").trim_end_matches('/')));
    assert!(urls.contains(&group["exampleUrl"].as_str().unwrap()), "{group}");
    let formats = last["formats"].as_array().unwrap();
    let formats: Vec<&str> = formats.iter().map(|format| format["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["JPEG", "PNG"]);
    assert!(last["seconds"].as_f64().unwrap() > 0.0, "{last}");

    // Of a small catalogue every image is tried, and nothing is left open.
    let all = estimates(client, &csv(&[&urls[1..9]]), json!({ "sample": 20 })).await.pop().unwrap();
    assert_eq!((&all["sampled"], &all["savedRatioLow"]), (&json!(8), &all["savedRatioHigh"]));

    for table in ["processing_requests", "images", "jobs", "store_removals"] {
        assert_eq!(
            database::number(&halftone.database_url, &format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}"
        );
    }
    assert_eq!(std::fs::read_dir(halftone.data_dir().join("outputs")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_one_estimate_at_a_time_and_other_callers_have_theirs() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let key = async |arguments: &[&str]| keys::create(&halftone.database_url, arguments).await;
    let one = halftone.client.with_key(&key(&["--tenant", "one"]).await);
    let other = halftone.client.with_key(&key(&["--tenant", "other"]).await);
    let reader = halftone.client.with_key(&key(&["--tenant", "one", "--scope", "read"]).await);
    let held = csv(&[&[&origin.set("held.jpg", Answer::Held(images::jpeg(64, 48, 1)))]]);
    let quick = csv(&[&[&origin.set("quick.jpg", Answer::Image(images::jpeg(64, 48, 2)))]]);
    let mut running = request(&one, &held, json!({})).send().await.unwrap();
    running.chunk().await.unwrap().expect("the first estimate");
    origin.held(1).await;
    assert_eq!(refusal(&one, &quick, json!({})).await["extensions"]["code"], "TOO_MANY_OPERATIONS");
    assert_eq!(refusal(&reader, &quick, json!({})).await["extensions"]["code"], "FORBIDDEN");
    assert_eq!(estimates(&other, &quick, json!({})).await.len(), 2);
    // The place of one who has gone is free, and what was tried for them is given up.
    drop(running);
    until("the place is free", async || {
        let events = events(request(&one, &quick, json!({}))).await;
        events.iter().all(|event| event.get("errors").is_none())
    })
    .await;

    let refused = refusal(&one, &quick, json!({ "sample": 9 })).await;
    assert_eq!(refused["extensions"]["code"], "BAD_USER_INPUT", "{refused}");
    let refused = refusal(&one, &quick, json!({ "compression": { "quality": 0 } })).await;
    assert!(refused["message"].as_str().unwrap().contains("quality"), "{refused}");
    let refused = refusal(&one, "<html>", json!({})).await;
    assert!(refused["message"].as_str().unwrap().starts_with("The CSV would be rejected"), "{refused}");
    // In JSON no file can come, and so not over a socket.
    let socket = one.http.post(format!("{}/graphql", one.url)).header("accept", "text/event-stream");
    let socket = socket.json(&json!({ "query": ESTIMATE, "variables": { "input": { "file": null } } }));
    let refused = events(socket).await;
    assert_eq!(refused[0]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_one_estimate_in_all_processes_and_none_once_its_process_is_killed() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let data_dir = tempfile::tempdir().unwrap();
    let (other, client) = Process::serve(&halftone.database_url, data_dir.path(), &[]).await;
    let key = keys::create(&halftone.database_url, &[]).await;
    let (here, there) = (halftone.client.with_key(&key), client.with_key(&key));
    let held = csv(&[&[&origin.set("held.jpg", Answer::Held(images::jpeg(64, 48, 1)))]]);
    let quick = csv(&[&[&origin.set("quick.jpg", Answer::Image(images::jpeg(64, 48, 2)))]]);
    let mut running = request(&there, &held, json!({})).send().await.unwrap();
    running.chunk().await.unwrap().expect("the first estimate");
    origin.held(1).await;
    assert_eq!(refusal(&here, &quick, json!({})).await["extensions"]["code"], "TOO_MANY_OPERATIONS");
    other.kill().await;
    until("the place is free", async || {
        let events = events(request(&here, &quick, json!({}))).await;
        events.iter().all(|event| event.get("errors").is_none())
    })
    .await;
}
