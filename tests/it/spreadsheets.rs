//! The files of shops: which columns are taken for what, and the file itself with new URLs in it.

use serde_json::json;

use crate::support::halftone::Halftone;
use crate::support::images;
use crate::support::origin::{Answer, Origin};

/// The export of a Shopify store, with these URLs in it, and its spaces, quotes and line ends.
fn export(first: &str, second: &str, third: &str) -> String {
    format!(
        "\u{FEFF}Handle;Title;Body (HTML);Image Src;Image Alt Text;Variant Image\r\n\
         mug;\"Mug \"\"blue\"\"\";<p>=Nice</p>;{first};Front; {third}\r\n\
         mug;;;\"{second}\";Side;\r\n\
         \r\n\
         jug;Jug;-1;ftp://127.0.0.1/jug.jpg, {first};;\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shops_file_comes_back_as_it_was_with_the_urls_of_the_outputs() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let first = origin.set("first.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    let third = origin.set("third.jpg", Answer::Image(images::jpeg(160, 120, 3)));
    let missing = origin.url("missing.jpg");
    let id = client.accepted(&export(&first, &missing, &third), json!({})).await;
    assert_eq!(client.finished(&id).await["status"], "COMPLETED_WITH_ERRORS");

    let query = "query ($id: ID!) { processingRequest(id: $id) {
        csv { columns { header role matchedBy imageCount } }
        result(kind: UPDATED_CSV) { url filename }
        images(first: 10) { edges { node { inputUrl output { url } } } } } }";
    let request = client.query(query, json!({ "id": id })).await["processingRequest"].take();
    assert_eq!(
        request["csv"]["columns"][3],
        json!({ "header": "Image Src", "role": "IMAGE_URLS", "matchedBy": "NAME", "imageCount": 3 })
    );
    let output = |url: &str| {
        let images = request["images"]["edges"].as_array().unwrap();
        let image = images.iter().find(|image| image["node"]["inputUrl"] == url).unwrap();
        image["node"]["output"]["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(request["result"]["filename"], "catalogue_updated.csv");
    let updated = client.download(request["result"]["url"].as_str().unwrap()).await;
    let expected = export(&output(&first), &missing, &output(&third));
    assert_eq!(String::from_utf8_lossy(&updated), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_says_which_columns_are_meant() {
    let halftone = Halftone::start(&["--workers", "0"]).await;
    let client = &halftone.client;
    let sheet = "made by hand\nA,B,C\nhttps://www.example.com/1,x,7\n";
    let columns = json!({ "productName": "B", "imageUrls": ["A"], "serialNumber": "C", "headerLine": 2 });
    let accepted = client.upload(sheet, json!({ "columns": columns })).await;
    assert_eq!((&accepted["userErrors"], &accepted["csv"]["acceptedRowCount"]), (&json!([]), &json!(1)), "{accepted}");

    let refused = client.upload(sheet, json!({ "columns": { "imageUrls": ["Photos"], "headerLine": 2 } })).await;
    let message = refused["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.contains("\"Photos\"") && message.contains("A, B, C"), "{message}");
}
