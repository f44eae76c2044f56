//! URLs that are corrected in place: only their images are done again, and every other row stays as it is.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;

const REPLACE: &str = "mutation ($input: ReplaceImageUrlsInput!) { replaceImageUrls(input: $input) {
    imageCount skipped { line message } skippedCount csv { issueCount } processingRequest { status }
    userErrors { code message field } } }";

/// `replaceImageUrls` with this file.
async fn replace(client: &Client, id: &str, file: impl Into<Vec<u8>>) -> Value {
    let variables = json!({ "input": { "requestId": id, "file": null } });
    let form = Form::new()
        .text("operations", json!({ "query": REPLACE, "variables": variables }).to_string())
        .text("map", json!({ "0": ["variables.input.file"] }).to_string())
        .part("0", Part::bytes(file.into()).file_name("failed_rows.csv").mime_str("text/csv").unwrap());
    let request = client.http.post(format!("{}/graphql", client.url)).header("GraphQL-Preflight", "1").multipart(form);
    let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer.get("errors"), None, "{answer}");
    answer["data"]["replaceImageUrls"].take()
}

async fn result(client: &Client, id: &str, kind: &str) -> String {
    let query = format!("query ($id: ID!) {{ processingRequest(id: $id) {{ result(kind: {kind}) {{ url }} }} }}");
    let data = client.query(&query, json!({ "id": id })).await;
    let file = client.download(data["processingRequest"]["result"]["url"].as_str().unwrap()).await;
    String::from_utf8(file.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_file_of_failed_rows_is_applied_in_place() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let place = |n: u32| format!("{}{n}.jpg", if n % 4 == 1 { "broken/" } else { "" });
    let urls: Vec<String> = (0..40).map(|n| origin.url(&place(n))).collect();
    for n in (0..40).filter(|n| n % 4 != 1) {
        origin.set(&place(n), Answer::Image(images::jpeg(64, 48, n)));
    }
    // Two in a row, and one that stands in two rows.
    let mut rows: Vec<Vec<&str>> = urls.chunks(2).map(|pair| pair.iter().map(String::as_str).collect()).collect();
    rows.push(vec![&urls[1]]);
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let id = client.accepted(&csv(&rows), json!({ "webhookUrl": sink.url })).await;
    let ended = client.finished(&id).await;
    assert_eq!((&ended["progress"]["failed"], &ended["progress"]["succeeded"]), (&json!(10), &json!(30)), "{ended}");
    let before = result(client, &id, "OUTPUT_CSV").await;
    let failed = result(client, &id, "FAILED_ROWS_CSV").await;

    // All but one are mended.
    let mended = failed.replace("/broken/", "/mended/").replace("/mended/37.jpg", "/broken/37.jpg");
    for n in (0..40).filter(|n| n % 4 == 1) {
        origin.set(&format!("mended/{n}.jpg"), Answer::Image(images::jpeg(64, 48, n)));
    }
    let applied = replace(client, &id, mended.as_str()).await;
    assert_eq!((&applied["imageCount"], &applied["skippedCount"]), (&json!(9), &json!(0)), "{applied}");
    let ended = client.finished(&id).await;
    assert_eq!((&ended["progress"]["failed"], &ended["progress"]["succeeded"]), (&json!(1), &json!(39)), "{ended}");
    let after = result(client, &id, "OUTPUT_CSV").await;
    assert_eq!(before.lines().count(), after.lines().count());
    for (old, new) in before.lines().zip(after.lines()) {
        if old.contains("/broken/") && !old.contains("/broken/37.jpg") {
            assert!(new.contains("/mended/") && !new.contains("/broken/"), "{new}");
        } else {
            assert_eq!(old, new);
        }
    }
    for n in 0..40 {
        assert_eq!(origin.hits(&place(n)), 1, "only what was corrected is asked for again: {n}");
    }
    // The file as it was uploaded has an output wherever there is one.
    let updated = result(client, &id, "UPDATED_CSV").await;
    assert_eq!(updated.matches("/broken/").count(), 1, "{updated}");
    assert!(!updated.contains("/mended/"), "{updated}");
    let images = client.query(
        "query ($id: ID!) { processingRequest(id: $id) { runs { reason progress { total } }
            images(first: 2) { edges { node { inputUrl formerInputUrls } } } } }",
        json!({ "id": id }),
    );
    let request = images.await["processingRequest"].take();
    assert_eq!(request["images"]["edges"][1]["node"]["formerInputUrls"], json!([urls[1]]));
    assert_eq!(request["runs"][1], json!({ "reason": "CORRECTION", "progress": { "total": 9 } }));
    assert_eq!(sink.received(2).await[1].body["data"]["run"], 2);

    // The same file changes nothing any more.
    let again = replace(client, &id, mended.as_str()).await;
    assert_eq!(again["userErrors"][0]["code"], "CSV_REJECTED", "{again}");
    assert_eq!(again["imageCount"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_corrected_file_cannot_correct_is_said_and_the_rest_is_applied() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let good = origin.set("good.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let mended = origin.set("mended.jpg", Answer::Image(images::jpeg(64, 48, 2)));
    let [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map(|path| origin.url(path));
    let header = "S. No,Product Name,Input Image Urls\n";
    let sheet = format!(
        "{header}1,One,\"{a},{good}\"\n2,Two,{b}\n3,Three,{b}\n4,Same,{c}\n4,Same,{c}\n5,Bad,\"ftp://example.com/1.jpg,{c}\"\n"
    );
    let id = client.accepted(&sheet, json!({})).await;
    client.finished(&id).await;
    let corrections = format!(
        "{header}1,One,\"{mended},{mended}\"\n2,Two,{mended}\n3,Three,{good}\n4,Same,{mended}\n5,Bad,\"{mended},{c}\"\n\
         6,None,{mended}\n2,Two,{mended}\n"
    );
    let applied = replace(client, &id, corrections).await;
    assert_eq!(applied["imageCount"], 3, "{applied}");
    let skipped: Vec<String> = applied["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skipped| format!("{} {}", skipped["line"], skipped["message"].as_str().unwrap()))
        .collect();
    let expected = [
        "8 The row on line 3 has the same serial number and name.",
        "4 Another row corrects the same image to",
        "5 The request has 2 rows with this serial number and name.",
        "6 Image URL 1 was refused when the CSV was read",
        "7 The request has no row with this serial number and name.",
    ];
    assert_eq!((skipped.len(), &applied["skippedCount"]), (expected.len(), &json!(expected.len())), "{skipped:#?}");
    for (skipped, expected) in skipped.iter().zip(expected) {
        assert!(skipped.starts_with(expected), "{skipped}");
    }
    let ended = client.finished(&id).await;
    assert_eq!((&ended["progress"]["succeeded"], &ended["progress"]["failed"]), (&json!(3), &json!(1)), "{ended}");
    let rejected = replace(client, &id, "no,csv\n").await;
    assert_eq!(rejected["userErrors"][0]["field"], json!(["input", "file"]), "{rejected}");
    assert!(rejected["csv"]["issueCount"].as_u64() > Some(0), "{rejected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_image_is_corrected_by_its_id() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let good = origin.set("good.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let mended = origin.set("mended.jpg", Answer::Image(images::jpeg(64, 48, 2)));
    let id = client.accepted(&csv(&[&[&good, &origin.url("broken.jpg")]]), json!({})).await;
    client.finished(&id).await;
    let images = client.images(&id).await;
    let replace = async |image: &Value, url: &str| {
        let mutation = "mutation ($input: ReplaceImageUrlInput!) { replaceImageUrl(input: $input) {
            processingRequest { id status } userErrors { code field } } }";
        let mut data = client.query(mutation, json!({ "input": { "id": image, "url": url } })).await;
        data["replaceImageUrl"].take()
    };
    for (image, url, code, field) in [
        (&json!("no id"), mended.as_str(), "NOT_FOUND", "id"),
        (&images[1]["id"], "ftp://example.com/1.jpg", "INVALID_URL", "url"),
        (&images[1]["id"], "http://example.com/\u{0}.jpg", "INVALID_URL", "url"),
    ] {
        let refused = replace(image, url).await;
        assert_eq!(refused["userErrors"], json!([{ "code": code, "field": ["input", field] }]), "{refused}");
    }
    let begun = replace(&images[1]["id"], &mended).await;
    assert_eq!((&begun["userErrors"], &begun["processingRequest"]["id"]), (&json!([]), &json!(id)), "{begun}");
    assert_eq!(client.finished(&id).await["status"], "COMPLETED");
    let after = client.images(&id).await;
    assert_eq!((&after[0], &after[1]["inputUrl"]), (&images[0], &json!(mended)));
    let output = result(client, &id, "OUTPUT_CSV").await;
    assert!(output.contains(&mended) && !output.contains("broken"), "{output}");

    // One that has an output, but of the wrong picture, too: it gets another address, and the old one stays.
    let better = origin.set("better.jpg", Answer::Image(images::jpeg(64, 48, 3)));
    let begun = replace(&images[0]["id"], &better).await;
    assert_eq!(begun["userErrors"], json!([]), "{begun}");
    assert_eq!(client.finished(&id).await["status"], "COMPLETED");
    let corrected = client.images(&id).await;
    assert_eq!((&corrected[0]["change"], &corrected[1]), (&json!("CHANGED"), &after[1]));
    let url = |image: &Value| image["output"]["url"].as_str().unwrap().to_owned();
    let [former, new] = [client.download(&url(&after[0])).await, client.download(&url(&corrected[0])).await];
    assert!(url(&after[0]) != url(&corrected[0]) && former != new);
}

/// A catalogue of which 15 % is broken, mended by its file of failed rows.
#[tokio::test(flavor = "multi_thread")]
async fn mending_every_broken_link_touches_nothing_else() {
    const ROWS: u32 = 400;
    let is_broken = |n: u32| n % 20 < 3;
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let pictures: Vec<_> = (0..8).map(|n| images::jpeg(48, 32, n)).collect();
    let answer = |n: u32| Answer::Image(pictures[n as usize % 8].clone());
    let urls: Vec<String> = (0..ROWS)
        .map(|n| match is_broken(n) {
            true => origin.url(&format!("old/{n}.jpg")),
            false => origin.set(&format!("old/{n}.jpg"), answer(n)),
        })
        .collect();
    let rows: Vec<[&str; 1]> = urls.iter().map(|url| [url.as_str()]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
    let id = client.accepted(&csv(&rows), json!({ "webhookUrl": sink.url })).await;
    let ended = client.finished(&id).await;
    assert_eq!((&ended["progress"]["failed"], &ended["progress"]["succeeded"]), (&json!(60), &json!(340)), "{ended}");
    let before = result(client, &id, "OUTPUT_CSV").await;
    for n in (0..ROWS).filter(|n| is_broken(*n)) {
        origin.set(&format!("new/{n}.jpg"), answer(n));
    }
    let mended = result(client, &id, "FAILED_ROWS_CSV").await.replace("/old/", "/new/");
    let applied = replace(client, &id, mended).await;
    assert_eq!((&applied["imageCount"], &applied["skippedCount"]), (&json!(60), &json!(0)), "{applied}");
    assert_eq!(client.finished(&id).await["status"], "COMPLETED");

    let after = result(client, &id, "OUTPUT_CSV").await;
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    assert_eq!((before.len(), after.len(), before[0]), (401, 401, after[0]));
    for n in 0..ROWS {
        let (old, new) = (before[n as usize + 1], after[n as usize + 1]);
        match is_broken(n) {
            true => assert!(
                old.contains("/old/") && new.contains(&format!("/new/{n}.jpg")) && new.len() > old.len(),
                "{new}"
            ),
            false => assert_eq!(old, new),
        }
        let asked = [origin.hits(&format!("old/{n}.jpg")), origin.hits(&format!("new/{n}.jpg"))];
        assert_eq!(asked, [1, usize::from(is_broken(n))], "{n}");
    }
    let mut sent = sink.received(2).await;
    sent.sort_by_key(|webhook| webhook.body["data"]["run"].as_i64());
    let told: Vec<Value> =
        sent.iter().map(|webhook| json!([webhook.body["data"]["run"], webhook.body["data"]["status"]])).collect();
    assert_eq!(told, [json!([1, "COMPLETED_WITH_ERRORS"]), json!([2, "COMPLETED"])]);
}
