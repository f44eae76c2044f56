//! Image hosts and several workers: what one learns of a host holds for all.

use halftone::db::{self, host};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::Process;
use crate::support::wait::found;

const HOSTS: &str = "query ($id: ID!) { processingRequest(id: $id) {
    progress { succeeded }
    hosts { host status window pausedUntil inFlight succeeded failed medianMs }
} }";

/// Asks until the answer is as wanted.
async fn until(client: &Client, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    found("hosts as wanted", async || {
        let request = client.query(HOSTS, json!({ "id": id })).await["processingRequest"].take();
        is_wanted(&request).then_some(request)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_together_keep_to_the_limit_of_a_host() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let limit = ["--downloads-per-host", "10"];
    let first = Halftone::on(database_url.clone(), &limit).await;
    let _second = Halftone::on(database_url.clone(), &limit).await;
    let answer = Answer::Slow(std::time::Duration::from_millis(100), images::jpeg(64, 48, 1));
    let urls: Vec<String> = (0..1_000).map(|n| origin.set(&format!("{n}.jpg"), answer.clone())).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let rows: Vec<&[&str]> = urls.chunks(1).collect();
    let client = &first.client;
    let id = client.accepted(&csv(&rows), json!({})).await;

    let both = "SELECT count(*) FROM host_workers";
    database::number_is(&database_url, both, |workers| workers == 2).await;
    // What is reported was kept to since the exchange before.
    let is_shared = |request: &Value| request["hosts"][0]["window"].as_i64().is_some_and(|window| window <= 10);
    let request = until(client, &id, is_shared).await;
    let done = |request: &Value| request["progress"]["succeeded"].as_i64().expect("a number");
    let before = done(&request);
    origin.most_at_once();
    until(client, &id, |request| done(request) >= (before + 200).min(1_000)).await;
    let most = origin.most_at_once();
    assert!((6..=10).contains(&most), "{most} at once");

    client.finished(&id).await;
    let request = until(client, &id, |_| true).await;
    let host = &request["hosts"][0];
    assert_eq!(host["host"], origin.url("").trim_end_matches('/'));
    assert_eq!(
        (&host["status"], &host["succeeded"], &host["failed"], &host["pausedUntil"]),
        (&json!("OPEN"), &json!(1_000), &json!(0), &Value::Null)
    );
    assert!(host["medianMs"].as_i64().expect("a number") >= 100, "{host}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_one_worker_met_with_holds_for_the_others_and_is_shown() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let first = Halftone::on(database_url.clone(), &[]).await;
    let busy = origin.set("busy.jpg", Answer::RetryAfter(429, 1_000));
    let id = first.client.accepted(&csv(&[&[&busy]]), json!({})).await;
    let request = until(&first.client, &id, |request| request["hosts"][0]["status"] == "PAUSED").await;
    assert!(request["hosts"][0]["pausedUntil"].is_string(), "{request}");
    let why = "query ($id: ID!) { processingRequest(id: $id) { images { nodes { status attemptCount nextAttemptAt
        error { code message httpStatus retryable } } } } system { hosts { host status pausedUntil } } }";
    let data = first.client.query(why, json!({ "id": id })).await;
    let image = &data["processingRequest"]["images"]["nodes"][0];
    assert_eq!((&image["status"], &image["attemptCount"]), (&json!("RETRYING"), &json!(1)), "{image}");
    assert_eq!(
        (&image["error"]["code"], &image["error"]["httpStatus"], &image["error"]["retryable"]),
        (&json!("HTTP_THROTTLED"), &json!(429), &json!(true)),
        "{image}"
    );
    let paused = &data["system"]["hosts"][0];
    assert_eq!((&paused["host"], &paused["status"]), (&request["hosts"][0]["host"], &json!("PAUSED")), "{data}");
    assert_eq!(paused["pausedUntil"], request["hosts"][0]["pausedUntil"]);

    // A worker that starts now asks the others before it contacts anybody.
    drop(first);
    let second = Halftone::on(database_url.clone(), &[]).await;
    let other = origin.set("other.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let good = Origin::start().await;
    let known = good.set("a.jpg", Answer::Image(images::jpeg(64, 48, 2)));
    let waits = second.client.accepted(&csv(&[&[&other]]), json!({})).await;
    let ends = second.client.accepted(&csv(&[&[&known]]), json!({})).await;
    second.client.finished(&ends).await;
    let request = until(&second.client, &waits, |_| true).await;
    assert_eq!((&request["hosts"][0]["status"], origin.hits("other.jpg")), (&json!("PAUSED"), 0), "{request}");

    // The image that nobody has tried says why.
    let data = second.client.query(why, json!({ "id": waits })).await;
    let image = &data["processingRequest"]["images"]["nodes"][0];
    assert_eq!(
        (&image["status"], &image["attemptCount"], &image["nextAttemptAt"]),
        (&json!("PENDING"), &json!(0), &request["hosts"][0]["pausedUntil"]),
        "{image}"
    );
    assert_eq!(
        image["error"],
        json!({ "code": "HTTP_THROTTLED", "httpStatus": 429, "retryable": true,
                "message": "The host 127.0.0.1 asked not to be contacted for a while." })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_report_of_a_host_is_put_together() {
    let pool = db::pool(&database::fresh().await, 2).expect("a pool");
    let mut conn = db::connect(&pool).await.expect("a connection");
    let report = |window| host::HostReport {
        origin: "https://images.example".to_owned(),
        window,
        in_flight: 1,
        paused_for: None,
        paused_status: None,
        down_for: None,
        answered: false,
        median_ms: Some(7),
    };
    let [one, other] = [1, 2].map(Uuid::from_u128);
    let alone = host::exchange(&mut conn, one, vec![report(8)]).await.expect("exchanged");
    assert_eq!((alone[0].workers, alone[0].rank, alone[0].others_window), (1, 0, 0));

    let troubled =
        host::HostReport { paused_for: Some(600.0), paused_status: Some(429), down_for: Some(60.0), ..report(5) };
    let shares = host::exchange(&mut conn, other, vec![troubled]).await.expect("exchanged");
    assert_eq!((shares[0].workers, shares[0].rank, shares[0].others_window), (2, 1, 8));
    // A shorter pause does not end a longer one, and an answer ends the breakdown.
    let answered = host::HostReport { paused_for: Some(1.0), paused_status: Some(503), answered: true, ..report(8) };
    let shares = host::exchange(&mut conn, one, vec![answered]).await.expect("exchanged");
    assert_eq!((shares[0].workers, shares[0].rank, shares[0].others_window), (2, 0, 5));
    assert!(shares[0].paused_for.is_some_and(|left| left > 590.0), "{shares:?}");
    assert_eq!((shares[0].paused_status, shares[0].down_for), (Some(429), None));

    // One that does not use the host hears of the pause, and is not counted.
    let third = Uuid::from_u128(3);
    let shares = host::exchange(&mut conn, third, Vec::new()).await.expect("exchanged");
    assert_eq!((shares.len(), shares[0].workers), (1, 0));
    host::leave(&mut conn, other).await.expect("left");
    let shares = host::exchange(&mut conn, one, vec![report(8)]).await.expect("exchanged");
    assert_eq!((shares[0].workers, shares[0].others_window), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_apart_fetches_no_image_from_the_api() {
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().expect("a directory");
    let (_api, client) = Process::serve(&database_url, data_dir.path(), &["--compressions", "0"]).await;
    database::number_is(&database_url, "SELECT count(*) FROM api_listeners", |listeners| listeners > 0).await;
    let _worker = Process::work(&database_url, data_dir.path(), &[]).await;
    let url = format!("{}/schema.graphql", client.url);
    let id = client.accepted(&csv(&[&[&url]]), json!({})).await;
    client.finished(&id).await;
    let images = client.images(&id).await;
    assert_eq!(images[0]["error"]["code"], "BLOCKED_ADDRESS", "{images:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_given_up_by_the_time_since_its_first_try_and_not_by_the_age_of_its_upload() {
    for (column, failed) in [("enqueued_at", 1), ("first_claimed_at", 2)] {
        let origin = Origin::start().await;
        let halftone = Halftone::start(&["--downloads-per-host", "1", "--max-attempts", "1"]).await;
        let long_ago = format!(
            "CREATE FUNCTION age() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                NEW.{column} = now() - interval '25 hours';
                RETURN NEW;
            END $$;
            CREATE TRIGGER age BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION age()"
        );
        database::execute(&halftone.database_url, &long_ago).await;
        // One is answered, and its attempt is the last one. The other one waits for its turn meanwhile, and is put off.
        let [one, other] = ["a.jpg", "b.jpg"].map(|path| origin.set(path, Answer::RetryAfter(429, 1_000)));
        halftone.client.accepted(&csv(&[&[&one], &[&other]]), json!({})).await;
        let as_expected = format!(
            "SELECT ((SELECT count(*) FROM images WHERE status = 'FAILED') = {failed} AND
                (SELECT count(*) FROM jobs WHERE state = 'WAITING' AND attempts = 0) = {})::int::bigint",
            2 - failed
        );
        crate::support::wait::until(&format!("{failed} images failed, and no other was tried"), async || {
            database::number(&halftone.database_url, &as_expected).await == 1
        })
        .await;
    }
}
