//! Files: the outputs at their lasting addresses, the results at signed links.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use object_store::{GetOptions, GetRange, ObjectMeta};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::io::ReaderStream;
use tracing::{error, warn};
use uuid::Uuid;

use super::forwarded::Route;
use crate::app::App;
use crate::db::image::{Image, OutputFile};
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::db::{self, expiry};
use crate::links::Signature;
use crate::pipeline::export::{self, FileFormat, ResultFile, ResultKind};
use crate::store::{self, SIGNED_FOR};
use halftone_compress::Format;
use halftone_sheet::WorkbookError;

/// An output never changes: its address names one image of one request.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// What may be kept of a redirect to a CDN, and of one to a signed address, which must outlive it.
const ELSEWHERE: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const SIGNED: HeaderValue = HeaderValue::from_static("private, max-age=300");
const _: () = assert!(SIGNED_FOR.as_secs() >= 2 * 300);

/// Read of a result file at once: each read is a turn of the blocking pool.
const READ_BYTES: usize = 256 * 1024;

/// The media type of an `.xlsx`.
pub(super) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Formatting options of a result file. Not signed: they do not affect who may download it.
#[derive(serde::Deserialize)]
pub struct Form {
    /// `1`: with a byte order mark, for Excel.
    bom: Option<String>,
    /// `csv` or `xlsx`.
    format: Option<FormName>,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum FormName {
    Csv,
    Xlsx,
}

/// Why there is no file.
pub enum FileError {
    NotFound,
    /// It has expired and was removed.
    Expired,
    /// The file cannot have the form that was asked for.
    Impossible(String),
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
            Self::Expired => (StatusCode::GONE, "This image has expired and was removed.\n").into_response(),
            Self::Impossible(message) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{message}\n")).into_response(),
            Self::Fault(error) if db::is_unavailable(&error) || store::is_unavailable(&error) => {
                error!("cannot serve a file: {error:#}");
                let headers = [(RETRY_AFTER, super::refusal::RETRY_AFTER)];
                let what = if db::is_unavailable(&error) { "database" } else { "store" };
                let message = format!("The {what} does not answer; try again in a few seconds.\n");
                (StatusCode::SERVICE_UNAVAILABLE, headers, message).into_response()
            }
            Self::Fault(error) => {
                error!("cannot serve a file: {error:#}");
                (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong inside Halftone; its log has the details.\n")
                    .into_response()
            }
        }
    }
}

/// The first output that an image had.
pub async fn first_output(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, FileError> {
    output(&app, &id, 1, &name, method, &headers).await
}

/// One that it has, or had, since its source changed.
pub async fn later_output(
    State(app): State<App>,
    Path((id, number, name)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, FileError> {
    output(&app, &id, later_number(&number)?, &name, method, &headers).await
}

/// The number of an output in an address, where it is not 1. Written in one way only: an output has one address.
pub(super) fn later_number(text: &str) -> Result<i32, FileError> {
    let number = text.parse().ok().filter(|number| *number > 1 && text == i32::to_string(number));
    number.ok_or(FileError::NotFound)
}

async fn output(
    app: &App,
    id: &str,
    number: i32,
    name: &str,
    method: Method,
    headers: &HeaderMap,
) -> Result<Response, FileError> {
    let id = Uuid::parse_str(id).map_err(|_| FileError::NotFound)?;
    let file = output_file(app, id, number).await?;
    if file.key.rsplit('/').next() != Some(name) {
        return Err(FileError::NotFound);
    }
    let content_type = Format::from_name(&file.format).map_or("application/octet-stream", Format::content_type);
    let stored = Stored {
        key: file.key,
        bytes: u64::try_from(file.bytes)?,
        etag: HeaderValue::try_from(format!("\"{}\"", hex::encode(&file.sha256)))?,
        caching: FOR_EVER,
        content_type: HeaderValue::from_static(content_type),
    };
    if stored.is_known(headers) {
        return Ok(stored.not_modified());
    }
    if let Some(url) = app.links.outside(&stored.key) {
        return elsewhere(&url, ELSEWHERE);
    }
    if app.config.storage.redirects() {
        match app.store.signed_url(method, &stored.key).await {
            Ok(Some(url)) => return elsewhere(url.as_str(), SIGNED),
            Ok(None) => {}
            Err(error) => warn!("serving an output through this server: {error:#}"),
        }
    }
    let mut response = stored.serve(app, headers).await?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    Ok(response)
}

/// An output of an image by its number, also one that it had before.
pub(super) async fn output_file(app: &App, id: Uuid, number: i32) -> Result<OutputFile, FileError> {
    let mut conn = db::connect(&app.pool).await?;
    match Image::output_file(&mut conn, id, number).await? {
        Some(file) => Ok(file),
        None if expiry::has_expired(&mut conn, id, number).await? => Err(FileError::Expired),
        None => Err(FileError::NotFound),
    }
}

/// Sends the client to where the file is.
fn elsewhere(url: &str, caching: HeaderValue) -> Result<Response, FileError> {
    Ok((StatusCode::FOUND, [(LOCATION, HeaderValue::try_from(url)?), (CACHE_CONTROL, caching)]).into_response())
}

/// An object, and what a client learns of it.
struct Stored {
    key: String,
    bytes: u64,
    etag: HeaderValue,
    caching: HeaderValue,
    content_type: HeaderValue,
}

impl Stored {
    /// Whether the client says that it has this very file.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &self.etag))
    }

    fn not_modified(self) -> Response {
        (StatusCode::NOT_MODIFIED, [(ETAG, self.etag), (CACHE_CONTROL, self.caching)]).into_response()
    }

    /// The object, or the part of it that is asked for.
    async fn serve(self, app: &App, headers: &HeaderMap) -> Result<Response, FileError> {
        // A range of another version would be of no use, nor would one of what was compressed on its way, whose tag is a weak one
        // (RFC 9110, 13.1.5). Without `If-Range` the range is of this version.
        let same = headers.get(IF_RANGE).is_none_or(|version| *version == self.etag && !is_weak(version));
        let size = self.bytes;
        let range = match headers.get(RANGE).filter(|_| same).map(|range| Range::read(range, size)) {
            None | Some(Range::Whole) => None,
            Some(Range::Part(range)) => Some(range),
            Some(Range::Outside) => {
                let size = HeaderValue::try_from(format!("bytes */{size}"))?;
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, size)]).into_response());
            }
        };
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let object = app.store.get(&self.key, options).await?.ok_or(FileError::NotFound)?;
        let headers = [
            (CONTENT_TYPE, self.content_type),
            (CONTENT_LENGTH, HeaderValue::from(object.range.end - object.range.start)),
            (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (ETAG, self.etag),
            (CACHE_CONTROL, self.caching),
        ];
        let part = range.map(|range| HeaderValue::try_from(format!("bytes {}-{}/{size}", range.start, range.end - 1)));
        let mut response = (headers, Body::from_stream(object.into_stream())).into_response();
        if let Some(part) = part.transpose()? {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_RANGE, part);
        }
        Ok(response)
    }
}

/// Whether a list of entity tags names this one, or any. `W/` makes no difference here (RFC 9110, 13.1.2).
fn names(list: &HeaderValue, etag: &HeaderValue) -> bool {
    let (list, etag) = (list.to_str().unwrap_or_default(), etag.to_str().unwrap_or_default());
    let plain = |tag| str::strip_prefix(tag, "W/").unwrap_or(tag);
    list.split(',').map(str::trim).any(|known| known == "*" || plain(known) == plain(etag))
}

fn is_weak(etag: &HeaderValue) -> bool {
    etag.as_bytes().starts_with(b"W/")
}

/// What a `Range` asks for (RFC 9110, 14.2).
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// Several ranges, another unit, or nonsense: the whole file is sent.
    Whole,
    Part(std::ops::Range<u64>),
    /// No byte of the file.
    Outside,
}

impl Range {
    fn read(header: &HeaderValue, size: u64) -> Self {
        let text = header.to_str().unwrap_or_default();
        let bounds = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'));
        let Some((first, last)) = bounds else { return Self::Whole };
        let range = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
            (Ok(first), Err(_)) if last.is_empty() => first..size,
            (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
            _ => return Self::Whole,
        };
        if range.is_empty() { Self::Outside } else { Self::Part(range) }
    }
}

/// A result file. A wrong or expired link finds nothing, whatever is wrong with it.
pub async fn result(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
    signature: Result<Query<Signature>, QueryRejection>,
    form: Result<Query<Form>, QueryRejection>,
    route: Option<Extension<Route>>,
    headers: HeaderMap,
) -> Result<Response, FileError> {
    let Query(signature) = signature.map_err(|_| FileError::NotFound)?;
    let Query(form) = form.map_err(|_| FileError::NotFound)?;
    if !app.links.is_valid(&format!("/results/{id}/{file}"), &signature) {
        return Err(FileError::NotFound);
    }
    let kind = ResultKind::from_file(&file).ok_or(FileError::NotFound)?;
    let id = Uuid::parse_str(&id).map_err(|_| FileError::NotFound)?;
    let request = ProcessingRequest::find(&mut *db::connect(&app.pool).await?, Viewer::Operator, id).await?;
    let request = request.ok_or(FileError::NotFound)?;
    if !kind.is_there(&request)? {
        return Err(FileError::NotFound);
    }
    let format = match form.format {
        None => kind.default_format(&request)?,
        Some(FormName::Xlsx) => FileFormat::Xlsx,
        Some(FormName::Csv) => FileFormat::Csv { byte_order_mark: false },
    };
    let (format, content_type) = match format {
        FileFormat::Xlsx => (format, XLSX.to_owned()),
        FileFormat::Csv { .. } => (
            FileFormat::Csv { byte_order_mark: form.bom.as_deref() == Some("1") },
            format!("text/csv; charset={}", kind.charset(&request)),
        ),
    };
    let content_type = HeaderValue::try_from(content_type)?;
    let disposition = attachment(&kind.filename(&request, format))?;
    let links = app.links.at(route.as_ref().and_then(|Extension(route)| route.origin.as_ref()));
    let file = export::result_file(&app, &links, &request, kind, format).await;
    let file = file.map_err(|error| match error.downcast_ref() {
        Some(WorkbookError::TooLarge(message)) => FileError::Impossible(message.clone()),
        _ => FileError::Fault(error),
    })?;
    let mut response = match file {
        ResultFile::Kept { key, object } => {
            let etag = result_etag(&object, format, &headers)?;
            let caching = HeaderValue::from_static("private, no-cache");
            let stored = Stored { key, bytes: object.size, etag, caching, content_type };
            if stored.is_known(&headers) { stored.not_modified() } else { stored.serve(&app, &headers).await? }
        }
        ResultFile::Written(content) => {
            let length = content.metadata()?.len();
            let headers = [
                (CONTENT_TYPE, content_type),
                (CONTENT_LENGTH, HeaderValue::from(length)),
                (CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
            ];
            let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(content), READ_BYTES);
            (headers, Body::from_stream(stream)).into_response()
        }
    };
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// The store's own tag of a result file. Text is compressed on its way to clients that read gzip, and is then no longer the
/// same byte for byte: their tag is a weak one.
fn result_etag(object: &ObjectMeta, format: FileFormat, headers: &HeaderMap) -> anyhow::Result<HeaderValue> {
    let tag = object.e_tag.as_deref().unwrap_or_default().trim_start_matches("W/").trim_matches('"');
    let is_text = matches!(format, FileFormat::Csv { .. });
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|encodings| encodings.to_str().ok());
    let reads_gzip = accepted.into_iter().any(|encodings| encodings.to_ascii_lowercase().contains("gzip"));
    let weak = if is_text && reads_gzip { "W/" } else { "" };
    Ok(HeaderValue::try_from(format!("{weak}\"{tag}-{}\"", object.last_modified.timestamp_millis()))?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_several_are_the_whole() {
        for (text, range) in [
            ("bytes=0-0", Range::Part(0..1)),
            ("bytes=2-5", Range::Part(2..6)),
            ("bytes=2-", Range::Part(2..10)),
            ("bytes=2-500", Range::Part(2..10)),
            ("bytes=-3", Range::Part(7..10)),
            ("bytes=-30", Range::Part(0..10)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=5-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=-", Range::Whole),
            ("pages=1-2", Range::Whole),
            ("", Range::Whole),
        ] {
            assert_eq!(Range::read(&HeaderValue::from_static(text), 10), range, "{text}");
        }
        assert_eq!(Range::read(&HeaderValue::from_static("bytes=0-"), 0), Range::Outside);
    }

    #[test]
    fn an_entity_tag_is_found_in_a_list() {
        let etag = HeaderValue::from_static("\"a\"");
        for (list, found) in
            [("\"a\"", true), ("\"b\", \"a\"", true), ("W/\"a\"", true), ("*", true), ("\"b\"", false), ("a", false)]
        {
            assert_eq!(names(&HeaderValue::from_static(list), &etag), found, "{list}");
            assert_eq!(names(&HeaderValue::from_static(list), &HeaderValue::from_static("W/\"a\"")), found, "{list}");
        }
    }
}
