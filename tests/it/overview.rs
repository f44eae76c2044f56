//! What people who run Halftone see: what all requests add up to, the queue and its workers.

use serde_json::json;

use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_found_by_a_part_of_their_name_and_add_up() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    let sheet = |images: usize| {
        let urls: Vec<String> = (0..images).map(|n| format!("https://www.example.com/{n}.jpg")).collect();
        csv(&[&urls.iter().map(String::as_str).collect::<Vec<_>>()])
    };
    for (images, label) in [(1, "spring"), (2, "spring"), (3, "50% off_Spring")] {
        client.accepted(&sheet(images), json!({ "label": label })).await;
    }
    let gone = client.accepted(&sheet(4), json!({})).await;
    let cancel = "mutation ($input: CancelProcessingRequestInput) { cancelProcessingRequest(input: $input) {
        processingRequest { cancelRequestedAt } userErrors { message } } }";
    let canceled = client.query(cancel, json!({ "input": { "id": gone } })).await;
    assert!(canceled["cancelProcessingRequest"]["processingRequest"]["cancelRequestedAt"].is_string(), "{canceled}");

    let query = "query ($filter: ProcessingRequestFilter) {
        processingRequests(filter: $filter) { totalCount }
        processingRequestTotals(filter: $filter) { requests images succeeded failed savedByteCount
            byStatus { status count } byLabel { label count } } }";
    let totals = async |filter| {
        let mut data = client.query(query, json!({ "filter": filter })).await;
        let totals = data["processingRequestTotals"].take();
        assert_eq!(data["processingRequests"]["totalCount"], totals["requests"], "{totals}");
        totals
    };
    assert_eq!(
        totals(json!(null)).await,
        json!({
            "requests": 4, "images": 10, "succeeded": 0, "failed": 0, "savedByteCount": 0,
            "byStatus": [{ "status": "PENDING", "count": 3 }, { "status": "CANCELED", "count": 1 }],
            "byLabel": [{ "label": "spring", "count": 2 }, { "label": "50% off_Spring", "count": 1 }]
        })
    );
    for (filter, requests, images) in [
        (json!({ "search": "SPRING" }), 3, 6),
        (json!({ "search": "catalogue.CSV" }), 4, 10),
        (json!({ "search": "0% off_" }), 1, 3),
        (json!({ "search": "%" }), 1, 3),
        (json!({ "search": "g_l" }), 0, 0),
        (json!({ "search": "\\" }), 0, 0),
        (json!({ "search": "" }), 4, 10),
        (json!({ "search": "spring", "label": "spring", "status": ["PENDING"] }), 2, 3),
        (json!({ "status": ["FAILED"] }), 0, 0),
    ] {
        let totals = totals(filter.clone()).await;
        assert_eq!((&totals["requests"], &totals["images"]), (&json!(requests), &json!(images)), "{filter}");
    }
    let answer = client.post(query, json!({ "filter": { "search": "\0" } })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_and_its_workers_are_shown() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    let rows = csv(&[&["https://www.example.com/1.jpg", "https://www.example.com/2.jpg"]]);
    let id = client.accepted(&rows, json!({})).await;
    let query = "{ system { version queue { jobs { kind state count } oldestReadySeconds }
        workers { id hostname pid startedAt lastHeartbeatAt isAlive running } hosts { host } limits { csv { maxRows } } }
        limits { csv { maxRows } } }";
    let data = client.query(query, json!({})).await;
    let system = &data["system"];
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(system["queue"]["jobs"], json!([{ "kind": "process_image", "state": "READY", "count": 2 }]));
    let age = system["queue"]["oldestReadySeconds"].as_f64().expect("an age");
    assert!((0.0..90.0).contains(&age), "{age}");
    assert_eq!((&system["hosts"], &system["limits"]), (&json!([]), &data["limits"]));
    assert_eq!(system["workers"], json!([]), "it only serves");
    let pause = "mutation ($id: ID!) { pauseProcessingRequest(input: { id: $id }) { userErrors { message } } }";
    client.query(pause, json!({ "id": id })).await;
    until("no worker may begin what is paused", async || {
        let data = client.query(query, json!({})).await;
        assert_eq!(data["system"]["queue"]["jobs"][0]["count"], 2);
        data["system"]["queue"]["oldestReadySeconds"].is_null()
    })
    .await;

    let origin = Origin::start().await;
    let url = origin.set("a.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let halftone = Halftone::start(&[]).await;
    let id = halftone.client.accepted(&csv(&[&[&url]]), json!({})).await;
    halftone.client.finished(&id).await;
    let data = halftone.client.query(query, json!({})).await;
    let system = &data["system"];
    assert_eq!(system["queue"], json!({ "jobs": [], "oldestReadySeconds": null }));
    let workers = system["workers"].as_array().expect("workers");
    assert_eq!(workers.len(), 1, "{system}");
    assert_eq!((&workers[0]["isAlive"], &workers[0]["running"]), (&json!(true), &json!(0)));
    assert_eq!(workers[0]["pid"], std::process::id());
    assert!(workers[0]["lastHeartbeatAt"].as_str() >= workers[0]["startedAt"].as_str(), "{system}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mutations_take_an_input_and_the_arguments_of_earlier_versions() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    let bad = "S. No,Product Name\n1,SKU1\n";
    let fields = "wouldBeAccepted csv { rowCount columns { header role } } userErrors { code field }";
    for (arguments, variables, path, field) in [
        (
            "$input: CheckCsvInput",
            json!({ "input": { "file": null } }),
            "variables.input.file",
            json!(["input", "file"]),
        ),
        ("$file: Upload!", json!({ "file": null }), "variables.file", json!(["file"])),
    ] {
        let (declared, name) = (arguments, arguments.trim_start_matches('$').split(':').next().unwrap());
        let query = format!("mutation ({declared}) {{ checkCsv({name}: ${name}) {{ {fields} }} }}");
        let answer = client.send_file(&query, variables.clone(), path, bad).await;
        let checked = &answer["data"]["checkCsv"];
        assert_eq!(checked["wouldBeAccepted"], false, "{answer}");
        assert_eq!(checked["userErrors"][0], json!({ "code": "CSV_REJECTED", "field": field }), "{answer}");
    }
    let columns = json!({ "input": { "file": null, "columns": { "productName": "Label", "imageUrls": ["Shot"] } } });
    let query = format!("mutation ($input: CheckCsvInput) {{ checkCsv(input: $input) {{ {fields} }} }}");
    let sheet = "Label,Shot,Colour\nA,https://www.example.com/1.jpg,red\n";
    let answer = client.send_file(&query, columns, "variables.input.file", sheet).await;
    let roles = &answer["data"]["checkCsv"]["csv"]["columns"];
    assert_eq!((&roles[0]["role"], &roles[1]["role"]), (&json!("PRODUCT_NAME"), &json!("IMAGE_URLS")), "{answer}");
    assert_eq!(roles[2], json!({ "header": "Colour", "role": "CARRIED_THROUGH" }));
    let unknown = json!({ "input": { "file": null, "columns": { "imageUrls": ["Photo"] } } });
    let query = "mutation ($input: CheckCsvInput) { checkCsv(input: $input) { userErrors { code field message } } }";
    let answer = client.send_file(query, unknown, "variables.input.file", sheet).await;
    let message = "The CSV would be rejected. Line 1: No column is called \"Photo\". The header on line 1 has: Label, Shot, Colour.";
    let expected = json!([{ "code": "CSV_REJECTED", "field": ["input", "file"], "message": message }]);
    assert_eq!(answer["data"]["checkCsv"]["userErrors"], expected, "{answer}");

    let nothing = "{ userErrors { code field } }";
    let unknown = "01a209b3-bc2e-71b0-baf0-b18030c0664d";
    for (arguments, field) in [("input: { id: $id }", json!(["input", "id"])), ("id: $id", json!(["id"]))] {
        let query = format!("mutation ($id: ID!) {{ cancelProcessingRequest({arguments}) {nothing} }}");
        let data = client.query(&query, json!({ "id": unknown })).await;
        let errors = &data["cancelProcessingRequest"]["userErrors"];
        assert_eq!(errors[0], json!({ "code": "NOT_FOUND", "field": field }));
    }
    for call in [
        format!("cancelProcessingRequest {nothing}"),
        format!("cancelProcessingRequest(id: \"1\", input: {{ id: \"1\" }}) {nothing}"),
        format!("checkCsv {nothing}"),
    ] {
        let answer = client.post(&format!("mutation {{ {call} }}"), json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    }
}
