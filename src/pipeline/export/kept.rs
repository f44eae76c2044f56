//! Result files of requests that have ended: written once, kept in the store, and from then on read from there, so that a
//! download can be resumed and a client that has the file is told so.

use std::fs::File;
use std::io::Seek as _;

use anyhow::Context as _;
use object_store::ObjectMeta;
use sha2::{Digest as _, Sha256};
use tracing::warn;
use uuid::Uuid;

use super::{FileFormat, Outputs, ResultKind, write};
use crate::app::App;
use crate::db;
use crate::db::request::ProcessingRequest;
use crate::db::viewer::Viewer;
use crate::links::Links;

/// A result file, and where it is.
pub enum ResultFile {
    /// In the store.
    Kept { key: String, object: ObjectMeta },
    /// For this once: the request goes on, or the store takes nothing now.
    Written(File),
}

/// The result file of a request, with these lasting addresses.
pub async fn result_file(
    app: &App,
    links: &Links,
    request: &ProcessingRequest,
    kind: ResultKind,
    format: FileFormat,
) -> anyhow::Result<ResultFile> {
    let key = key(links, request, kind, format);
    let known = if request.status.is_final() { app.store.head(&key).await } else { Ok(None) };
    if let Ok(Some(object)) = known {
        return Ok(ResultFile::Kept { key, object });
    }
    let mut file = write(app, request, kind, Outputs::Served(links.clone()), format).await?;
    if !request.status.is_final() {
        return Ok(ResultFile::Written(file));
    }
    let kept = match known {
        Ok(_) => keep(app, request, &key, &file).await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(Some(object)) => return Ok(ResultFile::Kept { key, object }),
        Ok(None) => {}
        Err(error) => warn!(request.id = %request.id, "cannot keep a result file: {error:#}"),
    }
    file.rewind().context("read a result file")?;
    Ok(ResultFile::Written(file))
}

/// Stores a result file; `None` when the request has changed meanwhile, so that the file may be of either state.
async fn keep(app: &App, request: &ProcessingRequest, key: &str, file: &File) -> anyhow::Result<Option<ObjectMeta>> {
    app.store.put_file(key, "application/octet-stream", file.try_clone()?).await?;
    // A request that was deleted may have had its objects removed before this one was there.
    let now = ProcessingRequest::find(&mut *db::connect(&app.pool).await?, Viewer::Operator, request.id).await?;
    if now.is_none_or(|now| now.revision != request.revision) {
        app.store.remove(key).await?;
        return Ok(None);
    }
    let revision = request.revision.to_string();
    app.store.remove_parts(&all(request.id), move |part| part != revision).await?;
    app.store.head(key).await
}

/// Where the result files of a request are kept, each below the revision that it shows.
pub fn all(request_id: Uuid) -> String {
    format!("{request_id}/results")
}

fn key(links: &Links, request: &ProcessingRequest, kind: ResultKind, format: FileFormat) -> String {
    // What else the bytes depend on: other addresses are other bytes, and another version may write another file.
    let mut others = Sha256::new();
    for other in [env!("CARGO_PKG_VERSION"), &links.image(Uuid::nil(), 1, "")] {
        others.update(other);
        others.update([0]);
    }
    let others = hex::encode(&others.finalize()[..8]);
    let ending = match format {
        FileFormat::Xlsx => "xlsx",
        FileFormat::Csv { byte_order_mark: false } => "csv",
        FileFormat::Csv { byte_order_mark: true } => "marked.csv",
    };
    format!("{}/{}/{}-{others}.{ending}", all(request.id), request.revision, kind.file().trim_end_matches(".csv"))
}
