//! The pages for people: that they are there, complete, and load nothing from elsewhere. `web/tests` uses them.

use std::collections::BTreeSet;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde_json::json;

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

async fn get(client: &Client, path: &str) -> Response {
    client.http.get(format!("{}{path}", client.url)).send().await.expect("an answer")
}

/// What a page loads, as it names it.
fn loaded(html: &str) -> BTreeSet<String> {
    let attributes = html.split_whitespace().filter_map(|part| part.split_once("=\""));
    let links = attributes.filter(|(name, _)| matches!(*name, "src" | "href"));
    links.filter_map(|(_, value)| value.split_once('"')).map(|(address, _)| address.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_complete_and_load_nothing_foreign() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    for path in ["/", "/new", "/requests", "/requests/1", "/images/1", "/system", "/playground"] {
        let page = get(client, path).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        let loaded = loaded(&page.text().await.expect("text"));
        assert!(loaded.iter().any(|address| address.ends_with(".js")), "{path}: {loaded:?}");
        for address in loaded {
            assert!(address.starts_with('/') && !address.starts_with("//"), "{path} loads {address}");
            let asset = get(client, &address).await;
            assert_eq!(asset.status(), StatusCode::OK, "{path} loads {address}");
        }
    }
    for path in ["/assets/nothing.js", "/assets/..%2Findex.html", "/elsewhere"] {
        assert_eq!(get(client, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_everything_is_there_whether_or_not_a_proxy_takes_the_path_off() {
    let public_url = "https://shop.example.com/tools/halftone/";
    let halftone = Halftone::start(&["--public-url", public_url]).await;
    let Client { url, http, .. } = &halftone.client;
    let origin = Origin::start().await;
    let image = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let id = halftone.client.accepted(&csv(&[&[&image]]), json!({})).await;
    let ended = halftone.client.finished(&id).await;
    let links = [
        ended["outputCsvUrl"].as_str().unwrap().to_owned(),
        halftone.client.images(&id).await[0]["output"]["url"].as_str().unwrap().to_owned(),
    ];
    let own = links.map(|link| link.strip_prefix(public_url.trim_end_matches('/')).expect("its own link").to_owned());
    let paths = ["/", "/requests/1", "/playground", "/schema.graphql", "/graphql?query=%7B__typename%7D", "/healthz"];
    for prefix in ["", "/tools/halftone"] {
        let client = Client::new(format!("{url}{prefix}"));
        for path in paths.into_iter().chain(own.iter().map(String::as_str)) {
            assert_eq!(get(&client, path).await.status(), StatusCode::OK, "{prefix}{path}");
        }
        // A subscription, to its end.
        assert_eq!(client.finished(&id).await["status"], "COMPLETED");
        for address in loaded(&get(&client, "/requests").await.text().await.expect("text")) {
            assert!(address.starts_with("/tools/halftone/"), "{address}");
            let asset = http.get(format!("{url}{address}")).send().await.expect("an answer");
            assert_eq!(asset.status(), StatusCode::OK, "{address}");
        }
        let opened =
            http.get(format!("{url}{prefix}/graphql")).header(ACCEPT, "text/html").send().await.expect("a page");
        assert_eq!(opened.url().path(), "/tools/halftone/playground");
    }
    for path in ["/tools/halftone", "/tools/halftone?tab=hosts"] {
        assert_eq!(get(&halftone.client, path).await.status(), StatusCode::OK, "{path}");
    }
    for path in ["/tools", "/tools/halftonehealthz", "/tools/halftone/tools/halftone/healthz"] {
        assert_eq!(get(&halftone.client, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_compressed_to_those_who_can_read_that() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let client = &halftone.client;
    let plain = get(client, "/playground").await;
    assert_eq!(plain.headers().get(CONTENT_ENCODING), None);
    let plain = plain.bytes().await.expect("a page");
    for (accepted, compressed) in
        [("gzip, deflate, br", true), ("br;q=1.0, gzip;q=0.8", true), ("gzip;q=0", false), ("identity", false)]
    {
        let request = client.http.get(format!("{}/playground", client.url)).header(ACCEPT_ENCODING, accepted);
        let page = request.send().await.expect("an answer");
        assert_eq!(page.headers().get(CONTENT_ENCODING).is_some(), compressed, "{accepted}");
        let mut body = page.bytes().await.expect("a page").to_vec();
        if compressed {
            let mut unpacked = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut unpacked).expect("gzip");
            body = unpacked;
        }
        assert!(body == plain, "{accepted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_at_the_endpoint_gets_the_playground_and_nobody_else() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let Client { url, http, .. } = &halftone.client;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let opened = http.get(format!("{url}/graphql")).header(ACCEPT, browser).send().await.expect("an answer");
    assert_eq!(opened.url().path(), "/playground");
    for query in [format!("{url}/graphql"), format!("{url}/graphql?query=%7B__typename%7D")] {
        let answer = http.get(&query).header(ACCEPT, "application/json").send().await.expect("an answer");
        assert_eq!(answer.url().path(), "/graphql", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_console_only_the_api_is_served() {
    let halftone = Halftone::start(&["--compressions", "0", "--no-console"]).await;
    let client = &halftone.client;
    let welcome = get(client, "/").await;
    assert_eq!(welcome.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    for path in ["/playground", "/requests", "/icon.svg"] {
        assert_eq!(get(client, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let request = client.http.get(format!("{}/graphql", client.url)).header(ACCEPT, "text/html");
    assert_eq!(request.send().await.expect("an answer").url().path(), "/graphql");
}
