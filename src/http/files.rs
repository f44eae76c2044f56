//! Files: the outputs at their lasting addresses, the results at signed links.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use object_store::GetOptions;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::io::ReaderStream;
use tracing::error;
use uuid::Uuid;

use crate::app::App;
use crate::db;
use crate::db::image::Image;
use crate::db::request::ProcessingRequest;
use crate::links::Signature;
use crate::pipeline::export::{self, Links, ResultKind};
use halftone_compress::Format;

/// An output never changes: its address names one image of one request.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Formatting options of a result file. Not signed: they do not affect who may download it.
#[derive(serde::Deserialize)]
pub struct Form {
    /// `1`: with a byte order mark, for Excel.
    bom: Option<String>,
}

/// Why there is no file.
pub enum FileError {
    NotFound,
    Fault(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for FileError {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl IntoResponse for FileError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing at this address.\n").into_response(),
            Self::Fault(error) => {
                error!("cannot serve a file: {error:#}");
                (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong inside Halftone; its log has the details.\n")
                    .into_response()
            }
        }
    }
}

/// An image's output.
pub async fn image(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, FileError> {
    let id = Uuid::parse_str(&id).map_err(|_| FileError::NotFound)?;
    let image = Image::output(&mut *db::connect(&app.pool).await?, id).await?.ok_or(FileError::NotFound)?;
    let (Some(key), Some(hash)) = (&image.output_key, &image.output_sha256) else {
        return Err(FileError::NotFound);
    };
    if key.rsplit('/').next() != Some(&name) {
        return Err(FileError::NotFound);
    }
    let etag = HeaderValue::try_from(format!("\"{}\"", hex::encode(hash)))?;
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag), (CACHE_CONTROL, FOR_EVER)]).into_response());
    }
    let object = app.store.get(key, GetOptions::default()).await?.ok_or(FileError::NotFound)?;
    let content_type = image.output_format.as_deref().and_then(Format::from_name).map(Format::content_type);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type.unwrap_or("application/octet-stream"))),
        (CONTENT_LENGTH, HeaderValue::from(object.meta.size)),
        (ETAG, etag),
        (CACHE_CONTROL, FOR_EVER),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
    ];
    Ok((headers, Body::from_stream(object.into_stream())).into_response())
}

/// A result file. A wrong or expired link finds nothing, whatever it is wrong about.
pub async fn result(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
    signature: Result<Query<Signature>, QueryRejection>,
    form: Result<Query<Form>, QueryRejection>,
) -> Result<Response, FileError> {
    let Query(signature) = signature.map_err(|_| FileError::NotFound)?;
    let Query(form) = form.map_err(|_| FileError::NotFound)?;
    if !app.links.is_valid(&format!("/results/{id}/{file}"), &signature) {
        return Err(FileError::NotFound);
    }
    let kind = ResultKind::from_file(&file).ok_or(FileError::NotFound)?;
    let id = Uuid::parse_str(&id).map_err(|_| FileError::NotFound)?;
    let request = ProcessingRequest::find(&mut *db::connect(&app.pool).await?, id).await?.ok_or(FileError::NotFound)?;
    if !kind.is_there(&request)? {
        return Err(FileError::NotFound);
    }
    let content = export::write(&app, &request, kind, Links::Served, form.bom.as_deref() == Some("1")).await?;
    let length = content.metadata()?.len();
    let headers = [
        (CONTENT_TYPE, HeaderValue::try_from(format!("text/csv; charset={}", kind.charset(&request)))?),
        (CONTENT_LENGTH, HeaderValue::from(length)),
        (CONTENT_DISPOSITION, attachment(&kind.filename(&request))?),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(content)))).into_response())
}

/// The header that saves a download under this name: as it is for today's clients, in ASCII for others (RFC 6266).
fn attachment(name: &str) -> anyhow::Result<HeaderValue> {
    let plain: String = name
        .chars()
        .map(|character| {
            if character.is_ascii_graphic() && !matches!(character, '"' | '\\') || character == ' ' {
                character
            } else {
                '_'
            }
        })
        .collect();
    let exact = utf8_percent_encode(name, NON_ALPHANUMERIC);
    Ok(HeaderValue::try_from(format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"))?)
}
