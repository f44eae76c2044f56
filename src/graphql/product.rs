//! A product as a client sees it: an accepted row of the CSV.

use async_graphql::{Context, ID, Object, Result};

use super::error::internal;
use super::image::Image;
use super::loaders::{ImageById, Loaders, RequestById};
use super::paging::list_cost;
use super::request::ProcessingRequest;
use super::scalars::Url;
use crate::app::App;
use crate::db::image::ImageState;
use crate::db::product::Product as Row;

/// Images a product has for the purpose of a query's complexity.
const TYPICAL_IMAGES: i32 = 5;

pub struct Product(pub Row);

impl Product {
    /// The image of each of the row's URLs; `None` where the URL was refused.
    async fn placed_images(&self, ctx: &Context<'_>) -> Result<Vec<Option<ImageState>>> {
        let ids = self.0.image_ids.iter().flatten().copied().map(ImageById);
        let images = ctx.data_unchecked::<Loaders>().requests.load_many(ids).await;
        let images = images.map_err(|error| internal(anyhow::anyhow!("{error:#}")))?;
        Ok(self.0.image_ids.iter().map(|id| images.get(&ImageById((*id)?)).cloned()).collect())
    }
}

/// One accepted row. Rows are never merged.
#[Object]
impl Product {
    pub(super) async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn request(&self, ctx: &Context<'_>) -> Result<ProcessingRequest> {
        let request = ctx.data_unchecked::<Loaders>().requests.load_one(RequestById(self.0.request_id)).await;
        let request = request.map_err(|error| internal(anyhow::anyhow!("{error:#}")))?;
        request.map(ProcessingRequest).ok_or_else(|| internal(anyhow::anyhow!("request {} is gone", self.0.request_id)))
    }

    /// 1-based data row, as a spreadsheet counts.
    async fn row_number(&self) -> i32 {
        self.0.row_number
    }

    async fn serial_number(&self) -> Option<&str> {
        self.0.serial_number.as_deref()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    /// In the order of the CSV; the same URL elsewhere in the request is the same Image.
    #[graphql(complexity = list_cost(TYPICAL_IMAGES, child_complexity))]
    async fn images(&self, ctx: &Context<'_>) -> Result<Vec<Image>> {
        Ok(self.placed_images(ctx).await?.into_iter().flatten().map(Image).collect())
    }

    /// As the CSV has them.
    async fn input_image_urls(&self) -> &[String] {
        &self.0.input_urls
    }

    /// Answers inputImageUrls place by place; null where there is no output.
    async fn output_image_urls(&self, ctx: &Context<'_>) -> Result<Vec<Option<Url>>> {
        let app = ctx.data_unchecked::<App>();
        let url = |state: ImageState| Some(Url(app.links.image(state.image.id, state.image.output_key.as_deref()?)));
        Ok(self.placed_images(ctx).await?.into_iter().map(|state| state.and_then(url)).collect())
    }
}
