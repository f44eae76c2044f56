//! What `halftone run` goes on with: the request that it made for the same file before.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::print::counted;
use crate::app::App;
use crate::db;
use crate::db::remembered_file;
use crate::db::request::ProcessingRequest;
use crate::db::run::RetryFilter;
use crate::db::tenant;
use crate::db::viewer::Viewer;
use crate::pipeline::cancel::cancel;
use crate::pipeline::retry::{Retried, retry};
use crate::pipeline::submit::{RememberedAs, Submission, Submitted, submit};

/// The request that does what a submission asks for: an earlier one of the same file where that is as good, begun again with
/// what it is missing; else a new one, compared with that.
pub async fn resume(app: &App, path: String, mut submission: Submission) -> anyhow::Result<Submitted> {
    let hash = hash(&mut submission.file, &(&submission.settings, &submission.hints)).context("read the CSV")?;
    let viewer = Viewer::Tenant(tenant::DEFAULT);
    if !submission.is_fresh {
        let mut conn = db::connect(&app.pool).await?;
        let known = remembered_file::find(&mut conn, &path).await?;
        let request = match &known {
            Some(known) => ProcessingRequest::find(&mut conn, viewer, known.request_id).await?,
            None => None,
        };
        drop(conn);
        let is_as_good = known.is_some_and(|known| known.hash == hash && !known.has_expired);
        match request {
            Some(request) if is_as_good => {
                if let Some(request) = go_on(app, viewer, request).await? {
                    return Ok(Submitted::Accepted(request));
                }
            }
            Some(request) if request.status.is_final() => submission.based_on = Some(request.id),
            Some(request) => {
                say!(
                    "The earlier, unfinished run of this file is canceled, because the file or the settings have changed."
                );
                cancel(app, viewer, request.id).await?;
            }
            None => {}
        }
    }
    submission.remembered_as = Some(RememberedAs { path, hash: hash.to_vec() });
    submit(app, submission).await
}

/// Has an earlier request do what it is missing. `None` when it was deleted meanwhile.
async fn go_on(app: &App, viewer: Viewer, request: ProcessingRequest) -> anyhow::Result<Option<ProcessingRequest>> {
    if !request.status.is_final() {
        say!("Continuing an earlier run of this file.");
        return Ok(Some(request));
    }
    Ok(match retry(app, viewer, request.id, &RetryFilter::default()).await? {
        Retried::Begun(request, count) => {
            let images = counted(u64::from(count.unsigned_abs()), "image");
            say!("Trying {images} again that had no output last time.");
            Some(request)
        }
        Retried::NothingMatches(request) => {
            say!("Every image already has its output from last time. Use --fresh to process all of them again.");
            Some(request)
        }
        Retried::WrongStatus(request) => Some(request),
        Retried::NotFound => None,
    })
}

/// Hashes a file, wherever its cursor stands, and what is to be done with it.
fn hash(file: &mut File, asked: &impl serde::Serialize) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(serde_json::to_vec(asked)?);
    file.rewind()?;
    let mut reader = BufReader::with_capacity(64 << 10, &mut *file);
    loop {
        let read = reader.fill_buf()?;
        if read.is_empty() {
            break;
        }
        hash.update(read);
        let count = read.len();
        reader.consume(count);
    }
    file.rewind()?;
    Ok(hash.finalize().into())
}
