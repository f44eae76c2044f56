//! What those who run Halftone see of it: figures for Prometheus, and a request's id in its answer and in the log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::database;
use crate::support::halftone::{Client, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::{self, Process};
use crate::support::sink::Sink;
use crate::support::wait::until;

/// The address that follows this text in the log.
async fn address(process: &mut Process, text: &str) -> String {
    let line = process.log_line(text).await;
    let message: serde_json::Value = serde_json::from_str(&line).expect("a JSON log line");
    message["fields"]["message"].as_str().and_then(|said| said.strip_prefix(text)).expect("an address").to_owned()
}

/// `halftone healthcheck` for this admin listener: its exit code and what it prints.
async fn healthcheck(listener: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = process::halftone();
    command.args(["healthcheck", "--admin-listen", listener]).args(arguments).kill_on_drop(true);
    let output = command.output().await.expect("run halftone");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Samples by what stands before their value, read as strictly as Prometheus reads them.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut kinds, mut explained) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a text");
            assert!(help.ends_with('.') && explained.insert(name), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(explained.contains(name) && kinds.insert(name, kind).is_none(), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            let kind = kinds.get(family).unwrap_or_else(|| panic!("{line} has no type"));
            let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
            assert!(family.starts_with("halftone_") && family.chars().all(is_name), "{line}");
            match *kind {
                "counter" => assert!(family.ends_with("_total"), "{line}"),
                "histogram" => assert!(family.ends_with("_seconds") && name != family, "{line}"),
                "gauge" => assert!(!family.ends_with("_total"), "{line}"),
                other => panic!("{other}"),
            }
            assert!(!sample.contains('{') || (sample.ends_with("\"}") && sample.contains("=\"")), "{line}");
            assert!(samples.insert(sample.to_owned(), value.parse().expect(line)).is_none(), "{line} comes twice");
        }
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_served_on_a_listener_of_their_own() {
    let (origin, sink) = (Origin::start().await, Sink::start(&[]).await);
    let urls = [1, 2].map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(160, 120, n))));
    let missing = origin.url("missing.jpg");
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let data_dir = data_dir.path().to_str().unwrap();
    let common = ["--database-url", &database_url, "--data-dir", data_dir, "--admin-listen", "127.0.0.1:0"];
    let serve = [&["serve", "--listen", "127.0.0.1:0", "--compressions", "0"], &common[..]].concat();
    let mut api = Process::start(&serve);
    let client = Client::new(address(&mut api, "ready at ").await);
    let api_metrics = address(&mut api, "metrics at ").await;
    let mut worker = Process::start(&[&["work"], &common[..]].concat());
    let metrics = address(&mut worker, "metrics at ").await;

    let id = client.accepted(&csv(&[&[&urls[0], &urls[1]], &[&missing]]), json!({ "webhookUrl": sink.url })).await;
    assert_eq!(client.finished(&id).await["status"], "COMPLETED_WITH_ERRORS");
    sink.received(1).await;
    let read = async |url: &str| {
        let answer = client.http.get(url).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        samples(&answer.text().await.unwrap())
    };
    // The attempt is counted a moment after the receiver has it, and the queue is read once a second.
    until("the webhook and the empty queue are counted", async || {
        let seen = read(&metrics).await;
        seen.contains_key("halftone_webhook_attempts_total{status=\"delivered\"}")
            && !seen.keys().any(|sample| sample.starts_with("halftone_jobs{"))
    })
    .await;
    let worked = read(&metrics).await;
    for (sample, value) in [
        ("halftone_image_attempts_total{code=\"\",result=\"compressed\"}", 2.0),
        ("halftone_image_attempts_total{code=\"HTTP_NOT_FOUND\",result=\"failed\"}", 1.0),
        ("halftone_image_stage_duration_seconds_count{stage=\"fetch\"}", 2.0),
        ("halftone_image_stage_duration_seconds_bucket{stage=\"compress\",le=\"+Inf\"}", 2.0),
        ("halftone_image_stage_duration_seconds_count{stage=\"store\"}", 2.0),
        ("halftone_image_stage_duration_seconds_count{stage=\"settle\"}", 3.0),
        ("halftone_webhook_attempts_total{status=\"delivered\"}", 1.0),
        ("halftone_workers", 1.0),
        ("halftone_database_up", 1.0),
        ("halftone_oldest_ready_job_age_seconds", 0.0),
        ("halftone_unavailable_hosts", 0.0),
    ] {
        assert_eq!(worked.get(sample), Some(&value), "{sample} of {worked:#?}");
    }
    let bytes = |of: &str| worked[&format!("halftone_image_{of}_bytes_total")];
    assert!(bytes("source") > bytes("output") && bytes("output") > 0.0);

    let asked = client.http.get(format!("{}/images/{id}/none.jpg", client.url)).send().await.unwrap();
    assert_eq!(asked.status(), 404);
    let served = read(&api_metrics).await;
    let route = |route: &str, method: &str, status: &str| {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        served.get(&format!("halftone_http_request_duration_seconds_count{{{labels}}}")).copied()
    };
    assert_eq!(route("/graphql", "POST", "200"), Some(1.0), "{served:#?}");
    assert_eq!(route("/images/{id}/{name}", "GET", "404"), Some(1.0), "{served:#?}");
    assert!(!served.keys().any(|sample| sample.contains(&id)), "no id is a label");

    let health = |name: &str| metrics.replace("/metrics", name);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.http.get(health(path)).send().await.unwrap().status(), 200, "{path}");
    }
    let listener = metrics.trim_start_matches("http://").trim_end_matches("/metrics");
    for (arguments, said) in [(&[][..], "ok\n"), (&["--ready"], "ready\n")] {
        assert_eq!(healthcheck(listener, arguments).await, (Some(0), said.to_owned()));
    }
    let on_the_api = client.http.get(format!("{}/metrics", client.url)).send().await.unwrap();
    assert_eq!(on_the_api.status(), 404, "strangers see no figures");
    assert_eq!((worker.terminate().await, api.terminate().await), (Some(0), Some(0)));
    assert_eq!(healthcheck(listener, &[]).await, (Some(1), String::new()), "nothing listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_an_id_in_its_answer_and_in_the_log() {
    let data_dir = tempfile::tempdir().unwrap();
    let (mut process, client) =
        Process::serve(&database::fresh().await, data_dir.path(), &["--compressions", "0"]).await;
    let ask = || client.http.post(format!("{}/graphql", client.url)).json(&json!({ "query": "{ __typename }" }));
    let id = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    let ours = id(ask()).await;
    assert!(ours.parse::<uuid::Uuid>().is_ok() && ours != id(ask()).await, "{ours}");
    assert_eq!(id(ask().header("x-request-id", "edge-1:a/b=")).await, "edge-1:a/b=");
    for bad in ["a b", "\"}", "", &"x".repeat(101)] {
        assert!(id(ask().header("x-request-id", bad)).await.parse::<uuid::Uuid>().is_ok(), "{bad:?}");
    }
    let refused = id(ask().header("x-request-id", "from-a-page").header("origin", "https://elsewhere.example")).await;
    assert_eq!(refused, "from-a-page");
    let line = process.log_line("refused a call from a web page").await;
    assert!(line.contains("from-a-page"), "{line}");
}
