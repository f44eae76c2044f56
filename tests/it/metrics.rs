//! What those who run Halftone see of it: figures for Prometheus, and a request's id in its answer and in the log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::bucket::Bucket;
use crate::support::database;
use crate::support::halftone::{Client, csv};
use crate::support::images;
use crate::support::keys;
use crate::support::origin::{Answer, Origin};
use crate::support::process::{self, Process};
use crate::support::sink::Sink;
use crate::support::wait::{found, until};

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

#[tokio::test(flavor = "multi_thread")]
async fn graphql_operations_are_counted_by_the_schemas_own_names_and_a_trace_is_in_the_log() {
    let data_dir = tempfile::tempdir().unwrap();
    let arguments = ["--compressions", "0", "--admin-listen", "127.0.0.1:0"];
    let (mut process, client) = Process::serve(&database::fresh().await, data_dir.path(), &arguments).await;
    let admin = address(&mut process, "metrics at ").await;
    for name in ["First", "Second"] {
        client.query(&format!("query {name} {{ limits {{ graphql {{ maxDepth }} }} }}"), json!({})).await;
    }
    client.post("query Third { nothing }", json!({})).await;
    client.post("mutation { cancelProcessingRequest(id: \"none\") { userErrors { code } } }", json!({})).await;
    let text = client.http.get(&admin).send().await.unwrap().text().await.unwrap();
    let samples = samples(&text);
    let count = |kind: &str, field: &str, outcome: &str| {
        let labels = format!("field=\"{field}\",kind=\"{kind}\",outcome=\"{outcome}\"");
        samples.get(&format!("halftone_graphql_operation_duration_seconds_count{{{labels}}}")).copied()
    };
    assert_eq!(count("query", "limits", "success"), Some(2.0), "{text}");
    assert_eq!(count("mutation", "cancelProcessingRequest", "success"), Some(1.0), "{text}");
    assert!(!text.contains("nothing") && !text.contains("First"), "{text}");

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let refused = client.http.post(format!("{}/graphql", client.url)).header("origin", "https://elsewhere.example");
    refused.header("traceparent", format!("00-{trace}-1112131415161718-01")).send().await.unwrap();
    process.log_line(&format!("\"trace_id\":\"{trace}\"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_the_log_has_a_secret_or_the_query_of_an_address() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[500]).await;
    let bucket = Bucket::start().await;
    let database_url = database::fresh().await;
    let key = keys::create(&database_url, &[]).await;
    let data_dir = tempfile::tempdir().unwrap();
    let store = bucket.arguments();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let arguments = ["--webhook-secret", secret, "--webhook-schedule", "0s,50ms", "--retry-delay", "50ms"];
    let shared = ["--listen", "127.0.0.1:0", "--database-url", &database_url, "--max-attempts", "2"];
    let places = ["--data-dir", data_dir.path().to_str().unwrap(), "--log", "info,halftone=debug,object_store=debug"];
    let arguments = [&["serve"], &arguments[..], &shared, &places].concat();
    let arguments: Vec<&str> = arguments.into_iter().chain(store.iter().map(String::as_str)).collect();
    // Into a file, which takes all of it at any time.
    let log = data_dir.path().join("log");
    let process = Process::start_with(&format!("exec 2>'{}'", log.display()), &arguments);
    let url = found("the address in the log", async || {
        let log = std::fs::read_to_string(&log).ok()?;
        Some(log.split_once("ready at ")?.1.split_once('"')?.0.to_owned())
    })
    .await;
    let client = Client::new(url);
    let client = client.with_key(&key);
    let token = |url: String| format!("{url}?token=swordfish");
    let good = token(origin.set("1.jpg", Answer::Image(images::jpeg(160, 120, 1))));
    let urls = [good, token(origin.url("missing.jpg")), "http://127.0.0.1:1/2.jpg?token=swordfish".to_owned()];
    let sheet = csv(&[&urls.each_ref().map(String::as_str)]);
    let hook = token(sink.url.clone());
    let id = client.accepted(&sheet, json!({ "webhookUrl": hook })).await;
    client.finished(&id).await;
    sink.received(2).await;
    let query = "query ($id: ID!) { processingRequest(id: $id) { outputCsvUrl } }";
    let data = client.query(query, json!({ "id": id })).await;
    let link = data["processingRequest"]["outputCsvUrl"].as_str().unwrap().to_owned();
    client.download(&link).await;
    client.download(client.images(&id).await[0]["output"]["url"].as_str().unwrap()).await;
    bucket.go_away();
    assert_eq!(client.http.get(format!("{link}x")).send().await.unwrap().status(), 404);
    client.http.get(&link).send().await.unwrap();

    assert_eq!(process.terminate().await, Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.lines().count() > 10, "{log}");
    let signature = link.split("signature=").nth(1).unwrap();
    let mut secrets = vec!["swordfish", &secret[6..], &key, signature, "X-Amz-Signature="];
    let environment = Bucket::environment();
    secrets.extend(environment.iter().filter(|(name, _)| name.contains("SECRET")).map(|(_, value)| value.as_str()));
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
