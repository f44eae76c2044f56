//! Children of lists, loaded together: one query for a page of parents, whatever its size.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use uuid::Uuid;

use crate::db::image::{Image, ImageState};
use crate::db::request::{ProcessingRequest, Progress};
use crate::db::{self, Connection, Pool};

/// A loader's error: shared by all who asked for its batch.
type Error = Arc<anyhow::Error>;

/// The loaders of the schema. Made once, they cache nothing.
pub struct Loaders {
    pub requests: DataLoader<ById>,
}

/// Loads rows by their ids; what is loaded is said by the key.
pub struct ById(Pool);

impl Loaders {
    /// Loaders that take their connections from this pool. Needs tokio's runtime.
    pub fn new(pool: Pool) -> Self {
        Self { requests: DataLoader::new(ById(pool), TokioSpawner::current(), TokioTimer::default()) }
    }
}

/// The request with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestById(pub Uuid);
/// How far the request with this id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProgressOf(pub Uuid);
/// The image with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageById(pub Uuid);

/// One query for all keys of a batch.
macro_rules! loader {
    ($key:ident => $value:ty, $load:expr) => {
        impl Loader<$key> for ById {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>, Error> {
                let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let mut conn = db::connect(&self.0).await.map_err(Arc::new)?;
                let load: fn(
                    &mut Connection,
                    Vec<Uuid>,
                ) -> futures_util::future::BoxFuture<'_, diesel::QueryResult<_>> = $load;
                load(&mut conn, ids).await.map_err(|error| Arc::new(error.into()))
            }
        }
    };
}

loader!(RequestById => ProcessingRequest, |conn, ids| Box::pin(async move {
    let requests = ProcessingRequest::load(conn, &ids).await?;
    Ok(requests.into_iter().map(|request| (RequestById(request.id), request)).collect())
}));

loader!(ProgressOf => Progress, |conn, ids| Box::pin(async move {
    let progress = ProcessingRequest::progress(conn, &ids).await?;
    Ok(progress.into_iter().map(|progress| (ProgressOf(progress.id), progress)).collect())
}));

loader!(ImageById => ImageState, |conn, ids| Box::pin(async move {
    let images = Image::load(conn, &ids).await?;
    Ok(images.into_iter().map(|state| (ImageById(state.image.id), state)).collect())
}));
