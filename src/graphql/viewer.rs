//! Who is calling, for resolvers and for clients.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::error::internal;
use super::scalars::{DateTime, UnsignedInt53};
use crate::access::Caller;
use crate::app::App;
use crate::db;
use crate::db::api_key::Scope;
use crate::db::request::RequestFilter;
use crate::db::request_totals::RequestTotals;
use crate::db::viewer::Viewer;
use crate::links::Links;

/// Who is calling.
pub fn caller<'a>(ctx: &Context<'a>) -> &'a Caller {
    ctx.data_unchecked::<Caller>()
}

/// Whose rows the caller sees.
pub fn viewer(ctx: &Context<'_>) -> Viewer {
    caller(ctx).viewer()
}

/// The addresses of files, for the caller.
pub fn links(ctx: &Context<'_>) -> Links {
    ctx.data_unchecked::<App>().links.at(caller(ctx).origin.as_ref())
}

/// What an API key may be used for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Scope")]
pub enum ApiKeyScope {
    /// Queries and subscriptions.
    Read,
    /// Queries, subscriptions and mutations.
    Write,
    /// Everything, including `system`, which covers all tenants.
    Admin,
}

/// The API key of the caller.
#[derive(SimpleObject)]
pub struct ApiKey {
    /// The part of the key that is not secret; it is used to list and revoke the key.
    id: String,
    /// The name it was given.
    name: String,
    /// What the key may be used for.
    scope: ApiKeyScope,
    /// When it expires; null if it works until it is revoked.
    expires_at: Option<DateTime>,
}

/// Totals over the requests of a tenant, without deleted ones.
#[derive(SimpleObject)]
pub struct TenantUsage {
    /// Number of requests.
    requests: UnsignedInt53,
    /// Number of images.
    images: UnsignedInt53,
    /// Bytes of the sources of the images that have an output.
    input_bytes: UnsignedInt53,
    /// Bytes of the outputs.
    output_bytes: UnsignedInt53,
}

pub struct Tenant;

/// A group of callers who share their requests. Other tenants cannot see them.
#[Object]
impl Tenant {
    /// The tenant's name.
    async fn name<'a>(&self, ctx: &Context<'a>) -> &'a str {
        &caller(ctx).tenant.name
    }

    /// Totals over its requests.
    #[graphql(complexity = "20 + child_complexity")]
    async fn usage(&self, ctx: &Context<'_>) -> Result<TenantUsage> {
        let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
        let totals = RequestTotals::read(&mut conn, viewer(ctx), &RequestFilter::default(), 0).await;
        let all = totals.map_err(internal)?.all;
        Ok(TenantUsage {
            requests: all.requests.into(),
            images: all.images.into(),
            input_bytes: all.input_bytes.into(),
            output_bytes: all.output_bytes.into(),
        })
    }
}

pub struct ViewerInfo;

/// Who is calling.
#[Object(name = "Viewer")]
impl ViewerInfo {
    /// The API key; null where none is needed.
    async fn key(&self, ctx: &Context<'_>) -> Option<ApiKey> {
        caller(ctx).key.as_ref().map(|key| ApiKey {
            id: key.id.clone(),
            name: key.name.clone(),
            scope: key.scope.into(),
            expires_at: key.expires_at.map(DateTime),
        })
    }

    /// The tenant of the key; without a key, the tenant `default`.
    async fn tenant(&self) -> Tenant {
        Tenant
    }
}
