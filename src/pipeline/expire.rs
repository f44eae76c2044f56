//! Outputs that have been kept as long as they are to be. Their addresses say that they have expired, and their objects are
//! removed; the request stays. A process that dies meanwhile leaves the rest to the next one.

use std::time::Duration;

use diesel_async::AsyncConnection as _;
use tracing::warn;
use uuid::Uuid;

use super::export;
use crate::app::App;
use crate::db::{self, expiry};
use crate::events;

/// Requests that are looked at together, images expired by one statement, and objects looked up by one.
const REQUESTS_AT_ONCE: i64 = 100;
const IMAGES_AT_ONCE: i64 = 500;
const OBJECTS_AT_ONCE: i64 = 500;

/// Has the outputs of requests that ended longer ago than this expire. Returns of how many requests.
pub async fn expire_outlived(app: &App, kept: Duration) -> anyhow::Result<usize> {
    let mut count = 0;
    loop {
        let outlived = expiry::outlived(&mut *db::connect(&app.worker_pool).await?, kept, REQUESTS_AT_ONCE).await?;
        if outlived.is_empty() {
            return Ok(count);
        }
        for id in outlived {
            count += usize::from(expire(app, id, kept).await?);
        }
    }
}

/// Returns false when the request was begun again, or deleted, before the last of its outputs had expired.
async fn expire(app: &App, id: Uuid, kept: Duration) -> anyhow::Result<bool> {
    let mut after = Some(-1);
    while let Some(position) = after {
        // A transaction for each batch: whoever waits for the request gets it in between.
        let mut conn = db::connect(&app.worker_pool).await?;
        let expired = conn.transaction(async |conn| {
            if !expiry::lock(conn, id, kept).await? {
                return Ok(None);
            }
            let last = expiry::expire(conn, id, position, IMAGES_AT_ONCE).await?;
            if last.is_none() {
                expiry::finish(conn, id).await?;
                // Result files name outputs that are gone.
                expiry::note_object(conn, &format!("{}/files", export::all_kept(id))).await?;
                events::announce_request(conn, id).await?;
            }
            diesel::QueryResult::Ok(Some(last))
        });
        let Some(last) = expired.await? else { return Ok(false) };
        after = last;
    }
    Ok(true)
}

/// Removes the objects of outputs that have expired. Returns how many.
pub async fn sweep(app: &App) -> anyhow::Result<usize> {
    let mut count = 0;
    let mut after = String::new();
    loop {
        let keys = expiry::objects(&mut *db::connect(&app.worker_pool).await?, &after, OBJECTS_AT_ONCE).await?;
        let Some(last) = keys.last() else { return Ok(count) };
        after.clone_from(last);
        let mut removed = Vec::with_capacity(keys.len());
        for key in keys {
            // With what was made of the output: it has a directory of its own. So have all result files of a request.
            let directory = key.rsplit_once('/').map_or(key.as_str(), |(directory, _)| directory);
            match app.store.remove_all(directory).await {
                Ok(()) => removed.push(key),
                Err(error) => warn!("cannot remove an output that has expired, trying later: {error:#}"),
            }
        }
        expiry::forget_objects(&mut *db::connect(&app.worker_pool).await?, &removed).await?;
        count += removed.len();
    }
}
