//! Requests that are deleted while everything else happens to them.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::database;
use crate::support::halftone::Client;
use crate::support::images;
use crate::support::origin::Answer;
use crate::world::World;

const API_ONLY: [&str; 2] = ["--compressions", "0"];
const ROUNDS: usize = 5;
/// Requests under way at once.
const REQUESTS: usize = 6;

fn random(range: Range<u64>) -> u64 {
    rand::RngExt::random_range(&mut rand::rng(), range)
}

/// The answer to a mutation about a request; null when the API was killed meanwhile.
async fn ask(client: &Client, mutation: &str, id: &str) -> Value {
    let query = format!("mutation ($id: ID!) {{ done: {mutation} {{ userErrors {{ code }} }} }}");
    let body = json!({ "query": query, "variables": { "id": id } });
    let sent = client.http.post(format!("{}/graphql", client.url)).json(&body).send().await;
    let Ok(answer) = sent else { return Value::Null };
    answer.json::<Value>().await.map_or(Value::Null, |mut answer| answer["data"]["done"].take())
}

const DELETE: &str = "deleteProcessingRequest(input: { id: $id })";
const DELETES: &[&str] = &[DELETE, DELETE, DELETE];
const CANCEL: &str = "cancelProcessingRequest(input: { id: $id })";
const RETRY: &str = "retryFailedImages(input: { requestId: $id })";
const RERUN: &str = "rerunProcessingRequest(input: { id: $id })";
const RERUN_ALL: &str = "rerunProcessingRequest(input: { id: $id, onlyChanged: false })";

/// Requests that have ended or were canceled are deleted, once or twice at a time, while they are tried again and run again, and
/// while workers and API are killed. What was deleted is gone, and the rest is as whole as ever.
pub async fn deleted_between_kills(world: &mut World) {
    let mut api = world.serve(&API_ONLY).await;
    let mut workers = vec![world.work(&[]).await, world.work(&[]).await];
    let found = |n: u32| {
        let slow = Answer::Slow(Duration::from_millis(20), images::jpeg(96, 64, n));
        world.origin.set(&format!("{n}.jpg"), slow)
    };
    let mut urls: Vec<String> = (0..50).map(found).collect();
    urls.extend((0..10).map(|n| world.origin.url(&format!("missing/{n}.jpg"))));
    let input = json!({ "webhookUrl": world.sink.url });
    // Large enough that its rows are removed in several batches.
    let many: Vec<String> = (0..2_000).map(|n| world.origin.url(&format!("none/{n}.jpg"))).collect();
    let (mut ids, mut large, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        while ids.len() < REQUESTS {
            ids.push(world.upload_urls(&urls, input.clone()).await);
        }
        let id = world.upload_urls(&many, input.clone()).await;
        ask(world.client(), CANCEL, &id).await;
        large.push(id.clone());
        ids.push(id);

        let mut steps = JoinSet::new();
        for id in &ids {
            for mutations in if large.contains(id) { vec![DELETES] } else { plan() } {
                let (client, id, wait) = (world.client().clone(), id.clone(), random(0..600));
                steps.spawn(async move {
                    sleep(Duration::from_millis(wait)).await;
                    for mutation in mutations {
                        let done = ask(&client, mutation, &id).await;
                        if *mutation == DELETE && done["userErrors"] == json!([]) {
                            return Some(id);
                        }
                    }
                    None
                });
            }
        }
        sleep(Duration::from_millis(random(0..900))).await;
        match random(0..3) {
            0 => {
                api.kill().await;
                api = world.serve(&API_ONLY).await;
            }
            _ => {
                // Each worker removes what was deleted as soon as it starts, so this one and the next meet there.
                workers.remove(0).kill().await;
                workers.push(world.work(&[]).await);
            }
        }
        while let Some(id) = steps.join_next().await {
            deleted.extend(id.expect("a step"));
        }
        let query = "query ($id: ID!) { processingRequest(id: $id) { id } }";
        let mut left = Vec::new();
        for id in ids {
            let is_there = world.client().query(query, json!({ "id": id })).await["processingRequest"] != Value::Null;
            assert!(!is_there || !deleted.contains(&id), "{id} was deleted and is there");
            if is_there {
                left.push(id);
            }
        }
        ids = left;
    }
    let _last = world.work(&[]).await;
    // Of two deletions of a request one finds nothing.
    let told = deleted.len();
    deleted.sort_unstable();
    deleted.dedup();
    assert_eq!(told, deleted.len(), "a request was deleted twice");
    for id in &ids {
        world.finished(id).await;
    }
    let all = "SELECT count(*) FROM processing_requests WHERE deleted_at IS NULL";
    assert_eq!(database::number(&world.database_url, all).await, i64::try_from(ids.len()).expect("a count"));
    world.note(format!("{told} deleted, {} left", ids.len()));
}

/// What callers do to a request at once, each one thing after the other.
fn plan() -> Vec<&'static [&'static str]> {
    match random(0..6) {
        0 => vec![DELETES],
        1 => vec![&[CANCEL, DELETE], DELETES],
        2 => vec![&[CANCEL, DELETE], DELETES, &[RERUN]],
        3 => vec![&[RETRY, CANCEL], DELETES],
        4 => vec![&[RERUN_ALL, CANCEL, DELETE], &[RETRY, DELETE]],
        _ => vec![&[RETRY, RERUN]],
    }
}
