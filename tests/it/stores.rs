//! Outputs in a bucket: every request is signed, failing answers are asked for again, an outage costs no attempt, and images
//! and result files are served in each of the ways there are.

use std::io::Write as _;

use halftone::pipeline::{delete, leftovers, store_audit};
use halftone::store::{Address, Environment, Store};
use object_store::{Attribute, AttributeValue, GetOptions};
use reqwest::header::{ETAG, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE};
use serde_json::json;

use crate::support::bucket::Bucket;
use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::{Process, halftone};
use crate::support::signatures;
use crate::support::wait::until;

/// A Halftone with its store in this bucket.
async fn start(bucket: &Bucket, arguments: &[&str]) -> Halftone {
    let ours = bucket.arguments();
    let ours: Vec<&str> = ours.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
    Halftone::start(&ours).await
}

/// A catalogue with this many images, by address of a different picture each.
fn catalogue(origin: &Origin, count: u32) -> String {
    let urls: Vec<String> =
        (0..count).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(160, 120, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    csv(&urls.chunks(2).collect::<Vec<_>>())
}

/// A client that goes where it is sent only when it is told to.
fn still() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn assert_store_agrees(halftone: &Halftone) {
    let mut findings = Vec::new();
    store_audit::audit(halftone.app(), false, |finding| findings.push(format!("{finding:?}"))).await.unwrap();
    assert_eq!(findings, [""; 0]);
}

async fn output_url(client: &Client, id: &str) -> String {
    client.images(id).await[0]["output"]["url"].as_str().expect("an output").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_every_answer_fails_at_first_loses_nothing() {
    for bucket in Bucket::start_each().await {
        assert_failures_lose_nothing(&bucket).await;
    }
}

async fn assert_failures_lose_nothing(bucket: &Bucket) {
    let origin = Origin::start().await;
    let halftone = start(bucket, &["--max-attempts", "1", "--serve-objects", "proxy"]).await;
    bucket.fail_half();
    let client = &halftone.client;
    let sheet = catalogue(&origin, 12);
    let first = client.accepted(&sheet, json!({})).await;
    let request = client.finished(&first).await;
    assert_eq!((&request["status"], &request["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(12)));
    // The same again: the outputs are copied within the bucket.
    let second = client.accepted(&sheet, json!({})).await;
    client.finished(&second).await;
    let images = client.images(&second).await;
    assert!(images.iter().all(|image| image["outcome"] == "REUSED" && image["attemptCount"] == 1), "{images:?}");
    assert!(bucket.keys().iter().all(|key| key.starts_with("of/halftone/")), "{:?}", bucket.keys());
    for image in &images {
        let output = client.download(image["output"]["url"].as_str().unwrap()).await;
        assert_eq!(json!(output.len()), image["output"]["byteSize"]);
    }
    assert_store_agrees(&halftone).await;

    // What is deleted is gone from the bucket; the other request keeps its copies.
    let delete = "mutation ($id: ID!) { deleteProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    client.query(delete, json!({ "id": first })).await;
    delete::sweep(halftone.app()).await.unwrap();
    leftovers::sweep(halftone.app()).await.unwrap();
    let left: Vec<String> = bucket.keys().into_iter().filter(|key| key.contains(&first)).collect();
    assert_eq!(left, [""; 0]);
    client.download(&output_url(client, &second).await).await;
    assert_store_agrees(&halftone).await;
    assert_eq!(bucket.unsigned(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_bucket_costs_no_attempt_and_clients_are_asked_to_come_back() {
    let origin = Origin::start().await;
    let bucket = Bucket::start().await;
    let halftone = start(&bucket, &["--max-attempts", "1", "--serve-objects", "proxy"]).await;
    let client = &halftone.client;
    let done = client.accepted(&catalogue(&origin, 1), json!({})).await;
    client.finished(&done).await;
    let url = output_url(client, &done).await;
    let urls: Vec<String> =
        (0..8).map(|n| origin.set(&format!("held{n}.jpg"), Answer::Held(images::jpeg(64, 48, 90 + n)))).collect();
    let rows: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = client.accepted(&csv(&[&rows]), json!({})).await;
    origin.held(4).await;
    bucket.go_away();
    origin.open();
    let given_back = "SELECT count(*) FROM jobs WHERE state <> 'RUNNING' AND lease > 0 AND attempts = 0";
    database::number_is(&halftone.database_url, given_back, |jobs| jobs >= 4).await;
    let answer = client.http.get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    assert!(answer.text().await.unwrap().starts_with("The store does not answer"));
    let failed = "SELECT sum(failed)::bigint FROM processing_requests";
    assert_eq!(database::number(&halftone.database_url, failed).await, 0);
    bucket.come_back();
    let request = client.finished(&id).await;
    assert_eq!(request["progress"]["succeeded"], 8, "{request}");
    let images = client.images(&id).await;
    assert!(images.iter().all(|image| image["attemptCount"] == 1), "{images:?}");
    assert_store_agrees(&halftone).await;
}

/// A range, what is asked with the entity tag of before, and the whole, all at this address.
async fn assert_ranges_and_conditions(client: &reqwest::Client, url: &str, size: usize) {
    let whole = client.get(url).send().await.unwrap();
    assert_eq!((whole.status().as_u16(), &whole.headers()["content-type"]), (200, &"image/jpeg".parse().unwrap()));
    let etag = whole.headers()[ETAG].clone();
    let caching = whole.headers()["cache-control"].to_str().unwrap().to_owned();
    assert!(caching.contains("immutable"), "{caching}");
    let whole = whole.bytes().await.unwrap();
    assert_eq!(whole.len(), size);
    let part = client.get(url).header(RANGE, "bytes=10-19").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"].to_str().unwrap(), format!("bytes 10-19/{size}"));
    assert_eq!(part.bytes().await.unwrap(), whole[10..20]);
    let known = client.get(url).header(IF_NONE_MATCH, etag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let head = client.head(url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, &*size.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_served_by_redirect_through_the_server_and_at_another_address() {
    for bucket in Bucket::start_each().await {
        assert_images_are_served(&bucket).await;
    }
}

async fn assert_images_are_served(bucket: &Bucket) {
    let origin = Origin::start().await;
    let halftone = start(bucket, &[]).await;
    let client = &halftone.client;
    let id = client.accepted(&catalogue(&origin, 1), json!({})).await;
    client.finished(&id).await;
    let image = client.images(&id).await.remove(0);
    let url = image["output"]["url"].as_str().unwrap();
    let size = usize::try_from(image["output"]["byteSize"].as_u64().unwrap()).unwrap();

    let answer = still().get(url).send().await.unwrap();
    let location = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["cache-control"].to_str().unwrap(), "private, max-age=300");
    assert!(location.starts_with(&format!("{}/pictures/of/halftone/{id}/", bucket.url)), "{location}");
    assert_eq!(still().get(&location).send().await.unwrap().bytes().await.unwrap().len(), size);
    let forged = location.replace("-Signature=", "-Signature=0");
    assert_eq!(still().get(&forged).send().await.unwrap().status(), 403, "the bucket checks the signature");
    assert_eq!(bucket.unsigned().len(), 1);
    let tag = format!("\"{}\"", image["output"]["sha256"].as_str().unwrap());
    let known = still().get(url).header(IF_NONE_MATCH, &tag).send().await.unwrap();
    assert_eq!(known.status(), 304, "who has it from this server need not go there");
    assert_ranges_and_conditions(&client.http, url, size).await;
    let console = client.http.get(format!("{}/", client.url)).send().await.unwrap();
    let policy = console.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains(&format!("img-src 'self' data: blob: {};", bucket.url)), "{policy}");
    let thumbnail = url.replace("/images/", "/thumbnails/").rsplit_once('/').unwrap().0.to_owned();
    for _ in 0..2 {
        assert!(client.download(&thumbnail).await.starts_with(b"RIFF"));
    }

    // Two more servers with the same store and database.
    let url_of = async |arguments: &[&str]| {
        let data_dir = tempfile::tempdir().unwrap();
        let ours = bucket.arguments();
        let arguments: Vec<&str> = ours.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        let (process, client) = Process::serve(&halftone.database_url, data_dir.path(), &arguments).await;
        let url = output_url(&client, &id).await;
        (process, client, url, data_dir)
    };
    let (_proxy, client, url, _dir) = url_of(&["--serve-objects", "proxy"]).await;
    assert_eq!(still().get(&url).send().await.unwrap().headers().get(LOCATION), None);
    assert_ranges_and_conditions(&client.http, &url, size).await;

    let (_cdn, client, url, _dir) = url_of(&["--images-url", &format!("{}/at", bucket.url)]).await;
    assert!(url.starts_with(&format!("{}/at/{id}/", bucket.url)), "{url}");
    let lasting =
        format!("{}/images/{}/{}", client.url, image["id"].as_str().unwrap(), url.rsplit_once('/').unwrap().1);
    let answer = still().get(&lasting).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()[LOCATION].to_str().unwrap()), (302, &*url));
    assert_ranges_and_conditions(&client.http, &lasting, size).await;
}

/// The address of a result file.
async fn result_url(client: &Client, id: &str) -> String {
    let query = "query ($id: ID!) { processingRequest(id: $id) { result(kind: DETAIL_CSV) { url } } }";
    let data = client.query(query, json!({ "id": id })).await;
    data["processingRequest"]["result"]["url"].as_str().expect("a URL").to_owned()
}

/// Its result file can be downloaded in parts, and is written anew once its request has changed.
async fn assert_result_files_are_kept(halftone: &Halftone) {
    let origin = Origin::start().await;
    let client = &halftone.client;
    let id = client.accepted(&catalogue(&origin, 2), json!({})).await;
    client.finished(&id).await;
    let url = result_url(client, &id).await;
    let whole = client.http.get(&url).send().await.unwrap();
    let etag = whole.headers()[ETAG].clone();
    assert!(etag.to_str().unwrap().starts_with('"'), "{etag:?}");
    assert!(whole.headers()["content-disposition"].to_str().unwrap().contains("catalogue_details.csv"));
    let whole = whole.bytes().await.unwrap();
    let range = || client.http.get(&url).header(RANGE, "bytes=5-9");
    let part = range().header(IF_RANGE, &etag).send().await.unwrap();
    assert_eq!(part.headers()["content-range"].to_str().unwrap(), format!("bytes 5-9/{}", whole.len()));
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap()), (206, whole.slice(5..10)));
    let known = client.http.get(&url).header(IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!((known.status().as_u16(), &known.headers()[ETAG]), (304, &etag));
    // What is compressed on its way is the same file, and not the same bytes.
    let packed = || client.http.get(&url).header("accept-encoding", "gzip, br");
    let weak = packed().send().await.unwrap().headers()[ETAG].clone();
    assert_eq!(weak.to_str().unwrap(), format!("W/{}", etag.to_str().unwrap()));
    let plain = client.http.get(&url).header("accept-encoding", "identity").send().await.unwrap();
    assert_eq!(plain.headers()[ETAG], etag);
    for tag in [&weak, &etag] {
        let known = packed().header(IF_NONE_MATCH, tag).send().await.unwrap();
        assert_eq!((known.status().as_u16(), &known.headers()[ETAG]), (304, &weak));
    }
    assert_eq!(client.http.get(&url).header(IF_NONE_MATCH, &weak).send().await.unwrap().status(), 304);
    for resumed in [range(), packed().header(RANGE, "bytes=5-9")] {
        assert_eq!(resumed.header(IF_RANGE, &weak).send().await.unwrap().status(), 200);
    }
    assert_store_agrees(halftone).await;

    let rerun = "mutation ($id: ID!) { rerunProcessingRequest(input: { id: $id }) { userErrors { code } } }";
    client.query(rerun, json!({ "id": id })).await;
    client.finished(&id).await;
    let now = client.http.get(&url).header(IF_NONE_MATCH, &etag).header(IF_RANGE, &etag).send().await.unwrap();
    assert_eq!(now.status(), 200);
    assert_ne!(now.headers()[ETAG], etag);
    assert!(String::from_utf8(now.bytes().await.unwrap().to_vec()).unwrap().contains("UNCHANGED"));
    assert_store_agrees(halftone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn result_files_are_kept_in_a_directory() {
    assert_result_files_are_kept(&Halftone::start(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn result_files_are_kept_in_a_bucket_and_served_without_it_when_it_is_away() {
    for bucket in Bucket::start_each().await {
        assert_result_files_are_kept_in(&bucket).await;
    }
}

async fn assert_result_files_are_kept_in(bucket: &Bucket) {
    let halftone = start(bucket, &[]).await;
    assert_result_files_are_kept(&halftone).await;
    let results = bucket.keys().into_iter().filter(|key| key.contains("/results/")).count();
    assert_eq!(results, 1, "those of the state before are removed");

    let origin = Origin::start().await;
    let id = halftone.client.accepted(&catalogue(&origin, 1), json!({})).await;
    halftone.client.finished(&id).await;
    bucket.go_away();
    let url = result_url(&halftone.client, &id).await;
    let answer = halftone.client.http.get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get(ETAG)), (200, None));
    assert!(answer.text().await.unwrap().contains("SUCCEEDED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_on_a_bucket() {
    for bucket in Bucket::start_each().await {
        assert_commands_work_on(&bucket).await;
    }
}

async fn assert_commands_work_on(bucket: &Bucket) {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("products.csv"), catalogue(&origin, 2)).unwrap();
    std::fs::write(path("account.json"), signatures::google_account()).unwrap();
    let (ours, data_dir, sheet) = (bucket.arguments(), path("data"), path("products.csv"));
    let command = async |arguments: &[&str]| {
        let shared = ["--database-url", &database_url, "--data-dir", &data_dir, "--allow-net", "127.0.0.0/8"];
        let mut command = halftone();
        // Google's own tools find their account in a file.
        command.env_remove(signatures::GOOGLE_ACCOUNT).env("GOOGLE_APPLICATION_CREDENTIALS", path("account.json"));
        let output = command.args(arguments).args(shared).args(&ours).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, said) = command(&["run", &sheet]).await;
    assert_eq!(code, Some(0), "{said}");
    let output = std::fs::read_to_string(path("products_output.csv")).unwrap();
    assert!(output.contains(&format!("\"{}/", bucket.address())), "{output}");

    let named = bucket.keys().into_iter().find(|key| key.ends_with(".jpg")).unwrap();
    let unknown = format!("of/halftone/{}/source", uuid::Uuid::now_v7());
    let beside = named.replace("/run1/", "/run0/");
    bucket.set(&unknown, b"left");
    bucket.set(&beside, b"left");
    bucket.set("of/others/file", b"somebody else's");
    let (code, said) = command(&["store", "sweep"]).await;
    assert!(code == Some(0) && said.contains("2 objects removed"), "{said}");
    let keys = bucket.keys();
    assert!(
        !keys.contains(&unknown) && !keys.contains(&beside) && keys.contains(&"of/others/file".to_owned()),
        "{keys:?}"
    );
    bucket.remove(&named);
    let (code, said) = command(&["store", "sweep"]).await;
    assert!(code == Some(1) && said.contains("1 output missing"), "{said}");

    bucket.go_away();
    let (code, said) = command(&["store", "sweep"]).await;
    assert!(code == Some(1) && said.contains(&format!("cannot write outputs to {}", bucket.address())), "{said}");
    let secrets = Bucket::environment();
    assert!(secrets.iter().all(|(_, secret)| !said.contains(secret)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_stored_in_parts() {
    for bucket in Bucket::start_each().await {
        let environment = Environment::of(Bucket::environment());
        let store = Store::open(&bucket.address().parse().unwrap(), Some(&bucket.url), &environment).await.unwrap();
        let content: Vec<u8> = (0..24_u32 << 20).map(|place| (place / 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        store.put_file("request/source", "text/csv", file).await.unwrap();
        let object = store.get("request/source", GetOptions::default()).await.unwrap().expect("it is there");
        assert_eq!(object.attributes.get(&Attribute::ContentType), Some(&AttributeValue::from("text/csv")));
        assert!(object.bytes().await.unwrap() == content);
        let parts = bucket.seen("PUT ") - 1;
        assert_eq!(
            (parts, bucket.seen("POST /pictures/of"), bucket.unsigned()),
            (3, 2, vec![]),
            "{:?}",
            bucket.interface
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_the_bucket_ends_in_time_and_another_one_goes_on() {
    let origin = Origin::start().await;
    let bucket = Bucket::start().await;
    let halftone = start(&bucket, &["--compressions", "0"]).await;
    let ours = bucket.arguments();
    let mut arguments: Vec<&str> = ours.iter().map(String::as_str).collect();
    arguments.extend(["--drain-timeout", "60s"]);
    let data_dir = tempfile::tempdir().unwrap();
    let urls = [1, 2].map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(64, 48, n))));
    let held = csv(&[&[&urls[0], &urls[1]]]);
    let first = Process::work(&halftone.database_url, data_dir.path(), &arguments).await;
    let id = halftone.client.accepted(&held, json!({})).await;
    origin.held(2).await;
    bucket.hang();
    origin.open();
    until("outputs are being stored", async || bucket.seen("PUT /pictures/of/halftone/") >= 3).await;
    assert_eq!(
        first.terminate().await,
        Some(0),
        "it gives back what it cannot store, long before the drain time is over"
    );
    bucket.answer_again();
    let second = Process::work(&halftone.database_url, data_dir.path(), &arguments).await;
    let request = halftone.client.finished(&id).await;
    assert_eq!(request["progress"]["succeeded"], 2, "{request}");
    assert_eq!(second.terminate().await, Some(0));
    let images = halftone.client.images(&id).await;
    assert!(images.iter().all(|image| image["attemptCount"] == 1), "{images:?}");
    assert_store_agrees(&halftone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_stored_while_its_directory_is_removed_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let address: Address = directory.path().to_str().unwrap().parse().unwrap();
    let store = Store::open(&address, None, &Environment::default()).await.unwrap();
    let content = || bytes::Bytes::from_static(b"content");
    for round in 0..300 {
        // What remove_all does to the first makes the directory of both empty again and again.
        let (old, new) = (format!("request/image/{round}/old"), format!("request/image/{}/new", round + 1_000));
        store.put(&old, "text/plain", content()).await.unwrap();
        let old = format!("request/image/{round}");
        let (removed, put) = tokio::join!(store.remove_all(&old), store.put(&new, "text/plain", content()));
        removed.unwrap();
        put.unwrap();
        assert!(store.head(&new).await.unwrap().is_some(), "round {round}");
        store.remove(&new).await.unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no empty directory is left");
    }
}
