//! Behind a proxy: what one that is trusted says of the caller is believed, what anyone else says is not.

use reqwest::header::{HeaderMap, ORIGIN};
use serde_json::{Value, json};

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::Process;
use crate::support::sink::Sink;

const TRUSTED: [&str; 2] = ["--trusted-proxy", "127.0.0.0/8"];
const PUBLIC: &str = "https://images.example.com";

/// What a proxy sends that ends TLS for this client.
fn forwarded(client: &str) -> HeaderMap {
    let headers =
        [("x-forwarded-for", client), ("x-forwarded-proto", "https"), ("x-forwarded-host", "images.example.com")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    HeaderMap::from_iter(headers)
}

const LINKS: &str = "query ($id: ID!) { processingRequest(id: $id) { outputCsvUrl
    result(kind: UPDATED_CSV) { url } images { edges { node { output { url } thumbnailUrl sourceUrl } } } } }";

/// The addresses that a client is given for a request.
async fn links(client: &Client, id: &str, headers: HeaderMap) -> Vec<String> {
    let body = json!({ "query": LINKS, "variables": { "id": id } });
    let request = client.http.post(format!("{}/graphql", client.url)).headers(headers).json(&body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let request = &answer["data"]["processingRequest"];
    let image = &request["images"]["edges"][0]["node"];
    let links = [
        &request["outputCsvUrl"],
        &request["result"]["url"],
        &image["output"]["url"],
        &image["thumbnailUrl"],
        &image["sourceUrl"],
    ];
    links.map(|link| link.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()).into()
}

/// The result file at the path of this link, as the client gets it who sends these headers.
async fn file(client: &Client, link: &str, headers: HeaderMap) -> String {
    let path = url::Url::parse(link).unwrap();
    let address = format!("{}{}?{}", client.url, path.path(), path.query().unwrap());
    let answer = client.http.get(address).headers(headers).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_the_proxy_that_is_trusted_and_to_no_other_host() {
    let origin = Origin::start().await;
    let image = origin.set("1.jpg", Answer::Image(images::jpeg(160, 120, 1)));
    for (arguments, is_trusted) in [(&TRUSTED[..], true), (&[], false)] {
        let sink = Sink::start(&[]).await;
        let halftone = Halftone::start(arguments).await;
        let client = &halftone.client;
        let behind = || forwarded("203.0.113.7");
        let upload = client.upload_request(csv(&[&[&image]]), json!({ "webhookUrl": sink.url })).headers(behind());
        let answer: Value = upload.send().await.unwrap().json().await.unwrap();
        let id = answer["data"]["uploadCsv"]["processingRequest"]["id"].as_str().unwrap();
        client.finished(id).await;

        let expected = if is_trusted { PUBLIC } else { &client.url };
        let given = links(client, id, behind()).await;
        assert!(given.iter().all(|link| link.starts_with(expected)), "{given:?}");
        let webhook = sink.received(1).await[0].body.to_string();
        assert!(webhook.contains(&format!("{expected}/results/")), "{webhook}");
        // Each file is kept for each of the addresses.
        for _ in 0..2 {
            for link in &given[..2] {
                assert!(file(client, link, behind()).await.contains(&format!("{expected}/images/")), "{link}");
                let own = file(client, link, HeaderMap::new()).await;
                assert!(own.contains(&format!("{}/images/", client.url)), "{own}");
            }
        }
        let own = links(client, id, HeaderMap::new()).await;
        assert!(own.iter().all(|link| link.starts_with(&client.url)), "{own:?}");

        // A page of the proxy's may call.
        let mut headers = behind();
        headers.insert(ORIGIN, PUBLIC.parse().unwrap());
        let body = json!({ "query": "{ __typename }" });
        let answer = client.http.post(format!("{}/graphql", client.url)).headers(headers).json(&body).send().await;
        assert_eq!(answer.unwrap().status(), if is_trusted { 200 } else { 403 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_that_is_set_stays() {
    let set = ["--public-url", "https://shop.example.com/halftone"];
    let halftone = Halftone::start(&[&TRUSTED, &set[..], &["--compressions", "0"]].concat()).await;
    let request = halftone.client.upload_request(csv(&[&["https://www.example.com/1.jpg"]]), json!({}));
    let answer: Value = request.headers(forwarded("203.0.113.7")).send().await.unwrap().json().await.unwrap();
    let id = answer["data"]["uploadCsv"]["processingRequest"]["id"].as_str().unwrap();
    let query = "query ($id: ID!) { processingRequest(id: $id) { result { url } } }";
    let body = json!({ "query": query, "variables": { "id": id } });
    let request = halftone.client.http.post(format!("{}/graphql", halftone.client.url)).json(&body);
    let answer: Value = request.headers(forwarded("203.0.113.7")).send().await.unwrap().json().await.unwrap();
    let url = answer["data"]["processingRequest"]["result"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://shop.example.com/halftone/results/"), "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_limits_are_those_of_the_address_that_a_trusted_proxy_names() {
    for (arguments, is_trusted) in [(&TRUSTED[..], true), (&[], false)] {
        let limited = ["--uploads-per-minute", "1", "--compressions", "0"];
        let halftone = Halftone::start(&[arguments, &limited].concat()).await;
        let upload = async |client: &str| {
            let sheet = csv(&[&["https://www.example.com/1.jpg"]]);
            let request = halftone.client.upload_request(sheet, json!({})).headers(forwarded(client));
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(upload("203.0.113.7").await, 200);
        assert_eq!(upload("203.0.113.7").await, 429);
        // Whatever stands before what the proxy has added was sent by the client.
        assert_eq!(upload("203.0.113.8, 203.0.113.7").await, 429);
        assert_eq!(upload("203.0.113.8").await, if is_trusted { 200 } else { 429 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_name_the_client_that_a_trusted_proxy_names() {
    for (arguments, address) in [(&TRUSTED[..], "203.0.113.7"), (&[], "127.0.0.1")] {
        let directory = tempfile::tempdir().unwrap();
        let arguments = [arguments, &["--compressions", "0"]].concat();
        let (mut process, client) = Process::serve(&database::fresh().await, directory.path(), &arguments).await;
        let mut headers = forwarded("203.0.113.7");
        headers.insert(ORIGIN, "https://elsewhere.example".parse().unwrap());
        let body = json!({ "query": "{ __typename }" });
        let answer = client.http.post(format!("{}/graphql", client.url)).headers(headers).json(&body).send().await;
        assert_eq!(answer.unwrap().status(), 403);
        let line: Value = serde_json::from_str(&process.log_line("refused a call from a web page").await).unwrap();
        assert_eq!(line["span"]["client"], address, "{line}");
        assert_eq!(process.terminate().await, Some(0));
    }
}
