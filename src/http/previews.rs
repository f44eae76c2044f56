//! Pictures for people who look at a request: thumbnails of outputs, and sources beside them.
//!
//! Both are made on demand and few at a time. A source is fetched anew, by the rules of every download, so that no
//! browser has to ask its host.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use object_store::GetOptions;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tracing::debug;
use uuid::Uuid;

use super::files::{FileError, later_number, output_file};
use crate::app::App;
use crate::db;
use crate::db::image::Image;
use crate::db::viewer::Viewer;
use crate::links::Signature;
use halftone_compress::{self as compress, Format, Goal, Settings};

/// Longest side of a thumbnail, in pixels: sharp in a cell of 148 on dense screens.
const THUMBNAIL_SIDE: u32 = 320;
const THUMBNAIL_QUALITY: u8 = 60;
/// An output that would need more memory than this, in bytes, has no thumbnail.
const THUMBNAIL_MEMORY: u64 = 256 << 20;
/// Thumbnails made at once, and sources sent at once.
const THUMBNAILS: usize = 2;
const SOURCES: usize = 8;
/// Bytes handed to the connection at once.
const CHUNK: usize = 64 << 10;

/// Neither changes: each address names one file.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, max-age=3600");
const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'");

#[derive(Clone)]
struct Previews {
    app: App,
    thumbnails: Arc<Semaphore>,
    sources: Arc<Semaphore>,
}

pub fn routes(app: App) -> Router {
    let previews =
        Previews { app, thumbnails: Arc::new(Semaphore::new(THUMBNAILS)), sources: Arc::new(Semaphore::new(SOURCES)) };
    Router::new()
        .route("/thumbnails/{id}", get(first_thumbnail))
        .route("/thumbnails/{id}/{number}", get(later_thumbnail))
        .route("/sources/{id}", get(source))
        .with_state(previews)
}

async fn first_thumbnail(State(previews): State<Previews>, Path(id): Path<String>) -> Result<Response, FileError> {
    thumbnail(previews, &id, 1).await
}

async fn later_thumbnail(
    State(previews): State<Previews>,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, FileError> {
    thumbnail(previews, &id, later_number(&number)?).await
}

/// A small rendition of an output. It is made at the first call and kept beside the output.
async fn thumbnail(previews: Previews, id: &str, number: i32) -> Result<Response, FileError> {
    let Previews { app, thumbnails, .. } = previews;
    let id = Uuid::parse_str(id).map_err(|_| FileError::NotFound)?;
    let output_key = output_file(&app, id, number).await?.key;
    let (folder, _) = output_key.rsplit_once('/').ok_or(FileError::NotFound)?;
    let key = format!("{folder}/thumbnail.webp");
    if let Some(kept) = app.store.get(&key, GetOptions::default()).await? {
        return Ok(picture(kept.bytes().await?));
    }
    let _permit = thumbnails.acquire().await?;
    let output = app.store.get(&output_key, GetOptions::default()).await?.ok_or(FileError::NotFound)?.bytes().await?;
    let limits = app.config.compress;
    let made = tokio::task::spawn_blocking(move || shrink(&output, &limits)).await?.ok_or(FileError::NotFound)?;
    if app.store.put(&key, Format::Webp.content_type(), made.clone()).await.is_err() {
        debug!(image.id = %id, "a thumbnail could not be kept; it is made again at the next call");
    }
    Ok(picture(made))
}

fn picture(bytes: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(Format::Webp.content_type())),
        (CACHE_CONTROL, FOR_EVER),
        (CONTENT_SECURITY_POLICY, NO_CONTENT),
    ];
    (headers, bytes).into_response()
}

fn shrink(output: &[u8], limits: &compress::Limits) -> Option<Bytes> {
    let settings = Settings {
        goal: Goal::Quality(THUMBNAIL_QUALITY),
        format: Some(Format::Webp),
        max_width: Some(THUMBNAIL_SIDE),
        max_height: Some(THUMBNAIL_SIDE),
        still: true,
        ..Settings::default()
    };
    if !compress::memory_needed(output, &settings, limits).is_ok_and(|needed| needed <= THUMBNAIL_MEMORY) {
        return None;
    }
    match compress::compress(output, &settings, limits) {
        Ok(made) if made.output.format == Format::Webp => Some(Bytes::from(made.bytes.into_owned())),
        Ok(_) => None,
        Err(error) => {
            debug!("no thumbnail: {error}");
            None
        }
    }
}

/// The source of an image, as long as its host serves what was compressed.
async fn source(
    State(previews): State<Previews>,
    Path(id): Path<String>,
    signature: Result<Query<Signature>, QueryRejection>,
) -> Result<Response, FileError> {
    let Previews { app, sources, .. } = previews;
    let Query(signature) = signature.map_err(|_| FileError::NotFound)?;
    if !app.links.is_valid(&format!("/sources/{id}"), &signature) {
        return Err(FileError::NotFound);
    }
    let id = Uuid::parse_str(&id).map_err(|_| FileError::NotFound)?;
    let image = Image::with_output(&mut *db::connect(&app.pool).await?, Viewer::Operator, id)
        .await?
        .ok_or(FileError::NotFound)?;
    let permit = sources.acquire_owned().await?;
    let fetched = match app.fetcher.get(&image.input_url).await {
        Ok(fetched) => fetched,
        Err(error) => return Ok((StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response()),
    };
    if image.source_sha256.as_deref() != Some(&Sha256::digest(&fetched.bytes)[..]) {
        return Ok((StatusCode::GONE, "The host now serves a different file from the one that was compressed.\n")
            .into_response());
    }
    let format = image.source_format.as_deref().and_then(Format::from_name);
    let length = fetched.bytes.len();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(format.map_or("application/octet-stream", Format::content_type))),
        (CONTENT_LENGTH, HeaderValue::from(length)),
        (CACHE_CONTROL, PRIVATE),
        (CONTENT_SECURITY_POLICY, NO_CONTENT),
    ];
    // The stream owns what it sends and its place among the others, however slowly it is read.
    let chunks = (0..length).step_by(CHUNK).map(move |start| {
        let _held = &permit;
        Ok::<_, std::convert::Infallible>(fetched.bytes.slice(start..(start + CHUNK).min(length)))
    });
    Ok((headers, Body::from_stream(stream::iter(chunks))).into_response())
}
