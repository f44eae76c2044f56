//! The limits in force, so that a client can check before it sends.

use async_graphql::{Context, SimpleObject};

use super::admission::QueryLimits;
use super::paging::MAX_PAGE;
use super::scalars::UnsignedInt53;
use crate::app::App;

/// The limits in force; anything that exceeds them is refused. Times are in seconds.
#[derive(SimpleObject)]
pub struct Limits {
    /// Limits on an uploaded CSV.
    csv: CsvLimits,
    /// Limits on the download of an image.
    download: DownloadLimits,
    /// Limits on an image.
    image: ImageLimits,
    /// Limits on a GraphQL request.
    graphql: GraphqlLimits,
    /// Limits on what the caller's API key may do.
    key: KeyLimits,
}

/// Limits on an uploaded CSV.
#[derive(SimpleObject)]
struct CsvLimits {
    /// Bytes per file.
    max_bytes: UnsignedInt53,
    /// Data rows, accepted or not.
    max_rows: UnsignedInt53,
    /// Distinct image URLs.
    max_images: UnsignedInt53,
    /// Image URLs per row.
    max_images_per_product: UnsignedInt53,
    /// Bytes per cell.
    max_cell_bytes: UnsignedInt53,
    /// Bytes per URL.
    max_url_bytes: UnsignedInt53,
    /// Characters per product name.
    max_name_characters: UnsignedInt53,
    /// Problems listed per file; all are counted.
    max_issues: UnsignedInt53,
}

/// Limits on the download of an image.
#[derive(SimpleObject)]
struct DownloadLimits {
    /// Bytes per file.
    max_bytes: UnsignedInt53,
    /// Longest wait for a connection.
    connect_timeout: f64,
    /// Longest wait for the first byte of the response.
    first_byte_timeout: f64,
    /// Longest time for the whole download.
    total_timeout: f64,
    /// Minimum speed of a download, in bytes per second.
    min_bytes_per_second: UnsignedInt53,
    /// Maximum number of redirects.
    max_redirects: UnsignedInt53,
    /// Simultaneous downloads from one host.
    max_per_host: UnsignedInt53,
    /// Attempts at an image whose failure may be temporary.
    max_attempts: i32,
}

/// Limits on an image.
#[derive(SimpleObject)]
struct ImageLimits {
    /// Pixels. All frames of an animation together may have twenty times as many.
    max_pixels: UnsignedInt53,
    /// Length of the longest side, in pixels.
    max_side: i32,
}

/// Limits on a GraphQL request.
#[derive(SimpleObject)]
struct GraphqlLimits {
    /// Bytes of a request without its files.
    max_body_bytes: UnsignedInt53,
    /// Levels of nested fields.
    max_depth: i32,
    /// Maximum complexity. A field counts 1; a field below a list counts a tenth for each item that the list may return.
    max_complexity: i32,
    /// Aliases, counted after fragments are expanded.
    max_aliases: i32,
    /// Selections, counted after fragments are expanded.
    max_selections: i32,
    /// Items of one page of a list.
    max_page: i32,
}

/// Limits on what an API key may do; null means no limit. Requests that exceed them are refused with the code
/// `RATE_LIMITED` and `extensions.retryAfter`, in seconds; over HTTP with 429 and `Retry-After`.
#[derive(SimpleObject)]
struct KeyLimits {
    /// Uploads per minute, including checks of files.
    uploads_per_minute: Option<UnsignedInt53>,
    /// Complexity of queries and mutations per minute. Starting a subscription counts 100.
    complexity_per_minute: Option<UnsignedInt53>,
    /// Subscriptions open at once.
    subscriptions: Option<UnsignedInt53>,
    /// Unfinished images of the tenant, including those of a new upload.
    queued_images: Option<UnsignedInt53>,
}

impl Limits {
    pub fn of(ctx: &Context<'_>) -> Self {
        let config = &ctx.data_unchecked::<App>().config;
        let query = ctx.data_unchecked::<QueryLimits>();
        let size = |size: usize| UnsignedInt53(size as u64);
        let int = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            csv: CsvLimits {
                max_bytes: UnsignedInt53(config.sheet.max_bytes),
                max_rows: UnsignedInt53(config.sheet.max_rows),
                max_images: UnsignedInt53(config.sheet.max_images),
                max_images_per_product: size(config.sheet.max_images_per_product),
                max_cell_bytes: size(config.sheet.max_cell_bytes),
                max_url_bytes: size(config.sheet.max_url_bytes),
                max_name_characters: size(config.sheet.max_name_chars),
                max_issues: size(config.sheet.max_issues),
            },
            download: DownloadLimits {
                max_bytes: UnsignedInt53(config.fetch.max_bytes),
                connect_timeout: config.fetch.connect_timeout.as_secs_f64(),
                first_byte_timeout: config.fetch.first_byte_timeout.as_secs_f64(),
                total_timeout: config.fetch.total_timeout.as_secs_f64(),
                min_bytes_per_second: UnsignedInt53(config.fetch.min_bytes_per_second),
                max_redirects: UnsignedInt53(config.fetch.max_redirects as u64),
                max_per_host: size(config.fetch.max_per_host),
                max_attempts: i32::try_from(config.fetching.max_attempts).unwrap_or(i32::MAX),
            },
            image: ImageLimits {
                max_pixels: UnsignedInt53(config.compress.max_pixels),
                max_side: i32::try_from(config.compress.max_side).unwrap_or(i32::MAX),
            },
            graphql: GraphqlLimits {
                max_body_bytes: size(query.body_bytes),
                max_depth: int(query.depth),
                max_complexity: int(query.complexity),
                max_aliases: int(query.aliases),
                max_selections: int(query.selections),
                max_page: MAX_PAGE,
            },
            key: KeyLimits {
                uploads_per_minute: config.quotas.uploads_per_minute().map(|most| UnsignedInt53(most.get().into())),
                complexity_per_minute: config
                    .quotas
                    .complexity_per_minute()
                    .map(|most| UnsignedInt53(most.get().into())),
                subscriptions: config.quotas.subscriptions_per_key.map(size),
                queued_images: config.quotas.max_queued_images.map(UnsignedInt53),
            },
        }
    }
}
