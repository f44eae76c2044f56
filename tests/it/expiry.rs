//! Outputs that are kept for a limited time: their addresses say so, their request stays, and what is made anew has another
//! address.

use std::time::Duration;

use halftone::db::{self, expiry};
use halftone::pipeline::{expire, store_audit, workers};
use serde_json::{Value, json};

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;
use crate::support::wait::until;

async fn status(client: &Client, url: &str) -> u16 {
    client.http.get(url).send().await.unwrap().status().as_u16()
}

/// As if it had ended 31 days earlier.
async fn age(halftone: &Halftone, id: &str) {
    let aged = format!(
        "UPDATE processing_requests SET finished_at = finished_at - interval '31 days',
            outputs_expired_at = outputs_expired_at - interval '31 days' WHERE id = '{id}';
        UPDATE runs SET finished_at = finished_at - interval '31 days' WHERE request_id = '{id}'"
    );
    database::execute(&halftone.database_url, &aged).await;
}

/// Has the outputs expire that are older than 30 days: none of which the maintenance of these tests does, whenever that comes.
async fn expire(halftone: &Halftone) -> usize {
    expire::expire_outlived(halftone.app(), Duration::from_secs(30 * 24 * 3600)).await.unwrap()
}

async fn rerun(client: &Client, id: &str) -> Value {
    let mutation = "mutation ($id: ID!) { rerunProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    let mut data = client.query(mutation, json!({ "id": id })).await;
    data["rerunProcessingRequest"]["userErrors"].take()
}

async fn file(client: &Client, id: &str, kind: &str) -> Vec<csv::StringRecord> {
    let query = format!("query ($id: ID!) {{ processingRequest(id: $id) {{ result(kind: {kind}) {{ url }} }} }}");
    let data = client.query(&query, json!({ "id": id })).await;
    let file = client.download(data["processingRequest"]["result"]["url"].as_str().unwrap()).await;
    csv::Reader::from_reader(&file[..]).records().map(Result::unwrap).collect()
}

async fn assert_store_agrees(halftone: &Halftone) {
    let mut findings = Vec::new();
    store_audit::audit(halftone.app(), false, |finding| findings.push(format!("{finding:?}"))).await.unwrap();
    assert_eq!(findings, [""; 0]);
}

fn url(image: &Value) -> String {
    image["output"]["url"].as_str().expect("an output").to_owned()
}

const STATE: &str = "query ($id: ID!) { processingRequest(id: $id) {
    status finishedAt expiresAt outputsExpireAt progress { succeeded revision } savings { inputBytes outputBytes }
    images { nodes { thumbnailUrl sourceUrl output { expiresAt } source { expiresAt } } } } }";

async fn state(client: &Client, id: &str) -> Value {
    let mut data = client.query(STATE, json!({ "id": id })).await;
    data["processingRequest"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_expire_and_their_request_stays() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--keep-outputs", "40d", "--keep-requests", "1y"]).await;
    let client = &halftone.client;
    let same = origin.set("same.jpg", Answer::Tagged("\"1\"", images::jpeg(160, 120, 1)));
    let changing = origin.set("changing.jpg", Answer::Image(images::jpeg(160, 120, 2)));
    let missing = origin.set("missing.jpg", Answer::Status(404));
    let sheet = csv(&[&[&same, &changing], &[&missing]]);
    let id = client.accepted(&sheet, json!({})).await;
    client.finished(&id).await;
    let other = client.accepted(&sheet, json!({})).await;
    client.finished(&other).await;
    let first = client.images(&id).await;
    origin.set("changing.jpg", Answer::Image(images::jpeg(160, 120, 3)));
    rerun(client, &id).await;
    client.finished(&id).await;
    let before = client.images(&id).await;
    let known = state(client, &id).await;
    let of = |name: &str| chrono::DateTime::parse_from_rfc3339(known[name].as_str().unwrap()).unwrap();
    assert_eq!((of("expiresAt") - of("finishedAt")).num_days(), 365);
    assert_eq!((of("outputsExpireAt") - of("finishedAt")).num_days(), 40);
    let images = &known["images"]["nodes"];
    assert_eq!(
        (&images[0]["output"]["expiresAt"], &images[0]["source"]["expiresAt"]),
        (&known["outputsExpireAt"], &Value::Null)
    );
    let thumbnail = images[0]["thumbnailUrl"].as_str().unwrap();
    client.download(thumbnail).await;

    assert_eq!(expire(&halftone).await, 0, "none is old enough");
    age(&halftone, &id).await;
    assert_eq!(expire(&halftone).await, 1);
    assert_eq!(expire(&halftone).await, 0, "only once");
    let addresses = [url(&before[0]), url(&before[1]), url(&first[1]), thumbnail.to_owned()];
    for address in &addresses {
        assert_eq!(status(client, address).await, 410, "{address}");
    }
    let nothing = url(&before[1]).replace("/2/", "/3/");
    assert_eq!(status(client, &nothing).await, 404, "there never was a third output: {nothing}");
    expire::sweep(halftone.app()).await.unwrap();
    assert_store_agrees(&halftone).await;
    let left = std::fs::read_dir(halftone.data_dir().join("outputs").join(&id)).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap()).filter(|entry| entry.file_type().unwrap().is_dir()).collect();
    assert_eq!(left.len(), 0, "{left:?}");

    // What is known of the images stays; a file has nothing where it had the address.
    let after = client.images(&id).await;
    let expected: Vec<Value> = before
        .iter()
        .cloned()
        .map(|mut image| {
            if !image["output"].is_null() {
                image["output"]["url"] = Value::Null;
            }
            image
        })
        .collect();
    assert_eq!(after, expected);
    let now = state(client, &id).await;
    assert_eq!(
        (&now["savings"], &now["progress"]["succeeded"], &now["status"]),
        (&known["savings"], &json!(2), &known["status"])
    );
    assert!(now["progress"]["revision"].as_u64() > known["progress"]["revision"].as_u64());
    assert_eq!(now["images"]["nodes"][0]["thumbnailUrl"], Value::Null);
    assert_eq!(&file(client, &id, "OUTPUT_CSV").await[0][3], ",");
    let details = file(client, &id, "DETAIL_CSV").await;
    assert!(details[0].iter().any(|cell| cell.contains("was removed")), "{:?}", details[0]);
    let failed = file(client, &id, "FAILED_ROWS_CSV").await;
    assert_eq!(failed.len(), 1, "an output that has expired is no failure: {failed:?}");

    // Another request that shared the bytes has them still.
    for image in &client.images(&other).await[..2] {
        client.download(&url(image)).await;
    }

    // Run again, it has new outputs; the addresses of those that expired stay without anything.
    rerun(client, &id).await;
    assert_eq!(client.finished(&id).await["progress"]["succeeded"], 2);
    let anew = client.images(&id).await;
    assert_eq!(
        (&anew[0]["change"], &anew[1]["change"]),
        (&json!("UNCHANGED"), &json!("UNCHANGED")),
        "the sources are the same"
    );
    for (image, bytes) in anew[..2].iter().zip(&before) {
        assert!(!addresses.contains(&url(image)), "{}", url(image));
        assert_eq!(image["output"]["sha256"], bytes["output"]["sha256"]);
        client.download(&url(image)).await;
    }
    for address in &addresses {
        assert_eq!(status(client, address).await, 410, "{address}");
    }
    assert_store_agrees(&halftone).await;

    // And these expire in their turn.
    age(&halftone, &id).await;
    assert_eq!(expire(&halftone).await, 1);
    assert_eq!(status(client, &url(&anew[0])).await, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_was_cut_off_is_carried_on_with() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let urls: Vec<String> =
        (0..9).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    client.finished(&id).await;
    let images = client.images(&id).await;
    age(&halftone, &id).await;
    let mut conn = db::connect(&halftone.app().pool).await.unwrap();
    let last = expiry::expire(&mut conn, id.parse().unwrap(), -1, 4).await.unwrap();
    drop(conn);
    assert_eq!(last, Some(3));
    let mut statuses = Vec::new();
    for image in &images {
        statuses.push(status(client, &url(image)).await);
    }
    assert_eq!(statuses, [410, 410, 410, 410, 200, 200, 200, 200, 200]);

    assert_eq!(expire(&halftone).await, 1);
    for image in &images {
        assert_eq!(status(client, &url(image)).await, 410);
    }
    expire::sweep(halftone.app()).await.unwrap();
    let database = &halftone.database_url;
    database::number_is(database, "SELECT count(*) FROM expired_objects", |left| left == 0).await;
    assert_store_agrees(&halftone).await;

    // A worker that is told to does it by itself.
    rerun(client, &id).await;
    client.finished(&id).await;
    let anew = url(&client.images(&id).await[8]);
    age(&halftone, &id).await;
    assert_eq!(status(client, &anew).await, 200);
    let _maintenance = Halftone::on(database.clone(), &["--keep-outputs", "30d"]).await;
    until("the outputs expire", async || status(client, &anew).await == 410).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_a_request_that_is_run_again_meanwhile_are_there_or_have_expired() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let urls: Vec<String> =
        (0..6).map(|n| origin.set(&format!("{n}.jpg"), Answer::Tagged("\"1\"", images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    client.finished(&id).await;
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..20 {
        let images = client.images(&id).await;
        seen.extend(images.iter().map(url));
        age(&halftone, &id).await;
        let (expired, begun) = tokio::join!(expire(&halftone), rerun(client, &id));
        assert_eq!(begun, json!([]));
        let (swept, ended) = tokio::join!(expire::sweep(halftone.app()), client.finished(&id));
        swept.unwrap();
        assert_eq!((&ended["status"], &ended["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(6)));
        for (before, after) in images.iter().zip(client.images(&id).await) {
            client.download(&url(&after)).await;
            let gone = status(client, &url(before)).await == 410;
            assert_eq!(gone, url(before) != url(&after));
            assert!(gone || expired == 0);
            assert!(url(before) == url(&after) || !seen.contains(&url(&after)), "{after}");
        }
    }
    expire::sweep(halftone.app()).await.unwrap();
    assert_store_agrees(&halftone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_use_to_nobody_any_more_is_forgotten() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let id = client.accepted(&csv(&[&[&url]]), json!({ "webhookUrl": sink.url, "idempotencyKey": "new" })).await;
    client.finished(&id).await;
    sink.received(1).await;
    let database = &halftone.database_url;
    database::number_is(database, "SELECT count(*) FROM webhook_attempts", |attempts| attempts == 1).await;
    let old = format!(
        "INSERT INTO idempotency_keys (tenant_id, key, request_id, input_hash, created_at)
         SELECT tenant_id, 'old' || n, id, '', now() - interval '2 days'
           FROM processing_requests, generate_series(1, 2500) n WHERE id = '{id}';
         INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms)
         SELECT id, 1 + n, now() - interval '91 days', 1 FROM webhook_deliveries, generate_series(1, 2500) n"
    );
    database::execute(database, &old).await;
    workers::forget(halftone.app()).await.unwrap();
    for table in ["idempotency_keys", "webhook_attempts"] {
        assert_eq!(database::number(database, &format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
    let again = client.upload(csv(&[&[&url]]), json!({ "webhookUrl": sink.url, "idempotencyKey": "new" })).await;
    assert_eq!(again["replayed"], true, "{again}");
}
