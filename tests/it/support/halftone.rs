//! A Halftone of its own for a test, and a client that talks to it as any other would.

use clap::Parser;
use futures_util::{SinkExt as _, StreamExt as _};
use halftone::config::{Config, Options};
use halftone::service::Service;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::bucket::Bucket;
use super::database;
use super::wait::{PATIENCE, in_time};

/// What an upload is answered with.
const UPLOAD: &str = "mutation ($input: UploadCsvInput!) {
    uploadCsv(input: $input) {
        processingRequest { id status }
        csv { rowCount acceptedRowCount rejectedRowCount issueCount issues { edges { node { severity code line row column value } } } }
        replayed
        userErrors { code message field }
    }
}";

/// What a request looks like when it is watched to its end.
pub const REQUEST: &str =
    "id status progress { total pending processing retrying succeeded failed canceled percent revision }
    savings { inputBytes outputBytes savedBytes savedRatio compressed keptOriginal } outputCsvUrl";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// Settings for tests: loopback may be fetched from, waits are short; `arguments` come on top, as on the command line.
pub fn config(data_dir: &std::path::Path, arguments: &[&str]) -> Config {
    let data_dir = data_dir.to_str().expect("a path in UTF-8");
    let ours = ["halftone", "--data-dir", data_dir, "--allow-net", "127.0.0.0/8", "--retry-delay", "50ms"];
    let all = ours.iter().chain(arguments);
    let mut options = Arguments::parse_from(all).options;
    options.set_environment(Bucket::environment());
    options.check().expect("good settings")
}

/// A running Halftone in this process. Its outputs are in a temporary directory.
pub struct Halftone {
    pub client: Client,
    pub database_url: String,
    service: Service,
    data_dir: tempfile::TempDir,
}

impl Halftone {
    /// API and workers on a fresh database.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::on(database::fresh().await, arguments).await
    }

    /// API and workers on a database that may have been used before.
    pub async fn on(database_url: String, arguments: &[&str]) -> Self {
        let data_dir = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(data_dir.path(), arguments);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        if config.server.public_url.is_none() {
            config.public_url = url.clone();
        }
        let mut service = Service::open(config, &database_url).await.expect("open");
        service.serve(listener).await.expect("serve");
        service.work();
        Self { client: Client::new(url), database_url, service, data_dir }
    }

    pub fn app(&self) -> &halftone::app::App {
        &self.service.app
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }
}

impl Drop for Halftone {
    /// Whatever a test did, no request may have ended and left work behind, and no webhook may be lost.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let url = self.database_url.clone();
        // A drop cannot wait for a future on its own runtime.
        let checked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for (what, sql) in LEFT_BEHIND {
                    assert_eq!(database::number(&url, sql).await, 0, "{what}");
                }
            });
        });
        checked.join().expect("the check passes");
    }
}

/// What there must be none of, at any time.
const LEFT_BEHIND: [(&str, &str); 7] = [
    (
        "jobs of images that have ended",
        "SELECT count(*) FROM jobs JOIN images USING (id) WHERE images.finished_at IS NOT NULL",
    ),
    (
        "unfinished images of finished requests",
        "SELECT count(*) FROM images JOIN processing_requests r ON r.id = request_id
          WHERE r.finished_at IS NOT NULL AND images.finished_at IS NULL",
    ),
    (
        "unfinished images without a job",
        "SELECT count(*) FROM images WHERE finished_at IS NULL AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = images.id)",
    ),
    (
        "webhooks to be sent without a job",
        "SELECT count(*) FROM webhook_deliveries d
          WHERE status IN ('PENDING', 'RETRYING') AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = d.id)",
    ),
    (
        "requests whose counters are not those of their images",
        "SELECT count(*) FROM processing_requests r JOIN LATERAL (
             SELECT count(*) AS total, count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
                    count(*) FILTER (WHERE status = 'FAILED') AS failed,
                    count(*) FILTER (WHERE status = 'CANCELED') AS canceled,
                    coalesce(sum(source_bytes), 0) AS input_bytes, coalesce(sum(output_bytes), 0) AS output_bytes,
                    count(*) FILTER (WHERE outcome = 'UNCHANGED') AS unchanged,
                    count(*) FILTER (WHERE outcome = 'REUSED') AS reused,
                    count(*) FILTER (WHERE download_avoided) AS avoided_downloads
               FROM images WHERE request_id = r.id) i ON true
          WHERE r.deleted_at IS NULL
            AND (r.total, r.succeeded, r.failed, r.canceled, r.input_bytes, r.output_bytes, r.unchanged, r.reused, r.avoided_downloads)
             <> (i.total, i.succeeded, i.failed, i.canceled, i.input_bytes, i.output_bytes, i.unchanged, i.reused, i.avoided_downloads)",
    ),
    (
        "last runs whose counters are not those of their images, or that have not ended with their request",
        "SELECT count(*) FROM processing_requests r
           LEFT JOIN runs ON runs.request_id = r.id AND number = r.run
           JOIN LATERAL (
             SELECT count(*) AS total, count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
                    count(*) FILTER (WHERE status = 'FAILED') AS failed,
                    count(*) FILTER (WHERE status = 'CANCELED') AS canceled,
                    coalesce(sum(source_bytes), 0) AS input_bytes, coalesce(sum(output_bytes), 0) AS output_bytes,
                    count(*) FILTER (WHERE outcome = 'UNCHANGED') AS unchanged,
                    count(*) FILTER (WHERE outcome = 'REUSED') AS reused,
                    count(*) FILTER (WHERE download_avoided) AS avoided_downloads
               FROM images WHERE request_id = r.id AND images.run = r.run) i ON true
          WHERE r.deleted_at IS NULL
            AND ((runs.total, runs.succeeded, runs.failed, runs.canceled, runs.input_bytes, runs.output_bytes,
                  runs.unchanged, runs.reused, runs.avoided_downloads)
                 IS DISTINCT FROM (i.total, i.succeeded, i.failed, i.canceled, i.input_bytes, i.output_bytes, i.unchanged,
                                   i.reused, i.avoided_downloads)
                 OR runs.finished_at IS DISTINCT FROM r.finished_at)",
    ),
    (
        "runs that ended without the webhook they owe",
        "SELECT count(*) FROM processing_requests r JOIN runs ON runs.request_id = r.id
           LEFT JOIN webhook_deliveries d ON d.request_id = r.id AND d.run = number
          WHERE r.deleted_at IS NULL
            AND (r.webhook_url IS NOT NULL AND runs.finished_at IS NOT NULL) <> (d.id IS NOT NULL)",
    ),
];

/// A GraphQL client.
#[derive(Clone)]
pub struct Client {
    pub url: String,
    pub http: reqwest::Client,
    key: Option<String>,
}

impl Client {
    pub fn new(url: String) -> Self {
        Self::with_headers(url, HeaderMap::new())
    }

    /// The same client, who shows this key.
    pub fn with_key(&self, key: &str) -> Self {
        let value = format!("Bearer {key}").try_into().expect("a header");
        let client = Self::with_headers(self.url.clone(), HeaderMap::from_iter([(AUTHORIZATION, value)]));
        Self { key: Some(key.to_owned()), ..client }
    }

    fn with_headers(url: String, headers: HeaderMap) -> Self {
        // The library may only be built with a provider of cryptography installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).default_headers(headers).build();
        Self { url, http: http.expect("a client"), key: None }
    }

    /// The whole answer.
    pub async fn post(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let answer = self.http.post(format!("{}/graphql", self.url)).json(&body).send().await.expect("send");
        answer.json().await.expect("a JSON answer")
    }

    /// The data of an answer that has no errors.
    pub async fn query(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.post(query, variables).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"].take()
    }

    /// `uploadCsv` with this file and, beside it, this input.
    pub async fn upload(&self, csv: impl Into<Vec<u8>>, input: Value) -> Value {
        let answer = self.upload_request(csv, input).send().await.expect("send");
        let mut answer: Value = answer.json().await.expect("a JSON answer");
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"]["uploadCsv"].take()
    }

    /// What [`Self::upload`] sends.
    pub fn upload_request(&self, csv: impl Into<Vec<u8>>, mut input: Value) -> reqwest::RequestBuilder {
        input["file"] = Value::Null;
        self.file_request(UPLOAD, json!({ "input": input }), "variables.input.file", csv)
    }

    /// The whole answer to a query with a file at `place`, such as `variables.file`, where the variables have null.
    pub async fn send_file(&self, query: &str, variables: Value, place: &str, file: impl Into<Vec<u8>>) -> Value {
        let request = self.file_request(query, variables, place, file);
        request.send().await.expect("send").json().await.expect("a JSON answer")
    }

    pub fn file_request(
        &self,
        query: &str,
        variables: Value,
        place: &str,
        file: impl Into<Vec<u8>>,
    ) -> reqwest::RequestBuilder {
        let form = Form::new()
            .text("operations", json!({ "query": query, "variables": variables }).to_string())
            .text("map", json!({ "0": [place] }).to_string())
            .part("0", Part::bytes(file.into()).file_name("catalogue.csv").mime_str("text/csv").expect("a type"));
        self.http.post(format!("{}/graphql", self.url)).header("GraphQL-Preflight", "1").multipart(form)
    }

    /// The id of the request that this CSV makes.
    pub async fn accepted(&self, csv: &str, input: Value) -> String {
        let payload = self.upload(csv, input).await;
        assert_eq!(payload["userErrors"], json!([]), "{payload}");
        payload["processingRequest"]["id"].as_str().expect("an id").to_owned()
    }

    /// The snapshots of a subscription until it ends; panics when it ends with an error.
    pub async fn subscribe(&self, query: &str, variables: Value) -> Vec<Value> {
        self.subscribe_and(query, variables, || ()).await
    }

    /// As [`Client::subscribe`]; calls `begun` when the first snapshot has come.
    pub async fn subscribe_and(&self, query: &str, variables: Value, begun: impl FnOnce()) -> Vec<Value> {
        let mut begun = Some(begun);
        let mut socket = self.socket().await;
        let subscribe =
            json!({ "id": "1", "type": "subscribe", "payload": { "query": query, "variables": variables } });
        socket.send(Message::text(subscribe.to_string())).await.expect("subscribe");
        let mut snapshots = Vec::new();
        loop {
            let message = in_time("the next message of a subscription", socket.next()).await;
            match message.expect("the socket is open").expect("a message") {
                Message::Text(text) => {
                    let mut message: Value = serde_json::from_str(&text).expect("JSON");
                    match message["type"].as_str() {
                        Some("next") => {
                            assert_eq!(message["payload"].get("errors"), None, "{message}");
                            snapshots.push(message["payload"]["data"].take());
                            if let Some(begun) = begun.take() {
                                begun();
                            }
                        }
                        Some("complete") => return snapshots,
                        Some("ping") => {}
                        _ => panic!("{message}"),
                    }
                }
                Message::Close(frame) => panic!("closed by {frame:?} after {} snapshots", snapshots.len()),
                _ => {}
            }
        }
    }

    /// An acknowledged `graphql-transport-ws` connection.
    pub async fn socket(
        &self,
    ) -> tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>> {
        let url = format!("{}/graphql", self.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (mut socket, _) = in_time("a WebSocket", tokio_tungstenite::connect_async(request)).await.expect("connect");
        let payload = self.key.as_ref().map(|key| json!({ "authorization": format!("Bearer {key}") }));
        let init = json!({ "type": "connection_init", "payload": payload });
        socket.send(Message::text(init.to_string())).await.expect("init");
        let acknowledged = in_time("connection_ack", socket.next()).await.expect("open").expect("a message");
        assert!(acknowledged.to_text().unwrap().contains("connection_ack"), "{acknowledged}");
        socket
    }

    /// The request once it is final, watched to its end by a subscription.
    pub async fn finished(&self, id: &str) -> Value {
        let query = format!("subscription ($id: ID!) {{ requestUpdated(id: $id, minIntervalMs: 50) {{ {REQUEST} }} }}");
        let mut snapshots = self.subscribe(&query, json!({ "id": id })).await;
        snapshots.pop().expect("at least the last snapshot")["requestUpdated"].take()
    }

    /// The images of a request, in the order of the CSV.
    pub async fn images(&self, id: &str) -> Vec<Value> {
        let query = "query ($id: ID!) { processingRequest(id: $id) { images(first: 100) { edges { node {
            id inputUrl status outcome change attemptCount warnings
            error { code message httpStatus retryable }
            source { format byteSize width height sha256 }
            output { format byteSize width height sha256 url }
            receipt { quality targetMet encodesTried decision }
        } } } } }";
        let data = self.query(query, json!({ "id": id })).await;
        let edges = data["processingRequest"]["images"]["edges"].as_array().expect("edges").clone();
        edges.into_iter().map(|mut edge| edge["node"].take()).collect()
    }

    /// Downloads an address that must be there.
    pub async fn download(&self, url: &str) -> bytes::Bytes {
        let answer = self.http.get(url).send().await.expect("send");
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.bytes().await.expect("a body")
    }
}

/// A CSV with a product for each list of URLs.
pub fn csv(products: &[&[&str]]) -> String {
    let mut csv = String::from("S. No,Product Name,Input Image Urls\n");
    for (row, urls) in products.iter().enumerate() {
        csv.push_str(&format!("{0},SKU{0},\"{1}\"\n", row + 1, urls.join(",")));
    }
    csv
}
