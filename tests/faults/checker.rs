//! What must hold at the end of every run, whatever happened in it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::bucket;
use crate::support::database;
use crate::support::halftone::Client;
use crate::world::World;

/// Notes every change that must never be made, in a table beside the others.
const AUDIT: &str = "
    CREATE TABLE audit (what text NOT NULL);
    CREATE FUNCTION audit_image() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.finished_at IS NOT NULL AND NEW IS DISTINCT FROM OLD AND NEW.run <= OLD.run THEN
            INSERT INTO audit VALUES (format('image %s was %s and became %s', OLD.id, OLD.status, NEW.status));
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER audit BEFORE UPDATE ON images FOR EACH ROW EXECUTE FUNCTION audit_image();
    CREATE FUNCTION audit_request() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.revision < OLD.revision OR (OLD.finished_at IS NOT NULL AND NEW.status <> OLD.status AND NEW.run <= OLD.run) THEN
            INSERT INTO audit VALUES (format('request %s was %s at revision %s and became %s at %s',
                OLD.id, OLD.status, OLD.revision, NEW.status, NEW.revision));
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER audit BEFORE UPDATE ON processing_requests FOR EACH ROW EXECUTE FUNCTION audit_request();";

/// Has the database note what must never happen.
pub async fn audit(database_url: &str) {
    database::execute(database_url, AUDIT).await;
}

/// Statements that count what must not be.
const NEVER: [(&str, &str); 9] = [
    ("changes that must never be made", "SELECT count(*) FROM audit"),
    ("requests that have not ended", "SELECT count(*) FROM processing_requests WHERE finished_at IS NULL"),
    ("images of ended requests that have not", "SELECT count(*) FROM images WHERE finished_at IS NULL"),
    (
        "requests whose counts do not add up",
        "SELECT count(*) FROM processing_requests request JOIN LATERAL (
             SELECT count(*) AS total, count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
                    count(*) FILTER (WHERE status = 'FAILED') AS failed,
                    count(*) FILTER (WHERE status = 'CANCELED') AS canceled,
                    coalesce(sum(source_bytes) FILTER (WHERE status = 'SUCCEEDED'), 0) AS input_bytes,
                    coalesce(sum(output_bytes) FILTER (WHERE status = 'SUCCEEDED'), 0) AS output_bytes
               FROM images WHERE request_id = request.id) counted ON true
          WHERE (request.total, request.succeeded, request.failed, request.canceled, request.input_bytes,
                 request.output_bytes)
             <> (counted.total, counted.succeeded, counted.failed, counted.canceled, counted.input_bytes,
                 counted.output_bytes)",
    ),
    (
        "images that share a place in the change log, or have none",
        "SELECT count(*) - count(DISTINCT (request_id, revision)) FILTER (WHERE revision > 0) FROM images",
    ),
    (
        "last runs whose counts do not add up, or that have not ended",
        "SELECT count(*) FROM processing_requests request
           LEFT JOIN runs ON runs.request_id = request.id AND number = request.run
           JOIN LATERAL (
             SELECT count(*) AS total, count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
                    count(*) FILTER (WHERE status = 'FAILED') AS failed,
                    count(*) FILTER (WHERE status = 'CANCELED') AS canceled
               FROM images WHERE request_id = request.id AND images.run = request.run) counted ON true
          WHERE (runs.total, runs.succeeded, runs.failed, runs.canceled)
                IS DISTINCT FROM (counted.total, counted.succeeded, counted.failed, counted.canceled)
             OR runs.finished_at IS NULL",
    ),
    (
        "ended runs without the webhook they asked for",
        "SELECT count(*) FROM processing_requests request JOIN runs ON runs.request_id = request.id
          WHERE webhook_url IS NOT NULL AND NOT EXISTS (
             SELECT FROM webhook_deliveries WHERE request_id = request.id AND run = number)",
    ),
    (
        "deliveries without a job",
        "SELECT count(*) FROM webhook_deliveries delivery WHERE status IN ('PENDING', 'RETRYING')
            AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = delivery.id)",
    ),
    (
        "jobs of nothing that is there",
        "SELECT count(*) FROM jobs WHERE NOT EXISTS (SELECT FROM webhook_deliveries WHERE webhook_deliveries.id = jobs.id)",
    ),
];

/// Nobody is uploading any more, so what an upload left behind need not wait for its time.
const DUE: &str = "UPDATE store_removals SET due_at = now() WHERE NOT is_begun";

/// Waits until everything has ended, then checks it. The scenario's processes may be gone, so it has one of its own.
pub async fn check(world: &mut World) {
    // Also what a process had begun to remove when it was killed.
    database::execute(&world.database_url, "UPDATE store_removals SET due_at = now()").await;
    let _server = world.serve(&[]).await;
    world.until("SELECT (NOT EXISTS (SELECT FROM processing_requests WHERE finished_at IS NULL))::int::bigint").await;
    // A worker removes what was deleted as soon as it starts.
    world
        .until("SELECT (NOT EXISTS (SELECT FROM processing_requests WHERE deleted_at IS NOT NULL))::int::bigint")
        .await;
    let spared: Vec<String> = world.without_webhook.iter().map(|id| format!("'{id}'")).collect();
    let spared = if spared.is_empty() { "''".to_owned() } else { spared.join(",") };
    world
        .until(&format!(
            "SELECT (NOT EXISTS (SELECT FROM webhook_deliveries WHERE status <> 'DELIVERED'
                 AND request_id::text NOT IN ({spared})))::int::bigint"
        ))
        .await;
    // What a worker was sending when the request was deleted, or it was killed, ends by itself.
    world
        .until(
            "SELECT (NOT EXISTS (SELECT FROM jobs WHERE state <> 'WAITING'
                 AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE webhook_deliveries.id = jobs.id)))::int::bigint",
        )
        .await;
    for (what, sql) in NEVER {
        assert_eq!(database::number(&world.database_url, sql).await, 0, "{what}");
    }
    let client = world.client().clone();
    let ids = requests(&client).await;
    webhooks(world, &spared, &ids).await;
    for id in &ids {
        objects(&client, id).await;
    }
    world.until(&format!("WITH due AS ({DUE}) SELECT (NOT EXISTS (SELECT FROM store_removals))::int::bigint")).await;
    for name in stored(world) {
        assert!(ids.contains(&name), "{name} is of no request");
    }
    let left = unfinished_files(world.data_dir.path());
    assert!(left.is_empty(), "temporary files are left: {left:?}");
}

/// The first parts of all keys in the store.
fn stored(world: &World) -> Vec<String> {
    if let Some(bucket) = &world.bucket {
        let below = |key: &String| key.strip_prefix(bucket::PREFIX)?.split('/').nth(1).map(str::to_owned);
        return bucket.keys().iter().map(|key| below(key).expect("the prefix")).collect();
    }
    let entries = std::fs::read_dir(world.data_dir.path().join("outputs")).expect("the store");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

/// Each run of a request that wanted one was announced by one webhook: perhaps more than once, always the same. Of deleted requests
/// some were.
async fn webhooks(world: &World, spared: &str, ids: &[String]) {
    let wanted = format!("SELECT count(*) FROM webhook_deliveries WHERE request_id::text NOT IN ({spared})");
    let wanted = usize::try_from(database::number(&world.database_url, &wanted).await).expect("a count");
    // All have come: they are delivered.
    let received = world.sink.received(0).await;
    let is_of = |id: &Value| ids.iter().any(|one| id == one);
    let mut bodies: HashMap<String, Value> = HashMap::new();
    for webhook in received.iter().filter(|webhook| is_of(&webhook.body["data"]["id"])) {
        let id = webhook.header("webhook-id").to_owned();
        let first = bodies.entry(id).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "a delivery that is sent again says the same");
    }
    let mut about: Vec<String> =
        bodies.values().map(|body| format!("{} {}", body["data"]["id"], body["data"]["run"])).collect();
    about.sort_unstable();
    about.dedup();
    assert_eq!((bodies.len(), about.len()), (wanted, wanted), "one webhook for each run");
}

async fn requests(client: &Client) -> Vec<String> {
    let query = "query ($after: String) { processingRequests(first: 50, after: $after) {
        edges { node { id } } pageInfo { hasNextPage endCursor } } }";
    let mut ids = Vec::new();
    let mut after = Value::Null;
    loop {
        let data = client.query(query, json!({ "after": after })).await;
        let page = &data["processingRequests"];
        let edges = page["edges"].as_array().expect("edges");
        ids.extend(edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()));
        if page["pageInfo"]["hasNextPage"] != true {
            return ids;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// Every output is served, matches what is recorded of it, and is an image.
async fn objects(client: &Client, id: &str) {
    let query = "query ($id: ID!, $after: String) { processingRequest(id: $id) { images(first: 100, after: $after) {
        edges { node { status output { url byteSize sha256 } } } pageInfo { hasNextPage endCursor } } } }";
    let mut after = Value::Null;
    loop {
        let data = client.query(query, json!({ "id": id, "after": after })).await;
        let page = &data["processingRequest"]["images"];
        for edge in page["edges"].as_array().expect("edges") {
            let output = &edge["node"]["output"];
            if edge["node"]["status"] != "SUCCEEDED" {
                assert_eq!(*output, Value::Null, "{edge}");
                continue;
            }
            let path = output["url"].as_str().and_then(|url| url.splitn(4, '/').nth(3)).expect("an address");
            let bytes = client.download(&format!("{}/{path}", client.url)).await;
            assert_eq!(output["byteSize"], bytes.len(), "{edge}");
            assert_eq!(output["sha256"], hex::encode(Sha256::digest(&bytes)), "{edge}");
            image::load_from_memory(&bytes).unwrap_or_else(|error| panic!("{edge}: {error}"));
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// Files that were begun and not finished: the store writes beside the place, with a `#`, and renames; everything else
/// is in `tmp`.
fn unfinished_files(data_dir: &Path) -> Vec<std::path::PathBuf> {
    let mut left = Vec::new();
    let mut directories = vec![data_dir.join("outputs"), data_dir.join("tmp")];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if directory.ends_with("tmp") || path.to_string_lossy().contains('#') {
                left.push(path);
            }
        }
    }
    left
}
