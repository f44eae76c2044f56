//! Reading: requests, products, images, any of them by id, and the limits in force.

use async_graphql::{Context, ID, Interface, Object, Result};
use uuid::Uuid;

use super::error::{bad_input, internal};
use super::image::Image;
use super::limits::Limits;
use super::loaders::{DeliveryById, ImageById, ProductById, RequestById, load};
use super::paging::{Args, MAX_PAGE, Paged, Total, list_cost, page_cost, paginate};
use super::product::Product;
use super::request::{ProcessingRequest, ProcessingRequestFilter};
use super::request_totals::{MAX_LABELS, ProcessingRequestTotals};
use super::scalars::uuid;
use super::system::System;
use super::viewer::{ViewerInfo, viewer};
use super::webhook::WebhookDelivery;
use crate::app::App;
use crate::db::request_totals::RequestTotals;
use crate::db::{self, request};

/// An object with a globally unique ID (a UUIDv7).
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The object's ID."))]
pub enum Node {
    ProcessingRequest(ProcessingRequest),
    Product(Product),
    Image(Image),
    WebhookDelivery(WebhookDelivery),
}

pub struct Query;

/// The operations that read.
#[Object]
impl Query {
    /// The object with this ID; null if it does not exist.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "ID of any object.")] id: ID) -> Option<Result<Node>> {
        find_node(ctx, uuid(&id)?).await.transpose()
    }

    /// The objects with these IDs, in the same order; null for each that does not exist.
    #[graphql(complexity = list_cost(i32::try_from(ids.len()).unwrap_or(i32::MAX), child_complexity))]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "IDs of any objects, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > MAX_PAGE as usize {
            return Err(bad_input(format!("`ids` has {} entries; it may have at most {MAX_PAGE}.", ids.len())));
        }
        let nodes = ids.iter().map(async |id| match uuid(id) {
            Some(id) => find_node(ctx, id).await,
            None => Ok(None),
        });
        futures_util::future::try_join_all(nodes).await
    }

    /// The request with this ID; null when there is none.
    async fn processing_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the request.")] id: ID,
    ) -> Option<Result<ProcessingRequest>> {
        find_request(ctx, uuid(&id)?).await.transpose()
    }

    /// The requests, newest first.
    #[graphql(complexity = page_cost(first, last, child_complexity))]
    async fn processing_requests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of items from the start; 20 by default, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of items from the end instead; at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which requests; all by default.")] filter: Option<ProcessingRequestFilter>,
    ) -> Result<Paged<Uuid, ProcessingRequest>> {
        let pool = &ctx.data_unchecked::<App>().pool;
        let filter = filter.unwrap_or_default().into_rows()?;
        let rows = async |page| {
            let mut conn = db::connect(pool).await.map_err(internal)?;
            request::ProcessingRequest::page(&mut conn, viewer(ctx), &filter, &page).await.map_err(internal)
        };
        let total = Total::Requests(filter.clone());
        paginate(Args { first, after, last, before, offset: None }, total, rows, |row| row.id, ProcessingRequest::from)
            .await
    }

    /// Totals over the requests that match a filter.
    #[graphql(complexity = "20 + child_complexity")]
    async fn processing_request_totals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which requests; all by default.")] filter: Option<ProcessingRequestFilter>,
    ) -> Result<ProcessingRequestTotals> {
        let filter = filter.unwrap_or_default().into_rows()?;
        let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
        let totals = RequestTotals::read(&mut conn, viewer(ctx), &filter, MAX_LABELS).await.map_err(internal)?;
        Ok(totals.into())
    }

    /// The product with this ID; null when there is none.
    async fn product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the product.")] id: ID,
    ) -> Option<Result<Product>> {
        find_product(ctx, uuid(&id)?).await.transpose()
    }

    /// The image with this ID; null when there is none.
    async fn image(&self, ctx: &Context<'_>, #[graphql(desc = "ID of the image.")] id: ID) -> Option<Result<Image>> {
        find_image(ctx, uuid(&id)?).await.transpose()
    }

    /// Who is calling.
    async fn viewer(&self) -> ViewerInfo {
        ViewerInfo
    }

    /// The limits in force, so that a client can check before it sends.
    async fn limits(&self, ctx: &Context<'_>) -> Limits {
        Limits::of(ctx)
    }

    /// The state of the whole service: queue, workers and unavailable hosts. It covers all tenants, so a key needs the scope
    /// `ADMIN`.
    #[graphql(complexity = "20 + child_complexity")]
    async fn system(&self, ctx: &Context<'_>) -> Result<System> {
        System::read(ctx).await
    }
}

async fn find_node(ctx: &Context<'_>, id: Uuid) -> Result<Option<Node>> {
    if let Some(request) = find_request(ctx, id).await? {
        return Ok(Some(request.into()));
    }
    if let Some(image) = find_image(ctx, id).await? {
        return Ok(Some(image.into()));
    }
    if let Some(product) = find_product(ctx, id).await? {
        return Ok(Some(product.into()));
    }
    Ok(load(ctx, DeliveryById(id, viewer(ctx))).await?.map(|delivery| WebhookDelivery(delivery).into()))
}

async fn find_request(ctx: &Context<'_>, id: Uuid) -> Result<Option<ProcessingRequest>> {
    Ok(load(ctx, RequestById(id, viewer(ctx))).await?.map(ProcessingRequest::from))
}

async fn find_image(ctx: &Context<'_>, id: Uuid) -> Result<Option<Image>> {
    Ok(load(ctx, ImageById(id, viewer(ctx))).await?.map(Image))
}

async fn find_product(ctx: &Context<'_>, id: Uuid) -> Result<Option<Product>> {
    Ok(load(ctx, ProductById(id, viewer(ctx))).await?.map(Product))
}
