//! Faults of the machine and of the database: they cost time, and nothing else.

use std::time::Duration;

use serde_json::json;

use crate::support::database;
use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::wait::until;

/// A request with `count` images of this host, held until it opens.
async fn held_images(halftone: &Halftone, origin: &Origin, count: u32) -> String {
    let urls: Vec<String> =
        (0..count).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let rows: Vec<&[&str]> = urls.chunks(1).collect();
    halftone.client.accepted(&csv(&rows), json!({})).await
}

/// All images of the request succeeded at their first attempt.
async fn assert_nothing_was_lost(halftone: &Halftone, id: &str, count: i64) {
    let request = halftone.client.finished(id).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(count)));
    let attempts = "SELECT sum(attempt_count)::bigint FROM images";
    assert_eq!(
        database::number(&halftone.database_url, attempts).await,
        count,
        "no attempt was counted for the outage"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fall_silent_are_noticed_and_replaced() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let proxy = Proxy::start(&database_url).await;
    let halftone = Halftone::on(proxy.url.clone(), &[]).await;
    let id = held_images(&halftone, &origin, 40).await;
    origin.held(8).await;
    proxy.silence();
    origin.open();
    // Less than what a connection without time-outs would wait for.
    let finished = "SELECT count(*) FROM processing_requests WHERE finished_at IS NOT NULL";
    let ended = database::number_is(&database_url, finished, |count| count > 0);
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("new connections are made");
    assert_nothing_was_lost(&halftone, &id, 40).await;
    assert_eq!(database::number(&database_url, "SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_costs_no_attempt() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let proxy = Proxy::start(&database_url).await;
    let halftone = Halftone::on(proxy.url.clone(), &["--max-attempts", "1"]).await;
    let id = held_images(&halftone, &origin, 40).await;
    origin.held(8).await;
    proxy.go_away();
    origin.open();
    // The images in hand are done meanwhile, and others fail for want of the database.
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.come_back();
    assert_nothing_was_lost(&halftone, &id, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_to_come_back_while_the_database_is_away() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&database::fresh().await).await;
    let halftone = Halftone::on(proxy.url.clone(), &["--compressions", "0"]).await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let client = &halftone.client;
    client.accepted(&csv(&[&[&url]]), json!({})).await;
    let image = format!("{}/thumbnails/0192f0c1-2345-7000-8000-000000000000", client.url);
    assert_eq!(client.http.get(&image).send().await.unwrap().status(), 404);

    proxy.go_away();
    let list = json!({ "query": "{ processingRequests { nodes { id } } }" });
    let query = || client.http.post(format!("{}/graphql", client.url)).json(&list);
    for request in [query(), query(), client.upload_request(csv(&[&[&url]]), json!({})), client.http.get(&image)] {
        let answer = request.send().await.unwrap();
        let later = answer.headers().get("retry-after").map(|seconds| seconds.to_str().unwrap().to_owned());
        assert_eq!((answer.status().as_u16(), later.as_deref()), (503, Some("5")), "{}", answer.url());
        let text = answer.text().await.unwrap();
        if text.starts_with('{') {
            assert!(text.contains(r#""code":"UNAVAILABLE""#), "{text}");
        }
    }
    proxy.come_back();
    until("answers again", async || query().send().await.unwrap().status() == 200).await;
    client.accepted(&csv(&[&[&url]]), json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_cannot_be_stored_cost_no_attempt_and_are_stored_later() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--max-attempts", "1"]).await;
    let id = held_images(&halftone, &origin, 20).await;
    origin.held(8).await;
    let outputs = halftone.data_dir().join("outputs");
    let away = halftone.data_dir().join("away");
    std::fs::rename(&outputs, &away).unwrap();
    std::fs::write(&outputs, "not a directory").unwrap();
    origin.open();
    // Those that were held have been given back once they are asked for again.
    let given_back = "SELECT count(*) FROM jobs WHERE state <> 'RUNNING' AND lease > 0 AND attempts = 0";
    database::number_is(&halftone.database_url, given_back, |jobs| jobs >= 8).await;
    let failed = "SELECT failed::bigint FROM processing_requests";
    assert_eq!(database::number(&halftone.database_url, failed).await, 0);
    std::fs::remove_file(&outputs).unwrap();
    std::fs::rename(&away, &outputs).unwrap();
    assert_nothing_was_lost(&halftone, &id, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_and_outputs_that_cannot_be_written_are_refused_at_the_start() {
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    std::fs::write(data_dir.path().join("outputs"), "not a directory").unwrap();
    let arguments = ["work", "--database-url", &database_url, "--data-dir", data_dir.path().to_str().unwrap()];
    let (code, log) = Process::start(&arguments).ended().await;
    assert_eq!(code, Some(1));
    assert!(log.contains("cannot write outputs to"), "{log}");

    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')";
    database::execute(&database_url, newer).await;
    let (code, log) = Process::start(&arguments).ended().await;
    assert_eq!(code, Some(1));
    assert!(log.contains("A newer Halftone has migrated this database"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised_as_far_as_the_system_lets() {
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let arguments = ["--database-url", &database_url, "--data-dir", data_dir.path().to_str().unwrap()];
    let mut process = Process::start_with("ulimit -S -n 200", &[&["work"], &arguments[..]].concat());
    process.log_line("\"working\"").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [soft, hard] = [3, 4].map(|place| open_files.split_whitespace().nth(place).unwrap());
    assert_eq!(soft, hard, "{open_files}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_kept_when_the_answer_to_their_record_is_lost() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let proxy = Proxy::start(&database_url).await;
    let halftone = Halftone::on(proxy.url.clone(), &[]).await;
    // The first commit of results takes a while.
    let linger = "CREATE SEQUENCE endings;
        CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('endings') = 1 THEN PERFORM pg_sleep(2); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON images DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.status = 'SUCCEEDED') EXECUTE FUNCTION linger()";
    database::execute(&database_url, linger).await;
    let id = held_images(&halftone, &origin, 3).await;
    origin.open();
    until("results are being committed", async || {
        database::number(&database_url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").await > 0
    })
    .await;
    proxy.go_away();
    proxy.come_back();
    assert_nothing_was_lost(&halftone, &id, 3).await;
    // By then everything of the first is over, also what is removed.
    let after = Origin::start().await;
    after.open();
    let next = held_images(&halftone, &after, 1).await;
    halftone.client.finished(&next).await;
    for image in halftone.client.images(&id).await {
        let path = image["output"]["url"].as_str().and_then(|url| url.splitn(4, '/').nth(3)).expect("an address");
        halftone.client.download(&format!("{}/{path}", halftone.client.url)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_result_for_a_while_blames_no_image() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    // As on a full disk, in a language that we do not read. A sequence counts what is rolled back too.
    let refuse = "CREATE SEQUENCE refusals;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('refusals');
            RAISE EXCEPTION 'no queda espacio en el disco' USING ERRCODE = 'disk_full';
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON images FOR EACH ROW EXECUTE FUNCTION refuse()";
    database::execute(&halftone.database_url, refuse).await;
    let id = held_images(&halftone, &origin, 1).await;
    origin.open();
    // Four times its result, each time with the rehearsal of a failure.
    until("the result was refused often enough", async || {
        database::number(&halftone.database_url, "SELECT last_value FROM refusals").await >= 8
    })
    .await;
    database::execute(&halftone.database_url, "DROP TRIGGER refuse ON images").await;
    let request = halftone.client.finished(&id).await;
    assert_eq!(request["progress"]["succeeded"], 1, "{request}");
    assert_eq!(halftone.client.images(&id).await[0]["attemptCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_the_database_refuses_fails_alone_and_holds_up_no_other() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let refuse =
        "ALTER TABLE images ADD CONSTRAINT refused CHECK (status <> 'SUCCEEDED' OR input_url NOT LIKE '%/7.jpg')";
    database::execute(&halftone.database_url, refuse).await;
    let id = held_images(&halftone, &origin, 30).await;
    origin.open();
    let request = halftone.client.finished(&id).await;
    assert_eq!(request["progress"]["succeeded"], 29, "{request}");
    let images = halftone.client.images(&id).await;
    assert_eq!((&images[7]["status"], &images[7]["error"]["code"]), (&json!("FAILED"), &json!("INTERNAL")));
    assert!(images.iter().all(|image| image["attemptCount"] == 1), "{images:?}");
}
