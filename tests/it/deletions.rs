//! Requests that are deleted: gone at once for everyone, their rows and objects soon after, and nothing else.

use halftone::pipeline::{delete, leftovers};
use serde_json::{Value, json};

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;
use crate::support::wait::in_time;

async fn delete(client: &Client, id: &str) -> Value {
    let mutation =
        "mutation ($id: ID!) { deleteProcessingRequest(input: { id: $id }) { deletedId userErrors { code } } }";
    let mut data = client.query(mutation, json!({ "id": id })).await;
    data["deleteProcessingRequest"].take()
}

async fn status(client: &Client, url: &str) -> u16 {
    client.http.get(url).send().await.unwrap().status().as_u16()
}

/// Everything there is of a request, by id.
async fn rows(halftone: &Halftone, id: &str) -> i64 {
    let tables = ["images", "products", "csv_issues", "runs", "webhook_deliveries", "idempotency_keys"];
    let counts = tables.map(|table| format!("(SELECT count(*) FROM {table} WHERE request_id = '{id}')"));
    let request = format!("(SELECT count(*) FROM processing_requests WHERE id = '{id}')");
    database::number(&halftone.database_url, &format!("SELECT {} + {request}", counts.join(" + "))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_request_is_gone_at_once_and_so_are_its_links() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let urls: Vec<String> =
        (0..30).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let sheet = csv(&[&urls, &urls, &[]]);
    let id = client.accepted(&sheet, json!({ "idempotencyKey": "a" })).await;
    let kept = client.accepted(&sheet, json!({})).await;
    let ended = client.finished(&id).await;
    client.finished(&kept).await;
    let image = client.images(&id).await[0].take();
    let query = "query ($id: ID!) { processingRequest(id: $id) { id } image(id: $id) { id } product(id: $id) { id } node(id: $id) { id } }";
    let links = [image["output"]["url"].as_str().unwrap(), ended["outputCsvUrl"].as_str().unwrap()];
    for link in links {
        assert_eq!(status(client, link).await, 200);
    }
    let product = "query ($id: ID!) { processingRequest(id: $id) { products(first: 1) { nodes { id } } } }";
    let product = client.query(product, json!({ "id": id })).await;
    let product = &product["processingRequest"]["products"]["nodes"][0]["id"];

    assert_eq!(delete(client, &id).await, json!({ "deletedId": id, "userErrors": [] }));
    for link in links {
        assert_eq!(status(client, link).await, 404, "{link}");
    }
    for one in [&json!(id), &image["id"], product] {
        let found = client.query(query, json!({ "id": one })).await;
        assert!(found.as_object().unwrap().values().all(Value::is_null), "{found}");
    }
    let listed = client.query("{ processingRequests { totalCount nodes { id } } }", json!({})).await;
    assert_eq!(listed["processingRequests"], json!({ "totalCount": 1, "nodes": [{ "id": kept }] }));
    assert_eq!(delete(client, &id).await["userErrors"][0]["code"], "NOT_FOUND");
    let again = client.upload(sheet.as_str(), json!({ "idempotencyKey": "a" })).await;
    assert_eq!(again["replayed"], false, "{again}");

    // A process that removed some of its rows has died.
    let some = format!("DELETE FROM images WHERE request_id = '{id}' AND position < 7");
    database::execute(&halftone.database_url, &some).await;
    delete::sweep(halftone.app()).await.unwrap();
    assert_eq!(rows(&halftone, &id).await, 0);
    leftovers::sweep(halftone.app()).await.unwrap();
    assert!(!halftone.data_dir().join("outputs").join(&id).exists());
    assert!(halftone.data_dir().join("outputs").join(&kept).exists());
    let output = client.images(&kept).await[0]["output"]["url"].take();
    assert_eq!(status(client, output.as_str().unwrap()).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_is_not_deleted_and_one_that_is_canceled_is() {
    let database_url = database::fresh().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::on(database_url.clone(), &["--compressions", "0"]).await;
    let client = &halftone.client;
    let id = client.accepted(&csv(&[&["http://127.0.0.1:9/1.jpg"]]), json!({ "webhookUrl": sink.url })).await;
    assert_eq!(delete(client, &id).await["userErrors"][0]["code"], "WRONG_STATUS");
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    client.query(cancel, json!({ "id": id })).await;
    assert_eq!(delete(client, &id).await["deletedId"], json!(id));
    // The webhook of the cancel has not been sent.
    assert_eq!(database::number(&database_url, "SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_request_leaves_no_webhook_to_be_sent() {
    let (origin, failing) = (Origin::start().await, Sink::start(&[500]).await);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let halftone = Halftone::start(&["--webhook-schedule", "0s,1h"]).await;
    let (client, database) = (&halftone.client, &halftone.database_url);
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let ended = async |webhook_url: &str| {
        let id = client.accepted(&csv(&[&[&url]]), json!({ "webhookUrl": webhook_url })).await;
        client.finished(&id).await;
        id
    };
    // One that waits for an hour.
    let id = ended(&failing.url).await;
    database::number_is(database, "SELECT count(*) FROM jobs WHERE state = 'WAITING'", |jobs| jobs == 1).await;
    delete(client, &id).await;
    assert_eq!(database::number(database, "SELECT count(*) FROM jobs").await, 0);
    // One that is being sent, and fails.
    let id = ended(&format!("http://{}/hook", silent.local_addr().unwrap())).await;
    let sending = in_time("a webhook", silent.accept()).await.unwrap();
    delete(client, &id).await;
    drop(sending);
    database::number_is(database, "SELECT count(*) FROM jobs", |jobs| jobs == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_deleted_when_they_have_been_kept_as_long_as_they_are_to_be() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--keep-requests", "30d"]).await;
    let client = &halftone.client;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let [old, new] =
        [client.accepted(&csv(&[&[&url]]), json!({})).await, client.accepted(&csv(&[&[&url]]), json!({})).await];
    for id in [&old, &new] {
        client.finished(id).await;
    }
    let expires = "query ($id: ID!) { processingRequest(id: $id) { finishedAt expiresAt } }";
    let request = client.query(expires, json!({ "id": new })).await["processingRequest"].take();
    let [finished, expires] = ["finishedAt", "expiresAt"]
        .map(|name| chrono::DateTime::parse_from_rfc3339(request[name].as_str().unwrap()).unwrap());
    assert_eq!((expires - finished).num_days(), 30);
    let aged = format!(
        "UPDATE processing_requests SET finished_at = finished_at - interval '31 days' WHERE id = '{old}';
        UPDATE runs SET finished_at = finished_at - interval '31 days' WHERE request_id = '{old}'"
    );
    database::execute(&halftone.database_url, &aged).await;
    assert_eq!(delete::delete_outlived(halftone.app()).await.unwrap(), 1);
    delete::sweep(halftone.app()).await.unwrap();
    assert_eq!(rows(&halftone, &old).await, 0);
    assert_eq!(client.finished(&new).await["status"], "COMPLETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_meet_everything_else_and_nothing_is_left() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&["--max-attempts", "2"]).await;
    let client = halftone.client.clone();
    let urls: Vec<String> = (0..6)
        .map(|n| origin.set(&format!("{n}.jpg"), Answer::Status(if n % 2 == 0 { 404 } else { 503 })))
        .chain([origin.set("good.jpg", Answer::Image(images::jpeg(64, 48, 1)))])
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let sheet = csv(&[&urls]);
    for _ in 0..20 {
        let id = client.accepted(&sheet, json!({ "webhookUrl": sink.url })).await;
        let steps = [
            "retryFailedImages(input: { requestId: $id }) { userErrors { code } }",
            "cancelProcessingRequest(input: { id: $id }) { userErrors { code } }",
            "pauseProcessingRequest(input: { id: $id }) { userErrors { code } }",
            "resumeProcessingRequest(input: { id: $id }) { userErrors { code } }",
            "deleteProcessingRequest(input: { id: $id }) { userErrors { code } }",
        ];
        let callers = steps.map(|step| {
            let (client, id) = (client.clone(), id.clone());
            async move {
                let mutation = format!("mutation ($id: ID!) {{ {step} }}");
                loop {
                    let data = client.query(&mutation, json!({ "id": id })).await;
                    let payload = data.as_object().unwrap().values().next().unwrap();
                    let found = "query ($id: ID!) { processingRequest(id: $id) { id } }";
                    if payload["userErrors"][0]["code"] == "NOT_FOUND"
                        && client.query(found, json!({ "id": id })).await["processingRequest"].is_null()
                    {
                        return;
                    }
                }
            }
        });
        in_time("everybody sees that it is deleted", futures_util::future::join_all(callers)).await;
        delete::sweep(halftone.app()).await.unwrap();
        assert_eq!(rows(&halftone, &id).await, 0);
    }
    let url = &halftone.database_url;
    database::number_is(url, "SELECT count(*) FROM jobs", |jobs| jobs == 0).await;
    assert_eq!(database::number(url, "SELECT count(*) FROM paused_groups").await, 0);
    leftovers::sweep(halftone.app()).await.unwrap();
    assert_eq!(std::fs::read_dir(halftone.data_dir().join("outputs")).unwrap().count(), 0);
}
