//! Processes that die or are told to end, and everything that must survive it.

use std::collections::HashMap;
use std::ffi::OsString;

use serde_json::json;
use sha2::Digest as _;
use tokio::io::AsyncWriteExt as _;

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::Process;
use crate::support::wait::{in_time, until};

/// Workers count as dead after this long, so that tests need not wait for it longer than they must.
const QUICK_RESCUE: [&str; 2] = ["--worker-timeout", "2s"];

/// Every image ended exactly once: as many endings as images, no two with the same place in the change log, no job left.
async fn assert_each_image_ended_once(database_url: &str, total: i64) {
    let count = async |what: &str| database::number(database_url, what).await;
    assert_eq!(count("SELECT count(*) FROM images WHERE finished_at IS NOT NULL AND revision > 0").await, total);
    assert_eq!(count("SELECT count(DISTINCT revision) FROM images").await, total);
    assert_eq!(count("SELECT (succeeded + failed + canceled)::bigint FROM processing_requests").await, total);
    assert_eq!(count("SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_loses_no_image() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let api = [&["--compressions", "0"][..], &QUICK_RESCUE].concat();
    let (_api, client) = Process::serve(&database_url, data_dir.path(), &api).await;
    let urls: Vec<String> = (0..40)
        .map(|n| {
            let bytes = images::jpeg(160, 120, n);
            // Half of them are in flight, and will be for as long as it takes, when the worker dies.
            origin.set(&format!("{n}.jpg"), if n % 2 == 0 { Answer::Image(bytes) } else { Answer::Held(bytes) })
        })
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;

    let doomed = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
    origin.held(20).await;
    doomed.kill().await;
    origin.open();
    let _successor = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
    let request = client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(40)));
    assert_each_image_ended_once(&database_url, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_or_gives_back_what_is_in_flight_and_burns_no_attempt() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let (first, client) = Process::serve(&database_url, data_dir.path(), &[]).await;
    let urls: Vec<String> =
        (0..20).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(160, 120, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    origin.held(8).await;

    let mut socket = client.socket().await;
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": {
        "query": format!("subscription {{ requestUpdated(id: \"{id}\") {{ status }} }}") } });
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("\"next\""));

    assert_eq!(first.terminate().await, Some(0));
    // The subscription did not pretend to be complete: the socket says that the server goes away.
    let last = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => assert!(!text.contains("\"complete\""), "{text}"),
                last => break last,
            }
        }
    };
    match in_time("the end of the socket", last).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1001),
        other => panic!("{other:?}"),
    }
    let untouched = "SELECT count(*) FROM jobs WHERE state = 'READY' AND attempts = 0 AND crashes = 0";
    assert_eq!(database::number(&database_url, untouched).await, 20);
    assert_eq!(database::number(&database_url, "SELECT count(*) FROM workers").await, 0);

    origin.open();
    let (_second, client) = Process::serve(&database_url, data_dir.path(), &[]).await;
    let request = client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(20)));
    assert!(client.images(&id).await.iter().all(|image| image["attemptCount"] == 1));
    assert_each_image_ended_once(&database_url, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_killed_in_the_middle_of_an_upload_leaves_no_half_request() {
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let (api, client) = Process::serve(&database_url, data_dir.path(), &["--compressions", "0"]).await;
    // Once while the body arrives …
    let address = client.url.strip_prefix("http://").unwrap().to_owned();
    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nGraphQL-Preflight: 1\r\nContent-Length: 1000000\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    );
    half.write_all(head.as_bytes()).await.unwrap();
    // … and once while the rows go into the database: the insert of its images waits for this lock.
    let (blocker, connection) = tokio_postgres::connect(&database_url, tokio_postgres::NoTls).await.unwrap();
    let mut connections = tokio::task::JoinSet::new();
    connections.spawn(async move {
        let _ = connection.await;
    });
    blocker.batch_execute("BEGIN; LOCK TABLE images IN EXCLUSIVE MODE").await.unwrap();
    let mut sheet = String::from("S. No,Product Name,Input Image Urls\n");
    for n in 0..3_000 {
        sheet.push_str(&format!("{n},SKU{n},http://127.0.0.1:9/{n}.jpg\n"));
    }
    let uploading = client.clone();
    connections.spawn(async move {
        let form = reqwest::multipart::Form::new()
            .text("operations", r#"{"query":"mutation($f:Upload!){uploadCsv(input:{file:$f}){processingRequest{id}}}","variables":{"f":null}}"#)
            .text("map", r#"{"0":["variables.f"]}"#)
            .part("0", reqwest::multipart::Part::text(sheet).file_name("c.csv"));
        let sent = uploading.http.post(format!("{}/graphql", uploading.url)).header("GraphQL-Preflight", "1").multipart(form).send();
        assert!(sent.await.is_err(), "an upload that was never stored was answered");
    });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    // Not asked by the blocker: within its transaction it sees only the connections that there were at its first look.
    database::number_is(&database_url, waiting, |count| count > 0).await;
    api.kill().await;
    blocker.batch_execute("ROLLBACK").await.unwrap();
    drop(blocker);
    while let Some(ended) = connections.join_next().await {
        ended.unwrap();
    }
    let (_api, client) = Process::serve(&database_url, data_dir.path(), &["--compressions", "0"]).await;
    let data = client.query("{ processingRequests { edges { node { id } } } }", json!({})).await;
    assert_eq!(data["processingRequests"]["edges"], json!([]));
    for table in ["processing_requests", "products", "images", "jobs", "csv_issues"] {
        assert_eq!(database::number(&database_url, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_on_the_last_two_images_end_the_request_once_fifty_times() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let first = Halftone::on(database_url.clone(), &["--downloads", "1"]).await;
    let _second = Halftone::on(database_url.clone(), &["--downloads", "1"]).await;
    let sink = crate::support::sink::Sink::start(&[]).await;
    let urls = [0, 1].map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(64, 48, n))));
    let sheet = csv(&[&[&urls[0]], &[&urls[1]]]);
    for round in 1..=50 {
        let id = first.client.accepted(&sheet, json!({ "webhookUrl": sink.url })).await;
        let request = first.client.finished(&id).await;
        assert_eq!(
            (&request["status"], &request["progress"]["succeeded"]),
            (&json!("COMPLETED"), &json!(2)),
            "round {round}"
        );
        let received = sink.received(round).await;
        assert_eq!(received.len(), round, "a request sends one webhook");
        assert_eq!(received[round - 1].body["data"]["id"], json!(id));
    }
    let count = async |what: &str| database::number(&database_url, what).await;
    assert_eq!(count("SELECT count(*) FROM webhook_deliveries").await, 50);
    assert_eq!(
        count("SELECT count(*) FROM processing_requests WHERE status = 'COMPLETED' AND succeeded = 2").await,
        50
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_database_connections_are_made_again_and_nothing_is_lost() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let urls: Vec<String> =
        (0..30).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(160, 120, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = halftone.client.accepted(&csv(&[&urls]), json!({})).await;
    origin.held(8).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database::execute(&halftone.database_url, cut).await;
    origin.open();
    let client = Client::new(halftone.client.url.clone());
    let request = client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(30)));
    assert_each_image_ended_once(&halftone.database_url, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_again_and_again_strand_no_job() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--max-attempts", "100"]).await;
    let bytes = images::jpeg(64, 48, 1);
    let urls: Vec<String> = (0..600).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(bytes.clone()))).collect();
    let rows: Vec<[&str; 1]> = urls.iter().map(|url| [url.as_str()]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
    let id = halftone.client.accepted(&csv(&rows), json!({})).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..40 {
        database::execute(&halftone.database_url, cut).await;
    }
    let request = halftone.client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(600)));
    assert_each_image_ended_once(&halftone.database_url, 600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_given_up_and_wakes_late_replaces_nothing() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let (_api, client) = Process::serve(&database_url, data_dir.path(), &["--compressions", "0"]).await;
    // The host sends something else at the second request.
    let urls: Vec<String> = (0..8)
        .map(|n| {
            let [first, second] = [n, 100 + n].map(|seed| images::jpeg(160, 120, seed));
            origin.set(&format!("{n}.jpg"), Answer::Script(vec![Answer::Held(first), Answer::Image(second)]))
        })
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&urls]), json!({})).await;

    let mut late = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
    origin.held(8).await;
    late.pause();
    let _successor = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
    let request = client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(8)));
    origin.open();
    late.resume();
    for _ in 0..8 {
        late.log_line("the result of this one is discarded").await;
    }

    for image in client.images(&id).await {
        let output = &image["output"];
        let served = client.download(output["url"].as_str().unwrap()).await;
        assert_eq!(hex::encode(sha2::Sha256::digest(&served)), output["sha256"].as_str().unwrap(), "{image}");
    }
    assert_eq!(files(&data_dir.path().join("outputs")), 8 + SOURCE, "what the late one stored is removed");
    assert_each_image_ended_once(&database_url, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_an_image_again_ends_its_earlier_attempt_first() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let urls: Vec<String> = (0..4)
        .map(|n| {
            let never_answered = Answer::Held(images::jpeg(160, 120, n));
            let again = Answer::Image(images::jpeg(160, 120, 100 + n));
            origin.set(&format!("{n}.jpg"), Answer::Script(vec![never_answered, again]))
        })
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = halftone.client.accepted(&csv(&[&urls]), json!({})).await;
    origin.held(4).await;
    // As after a pause in which the worker was given up.
    let rescue =
        "UPDATE jobs SET state = 'READY', worker_id = NULL, lease = nextval('job_leases') WHERE state = 'RUNNING'";
    database::execute(&halftone.database_url, rescue).await;
    halftone.client.finished(&id).await;

    for image in halftone.client.images(&id).await {
        let output = &image["output"];
        let served = halftone.client.download(output["url"].as_str().unwrap()).await;
        assert_eq!(hex::encode(sha2::Sha256::digest(&served)), output["sha256"].as_str().unwrap(), "{image}");
    }
    assert_each_image_ended_once(&halftone.database_url, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_left_is_removed_before_its_image_ends() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let (_api, client) = Process::serve(&database_url, data_dir.path(), &["--compressions", "0"]).await;
    let bytes = || images::jpeg(160, 120, 1);
    let url = origin.set("1.jpg", Answer::Script(vec![Answer::Held(bytes()), Answer::Image(bytes())]));
    let id = client.accepted(&csv(&[&[&url]]), json!({})).await;
    let doomed = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
    origin.held(1).await;
    doomed.kill().await;
    let image = client.images(&id).await[0]["id"].as_str().unwrap().to_owned();
    let lease = database::number(&database_url, "SELECT lease FROM jobs").await;
    let outputs = data_dir.path().join("outputs");
    let left = outputs.join(format!("{id}/{image}/run1/{lease}/compressed_1.jpg#1"));
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "half of a file").unwrap();

    // Nothing can be recorded, so its successor may be killed before it is.
    let (mut blocker, connection) = tokio_postgres::connect(&database_url, tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection, before the test")]
    let driver = tokio::task::spawn(connection);
    let transaction = blocker.transaction().await.unwrap();
    transaction.execute("SELECT id FROM processing_requests FOR UPDATE", &[]).await.unwrap();
    let _successor = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
    until("what was left is removed", async || !left.exists()).await;
    drop(transaction);
    drop(blocker);
    in_time("the lock is given back", driver).await.unwrap().unwrap();
    client.finished(&id).await;
    assert_eq!(files(&outputs), 1 + SOURCE);
}

/// What each worker, living or dead, noted of what it is compressing.
fn noted(data_dir: &std::path::Path) -> HashMap<OsString, Vec<u8>> {
    let Ok(files) = std::fs::read_dir(data_dir.join("workers")) else { return HashMap::new() };
    let files = files.map(|file| file.unwrap());
    files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap_or_default())).collect()
}

/// Returns when a worker that is not among `earlier` compresses this image.
async fn compressing(data_dir: &std::path::Path, image: uuid::Uuid, earlier: &HashMap<OsString, Vec<u8>>) {
    let is_noted = |(worker, ids): (&OsString, &Vec<u8>)| {
        !earlier.contains_key(worker) && ids.chunks(16).any(|id| id == image.as_bytes())
    };
    until("the image is compressed", async || noted(data_dir).iter().any(is_noted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_kills_its_worker_again_and_again_is_given_up_and_no_other_is_blamed() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let (_api, client) = Process::serve(&database_url, data_dir.path(), &["--workers", "0"]).await;
    // The worker is killed whenever it compresses this one, which takes a while.
    let poison = origin.set("poison.jpg", Answer::Image(images::jpeg(1_600, 1_200, 1)));
    let others: Vec<String> =
        (0..6).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(32, 24, n)))).collect();
    let mut urls: Vec<&str> = others.iter().map(String::as_str).collect();
    urls.push(&poison);
    let id = client.accepted(&csv(&[&urls]), json!({ "output": { "format": "AVIF" } })).await;
    let poison: uuid::Uuid = client.images(&id).await[6]["id"].as_str().unwrap().parse().unwrap();
    // A file that an earlier worker was writing when it died.
    let left = data_dir.path().join("outputs").join(&id).join(poison.to_string()).join("run1/1");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("compressed_poison.avif#1"), "half").unwrap();

    let mut kills = 0;
    loop {
        let earlier = noted(data_dir.path());
        let worker = Process::work(&database_url, data_dir.path(), &QUICK_RESCUE).await;
        tokio::select! {
            () = compressing(data_dir.path(), poison, &earlier) => worker.kill().await,
            _ = client.finished(&id) => break,
        }
        kills += 1;
        assert!(kills < 10, "the image is never given up");
    }
    assert!((2..=4).contains(&kills), "twice alone, and before that among others: {kills} kills");
    let request = client.finished(&id).await;
    assert_eq!(request["progress"]["succeeded"], 6, "{request}");
    let images = client.images(&id).await;
    assert_eq!(images[6]["error"]["code"], "WORKER_CRASHED");
    assert!(images[..6].iter().all(|image| image["attemptCount"] == 1));
    assert_each_image_ended_once(&database_url, 7).await;
    assert_eq!(files(&data_dir.path().join("outputs")), 6 + SOURCE, "nothing is left of what the dead ones wrote");
}

/// How many files there are below a directory.
/// The uploaded file, which is kept beside the outputs.
const SOURCE: usize = 1;

fn files(directory: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_whose_process_died_is_carried_on_with() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let rows = vec![&["http://127.0.0.1:1/1.jpg"][..], &["http://127.0.0.1:1/2.jpg"]];
    let id = halftone.client.accepted(&csv(&rows), json!({})).await;
    // The process died after the wish was stored; one of the images waits for its host until tomorrow.
    let died = "UPDATE processing_requests SET cancel_requested_at = now(), revision = revision + 1;
        UPDATE jobs SET state = 'WAITING', run_at = now() + interval '1 day'
         WHERE id = (SELECT id FROM images WHERE position = 0)";
    database::execute(&halftone.database_url, died).await;
    let _worker = Halftone::on(halftone.database_url.clone(), &[]).await;
    let request = halftone.client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["canceled"]), (&json!("CANCELED"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_heartbeat_hangs_takes_nothing_more_and_keeps_what_it_has() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&QUICK_RESCUE).await;
    let count = async |what: &str| database::number(&halftone.database_url, what).await;
    let silent = async |seconds: f32| {
        let is_silent =
            format!("SELECT (max(heartbeat_at) < now() - interval '{seconds} s')::int::bigint FROM workers");
        database::number_is(&halftone.database_url, &is_silent, |is_silent| is_silent == 1).await;
    };
    let url = |n: u32| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(64, 48, n)));
    let first = halftone.client.accepted(&csv(&[&[&url(1)], &[&url(2)]]), json!({})).await;
    origin.held(2).await;
    let lease = count("SELECT max(lease) FROM jobs").await;

    let (mut blocker, connection) =
        tokio_postgres::connect(&halftone.database_url, tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection, before the test")]
    let driver = tokio::task::spawn(connection);
    let transaction = blocker.transaction().await.unwrap();
    transaction.execute("SELECT id FROM workers FOR UPDATE", &[]).await.unwrap();
    // Half of the timeout without a heartbeat.
    silent(1.5).await;
    let second = halftone.client.accepted(&csv(&[&[&url(3)]]), json!({})).await;
    // Long past the timeout: several times it has looked for the jobs of dead workers.
    silent(8.0).await;
    let untouched = format!("SELECT count(*) FROM jobs WHERE state = 'RUNNING' AND lease <= {lease} AND crashes = 0");
    assert_eq!(count(&untouched).await, 2, "it does not take its own jobs for a dead worker's");
    assert_eq!(count("SELECT count(*) FROM jobs WHERE state = 'READY'").await, 1, "it claims nothing");
    assert_eq!(origin.hits("3.jpg"), 0);

    transaction.commit().await.unwrap();
    drop(blocker);
    driver.await.unwrap().unwrap();
    origin.open();
    for (id, images) in [(first, 2), (second, 1)] {
        let request = halftone.client.finished(&id).await;
        assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(images)));
    }
    assert_eq!(count("SELECT max(attempt_count)::bigint FROM images").await, 1);
}
