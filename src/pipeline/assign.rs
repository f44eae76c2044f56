//! What workers have to know of the images they hold, read for several at once: whoever asks while the database answers others
//! is answered with the next statement. One statement for each image would cost more than an image that is only reused.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::reuse::Recipe;
use crate::app::App;
use crate::db;
use crate::db::image::{Assignment, Image};
use crate::db::reuse;

/// Images that are read at once.
const BATCH: usize = 64;

/// What to do with an image.
#[derive(Clone)]
pub(super) struct Assigned {
    pub assignment: Assignment,
    /// The latest output that an image with the same URL has, where it may serve this one: an
    /// [`Output`](crate::db::ending::Output).
    pub of_url: Option<serde_json::Value>,
}

struct Asked {
    image_id: Uuid,
    answer: oneshot::Sender<anyhow::Result<Option<Assigned>>>,
}

/// Says what to do; see [`assigner`]. Cheap to clone.
#[derive(Clone)]
pub struct Assigner(mpsc::Sender<Asked>);

impl Assigner {
    /// What to do with this image; `None` when it is gone or has ended.
    pub(super) async fn ask(&self, image_id: Uuid) -> anyhow::Result<Option<Assigned>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Asked { image_id, answer }).await.ok().context("nobody says what to do")?;
        answered.await.context("nobody says what to do")?
    }
}

/// An assigner and the task that does its work; the task ends when the last assigner is dropped.
pub fn assigner(app: App) -> (Assigner, impl Future<Output = ()> + Send) {
    let (asking, mut incoming) = mpsc::channel(2 * BATCH);
    let work = async move {
        let mut batch: Vec<Asked> = Vec::with_capacity(BATCH);
        while incoming.recv_many(&mut batch, BATCH).await > 0 {
            let ids: Vec<Uuid> = batch.iter().map(|asked| asked.image_id).collect();
            match read(&app, &ids).await {
                Ok(found) => {
                    for Asked { image_id, answer } in batch.drain(..) {
                        // Who was told to stop meanwhile waits for no answer.
                        let _ = answer.send(Ok(found.get(&image_id).cloned()));
                    }
                }
                Err(error) => {
                    for asked in batch.drain(..) {
                        let _ = asked.answer.send(Err(anyhow::anyhow!("{error:#}")));
                    }
                }
            }
        }
    };
    (Assigner(asking), work)
}

async fn read(app: &App, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Assigned>> {
    let mut conn = db::connect(&app.worker_pool).await?;
    let assignments = Image::assignments(&mut conn, ids).await?;
    let keys: HashMap<Uuid, Uuid> = if app.config.workers.no_reuse { HashMap::new() } else { url_keys(&assignments) };
    let wanted: Vec<Uuid> = keys.values().copied().collect::<HashSet<_>>().into_iter().collect();
    let outputs = if wanted.is_empty() { HashMap::new() } else { reuse::by_urls(&mut conn, &wanted).await? };
    let assigned = assignments.into_iter().map(|assignment| {
        let of_url = keys.get(&assignment.image_id).and_then(|key| outputs.get(key)).cloned();
        (assignment.image_id, Assigned { assignment, of_url })
    });
    Ok(assigned.collect())
}

/// By which key each image that may be reused finds others with its URL.
fn url_keys(assignments: &[Assignment]) -> HashMap<Uuid, Uuid> {
    let mut recipes: HashMap<Uuid, Option<Recipe>> = HashMap::new();
    let mut keys = HashMap::new();
    for assignment in assignments.iter().filter(|assignment| !assignment.is_fresh && assignment.former.is_none()) {
        let recipe = recipes.entry(assignment.request_id).or_insert_with(|| {
            // Settings that cannot be read fail the image where they are needed.
            let settings = serde_json::from_value(assignment.settings.clone()).ok()?;
            Recipe::new(assignment.tenant_id, &settings).ok()
        });
        if let Some(recipe) = recipe {
            keys.insert(assignment.image_id, recipe.url_key(&assignment.input_url));
        }
    }
    keys
}
