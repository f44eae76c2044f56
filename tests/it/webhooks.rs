//! Webhooks: signed, retried from the queue, logged.

use serde_json::json;

use crate::support::database;
use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;
use crate::support::wait::{found, in_time};

const DELIVERY: &str = "query ($id: ID!) { processingRequest(id: $id) { webhookDelivery {
    id url status attempts { number httpStatus error } } } }";

/// Waits for the delivery's final status; each look is a query, and the jobs run by themselves meanwhile.
async fn delivery(halftone: &Halftone, id: &str, status: &str) -> serde_json::Value {
    found(&format!("a delivery that is {status}"), async || {
        let mut data = halftone.client.query(DELIVERY, json!({ "id": id })).await;
        let delivery = data["processingRequest"]["webhookDelivery"].take();
        (delivery["status"] == status).then_some(delivery)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_refused_twice_is_delivered_the_third_time_with_the_same_id_and_body() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[500, 503]).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let halftone = Halftone::start(&["--webhook-secret", secret, "--webhook-schedule", "0s,50ms,50ms,50ms"]).await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let missing = origin.url("2.jpg");
    let id = halftone
        .client
        .accepted(&csv(&[&[&url, &missing]]), json!({ "webhookUrl": sink.url, "label": "spring" }))
        .await;

    let received = sink.received(3).await;
    for attempt in &received {
        assert_eq!(attempt.body, received[0].body);
        assert_eq!(attempt.header("webhook-id"), received[0].header("webhook-id"));
        assert!(attempt.is_signed_with(secret));
        assert!(!attempt.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    }
    let body = &received[2].body;
    assert_eq!(body["type"], "processing_request.finished");
    assert_eq!((&body["data"]["id"], &body["data"]["label"]), (&json!(id), &json!("spring")));
    assert_eq!(body["data"]["status"], "COMPLETED_WITH_ERRORS");
    assert_eq!(body["data"]["images"], json!({ "total": 2, "succeeded": 1, "failed": 1, "canceled": 0 }));
    let output = halftone.client.download(body["data"]["outputCsvUrl"].as_str().unwrap()).await;
    assert!(output.starts_with(b"S. No,Product Name,"));

    let delivery = delivery(&halftone, &id, "DELIVERED").await;
    assert_eq!(delivery["id"], received[0].header("webhook-id"));
    let statuses: Vec<_> =
        delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["httpStatus"].clone()).collect();
    assert_eq!(statuses, [500, 503, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_not_asked_again_and_one_that_never_accepts_exhausts_the_schedule() {
    let origin = Origin::start().await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let halftone = Halftone::start(&["--webhook-schedule", "0s,20ms,20ms"]).await;
    let gone = Sink::start(&[410]).await;
    let id = halftone.client.accepted(&csv(&[&[&url]]), json!({ "webhookUrl": gone.url })).await;
    assert_eq!(delivery(&halftone, &id, "REFUSED").await["attempts"].as_array().unwrap().len(), 1);

    let never = Sink::start(&[500; 10]).await;
    let id = halftone.client.accepted(&csv(&[&[&url]]), json!({ "webhookUrl": never.url })).await;
    assert_eq!(delivery(&halftone, &id, "EXHAUSTED").await["attempts"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_may_not_be_sent_is_refused_at_once() {
    let halftone = Halftone::start(&[]).await;
    for (url, code, end) in [
        ("ftp://example.com/hook", "INVALID_WEBHOOK_URL", "characters."),
        ("not a url", "INVALID_WEBHOOK_URL", "URL."),
        ("http://example.com/\0", "INVALID_WEBHOOK_URL", "URL."),
        ("http://169.254.169.254/hook", "BLOCKED_ADDRESS", "start the server with `--allow-net`."),
        ("http://[::ffff:10.0.0.1]/hook", "BLOCKED_ADDRESS", "start the server with `--allow-net`."),
        ("https://user:password@example.com/hook", "BLOCKED_ADDRESS", "remove it."),
    ] {
        let payload =
            halftone.client.upload(csv(&[&["https://www.example.com/1.jpg"]]), json!({ "webhookUrl": url })).await;
        let refusal = &payload["userErrors"][0];
        assert_eq!(refusal["code"], code, "{url}: {payload}");
        let message = refusal["message"].as_str().unwrap();
        assert!(message.starts_with("`webhookUrl` ") && message.ends_with(end), "{url}: {message}");
        assert_eq!(payload["processingRequest"], json!(null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn canceling_exactly_a_batch_of_images_loses_no_webhook() {
    let database_url = database::fresh().await;
    let sink = Sink::start(&[]).await;
    let api = Halftone::on(database_url.clone(), &["--compressions", "0"]).await;
    let cancel =
        "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { processingRequest { status } userErrors { code } } }";
    // One batch less one, one batch, two batches.
    for (round, count) in [4_999, 5_000, 10_000].into_iter().enumerate() {
        let mut sheet = String::from("S. No,Product Name,Input Image Urls\n");
        for n in 0..count {
            sheet.push_str(&format!("{n},SKU{n},http://127.0.0.1:9/{round}/{n}.jpg\n"));
        }
        let id = api.client.accepted(&sheet, json!({ "webhookUrl": sink.url })).await;
        let data = api.client.query(cancel, json!({ "id": id })).await;
        assert_eq!(data["cancelProcessingRequest"]["processingRequest"]["status"], "CANCELED", "{data}");
    }
    assert_eq!(database::number(&database_url, "SELECT count(*) FROM jobs").await, 3, "one for each webhook");
    let _workers = Halftone::on(database_url, &[]).await;
    let received = sink.received(3).await;
    assert!(received.iter().all(|delivery| delivery.body["data"]["status"] == "CANCELED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_has_lost_its_job_is_sent() {
    let database_url = database::fresh().await;
    let sink = Sink::start(&[]).await;
    let api = Halftone::on(database_url.clone(), &["--compressions", "0"]).await;
    let id = api.client.accepted(&csv(&[&["http://127.0.0.1:9/1.jpg"]]), json!({ "webhookUrl": sink.url })).await;
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { userErrors { code } } }";
    api.client.query(cancel, json!({ "id": id })).await;
    database::execute(&database_url, "DELETE FROM jobs WHERE kind = 'deliver_webhook'").await;
    let workers = Halftone::on(database_url, &[]).await;
    assert_eq!(sink.received(1).await[0].body["data"]["id"], json!(id));
    delivery(&workers, &id, "DELIVERED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_hold_up_nobody_elses_webhooks() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let sheet = csv(&[&[&url]]);
    // Listens, and never answers.
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/hook", hanging.local_addr().unwrap());
    for _ in 0..40 {
        halftone.client.accepted(&sheet, json!({ "webhookUrl": hook })).await;
    }
    // A receiver gets a single one at a time until it has answered.
    let _connection = in_time("a webhook", hanging.accept()).await.unwrap();
    let sink = Sink::start(&[]).await;
    let id = halftone.client.accepted(&sheet, json!({ "webhookUrl": sink.url })).await;
    let received = tokio::time::timeout(std::time::Duration::from_secs(10), sink.received(1)).await;
    assert_eq!(received.expect("within the time of one attempt")[0].body["data"]["id"], json!(id));
    let to_one = "SELECT max(count) FROM (
        SELECT count(*) FROM jobs WHERE kind = 'deliver_webhook' AND state = 'RUNNING' GROUP BY host) held";
    assert_eq!(database::number(&halftone.database_url, to_one).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_attempt_waits_as_long_as_the_schedule_says() {
    let database_url = database::fresh().await;
    let api = Halftone::on(database_url.clone(), &["--workers", "0", "--webhook-schedule", "1h,1h"]).await;
    let hook = "http://127.0.0.1:9/hook";
    let id = api.client.accepted(&csv(&[&["http://127.0.0.1:9/1.jpg"]]), json!({ "webhookUrl": hook })).await;
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { userErrors { code } } }";
    api.client.query(cancel, json!({ "id": id })).await;
    let waiting = "SELECT count(*) FROM jobs WHERE state = 'WAITING' AND run_at > now() + interval '59 minutes'";
    assert_eq!(database::number(&database_url, waiting).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_sent_again_by_hand_with_the_same_id_and_body() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[500, 500, 410]).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let halftone = Halftone::start(&["--webhook-secret", secret, "--webhook-schedule", "0s,1h"]).await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let id = halftone.client.accepted(&csv(&[&[&url]]), json!({ "webhookUrl": sink.url })).await;
    let retrying = delivery(&halftone, &id, "RETRYING").await;
    let redeliver = "mutation ($id: ID!) { redeliverWebhook(input: { id: $id }) {
        webhookDelivery { id } userErrors { code field } } }";
    let again = async || halftone.client.query(redeliver, json!({ "id": retrying["id"] })).await;
    // The next attempt is due in an hour; then the schedule is over; then the receiver is gone; then it takes it.
    for status in ["EXHAUSTED", "REFUSED", "DELIVERED"] {
        let payload = again().await;
        assert_eq!(payload["redeliverWebhook"]["webhookDelivery"]["id"], retrying["id"], "{payload}");
        delivery(&halftone, &id, status).await;
    }
    // And once more, although it has arrived.
    again().await;
    let received = sink.received(5).await;
    for attempt in &received {
        assert_eq!(attempt.body, received[0].body);
        assert_eq!(attempt.header("webhook-id"), received[0].header("webhook-id"));
        assert!(attempt.is_signed_with(secret));
    }
    let unknown = halftone.client.query(redeliver, json!({ "id": "no id" })).await;
    assert_eq!(unknown["redeliverWebhook"]["userErrors"], json!([{ "code": "NOT_FOUND", "field": ["input", "id"] }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_can_be_tested_before_it_is_needed() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let halftone = Halftone::start(&["--webhook-secret", secret]).await;
    let sink = Sink::start(&[200, 500]).await;
    let test = "mutation ($url: String!) { testWebhook(input: { url: $url }) {
        attempt { httpStatus error } userErrors { code field } } }";
    let tested = async |url: &str| {
        let mut data = halftone.client.query(test, json!({ "url": url })).await;
        data["testWebhook"].take()
    };
    assert_eq!(tested(&sink.url).await["attempt"], json!({ "httpStatus": 200, "error": null }));
    let failed = tested(&sink.url).await;
    assert_eq!(failed["attempt"]["httpStatus"], 500, "{failed}");
    assert!(failed["attempt"]["error"].as_str().unwrap().contains("500"), "{failed}");
    let received = sink.received(2).await;
    assert_eq!(received[0].body["type"], "webhook.test");
    assert!(received[0].is_signed_with(secret));
    assert_ne!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    for (url, code) in [("not a url", "INVALID_WEBHOOK_URL"), ("http://169.254.169.254/", "BLOCKED_ADDRESS")] {
        let refused = tested(url).await;
        assert_eq!(refused["userErrors"], json!([{ "code": code, "field": ["input", "url"] }]), "{refused}");
        assert_eq!(refused["attempt"], json!(null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_while_webhooks_go_on() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let sink = Sink::start(&[]).await;
    let test = "mutation ($url: String!) { testWebhook(input: { url: $url }) { attempt { httpStatus } } }";
    let command = async |arguments: &[&str]| {
        let data_dir = halftone.data_dir().to_str().unwrap();
        let ours = ["webhook-secret", "--database-url", &halftone.database_url, "--data-dir", data_dir];
        let output = crate::support::process::halftone().args(ours).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().strip_prefix("HALFTONE_WEBHOOK_SECRET=").expect("a secret").to_owned()
    };
    let first = command(&[]).await;
    let second = command(&["--rotate"]).await;
    assert_ne!(first, second);
    halftone.client.query(test, json!({ "url": sink.url })).await;
    assert_eq!(command(&["--forget-former"]).await, second);
    halftone.client.query(test, json!({ "url": sink.url })).await;
    let received = sink.received(2).await;
    for (attempt, by_first) in received.iter().zip([true, false]) {
        assert_eq!((attempt.is_signed_with(&first), attempt.is_signed_with(&second)), (by_first, true));
    }
    // The same with secrets that are configured.
    let both = format!("{second},{first}");
    let configured = Halftone::start(&["--compressions", "0", "--webhook-secret", &both]).await;
    configured.client.query(test, json!({ "url": sink.url })).await;
    let attempt = sink.received(3).await.remove(2);
    assert!(attempt.is_signed_with(&first) && attempt.is_signed_with(&second));
}
