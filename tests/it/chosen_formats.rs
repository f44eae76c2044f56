//! `format: AUTO`: the smallest file for each image, with its own type and name.

use image::{DynamicImage, GenericImageView as _, Rgba, RgbaImage};
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

const IMAGES: &str = "query ($id: ID!) { processingRequest(id: $id) {
    settings { format allowAvif }
    images(first: 10) { edges { node { inputUrl warnings source { format byteSize }
        output { format byteSize url } receipt { decision encodesTried alternatives { format byteSize } } } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn each_image_gets_the_format_of_its_smallest_file() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let photo = image::load_from_memory(&images::png(320, 240, 3)).expect("a picture");
    let mut cut_out = RgbaImage::from_pixel(320, 240, Rgba([0; 4]));
    for (x, y, pixel) in photo.pixels().filter(|(x, y, _)| x.abs_diff(160) + y.abs_diff(120) < 100) {
        cut_out.put_pixel(x, y, pixel);
    }
    let mut file = std::io::Cursor::new(Vec::new());
    DynamicImage::from(cut_out).write_to(&mut file, image::ImageFormat::Png).expect("encode");
    let urls = [
        origin.set("photo.png", Answer::Image(images::png(320, 240, 3))),
        origin.set("cut-out.png", Answer::Image(file.into_inner().into())),
        origin.set("photo.jpg", Answer::Image(images::jpeg(320, 240, 4))),
    ];
    let input = json!({ "output": { "format": "AUTO" } });
    let id = halftone.client.accepted(&csv(&[&[&urls[0], &urls[1], &urls[2]]]), input).await;
    halftone.client.finished(&id).await;
    let data = halftone.client.query(IMAGES, json!({ "id": id })).await;
    let request = &data["processingRequest"];
    assert_eq!(request["settings"], json!({ "format": "AUTO", "allowAvif": false }));
    for (image, least) in request["images"]["edges"].as_array().expect("edges").iter().zip([2, 2, 1]) {
        let image = &image["node"];
        let (output, receipt) = (&image["output"], &image["receipt"]);
        let alternatives = receipt["alternatives"].as_array().expect("a list");
        let mut formats = vec![&output["format"]];
        formats.extend(alternatives.iter().map(|other| &other["format"]));
        assert!(formats.len() >= least && formats.contains(&&image["source"]["format"]), "{image}");
        assert!(alternatives.iter().all(|other| other["byteSize"].as_u64() >= output["byteSize"].as_u64()), "{image}");
        assert!(output["byteSize"].as_u64() <= image["source"]["byteSize"].as_u64(), "{image}");
        let url = output["url"].as_str().expect("an address");
        let answer = halftone.client.http.get(url).send().await.expect("an answer");
        let (kind, extension) = match output["format"].as_str().expect("a format") {
            "JPEG" => ("image/jpeg", ".jpg"),
            "PNG" => ("image/png", ".png"),
            _ => ("image/webp", ".webp"),
        };
        assert_eq!(answer.headers()[CONTENT_TYPE], kind);
        assert!(url.ends_with(extension), "{url}");
        let is_cut_out = image["inputUrl"] == urls[1];
        assert!(!is_cut_out || formats.iter().all(|format| *format != "JPEG"), "{image}");
        let shown = image::load_from_memory(&answer.bytes().await.expect("a file")).expect("a picture");
        assert_eq!((shown.width(), shown.height()), (320, 240));
        assert_eq!(is_cut_out, shown.get_pixel(0, 0)[3] == 0);
    }

    // Without AUTO it means nothing.
    let input = json!({ "output": { "format": "WEBP", "allowAvif": true } });
    let refused = halftone.client.upload(csv(&[&[&urls[0]]]), input).await;
    assert_eq!(refused["userErrors"][0]["field"], json!(["input", "output", "allowAvif"]), "{refused}");
}
