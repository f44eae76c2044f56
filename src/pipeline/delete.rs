//! Deleting a request. Nobody finds it or its files from that moment; rows and objects are removed in the background, a few
//! at a time. A process that dies meanwhile leaves the rest to the next one.

use std::time::Duration;

use diesel_async::AsyncConnection as _;
use uuid::Uuid;

use crate::app::App;
use crate::db::request::{ProcessingRequest, RequestStatus};
use crate::db::viewer::Viewer;
use crate::db::webhook::WebhookDelivery;
use crate::db::{self, deletion, store_removal};
use crate::events;
use crate::queue::jobs;

/// Requests that are looked at together, and rows removed by one statement.
const REQUESTS_AT_ONCE: i64 = 100;
const ROWS_AT_ONCE: i64 = 500;

/// What became of a wish to delete a request.
pub enum Deleted {
    Done,
    /// It has not ended.
    WrongStatus(RequestStatus),
    NotFound,
}

/// Deletes a request that has ended.
pub async fn delete(app: &App, viewer: Viewer, id: Uuid) -> anyhow::Result<Deleted> {
    let mut conn = db::connect(&app.pool).await?;
    conn.transaction(async |conn| {
        let Some(request) = ProcessingRequest::lock(conn, viewer, &[id]).await?.pop() else {
            return Ok(Deleted::NotFound);
        };
        if !deletion::hide(conn, id).await? {
            return Ok(Deleted::WrongStatus(request.status));
        }
        // None is added to a request that has ended. Whoever is recording an attempt is waited for, and has put its job back then;
        // a job that is running finds nothing.
        let deliveries = WebhookDelivery::ids_of(conn, id).await?;
        WebhookDelivery::delete(conn, &deliveries).await?;
        jobs::discard(conn, &deliveries).await?;
        events::announce_request(conn, id).await?;
        Ok(Deleted::Done)
    })
    .await
}

/// Deletes the requests that ended longer ago than they are kept. Returns how many.
pub async fn delete_outlived(app: &App) -> anyhow::Result<usize> {
    let Some(kept) = app.config.general.keep_requests else { return Ok(0) };
    let mut conn = db::connect(&app.worker_pool).await?;
    let outlived = deletion::outlived(&mut conn, kept, REQUESTS_AT_ONCE).await?;
    drop(conn);
    let mut count = 0;
    for id in outlived {
        // One that was begun again meanwhile stays.
        count += usize::from(matches!(delete(app, Viewer::Operator, id).await?, Deleted::Done));
    }
    Ok(count)
}

/// Removes the rows of deleted requests, and has [`super::leftovers::sweep`] remove their objects. Returns of how many.
pub async fn sweep(app: &App) -> anyhow::Result<usize> {
    let mut count = 0;
    loop {
        let hidden = deletion::hidden(&mut *db::connect(&app.worker_pool).await?, REQUESTS_AT_ONCE).await?;
        if hidden.is_empty() {
            return Ok(count);
        }
        for id in hidden {
            // A connection for each batch: others get one in between.
            while deletion::remove_rows(&mut *db::connect(&app.worker_pool).await?, id, ROWS_AT_ONCE).await? > 0 {}
            let mut conn = db::connect(&app.worker_pool).await?;
            let removed = conn.transaction(async |conn| {
                let is_removed = deletion::remove(conn, id).await?;
                if is_removed {
                    store_removal::schedule(conn, id, Duration::ZERO).await?;
                }
                diesel::QueryResult::Ok(is_removed)
            });
            count += usize::from(removed.await?);
        }
    }
}
