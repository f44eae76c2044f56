//! Children of lists, loaded together: a statement or two for a page of parents, whatever its size.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::internal_ref;
use crate::db::children::{self, Children};
use crate::db::csv_issue::CsvIssue;
use crate::db::host::{self, RequestHost};
use crate::db::image::{FailureGroup, Image, ImageFilter, ImageState};
use crate::db::page::Page;
use crate::db::product::Product;
use crate::db::progress::Progress;
use crate::db::request::ProcessingRequest;
use crate::db::run::Run;
use crate::db::viewer::Viewer;
use crate::db::webhook::{WebhookAttempt, WebhookDelivery};
use crate::db::{self, Connection, Pool};

/// Hosts that are listed of one request.
const MAX_HOSTS: i64 = 100;

/// A loader's error: shared by all who asked for its batch.
type Error = Arc<anyhow::Error>;

/// The loaders of the schema. Made once, they cache nothing.
pub struct Loaders(DataLoader<Rows>);

/// Loads rows; the type of the key says which.
pub struct Rows(Pool);

impl Loaders {
    /// Loaders that take their connections from this pool. Needs tokio's runtime.
    pub fn new(pool: Pool) -> Self {
        Self(DataLoader::new(Rows(pool), TokioSpawner::current(), TokioTimer::default()))
    }
}

/// What is loaded for this key; `None` when there is nothing.
pub async fn load<K>(ctx: &Context<'_>, key: K) -> async_graphql::Result<Option<<Rows as Loader<K>>::Value>>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    Rows: Loader<K, Error = Error>,
{
    let loaded = ctx.data_unchecked::<Loaders>().0.load_one(key).await;
    loaded.map_err(|error| internal_ref(&error))
}

/// As [`load`], for several keys.
pub async fn load_many<K>(
    ctx: &Context<'_>,
    keys: impl IntoIterator<Item = K>,
) -> async_graphql::Result<HashMap<K, <Rows as Loader<K>>::Value>>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    Rows: Loader<K, Error = Error>,
{
    let loaded = ctx.data_unchecked::<Loaders>().0.load_many(keys).await;
    loaded.map_err(|error| internal_ref(&error))
}

/// The request with this id, if this viewer may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestById(pub Uuid, pub Viewer);
/// How far the request with this id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProgressOf(pub Uuid);
/// The image with this id, if this viewer may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageById(pub Uuid, pub Viewer);
/// The accepted row with this id, if this viewer may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProductById(pub Uuid, pub Viewer);
/// The delivery with this id, if this viewer may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryById(pub Uuid, pub Viewer);
/// The deliveries of the request with this id, one for each run that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveriesOf(pub Uuid);
/// The runs of the request with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunsOf(pub Uuid);
/// The attempts at the delivery with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptsAt(pub Uuid);
/// When the next attempt at the delivery with this id is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NextAttemptAt(pub Uuid);
/// The failed images of the request with this id, by cause and host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FailureGroupsOf(pub Uuid);
/// The image hosts of the request with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostsOf(pub Uuid);
/// How many rows name the image with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProductCountOf(pub Uuid);
/// How many problems are kept of the CSV of the request with this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IssueCountOf(pub Uuid);

/// A page of the accepted rows of this request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProductsOf(pub Uuid, pub Page<i32>);
/// A page of the rows that name this image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProductsOfImage(pub Uuid, pub Page<i32>);
/// A page of the images of this request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImagesOf(pub Uuid, pub (ImageFilter, Page<i32>));
/// How many images of this request match the filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageCountOf(pub Uuid, pub ImageFilter);
/// A page of the problems of the CSV of this request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IssuesOf(pub Uuid, pub Page<i32>);

/// A loader for keys that are an id: one call for all keys of a batch.
macro_rules! by_id {
    ($key:ident => $value:ty, |$conn:ident, $ids:ident| $load:expr) => {
        impl Loader<$key> for Rows {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>, Error> {
                let $ids: &[Uuid] = &keys.iter().map(|key| key.0).collect::<Vec<_>>();
                let $conn: &mut Connection = &mut *db::connect(&self.0).await.map_err(Arc::new)?;
                let loaded: diesel::QueryResult<HashMap<Uuid, $value>> = async { $load }.await;
                let loaded = loaded.map_err(|error| Arc::new(error.into()))?;
                Ok(loaded.into_iter().map(|(id, value)| ($key(id), value)).collect())
            }
        }
    };
}

/// A loader for keys that are an id, often a parent's, and what is asked of it: one call for all of which the same is asked.
macro_rules! by_parent {
    ($key:ident => $value:ty, |$conn:ident, $ids:ident, $asked:ident| $load:expr) => {
        impl Loader<$key> for Rows {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>, Error> {
                let mut batches: HashMap<_, Vec<Uuid>> = HashMap::new();
                for $key(parent, asked) in keys {
                    batches.entry(asked).or_default().push(*parent);
                }
                let $conn: &mut Connection = &mut *db::connect(&self.0).await.map_err(Arc::new)?;
                let mut found = HashMap::new();
                for ($asked, parents) in batches {
                    let $ids: &[Uuid] = &parents;
                    let loaded: diesel::QueryResult<HashMap<Uuid, $value>> = async { $load }.await;
                    let loaded = loaded.map_err(|error| Arc::new(error.into()))?;
                    found.extend(loaded.into_iter().map(|(parent, value)| ($key(parent, $asked.clone()), value)));
                }
                Ok(found)
            }
        }
    };
}

fn keyed<T>(rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> HashMap<Uuid, T> {
    rows.into_iter().map(|row| (id(&row), row)).collect()
}

fn grouped<T>(rows: Vec<T>, parent: impl Fn(&T) -> Uuid) -> Children<T> {
    let mut children = Children::new();
    for row in rows {
        children.entry(parent(&row)).or_insert_with(Vec::new).push(row);
    }
    children
}

by_parent!(RequestById => ProcessingRequest, |conn, ids, viewer| Ok(keyed(ProcessingRequest::load(conn, *viewer, ids).await?, |row| row.id)));
by_id!(ProgressOf => Progress, |conn, ids| Ok(keyed(Progress::of(conn, ids).await?, |row| row.id)));
by_parent!(ImageById => ImageState, |conn, ids, viewer| Ok(keyed(Image::load(conn, *viewer, ids).await?, |row| row.image.id)));
by_parent!(ProductById => Product, |conn, ids, viewer| Ok(keyed(Product::load(conn, *viewer, ids).await?, |row| row.id)));
by_parent!(DeliveryById => WebhookDelivery, |conn, ids, viewer| Ok(keyed(WebhookDelivery::load(conn, *viewer, ids).await?, |row| row.id)));
by_id!(DeliveriesOf => Vec<WebhookDelivery>, |conn, ids| {
    Ok(grouped(WebhookDelivery::of_requests(conn, ids).await?, |row| row.request_id))
});
by_id!(RunsOf => Vec<Run>, |conn, ids| Ok(grouped(Run::of_requests(conn, ids).await?, |row| row.request_id)));
by_id!(AttemptsAt => Vec<WebhookAttempt>, |conn, ids| {
    Ok(grouped(WebhookAttempt::of_deliveries(conn, ids).await?, |row| row.delivery_id))
});
by_id!(NextAttemptAt => DateTime<Utc>, |conn, ids| {
    Ok(WebhookDelivery::next_attempts(conn, ids).await?.into_iter().collect())
});
by_id!(FailureGroupsOf => Vec<FailureGroup>, |conn, ids| children::failure_groups(conn, ids).await);
by_id!(HostsOf => Vec<RequestHost>, |conn, ids| host::of_requests(conn, ids, MAX_HOSTS).await);
by_id!(ProductCountOf => i64, |conn, ids| children::count_products_of_images(conn, ids).await);
by_id!(IssueCountOf => i64, |conn, ids| children::count_csv_issues(conn, ids).await);

by_parent!(ProductsOf => Vec<Product>, |conn, ids, page| children::products(conn, ids, page).await);
by_parent!(ProductsOfImage => Vec<Product>, |conn, ids, page| children::products_of_images(conn, ids, page).await);
by_parent!(ImagesOf => Vec<ImageState>, |conn, ids, asked| children::images(conn, ids, &asked.0, &asked.1).await);
by_parent!(ImageCountOf => i64, |conn, ids, filter| children::count_images(conn, ids, filter).await);
by_parent!(IssuesOf => Vec<CsvIssue>, |conn, ids, page| children::csv_issues(conn, ids, page).await);
