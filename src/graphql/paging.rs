//! Relay pages: `first`/`after`, `last`/`before`, at most 100 at a time, keyed by what the list is ordered by.

use std::future::Future;

use async_graphql::connection::{Connection, CursorType as _, Edge, EmptyFields, OpaqueCursor};
use async_graphql::{Context, Object, OutputType, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{bad_input, internal};
use super::loaders::{ImageCountOf, IssueCountOf, ProductCountOf, load};
use super::viewer::viewer;
use crate::app::App;
use crate::db;
use crate::db::page::Page;
use crate::db::request::{ProcessingRequest, RequestFilter};

/// Items a page has when its size is not given.
pub const DEFAULT_PAGE: i32 = 20;
/// Items a page can have.
pub const MAX_PAGE: i32 = 100;

/// A Relay connection over `T`, keyed by `K`.
pub type Paged<K, T> = Connection<OpaqueCursor<K>, T, Total, EmptyFields>;

/// How to learn how many items a list has; they are counted only when a client asks.
#[derive(Debug, Clone)]
pub enum Total {
    Known(i64),
    Requests(RequestFilter),
    Images(ImageCountOf),
    ProductsOfImage(ProductCountOf),
    Issues(IssueCountOf),
}

/// What a list says beside its page.
#[Object]
impl Total {
    /// Number of items on all pages, with the filter applied. It is counted for each response, so ask for it once and not
    /// with every page.
    #[graphql(complexity = 10)]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let count = match self {
            Self::Known(count) => *count,
            Self::Requests(filter) => {
                let pool = &ctx.data_unchecked::<App>().pool;
                let mut conn = db::connect(pool).await.map_err(internal)?;
                ProcessingRequest::count(&mut conn, viewer(ctx), filter).await.map_err(internal)?
            }
            Self::Images(key) => load(ctx, key.clone()).await?.unwrap_or(0),
            Self::ProductsOfImage(key) => load(ctx, *key).await?.unwrap_or(0),
            Self::Issues(key) => load(ctx, *key).await?.unwrap_or(0),
        };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}

/// The arguments of a connection as the client sent them.
pub struct Args {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
    /// Items that are passed over, where a list lets clients jump.
    pub offset: Option<i32>,
}

/// What a list of this many items adds to a query's complexity: a field counts a tenth for each item that may have it.
pub fn list_cost(items: i32, child_complexity: usize) -> usize {
    let items = usize::try_from(items.clamp(0, MAX_PAGE)).unwrap_or(0);
    // The library adds costs up without looking: no sum of this many can overflow.
    1 + items.saturating_mul(child_complexity).div_ceil(10).min(1_000_000_000)
}

/// What a page adds to a query's complexity.
pub fn page_cost(first: Option<i32>, last: Option<i32>, child_complexity: usize) -> usize {
    list_cost(first.or(last).unwrap_or(DEFAULT_PAGE), child_complexity)
}

/// Loads a page. `load` is asked for one row more than the page has, to learn whether there are further ones; `key` is
/// what the list is ordered by; `wrap` makes the row a node; `total` says
/// how many rows there are.
pub async fn paginate<K, R, T, F, Fut>(
    args: Args,
    total: Total,
    load: F,
    key: impl Fn(&R) -> K,
    wrap: impl Fn(R) -> T,
) -> Result<Paged<K, T>>
where
    K: Serialize + DeserializeOwned + Send + Sync,
    T: OutputType,
    F: FnOnce(Page<K>) -> Fut,
    Fut: Future<Output = Result<Vec<R>>>,
{
    if args.first.is_some() && args.last.is_some() {
        return Err(bad_input("Give `first` or `last`, not both."));
    }
    let size = args.first.or(args.last).unwrap_or(DEFAULT_PAGE);
    if !(0..=MAX_PAGE).contains(&size) {
        let name = if args.first.is_some() { "first" } else { "last" };
        return Err(bad_input(format!("`{name}` is {size}; it must be from 0 to {MAX_PAGE}.")));
    }
    let backwards = args.last.is_some();
    let skip = args.offset.unwrap_or(0);
    if skip < 0 {
        return Err(bad_input(format!("`offset` is {skip}; it must be 0 or more.")));
    }
    if backwards && skip > 0 {
        return Err(bad_input("Give `offset` with `first`, not with `last`."));
    }
    let page = Page {
        after: cursor(args.after, "after")?,
        before: cursor(args.before, "before")?,
        skip: skip.into(),
        limit: i64::from(size) + 1,
        backwards,
    };
    let (has_after, has_before) = (page.after.is_some() || skip > 0, page.before.is_some());
    let mut rows = load(page).await?;
    let has_more = rows.len() > size as usize;
    if has_more {
        // The row too many is the one furthest from where the page begins.
        if backwards {
            rows.remove(0);
        } else {
            rows.pop();
        }
    }
    let (has_previous, has_next) = if backwards { (has_more, has_before) } else { (has_after, has_more) };
    let mut connection = Connection::with_additional_fields(has_previous, has_next, total);
    connection.edges.extend(rows.into_iter().map(|row| Edge::new(OpaqueCursor(key(&row)), wrap(row))));
    Ok(connection)
}

fn cursor<K: Serialize + DeserializeOwned>(cursor: Option<String>, name: &str) -> Result<Option<K>> {
    let decoded = cursor.map(|cursor| OpaqueCursor::<K>::decode_cursor(&cursor)).transpose();
    let decoded = decoded.map_err(|_| bad_input(format!("`{name}` is not a cursor of this list.")))?;
    Ok(decoded.map(|OpaqueCursor(key)| key))
}
