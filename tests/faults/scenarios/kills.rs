//! Processes that die, are told to end, or sleep.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use crate::checker;
use crate::support::bucket::Bucket;
use crate::support::database;
use crate::support::halftone::csv;
use crate::support::images;
use crate::support::origin::Answer;
use crate::support::proxy::Proxy;
use crate::world::{Program, World};

const API_ONLY: [&str; 2] = ["--compressions", "0"];

/// A host that takes this many milliseconds.
fn slow(milliseconds: u64) -> impl Fn(Bytes) -> Answer {
    move |bytes| Answer::Slow(Duration::from_millis(milliseconds), bytes)
}

fn random(range: Range<u64>) -> u64 {
    rand::RngExt::random_range(&mut rand::rng(), range)
}

/// `kill -9` of the only worker at a random image.
pub async fn killed_worker(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let worker = world.work(&[]).await;
    let id = world.upload(200, slow(50)).await;
    world.ended(random(0..150).cast_signed()).await;
    worker.kill().await;
    let killed = Instant::now();
    let _successor = world.work(&[]).await;
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after the kill", killed.elapsed().as_secs_f64()));
}

/// `kill -9` of one of two workers; nobody starts another one.
pub async fn one_of_two_workers_killed(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let (_survivor, doomed) = (world.work(&[]).await, world.work(&[]).await);
    let id = world.upload(200, slow(50)).await;
    world.ended(random(0..150).cast_signed()).await;
    doomed.kill().await;
    let killed = Instant::now();
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after the kill", killed.elapsed().as_secs_f64()));
}

/// `kill -9` of a `serve` that runs its own PostgreSQL, which ends with it, at random images.
pub async fn killed_with_its_database(world: &mut World) {
    let mut server = world.serve_with_own_database().await;
    checker::audit(&world.database_url).await;
    let id = world.upload(200, slow(50)).await;
    for done in [random(0..60), random(60..150)] {
        world.ended(done.cast_signed()).await;
        server.kill().await;
        server = world.serve_with_own_database().await;
    }
    let started = Instant::now();
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after the last start", started.elapsed().as_secs_f64()));
    checker::check(world).await;
    assert_eq!(server.terminate().await, Some(0));
    world.start_anew().await;
}

/// SIGTERM in the middle: what is in hand ends or is given back, and no attempt is counted.
pub async fn terminated_worker(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let worker = world.work(&[]).await;
    let id = world.upload(200, slow(50)).await;
    world.ended(random(0..150).cast_signed()).await;
    assert_eq!(worker.terminate().await, Some(0));
    let _successor = world.work(&[]).await;
    world.succeeded(&id).await;
    assert_eq!(database::number(&world.database_url, "SELECT max(attempt_count)::bigint FROM images").await, 1);
}

/// `kill -9` of the API while an upload is stored: the client sends again with the same key, and there is one request.
pub async fn killed_api_in_an_upload(world: &mut World) {
    let url = world.origin.set("one.jpg", Answer::Image(images::jpeg(96, 64, 1)));
    let urls = [url.as_str()];
    let sheet = csv(&vec![&urls[..]; 20_000]);
    let input = json!({ "idempotencyKey": "a", "webhookUrl": world.sink.url });
    let api = world.serve(&API_ONLY).await;
    let client = world.client().clone();
    let first = client.upload_request(sheet.clone(), input.clone());
    let uploading = tokio::spawn(first.send());
    sleep(Duration::from_millis(random(0..400))).await;
    api.kill().await;
    // Its answer may have come or not.
    let _ = uploading.await;
    let _api = world.serve(&[]).await;
    let id = world.client().accepted(&sheet, input).await;
    assert_eq!(database::number(&world.database_url, "SELECT count(*) FROM processing_requests").await, 1);
    world.succeeded(&id).await;
}

/// A worker that sleeps through its rescue, while its host changes the images, wakes and finishes what it had begun.
pub async fn paused_worker_wakes_late(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let sleeper = world.work(&[]).await;
    let first_then_other = |bytes| Answer::Script(vec![Answer::Held(bytes), Answer::Image(images::jpeg(96, 64, 99))]);
    let id = world.upload(8, first_then_other).await;
    world.origin.held(8).await;
    sleeper.signal(Signal::STOP);
    let _other = world.work(&[]).await;
    world.succeeded(&id).await;
    world.origin.open();
    sleeper.signal(Signal::CONT);
    // It ends only once it has finished or dropped all it had in hand, and removed what nobody recorded.
    assert_eq!(sleeper.terminate().await, Some(0));
    let outputs = world.data_dir.path().join("outputs").join(&id);
    let images = std::fs::read_dir(outputs).expect("the outputs").map(|entry| entry.expect("an entry").path());
    let attempts = images.filter(|path| path.is_dir()).map(|path| std::fs::read_dir(path).expect("an image").count());
    assert_eq!(attempts.collect::<Vec<_>>(), [1; 8], "outputs of each image");
}

/// Five workers killed, one after the other, in the middle of slow images: no image is blamed.
pub async fn workers_killed_in_a_row(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let id = world.upload(300, slow(4_000)).await;
    for _ in 0..5 {
        let worker = world.work(&[]).await;
        sleep(Duration::from_millis(random(5_500..8_000))).await;
        worker.kill().await;
    }
    let _last = world.work(&[]).await;
    let killed = Instant::now();
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after the last kill", killed.elapsed().as_secs_f64()));
}

/// An image that kills whichever process fetches it, among others: it alone fails.
pub async fn image_that_kills_its_worker(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let poison = world.origin.set("poison.jpg", Answer::Held(images::jpeg(96, 64, 1)));
    let mut urls: Vec<String> = (0..40)
        .map(|n| {
            let answer = slow(1_000)(images::jpeg(96, 64, n));
            world.origin.set(&format!("{n}.jpg"), answer)
        })
        .collect();
    urls.insert(20, poison);
    let id = world.upload_urls(&urls, json!({ "webhookUrl": world.sink.url })).await;
    let mut kills = 0;
    let ended = "SELECT count(*) FROM processing_requests WHERE finished_at IS NOT NULL";
    let mut worker = Some(world.work(&[]).await);
    while database::number(&world.database_url, ended).await == 0 {
        if world.origin.hits("poison.jpg") > kills {
            kills = world.origin.hits("poison.jpg");
            worker.take().expect("a worker").kill().await;
            worker = Some(world.work(&[]).await);
        }
        assert!(kills < 20, "the image was tried again and again");
        sleep(Duration::from_millis(20)).await;
    }
    let request = world.finished(&id).await;
    assert_eq!((&request["progress"]["succeeded"], &request["progress"]["failed"]), (&json!(40), &json!(1)));
    let crashed = "SELECT count(*) FROM images WHERE error_code = 'WORKER_CRASHED' AND input_url LIKE '%poison%'";
    assert_eq!(database::number(&world.database_url, crashed).await, 1);
    world.note(format!("{kills} kills"));
}

/// `kill -9` of the API in the middle of a cancel: what is left is canceled even so.
pub async fn killed_api_in_a_cancel(world: &mut World) {
    let api = world.serve(&API_ONLY).await;
    let id = world.upload(20_000, |_| Answer::Status(404)).await;
    let client = world.client().clone();
    let cancel = format!("mutation {{ cancelProcessingRequest(id: \"{id}\") {{ userErrors {{ code }} }} }}");
    let canceling = tokio::spawn(async move { client.query(&cancel, json!({})).await });
    sleep(Duration::from_millis(random(0..300))).await;
    api.kill().await;
    let _ = canceling.await;
    let _api = world.serve(&[]).await;
    world.finished(&id).await;
}

/// A request is tried again, corrected, run again and canceled, and each time the worker is killed: every run ends once and is
/// announced once.
pub async fn steered_between_kills(world: &mut World) {
    let _api = world.serve(&API_ONLY).await;
    let mut worker = world.work(&[]).await;
    let found = |n: u32| world.origin.set(&format!("{n}.jpg"), slow(50)(images::jpeg(96, 64, n)));
    let mut urls: Vec<String> = (0..120).map(found).collect();
    urls.extend((0..30).map(|n| world.origin.url(&format!("missing/{n}.jpg"))));
    let id = world.upload_urls(&urls, json!({ "webhookUrl": world.sink.url })).await;
    let corrected = world.origin.set("corrected.jpg", slow(50)(images::jpeg(96, 64, 1_000)));
    let failed = "query ($id: ID!) { processingRequest(id: $id) { images(first: 1, filter: { status: [FAILED] }) { nodes { id } } } }";
    for step in ["retry", "correct", "rerun", "rerun all", "cancel", "retry"] {
        sleep(Duration::from_millis(random(0..1_500))).await;
        worker.kill().await;
        worker = world.work(&[]).await;
        world.finished(&id).await;
        let data = world.client().query(failed, json!({ "id": id })).await;
        let image = &data["processingRequest"]["images"]["nodes"][0]["id"];
        let mutation = match step {
            "retry" => format!("retryFailedImages(input: {{ requestId: \"{id}\" }})"),
            "correct" => format!("replaceImageUrl(input: {{ id: {image}, url: \"{corrected}\" }})"),
            "rerun all" => format!("rerunProcessingRequest(input: {{ id: \"{id}\", onlyChanged: false }})"),
            _ => format!("rerunProcessingRequest(input: {{ id: \"{id}\" }})"),
        };
        let mutation = format!("mutation {{ begun: {mutation} {{ userErrors {{ message }} }} }}");
        let data = world.client().query(&mutation, json!({})).await;
        assert_eq!(data["begun"]["userErrors"], json!([]), "{step}");
        if step == "cancel" {
            let cancel =
                "mutation ($id: ID!) { cancelProcessingRequest(input: { id: $id }) { userErrors { message } } }";
            world.client().query(cancel, json!({ "id": id })).await;
        }
    }
    sleep(Duration::from_millis(random(0..1_500))).await;
    worker.kill().await;
    let _last = world.work(&[]).await;
    world.finished(&id).await;
    assert_eq!(database::number(&world.database_url, "SELECT count(*) FROM runs").await, 7);
}

/// A minute of kills, naps, cut and silent connections, at random, with three requests under way.
pub async fn chaos(world: &mut World) {
    storm(world).await;
}

/// The same with the outputs in a bucket, which is away or says nothing now and then.
pub async fn chaos_over_a_bucket(world: &mut World) {
    let bucket = Bucket::start().await;
    world.arguments = bucket.arguments().to_vec();
    world.bucket = Some(bucket);
    storm(world).await;
}

async fn storm(world: &mut World) {
    let proxy = Proxy::start(&world.database_url).await;
    let url = proxy.url.clone();
    let mut api = world.serve(&API_ONLY).await;
    let mut workers: Vec<Program> = vec![world.work_on(&url, &[]).await, world.work_on(&url, &[]).await];
    let mut ids = Vec::new();
    for count in [1_500, 700, 30] {
        ids.push(world.upload(count, slow(100)).await);
    }
    let faults = if world.bucket.is_some() { 8 } else { 6 };
    let started = Instant::now();
    let mut done = Vec::new();
    while started.elapsed() < Duration::from_secs(60) {
        let wait = random(500..4_000);
        sleep(Duration::from_millis(wait)).await;
        let fault = random(0..faults);
        done.push(fault.to_string());
        match fault {
            0 | 1 => {
                workers.remove(0).kill().await;
                workers.push(world.work_on(&url, &[]).await);
            }
            2 => {
                api.kill().await;
                api = world.serve(&API_ONLY).await;
            }
            3 => {
                workers[0].signal(Signal::STOP);
                sleep(Duration::from_secs(5)).await;
                workers[0].signal(Signal::CONT);
            }
            4 => {
                proxy.go_away();
                proxy.come_back();
            }
            5 => proxy.silence(),
            away_or_silent => {
                let bucket = world.bucket.as_ref().expect("a bucket");
                if away_or_silent == 6 {
                    bucket.go_away();
                } else {
                    bucket.hang();
                }
                sleep(Duration::from_secs(3)).await;
                bucket.come_back();
                bucket.answer_again();
            }
        }
    }
    world.note(format!("faults {}", done.join(" ")));
    for id in &ids {
        world.succeeded(id).await;
    }
}
