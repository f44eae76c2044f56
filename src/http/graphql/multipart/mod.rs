//! Uploads: the GraphQL multipart request, <https://github.com/jaydenseric/graphql-multipart-request-spec>.
//! A file goes straight to a nameless temporary file; nothing is kept of a request that is refused.
//!
//! Browsers let any site send multipart forms, so a header that forms cannot set is required. The
//! document is checked before the first file is read, and every part as it arrives.

mod source;

use std::{collections::HashMap, fs::File};

use async_graphql::{Request, UploadValue, parser::types::OperationType};
use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode},
};
use bytes::{Bytes, BytesMut};
use multer::{Field, Multipart};
use tokio::{
    io::{AsyncSeekExt, AsyncWriteExt},
    time::timeout,
};

use self::source::Source;
use super::{
    body,
    options::{EndpointOptions, UploadLimits},
    request,
};
use crate::access::Caller;
use crate::graphql::admission::Rejection;
use crate::http::refusal::Refusal;

/// Boundaries, headers and line ends around the parts.
const FRAMING_BYTES: u64 = 64 * 1024;
/// Bytes of a file's name.
const FILENAME_BYTES: usize = 1024;

/// # Errors
/// 403 without a header that a form cannot set.
pub(super) fn check_preflight(headers: &HeaderMap) -> Result<(), Refusal> {
    let preflighted = ["graphql-preflight", "apollo-require-preflight"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| !value.is_empty()));
    match preflighted {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "PREFLIGHT_REQUIRED",
            "Send multipart requests with the header `GraphQL-Preflight: 1`.",
        )),
    }
}

/// Reads the request with its files. The inner error is about the document, as for a JSON body.
///
/// # Errors
/// 413 over a limit, 408 when it stops arriving, 400 when it is not what the specification describes.
pub(super) async fn read(
    body: Body,
    boundary: String,
    headers: &HeaderMap,
    caller: &Caller,
    options: &EndpointOptions,
) -> Result<Result<(Request, OperationType), Rejection>, Refusal> {
    let upload = &options.upload;
    let whole = (upload.file_bytes.saturating_mul(upload.files as u64))
        .saturating_add(options.query.body_bytes as u64)
        .saturating_add(FRAMING_BYTES);
    if body.size_hint().lower() > whole {
        body::drain_and_refuse(body, headers).await;
        return Err(Refusal::file_too_large(upload.file_bytes));
    }
    let Ok(Ok(_place)) = timeout(upload.place, upload.at_once.acquire()).await else {
        body::drain_and_refuse(body, headers).await;
        return Err(Refusal::unavailable("Too many files are being uploaded at once; try again in a few seconds."));
    };
    let source = Source::new(body, whole, upload);
    let mut parts = Multipart::new(source.pieces(), boundary);
    let read = read_parts(&mut parts, &source, caller, options).await;
    drop(parts);
    if !matches!(read, Ok(Ok(_))) {
        source.drain().await;
    }
    read
}

async fn read_parts(
    parts: &mut Multipart<'_>,
    source: &Source,
    caller: &Caller,
    options: &EndpointOptions,
) -> Result<Result<(Request, OperationType), Rejection>, Refusal> {
    let mut room = options.query.body_bytes;
    let operations = text_part(parts, source, "operations", &mut room).await?;
    let request = request::from_bytes(&operations)?;
    let map = text_part(parts, source, "map", &mut room).await?;
    let mut map = read_map(&map, options.upload.files)?;
    let (mut request, kind) = match request::prepare(request, caller, options) {
        Ok(prepared) => prepared,
        Err(refusal) => return Ok(Err(refusal)),
    };
    while let Some(field) = source.explain(parts.next_field().await)? {
        let name = field.name().unwrap_or_default();
        let Some(path) = map.remove(name) else {
            return Err(Refusal::bad_upload("A part is not named in `map`, or was sent twice."));
        };
        let value = read_file(field, source, &options.upload).await?;
        let before = request.uploads.len();
        request.set_upload(&path, value);
        if request.uploads.len() == before {
            return Err(Refusal::bad_upload(format!(
                "`map` names {path:?}, but `operations` has no null there; write a path such as `variables.input.file`."
            )));
        }
    }
    match map.is_empty() {
        true => Ok(Ok((request, kind))),
        false => Err(Refusal::bad_upload("A file that `map` names is missing.")),
    }
}

/// Reads `{"<part>": ["<path>"], …}` into part → path.
fn read_map(bytes: &[u8], max_files: usize) -> Result<HashMap<String, String>, Refusal> {
    let map: HashMap<String, Vec<String>> = serde_json::from_slice(bytes)
        .map_err(|_| Refusal::bad_upload("`map` must be an object of lists of strings."))?;
    if map.len() > max_files {
        return Err(Refusal::too_large(
            "TOO_MANY_FILES",
            format!("The request has more files than the limit of {max_files}."),
        ));
    }
    map.into_iter()
        .map(|(part, paths)| match <[String; 1]>::try_from(paths) {
            Ok([path]) => Ok((part, path)),
            // Two variables would share one file and its reading position.
            Err(_) => Err(Refusal::bad_upload("`map` must give each file exactly one variable.")),
        })
        .collect()
}

/// The next part, which must have this name, as long as it fits into `room`.
async fn text_part(
    parts: &mut Multipart<'_>,
    source: &Source,
    name: &'static str,
    room: &mut usize,
) -> Result<Bytes, Refusal> {
    let field = source.explain(parts.next_field().await)?;
    let field = field.filter(|field| field.name() == Some(name));
    let mut field = field.ok_or_else(|| {
        Refusal::bad_upload("The parts must come in this order: `operations`, `map`, then the files.")
    })?;
    let mut text = BytesMut::new();
    while let Some(piece) = source.explain(field.chunk().await)? {
        source.consumed(&piece);
        *room = room
            .checked_sub(piece.len())
            .ok_or_else(|| Refusal::too_large("BODY_TOO_LARGE", "`operations` and `map` are too large."))?;
        text.extend_from_slice(&piece);
    }
    Ok(text.freeze())
}

async fn read_file(mut field: Field<'_>, source: &Source, limits: &UploadLimits) -> Result<UploadValue, Refusal> {
    let filename = field.file_name().unwrap_or_default().to_owned();
    if filename.len() > FILENAME_BYTES {
        return Err(Refusal::bad_upload("A file's name is too long."));
    }
    let content_type = field.content_type().map(ToString::to_string);
    let directory = limits.directory.clone();
    let file = tokio::task::spawn_blocking(move || match directory {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    });
    let file: File = file.await.map_err(|_| Refusal::internal())?.map_err(not_kept)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut room = limits.file_bytes;
    while let Some(piece) = source.explain(field.chunk().await)? {
        source.consumed(&piece);
        room = room.checked_sub(piece.len() as u64).ok_or_else(|| Refusal::file_too_large(limits.file_bytes))?;
        file.write_all(&piece).await.map_err(not_kept)?;
    }
    file.flush().await.map_err(not_kept)?;
    file.rewind().await.map_err(not_kept)?;
    Ok(UploadValue { filename, content_type, content: file.into_std().await })
}

fn not_kept(error: std::io::Error) -> Refusal {
    tracing::error!(%error, "cannot write an upload to its temporary file");
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Refusal::unavailable("The server has no room for the file at the moment; try again later.")
        }
        _ => Refusal::internal(),
    }
}
