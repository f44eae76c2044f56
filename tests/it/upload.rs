//! One upload, from the CSV to the output CSV.

use serde_json::json;

use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_catalogue_comes_out_whole_and_smaller() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let urls = [("image1.jpg", 1), ("image2.jpg", 2), ("image3.jpg", 3), ("image4.jpg", 4)]
        .map(|(name, seed)| origin.set(name, Answer::Image(images::jpeg(320, 240, seed))));
    // As the original design has it: spaces behind commas, URLs unquoted and spilling into further cells.
    let sheet = format!(
        "S. No, Product Name, Input Image Urls\n1, SKU1, {},{}\n2, SKU2, {},{}\n",
        urls[0], urls[1], urls[2], urls[3]
    );
    let client = &halftone.client;
    let id = client.accepted(&sheet, json!({})).await;
    let request = client.finished(&id).await;
    assert_eq!(request["status"], "COMPLETED");
    assert_eq!(request["progress"]["succeeded"], 4);
    assert_eq!(request["progress"]["percent"], 100.0);

    let output = client.download(request["outputCsvUrl"].as_str().unwrap()).await;
    let mut reader = csv::ReaderBuilder::new().from_reader(&output[..]);
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        ["S. No", "Product Name", "Input Image Urls", "Output Image Urls"]
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 2);
    for (row, (serial, inputs)) in rows.iter().zip([("1", &urls[..2]), ("2", &urls[2..])]) {
        assert_eq!(&row[0], serial);
        assert_eq!(&row[1], format!("SKU{serial}"));
        assert_eq!(row[2].split(',').collect::<Vec<_>>(), inputs);
        for (input, output) in inputs.iter().zip(row[3].split(',')) {
            let name = input.rsplit('/').next().unwrap();
            assert!(output.starts_with(&client.url) && output.ends_with(&format!("/compressed_{name}")), "{output}");
            let bytes = client.download(output).await;
            let decoded = image::load_from_memory(&bytes).expect("the output decodes");
            assert_eq!((decoded.width(), decoded.height()), (320, 240));
            assert!(bytes.len() < client.download(input).await.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_one_broken_url_among_ten_still_finishes() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let mut urls: Vec<String> =
        (0..9).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(160, 120, n)))).collect();
    urls.insert(4, origin.url("missing.jpg"));
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let client = &halftone.client;
    let id = client.accepted(&csv(&[&urls]), json!({})).await;
    let request = client.finished(&id).await;
    assert_eq!(request["status"], "COMPLETED_WITH_ERRORS");
    assert_eq!((&request["progress"]["succeeded"], &request["progress"]["failed"]), (&json!(9), &json!(1)));

    let images = client.images(&id).await;
    assert_eq!(images[4]["status"], "FAILED");
    assert_eq!(images[4]["error"]["code"], "HTTP_NOT_FOUND");
    assert_eq!(images[4]["error"]["httpStatus"], 404);
    assert_eq!(images[4]["error"]["retryable"], false);
    assert_eq!(images[4]["attemptCount"], 1);
    assert_eq!(origin.hits("missing.jpg"), 1);

    let product = "query ($id: ID!) { processingRequest(id: $id) { products { edges { node { inputImageUrls outputImageUrls } } } } }";
    let data = client.query(product, json!({ "id": id })).await;
    let product = &data["processingRequest"]["products"]["edges"][0]["node"];
    assert_eq!(product["inputImageUrls"], json!(urls));
    let outputs = product["outputImageUrls"].as_array().unwrap();
    let missing: Vec<bool> = outputs.iter().map(serde_json::Value::is_null).collect();
    assert_eq!(missing, (0..10).map(|place| place == 4).collect::<Vec<_>>());
}
