//! Compares the store with the database, for those who want to be sure: objects that no row names, and outputs whose object
//! is gone. Requests that run are left out, since theirs change. Memory stays flat but for one directory's names.

use std::collections::HashSet;

use uuid::Uuid;

use super::{export, source};
use crate::app::App;
use crate::db;
use crate::db::request::ProcessingRequest;
use crate::db::run::Run;
use crate::db::store_audit::{self, StoredOutput};
use crate::db::viewer::Viewer;
use crate::store::Object;

/// Requests or images that are looked up together.
const LOOKED_UP_AT_ONCE: usize = 500;

/// Something that does not agree.
#[derive(Debug)]
pub enum Finding {
    /// No row names this object.
    Unnamed(Object),
    /// The output of an image is gone.
    Missing { image_id: Uuid, key: String },
}

/// Looks through the store and hands over what does not agree; with `is_removing`, objects that no row names are removed.
pub async fn audit(app: &App, is_removing: bool, mut each: impl FnMut(&Finding)) -> anyhow::Result<()> {
    let requests: Vec<Uuid> = app.store.directories("").await?.iter().filter_map(|name| name.parse().ok()).collect();
    for requests in requests.chunks(LOOKED_UP_AT_ONCE) {
        let (unknown, known) = {
            let conn = &mut *db::connect(&app.pool).await?;
            (
                store_audit::unknown(conn, requests).await?,
                ProcessingRequest::load(conn, Viewer::Operator, requests).await?,
            )
        };
        for id in unknown {
            for object in app.store.objects(&id.to_string()).await? {
                each(&Finding::Unnamed(object));
            }
            if is_removing {
                app.store.remove_all(&id.to_string()).await?;
            }
        }
        for request in known.iter().filter(|request| request.status.is_final()) {
            for finding in of_request(app, request.id).await? {
                // What another run stored meanwhile is no leftover.
                if !is_unchanged(app, request).await? {
                    break;
                }
                each(&finding);
                if let (true, Finding::Unnamed(object)) = (is_removing, &finding) {
                    app.store.remove(&object.key).await?;
                }
            }
        }
    }
    Ok(())
}

async fn is_unchanged(app: &App, request: &ProcessingRequest) -> anyhow::Result<bool> {
    let now = ProcessingRequest::find(&mut *db::connect(&app.pool).await?, Viewer::Operator, request.id).await?;
    Ok(now.is_some_and(|now| now.revision == request.revision))
}

async fn of_request(app: &App, id: Uuid) -> anyhow::Result<Vec<Finding>> {
    // Also what shows an earlier state: the next download replaces it.
    let results = format!("{}/", export::all_kept(id));
    let mut findings = Vec::new();
    let directories = app.store.directories(&id.to_string()).await?;
    for names in directories.chunks(LOOKED_UP_AT_ONCE) {
        let ids: Vec<Uuid> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let outputs = store_audit::outputs(&mut *db::connect(&app.pool).await?, &ids).await?;
        let named: HashSet<String> = outputs.into_iter().map(|output| output.key).collect();
        for name in names {
            let objects = app.store.objects(&format!("{id}/{name}")).await?.into_iter();
            let is_named = |key: &String| named.contains(key) || key.starts_with(&results);
            findings.extend(objects.filter(|object| !is_named(&object.key)).map(Finding::Unnamed));
        }
    }
    let source = source::key(id);
    let beside = app.store.objects_in(&id.to_string()).await?.into_iter();
    findings.extend(beside.filter(|object| object.key != source).map(Finding::Unnamed));

    let mut after = -1;
    loop {
        let outputs = {
            let conn = &mut *db::connect(&app.pool).await?;
            let images = Run::images_after(conn, id, after, LOOKED_UP_AT_ONCE as i64).await?;
            let Some(last) = images.last() else { return Ok(findings) };
            after = last.position;
            store_audit::outputs(conn, &images.iter().map(|image| image.id).collect::<Vec<_>>()).await?
        };
        for StoredOutput { image_id, key } in outputs {
            if app.store.head(&key).await?.is_none() {
                findings.push(Finding::Missing { image_id, key });
            }
        }
    }
}
