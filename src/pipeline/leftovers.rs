//! Objects that no row names are removed from the store.
//!
//! An upload's file is stored before its request, so that every request has its file; a process that dies in between
//! leaves a file behind. To find it by listing the store would cost more the larger the store is. So what is about to be
//! stored is noted in the database first (`store_removals`), and the transaction that stores the request deletes the note.
//! A note that is still there when its time has come names what is left over, on whichever machine it was made.

use std::fs::File;
use std::time::Duration;

use tracing::warn;
use uuid::Uuid;

use super::source;
use crate::app::App;
use crate::db::{self, Pool, store_removal};

/// How long a note lasts, and how often one is renewed while the file is being stored.
const NOTED: Duration = Duration::from_secs(3600);
const RENEW_INTERVAL: Duration = Duration::from_secs(600);
/// Removals begun by one statement.
const BEGUN_AT_ONCE: i64 = 100;

/// Stores the file of a request that is not stored yet. Call [`store_removal::cancel`] in the transaction that stores the
/// request, and [`discard`] when that fails.
pub async fn put_source(app: &App, request_id: Uuid, file: File) -> anyhow::Result<()> {
    note(app, request_id).await?;
    let key = source::key(request_id);
    let storing = app.store.put_file(&key, source::CONTENT_TYPE, file);
    let renewing = async {
        loop {
            tokio::time::sleep(RENEW_INTERVAL).await;
            if let Err(error) = note(app, request_id).await {
                warn!("cannot say that an upload is still being stored: {error:#}");
            }
        }
    };
    let stored = tokio::select! {
        stored = storing => stored,
        never = renewing => never,
    };
    if stored.is_err() {
        discard(app, request_id).await;
    }
    stored
}

async fn note(app: &App, request_id: Uuid) -> anyhow::Result<()> {
    store_removal::schedule(&mut *db::connect(&app.pool).await?, request_id, NOTED).await?;
    Ok(())
}

/// Removes what was stored of a request whose transaction has failed. If the database does not answer, [`sweep`] does it.
pub async fn discard(app: &App, request_id: Uuid) {
    let discarded = async {
        // The transaction may have been committed even though its answer was lost.
        if store_removal::begin(&mut *db::connect(&app.pool).await?, request_id).await? {
            remove(app, &app.pool, request_id).await?;
        }
        anyhow::Ok(())
    };
    if let Err(error) = discarded.await {
        warn!("the file of a request that was not stored is removed later: {error:#}");
    }
}

/// Removes the objects of all requests whose time has come. Returns of how many.
pub async fn sweep(app: &App) -> anyhow::Result<usize> {
    let mut count = 0;
    loop {
        let due = store_removal::begin_due(&mut *db::connect(&app.worker_pool).await?, BEGUN_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(count);
        }
        for request_id in due {
            match remove(app, &app.worker_pool, request_id).await {
                Ok(()) => count += 1,
                Err(error) => {
                    warn!(request.id = %request_id, "cannot remove objects that no request uses, trying later: {error:#}");
                }
            }
        }
    }
}

async fn remove(app: &App, pool: &Pool, request_id: Uuid) -> anyhow::Result<()> {
    app.store.remove_all(&request_id.to_string()).await?;
    store_removal::finish(&mut *db::connect(pool).await?, request_id).await?;
    Ok(())
}
