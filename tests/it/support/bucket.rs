//! A bucket in memory, behind the XML interface of S3 or of Google Cloud Storage: what Halftone uses of it, and nothing without a
//! valid signature.
//!
//! The server can fail every second answer, take in without an answer, and be away. Below `/at/` it is what a CDN is: anyone may
//! read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::signatures;

const BUCKET: &str = "pictures";
pub const PREFIX: &str = "of/halftone";
/// Objects in an answer to a listing: few, so that there are several answers.
const LISTED_AT_ONCE: usize = 10;
const MAX_BODY: usize = 64 << 20;

/// Whose interface it is. They differ in how requests are signed, and in what each of them can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interface {
    S3,
    Google,
}

/// A running server. It ends when it is dropped.
pub struct Bucket {
    pub url: String,
    pub interface: Interface,
    state: Shared,
    _server: JoinSet<()>,
}

type Shared = Arc<Mutex<Contents>>;

#[derive(Default)]
struct Contents {
    objects: BTreeMap<String, Object>,
    /// What an object will be described by, and its parts.
    uploads: HashMap<String, (HeaderMap, BTreeMap<u32, Bytes>)>,
    /// Whose answer failed last time: the same request is answered the next time.
    failed: BTreeSet<String>,
    fails_half: bool,
    is_away: bool,
    hangs: bool,
    seen: Vec<String>,
    /// The traces that were named, and by requests with which method.
    traces: Vec<(Method, String)>,
    /// Why requests were refused that were not signed as they should be.
    unsigned: Vec<String>,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    content_type: String,
    caching: String,
    etag: String,
    modified: SystemTime,
}

impl Bucket {
    /// With the interface of S3.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    pub async fn start_at(address: Ipv4Addr) -> Self {
        Self::start_with(Interface::S3, address).await
    }

    /// One with each interface.
    pub async fn start_each() -> [Self; 2] {
        let start = async |interface| Self::start_with(interface, Ipv4Addr::LOCALHOST).await;
        [start(Interface::S3).await, start(Interface::Google).await]
    }

    async fn start_with(interface: Interface, address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let state = Shared::default();
        let router = Router::new().fallback(answer).with_state((interface, state.clone()));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("serve") });
        Self { url, interface, state, _server: server }
    }

    /// The address that Halftone knows it by.
    pub fn address(&self) -> String {
        let scheme = match self.interface {
            Interface::S3 => "s3",
            Interface::Google => "gs",
        };
        format!("{scheme}://{BUCKET}/{PREFIX}")
    }

    /// The settings with which Halftone finds it.
    pub fn arguments(&self) -> [String; 4] {
        ["--store".to_owned(), self.address(), "--store-endpoint".to_owned(), self.url.clone()]
    }

    /// The variables with which Halftone is let in.
    pub fn environment() -> Vec<(String, String)> {
        signatures::environment()
    }

    /// From now on a request is only answered when it is sent again.
    pub fn fail_half(&self) {
        self.lock().fails_half = true;
    }

    pub fn go_away(&self) {
        self.lock().is_away = true;
    }

    pub fn come_back(&self) {
        self.lock().is_away = false;
    }

    /// From now on nothing that is put is answered.
    pub fn hang(&self) {
        self.lock().hangs = true;
    }

    pub fn answer_again(&self) {
        self.lock().hangs = false;
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Puts an object there, past Halftone.
    pub fn set(&self, key: &str, bytes: &'static [u8]) {
        let headers = HeaderMap::new();
        self.lock().objects.insert(key.to_owned(), Object::new(Bytes::from_static(bytes), &headers));
    }

    pub fn remove(&self, key: &str) {
        self.lock().objects.remove(key);
    }

    /// How many requests with this method, or a beginning such as `GET /pictures/a`, there were.
    pub fn seen(&self, beginning: &str) -> usize {
        self.lock().seen.iter().filter(|request| request.starts_with(beginning)).count()
    }

    /// The traces that requests with this method named.
    pub fn traces(&self, method: &Method) -> Vec<String> {
        let bucket = self.lock();
        bucket.traces.iter().filter(|(by, _)| by == method).map(|(_, trace)| trace.clone()).collect()
    }

    /// Why requests were refused as not signed.
    pub fn unsigned(&self) -> Vec<String> {
        self.lock().unsigned.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.state.lock().expect("no test panics with it")
    }
}

impl Object {
    fn new(bytes: Bytes, headers: &HeaderMap) -> Self {
        let text = |name: header::HeaderName, otherwise: &str| {
            headers.get(name).map_or(otherwise, |value| value.to_str().expect("ASCII")).to_owned()
        };
        Self {
            etag: format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16])),
            content_type: text(header::CONTENT_TYPE, "binary/octet-stream"),
            caching: text(header::CACHE_CONTROL, ""),
            modified: SystemTime::now(),
            bytes,
        }
    }
}

async fn answer(State((interface, state)): State<(Interface, Shared)>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.expect("a body");
    match answer_at_once(interface, &state, &head, body) {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

/// `None`: never.
fn answer_at_once(interface: Interface, state: &Shared, head: &request::Parts, body: Bytes) -> Option<Response> {
    let mut bucket = state.lock().expect("no test panics with it");
    let asked = format!("{} {}", head.method, head.uri);
    bucket.seen.push(asked.clone());
    let trace = head.headers.get("traceparent").map(|trace| trace.to_str().expect("text").to_owned());
    bucket.traces.extend(trace.map(|trace| (head.method.clone(), trace)));
    let failure = || Some(error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"));
    if bucket.is_away {
        return failure();
    }
    if let Some(key) = head.uri.path().strip_prefix("/at/") {
        let key = percent_decode_str(key).decode_utf8().expect("UTF-8");
        return Some(bucket.get(&format!("{PREFIX}/{key}"), head));
    }
    if bucket.hangs && head.method == Method::PUT {
        return None;
    }
    let checked = match interface {
        Interface::S3 => signatures::check_s3(head, &body),
        Interface::Google => signatures::check_google(head),
    };
    if let Err(reason) = checked {
        bucket.unsigned.push(format!("{asked}: {reason}"));
        return Some(error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    }
    // What is asked without its signature, which has the time in it.
    let same = format!("{} {} {:?}", head.method, head.uri.path(), query(head).get("continuation-token"));
    if bucket.fails_half && !bucket.failed.remove(&same) {
        // Every other failure comes after the work is done: it may not be known to have been in vain.
        if bucket.failed.len().is_multiple_of(2) {
            bucket.answer(interface, head, body);
        }
        bucket.failed.insert(same);
        return failure();
    }
    Some(bucket.answer(interface, head, body))
}

impl Contents {
    fn answer(&mut self, interface: Interface, head: &request::Parts, body: Bytes) -> Response {
        let query = query(head);
        let path = percent_decode_str(head.uri.path()).decode_utf8().expect("UTF-8").into_owned();
        let Some(key) = path.strip_prefix(&format!("/{BUCKET}")) else {
            return error(StatusCode::NOT_FOUND, "NoSuchBucket");
        };
        let key = key.trim_start_matches('/');
        let upload = query.get("uploadId");
        match (head.method.as_str(), upload) {
            ("GET", _) if key.is_empty() => self.list(&query),
            ("GET" | "HEAD", _) => self.get(key, head),
            ("PUT", Some(upload)) => {
                let number = query["partNumber"].parse().expect("a number");
                self.uploads.get_mut(upload).expect("an upload").1.insert(number, body);
                ([(header::ETAG, format!("\"{number}\""))], "").into_response()
            }
            ("PUT", None) => self.put(interface, key, head, body),
            ("DELETE", Some(upload)) => {
                self.uploads.remove(upload);
                StatusCode::NO_CONTENT.into_response()
            }
            ("DELETE", None) => {
                self.objects.remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            ("POST", None) if query.contains_key("delete") && interface == Interface::S3 => {
                let body = String::from_utf8(body.to_vec()).expect("UTF-8");
                let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).map(unescape);
                let mut deleted = String::new();
                for key in keys {
                    self.objects.remove(&key);
                    deleted += &format!("<Deleted><Key>{}</Key></Deleted>", escape(&key));
                }
                xml(&format!("<DeleteResult>{deleted}</DeleteResult>"))
            }
            ("POST", None) if query.contains_key("uploads") => {
                let id = format!("upload-{}", self.uploads.len());
                self.uploads.insert(id.clone(), (head.headers.clone(), BTreeMap::new()));
                xml(&format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            ("POST", Some(upload)) => {
                let Some((headers, parts)) = self.uploads.remove(upload) else {
                    return error(StatusCode::NOT_FOUND, "NoSuchUpload");
                };
                let whole: Vec<u8> = parts.into_values().flatten().collect();
                let object = Object::new(whole.into(), &headers);
                let etag = escape(&object.etag);
                self.objects.insert(key.to_owned(), object);
                xml(&format!("<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"))
            }
            _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        }
    }

    fn put(&mut self, interface: Interface, key: &str, head: &request::Parts, body: Bytes) -> Response {
        let source = match interface {
            Interface::S3 => "x-amz-copy-source",
            Interface::Google => "x-goog-copy-source",
        };
        let Some(source) = head.headers.get(source) else {
            let object = Object::new(body, &head.headers);
            let etag = object.etag.clone();
            self.objects.insert(key.to_owned(), object);
            return ([(header::ETAG, etag)], "").into_response();
        };
        let source = percent_decode_str(source.to_str().expect("ASCII")).decode_utf8().expect("UTF-8");
        let source = source.trim_start_matches('/').strip_prefix(&format!("{BUCKET}/")).expect("this bucket");
        let Some(object) = self.objects.get(source).cloned() else { return error(StatusCode::NOT_FOUND, "NoSuchKey") };
        let etag = escape(&object.etag);
        self.objects.insert(key.to_owned(), Object { modified: SystemTime::now(), ..object });
        xml(&format!("<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>"))
    }

    fn get(&self, key: &str, head: &request::Parts) -> Response {
        let Some(object) = self.objects.get(key) else { return error(StatusCode::NOT_FOUND, "NoSuchKey") };
        let described = [
            (header::ETAG, object.etag.clone()),
            (header::CONTENT_TYPE, object.content_type.clone()),
            (header::CACHE_CONTROL, object.caching.clone()),
            (header::LAST_MODIFIED, httpdate::fmt_http_date(object.modified)),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
        ];
        let asked = |name| head.headers.get(name).map(|value: &header::HeaderValue| value.to_str().expect("ASCII"));
        if asked(header::IF_NONE_MATCH) == Some(&object.etag) {
            return (StatusCode::NOT_MODIFIED, described).into_response();
        }
        let size = object.bytes.len();
        if let Some((first, last)) =
            asked(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        {
            let first = first.parse().unwrap_or(0);
            let end = last.parse::<usize>().map_or(size, |last| (last + 1).min(size));
            let range = [(header::CONTENT_RANGE, format!("bytes {first}-{}/{size}", end - 1))];
            return (StatusCode::PARTIAL_CONTENT, described, range, object.bytes.slice(first..end)).into_response();
        }
        if head.method == Method::HEAD {
            return (described, [(header::CONTENT_LENGTH, size.to_string())], Body::empty()).into_response();
        }
        (described, object.bytes.clone()).into_response()
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        assert_eq!(query.get("list-type").map(String::as_str), Some("2"));
        let prefix = query.get("prefix").map_or("", String::as_str);
        let after = query.get("continuation-token").map_or("", String::as_str);
        let (mut contents, mut prefixes, mut listed, mut next) = (String::new(), BTreeSet::new(), 0, None);
        let mut last = after;
        for (key, object) in self.objects.range(after.to_owned()..) {
            if key.as_str() <= after || !key.starts_with(prefix) {
                continue;
            }
            if listed == LISTED_AT_ONCE {
                next = Some(last);
                break;
            }
            last = key;
            listed += 1;
            let rest = &key[prefix.len()..];
            match query.get("delimiter").and_then(|delimiter| rest.split_once(delimiter.as_str())) {
                Some((directory, _)) => {
                    prefixes.insert(format!("{prefix}{directory}/"));
                }
                None => {
                    contents += &format!(
                        "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                        escape(key),
                        DateTime::<Utc>::from(object.modified).to_rfc3339(),
                        escape(&object.etag),
                        object.bytes.len(),
                    );
                }
            }
        }
        let prefixes: String = prefixes
            .iter()
            .map(|prefix| format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(prefix)))
            .collect();
        let next = next.map(|next| format!("<NextContinuationToken>{}</NextContinuationToken>", escape(next)));
        xml(&format!(
            "<ListBucketResult><IsTruncated>{}</IsTruncated>{}{contents}{prefixes}</ListBucketResult>",
            next.is_some(),
            next.unwrap_or_default(),
        ))
    }
}

fn xml(text: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/xml")], format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}"))
        .into_response()
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, xml(&format!("<Error><Code>{code}</Code></Error>"))).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    plain.replace("&amp;", "&")
}

/// The query string, decoded.
pub fn query(head: &request::Parts) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}
