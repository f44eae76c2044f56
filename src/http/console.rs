//! The console and the playground: pages built from `web/`, embedded compressed.
//!
//! They use the public API like any other client. Their policy lets them load and call nothing but this server.

use std::io::{Read as _, Write as _};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use include_dir::{Dir, include_dir};

use super::prefix::Prefix;

/// What `./dev web` builds. Every file is compressed: `index.html` is `index.html.gz`.
static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/web/dist");

/// Scripts and styles only from here, and no `eval`. Editors measure text with `data:` images and set styles of elements.
/// `image_origins`: where outputs are, beside here.
fn policy(image_origins: &[String]) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{}; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        image_origins.iter().map(|origin| format!(" {origin}")).collect::<String>(),
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The names of files under `/assets` contain a hash of what is in them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A page names the assets of its version: a browser asks each time.
const ASK_ANEW: &str = "no-cache";

/// The pages and what they load.
pub fn routes<S: Clone + Send + Sync + 'static>(prefix: &Prefix, image_origins: &[String]) -> Router<S> {
    let policy = policy(image_origins);
    let page = |name: &'static str| {
        let (page, policy) = (page(name, prefix), policy.clone());
        get(async move |headers: HeaderMap| {
            ([(CONTENT_SECURITY_POLICY, policy)], answer(page, name, ASK_ANEW, &headers))
        })
    };
    let console = page("index.html");
    let mut routes = Router::new();
    // The console draws all of these itself, from the address.
    for path in ["/", "/new", "/requests", "/requests/{id}", "/images/{id}", "/system"] {
        routes = routes.route(path, console.clone());
    }
    for (path, name) in [("/icon.svg", "icon.svg"), ("/licenses", "LICENSES.md")] {
        routes = routes.route(path, get(async move |headers: HeaderMap| file(name, ASK_ANEW, &headers)));
    }
    routes.route("/playground", page("playground.html")).route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{name}"), FOR_EVER, &headers)
}

/// Middleware for the GraphQL endpoint: somebody who opens its address in a browser gets the playground.
pub async fn show_playground(State(prefix): State<Prefix>, request: Request, next: Next) -> Response {
    let opened = request.method() == Method::GET && request.uri().query().is_none();
    let accepted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if opened && accepted.contains("text/html") {
        return ([(VARY, "accept")], Redirect::to(&prefix.at("/playground"))).into_response();
    }
    next.run(request).await
}

/// A page, compressed. Whatever it names relative to this server it then names by its whole path.
fn page(name: &str, prefix: &Prefix) -> Bytes {
    let embedded = PAGES.get_file(format!("{name}.gz")).map(include_dir::File::contents).unwrap_or_default();
    let mut page = String::new();
    let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
    let written = GzDecoder::new(embedded).read_to_string(&mut page).and_then(|_| {
        compressed.write_all(page.replace("\"./", &format!("\"{}", prefix.at("/"))).as_bytes())?;
        compressed.finish()
    });
    written.map_or_else(|_| Bytes::from_static(embedded), Bytes::from)
}

/// A file that pages load, as it is embedded.
fn file(name: &str, caching: &'static str, headers: &HeaderMap) -> Response {
    match PAGES.get_file(format!("{name}.gz")) {
        Some(file) => answer(Bytes::from_static(file.contents()), name, caching, headers),
        None => (StatusCode::NOT_FOUND, "There is nothing at this address.\n").into_response(),
    }
}

/// Compressed unless the client cannot read that.
fn answer(compressed: Bytes, name: &str, caching: &'static str, headers: &HeaderMap) -> Response {
    let described = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(name))),
        (CACHE_CONTROL, HeaderValue::from_static(caching)),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    if accepts_gzip(headers) {
        return (described, [(CONTENT_ENCODING, "gzip")], compressed).into_response();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(&*compressed).read_to_end(&mut plain) {
        Ok(_) => (described, plain).into_response(),
        Err(error) => {
            tracing::error!("cannot unpack the embedded {name}: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some("md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let refused = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
