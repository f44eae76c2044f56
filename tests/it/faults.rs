//! What may go wrong at an image host, and what becomes of the image.

use std::time::Duration;

use serde_json::json;

use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_has_its_code_and_harms_no_other_image() {
    let origin = Origin::start().await;
    let halftone =
        Halftone::start(&["--max-attempts", "2", "--max-image-bytes", "256KiB", "--first-byte-timeout", "300ms"]).await;
    let good = || Answer::Image(images::jpeg(160, 120, 1));
    let truncated = images::jpeg(160, 120, 2);
    let cases = [
        ("good.jpg", good(), "SUCCEEDED", None, 1),
        ("missing.jpg", Answer::Status(404), "FAILED", Some("HTTP_NOT_FOUND"), 1),
        ("secret.jpg", Answer::Status(403), "FAILED", Some("HTTP_FORBIDDEN"), 1),
        ("teapot.jpg", Answer::Status(418), "FAILED", Some("HTTP_CLIENT_ERROR"), 1),
        ("broken.jpg", Answer::Status(500), "FAILED", Some("HTTP_SERVER_ERROR"), 2),
        ("busy.jpg", Answer::RetryAfter(429, 0), "FAILED", Some("HTTP_THROTTLED"), 2),
        ("reset.jpg", Answer::Reset, "FAILED", Some("CONNECTION_LOST"), 2),
        ("endless.jpg", Answer::Endless, "FAILED", Some("TOO_MANY_BYTES"), 1),
        ("page.jpg", Answer::Html, "FAILED", Some("HTML_PAGE"), 1),
        ("text.jpg", Answer::Image("just some text".into()), "FAILED", Some("NOT_AN_IMAGE"), 1),
        (
            "drawing.svg",
            Answer::Image("<svg xmlns=\"http://www.w3.org/2000/svg\"/>".into()),
            "FAILED",
            Some("UNSUPPORTED_FORMAT"),
            1,
        ),
        ("cut.jpg", Answer::Image(truncated.slice(..truncated.len() / 2)), "FAILED", Some("CORRUPT_IMAGE"), 1),
        ("slow.jpg", Answer::Slow(Duration::from_secs(3_600), images::jpeg(8, 8, 3)), "FAILED", Some("TIMEOUT"), 2),
        (
            "inside.jpg",
            Answer::Redirect("http://169.254.169.254/latest/meta-data".into()),
            "FAILED",
            Some("BLOCKED_ADDRESS"),
            1,
        ),
        ("private.jpg", Answer::Redirect("http://10.1.2.3/1.jpg".into()), "FAILED", Some("BLOCKED_ADDRESS"), 1),
        ("round.jpg", Answer::Redirect("/round.jpg".into()), "FAILED", Some("TOO_MANY_REDIRECTS"), 1),
        ("moved.jpg", Answer::Redirect("/good.jpg".into()), "SUCCEEDED", None, 1),
        ("healed.jpg", Answer::Script(vec![Answer::Status(503), good()]), "SUCCEEDED", None, 2),
        ("patient.jpg", Answer::Script(vec![Answer::RetryAfter(429, 1), good()]), "SUCCEEDED", None, 2),
        ("good.png", Answer::Image(images::png(160, 120, 4)), "SUCCEEDED", None, 1),
        ("good.webp", Answer::Image(images::webp(160, 120, 5)), "SUCCEEDED", None, 1),
    ];
    let urls: Vec<String> = cases.iter().map(|(path, answer, ..)| origin.set(path, answer.clone())).collect();
    let mut urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    urls.push("http://10.0.0.1/direct.jpg");
    let id = halftone.client.accepted(&csv(&[&urls]), json!({})).await;
    let request = halftone.client.finished(&id).await;
    assert_eq!(request["status"], "COMPLETED_WITH_ERRORS");

    let images = halftone.client.images(&id).await;
    for (image, (path, _, status, code, attempts)) in images.iter().zip(&cases) {
        assert_eq!(image["status"], *status, "{path}: {image}");
        assert_eq!(image["error"]["code"].as_str(), *code, "{path}: {image}");
        assert_eq!(image["attemptCount"], *attempts, "{path}: {image}");
    }
    assert_eq!(images[cases.len()]["error"]["code"], "BLOCKED_ADDRESS");
    assert_eq!(origin.hits("busy.jpg"), 2);
    let progress = &request["progress"];
    assert_eq!(progress["succeeded"], cases.iter().filter(|case| case.2 == "SUCCEEDED").count());
    assert_eq!(progress["total"], cases.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_url_in_many_rows_is_fetched_once_and_has_its_place_in_each() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let shared = origin.set("shared.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let own = origin.set("own.jpg", Answer::Image(images::jpeg(160, 120, 2)));
    let id = halftone.client.accepted(&csv(&[&[&shared, &own], &[&shared], &[&own, &shared]]), json!({})).await;
    let request = halftone.client.finished(&id).await;
    assert_eq!((&request["status"], &request["progress"]["total"]), (&json!("COMPLETED"), &json!(2)));
    assert_eq!((origin.hits("shared.jpg"), origin.hits("own.jpg")), (1, 1));

    let query = "query ($id: ID!) { processingRequest(id: $id) { products { edges { node { rowNumber images { inputUrl products { edges { node { rowNumber } } } } } } } } }";
    let data = halftone.client.query(query, json!({ "id": id })).await;
    let products = data["processingRequest"]["products"]["edges"].as_array().unwrap();
    let urls = |place: usize| -> Vec<&str> {
        let images = products[place]["node"]["images"].as_array().unwrap();
        images.iter().map(|image| image["inputUrl"].as_str().unwrap()).collect()
    };
    assert_eq!((urls(0), urls(1), urls(2)), (vec![&*shared, &own], vec![&*shared], vec![&*own, &shared]));
    let rows = products[1]["node"]["images"][0]["products"]["edges"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["node"]["rowNumber"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_request_keeps_what_is_finished_and_starts_nothing_new() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--downloads", "2"]).await;
    let urls: Vec<String> =
        (0..12).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(160, 120, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let client = &halftone.client;
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    // Two images are downloading, and as many stand ready to be.
    origin.held(2).await;

    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { processingRequest { status progress { processing canceled } } userErrors { code } } }";
    let data = client.query(cancel, json!({ "id": id })).await;
    let payload = &data["cancelProcessingRequest"];
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["processingRequest"]["progress"], json!({ "processing": 4, "canceled": 8 }));

    origin.open();
    let request = client.finished(&id).await;
    assert_eq!(request["status"], "CANCELED");
    // Those that were downloading finish; those that stood ready do, unless they were looked at only after the cancel.
    let ended = |how: &str| request["progress"][how].as_i64().unwrap();
    assert!((2..=4).contains(&ended("succeeded")), "{request}");
    assert_eq!(ended("succeeded") + ended("canceled"), 12);
    assert!(request["outputCsvUrl"].is_string());

    let again = client.query(cancel, json!({ "id": id })).await;
    assert_eq!(again["cancelProcessingRequest"]["userErrors"], json!([{ "code": "WRONG_STATUS" }]));
    let unknown = client.query(cancel, json!({ "id": "0192f0c1-2345-7000-8000-000000000000" })).await;
    assert_eq!(unknown["cancelProcessingRequest"]["userErrors"], json!([{ "code": "NOT_FOUND" }]));
}
