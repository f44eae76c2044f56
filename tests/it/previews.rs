//! Thumbnails of outputs, and sources fetched anew to stand beside them.

use std::io::Cursor;
use std::time::Duration;

use image::AnimationDecoder as _;
use image::codecs::{gif::GifDecoder, webp::WebPDecoder};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

const URLS: &str = "query ($id: ID!) { processingRequest(id: $id) { images(first: 10) { edges { node {
    id thumbnailUrl sourceUrl output { url } } } } } }";

/// Uploads one image and waits for its end; the image as [`URLS`] asks for it.
async fn compressed(halftone: &Halftone, url: &str, input: Value) -> Value {
    let id = halftone.client.accepted(&csv(&[&[url]]), input).await;
    halftone.client.finished(&id).await;
    let mut data = halftone.client.query(URLS, json!({ "id": id })).await;
    data["processingRequest"]["images"]["edges"][0]["node"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumbnail_is_a_small_webp_that_is_made_once() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let url = origin.set("large.jpg", Answer::Image(images::jpeg(1200, 600, 1)));
    let image = compressed(&halftone, &url, json!({})).await;
    let address = image["thumbnailUrl"].as_str().expect("an address");
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let answer = halftone.client.http.get(address).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], "image/webp");
        bodies.push(answer.bytes().await.expect("a picture"));
    }
    assert!(bodies[0] == bodies[1]);
    let thumbnail = image::load_from_memory(&bodies[0]).expect("a WebP");
    assert_eq!((thumbnail.width(), thumbnail.height()), (320, 160));
    assert_eq!(origin.hits("large.jpg"), 1, "it is made of the output");

    let avif = compressed(&halftone, &url, json!({ "output": { "format": "AVIF", "maxWidth": 64 } })).await;
    assert_eq!(avif["thumbnailUrl"], Value::Null, "there is no decoder for it");
    let unknown = address.replace(image["id"].as_str().unwrap(), "01a209b3-bc2e-71b0-baf0-b18030c0664d");
    let answer = halftone.client.http.get(unknown).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animation_comes_out_with_all_its_frames_and_a_still_thumbnail() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let source = images::animation(96, 64, 5);
    let url = origin.set("turning.gif", Answer::Image(source.clone()));
    for (format, content_type, max_width) in [(None, "image/gif", None), (Some("WEBP"), "image/webp", Some(48))] {
        let output = json!({ "format": format, "maxWidth": max_width });
        let image = compressed(&halftone, &url, json!({ "output": output })).await;
        let answer =
            halftone.client.http.get(image["output"]["url"].as_str().unwrap()).send().await.expect("an answer");
        assert_eq!(answer.headers()[CONTENT_TYPE], content_type);
        let bytes = answer.bytes().await.expect("a file");
        assert!(bytes.len() < source.len(), "{} of {}", bytes.len(), source.len());
        let file = Cursor::new(&bytes[..]);
        let frames = match format {
            None => GifDecoder::new(file).expect("a GIF").into_frames(),
            Some(_) => WebPDecoder::new(file).expect("a WebP").into_frames(),
        };
        let frames = frames.collect_frames().expect("whole frames");
        assert_eq!(frames.len(), 5);
        for frame in frames {
            assert_eq!(frame.buffer().width(), max_width.unwrap_or(96));
            assert_eq!(Duration::from(frame.delay()), Duration::from_millis(100));
        }
        if format.is_some() {
            let thumbnail = halftone.client.download(image["thumbnailUrl"].as_str().expect("an address")).await;
            let decoder = WebPDecoder::new(Cursor::new(&thumbnail[..])).expect("a WebP");
            assert!(!decoder.has_animation());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_listed_origins_may_read_pictures_and_no_others() {
    let origin = Origin::start().await;
    let shop = "https://shop.example.com";
    let halftone = Halftone::start(&["--cors-origin", shop]).await;
    let url = origin.set("a.jpg", Answer::Image(images::jpeg(640, 480, 1)));
    let image = compressed(&halftone, &url, json!({})).await;
    for address in [&image["thumbnailUrl"], &image["sourceUrl"], &image["output"]["url"]] {
        let address = address.as_str().expect("an address");
        for (page, allowed) in [(shop, true), ("https://elsewhere.example.com", false)] {
            let answer = halftone.client.http.get(address).header("origin", page).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK, "{address}");
            let named = answer.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
            assert_eq!(named, allowed.then_some(shop), "{address} for {page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_fetched_anew_and_only_while_it_is_the_same() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    // More than one chunk of the stream.
    let original = images::png(700, 500, 7);
    assert!(original.len() > 64 << 10);
    let url = origin.set("photo.png", Answer::Image(original.clone()));
    let image = compressed(&halftone, &url, json!({})).await;
    let address = image["sourceUrl"].as_str().expect("an address");

    let answer = halftone.client.http.get(address).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[CONTENT_TYPE], "image/png");
    assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], "default-src 'none'");
    assert!(answer.bytes().await.expect("a picture") == original);
    assert_eq!(origin.hits("photo.png"), 2);

    for wrong in [address.replace("signature=", "signature=A"), address.split('?').next().unwrap().to_owned()] {
        let answer = halftone.client.http.get(&wrong).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
    }
    assert_eq!(origin.hits("photo.png"), 2, "nobody without a link makes us fetch");

    origin.set("photo.png", Answer::Image(images::png(700, 500, 8)));
    let answer = halftone.client.http.get(address).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::GONE);
    origin.set("photo.png", Answer::Status(404));
    let answer = halftone.client.http.get(address).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(answer.text().await.expect("a sentence").contains("404"));
}
