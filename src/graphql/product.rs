//! A product as a client sees it: an accepted row of the CSV.

use async_graphql::{Context, ID, Object, Result};

use super::error::internal;
use super::image::Image;
use super::loaders::{ImageById, RequestById, load, load_many};
use super::paging::list_cost;
use super::request::ProcessingRequest;
use super::scalars::Url;
use super::viewer::{links, viewer};
use crate::db::image::ImageState;
use crate::db::product::Product as Row;

/// Images a product has for the purpose of a query's complexity: as many as a product may have unless configured otherwise.
const MOST_IMAGES: i32 = 100;

pub struct Product(pub Row);

impl Product {
    /// The image of each of the row's URLs; `None` where the URL was refused.
    async fn placed_images(&self, ctx: &Context<'_>) -> Result<Vec<Option<ImageState>>> {
        let viewer = viewer(ctx);
        let images = load_many(ctx, self.0.image_ids.iter().flatten().map(|id| ImageById(*id, viewer))).await?;
        Ok(self.0.image_ids.iter().map(|id| images.get(&ImageById((*id)?, viewer)).cloned()).collect())
    }
}

/// One accepted row of the CSV. Rows are never merged.
#[Object]
impl Product {
    /// The product's ID.
    pub(super) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The request it belongs to.
    async fn request(&self, ctx: &Context<'_>) -> Result<ProcessingRequest> {
        let request = load(ctx, RequestById(self.0.request_id, viewer(ctx))).await?;
        request
            .map(ProcessingRequest::from)
            .ok_or_else(|| internal(anyhow::anyhow!("request {} is gone", self.0.request_id)))
    }

    /// 1-based data row, counted as in a spreadsheet.
    async fn row_number(&self) -> i32 {
        self.0.row_number
    }

    /// The row's serial number, as given in the CSV.
    async fn serial_number(&self) -> Option<&str> {
        self.0.serial_number.as_deref()
    }

    /// The product's name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The row's images, in order. The same URL elsewhere in the request is the same `Image`.
    #[graphql(complexity = list_cost(MOST_IMAGES, child_complexity))]
    async fn images(&self, ctx: &Context<'_>) -> Result<Vec<Image>> {
        Ok(self.placed_images(ctx).await?.into_iter().flatten().map(Image).collect())
    }

    /// As given in the CSV, or as corrected since.
    async fn input_image_urls(&self) -> &[String] {
        &self.0.input_urls
    }

    /// The output URL for each entry of `inputImageUrls`; null where there is no output.
    async fn output_image_urls(&self, ctx: &Context<'_>) -> Result<Vec<Option<Url>>> {
        let links = links(ctx);
        let url = |state: ImageState| {
            Some(Url(links.image(state.image.id, state.image.output_number, state.image.output_key.as_deref()?)))
        };
        Ok(self.placed_images(ctx).await?.into_iter().map(|state| state.and_then(url)).collect())
    }
}
