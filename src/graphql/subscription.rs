//! Watching: snapshots of a request, and its images one by one, until it ends.

use std::time::Duration;

use async_graphql::{Context, ID, Result, SimpleObject, Subscription as GraphqlSubscription};
use async_stream::try_stream;
use futures_util::Stream;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{bad_input, internal, not_found};
use super::image::Image;
use super::progress::Progress;
use super::request::ProcessingRequest;
use super::scalars::uuid;
use crate::app::App;
use crate::db;
use crate::db::image;
use crate::db::request::{self, ProcessingRequest as Row};

/// How often a request is read again although nothing said that it changed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a subscription lasts while the database does not answer, and how long it rests between two tries.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
const DATABASE_REST: Duration = Duration::from_secs(1);
/// Shortest and longest time between two snapshots, in milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<i32> = 50..=60_000;
/// Ended images read at once.
const IMAGES_PER_READ: i64 = 100;

/// An image that has ended.
#[derive(SimpleObject)]
pub struct ImageUpdate {
    /// Pass it as `after` to continue after this image.
    cursor: String,
    image: Image,
    progress: Progress,
}

pub struct Subscription;

#[GraphqlSubscription]
impl Subscription {
    /// The snapshot at once, then at most one per interval, always the last; ends with the request.
    async fn request_updated(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default = 250)] min_interval_ms: i32,
    ) -> Result<impl Stream<Item = Result<ProcessingRequest>> + use<>> {
        let app = ctx.data_unchecked::<App>().clone();
        let interval = interval(min_interval_ms)?;
        let id = known_request(&app, &id).await?;
        Ok(try_stream! {
            let mut changed = app.events.request(id);
            let mut seen = None;
            loop {
                changed.mark_unchanged();
                let read_at = Instant::now();
                let Some(request) = patiently(|| find(&app, id)).await? else { break };
                let is_final = request.status.is_final();
                // A revision that was sent before has nothing new in it, whatever woke us.
                if seen.replace(request.revision) != Some(request.revision) {
                    yield ProcessingRequest(request);
                }
                if is_final {
                    break;
                }
                // Resolves at once when it changed while the snapshot was on its way.
                let _ = tokio::time::timeout(POLL_INTERVAL, changed.changed()).await;
                tokio::time::sleep_until(read_at + interval).await;
            }
        })
    }

    /// Every image as it ends. Reconnect with the last `cursor` as `after` and nothing is missed; ends with the request.
    async fn image_updated(
        &self,
        ctx: &Context<'_>,
        request_id: ID,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<ImageUpdate>> + use<>> {
        let app = ctx.data_unchecked::<App>().clone();
        let after = after.map(|cursor| cursor.parse::<i64>()).transpose();
        let mut after = after.map_err(|_| bad_input("`after` is not a cursor of this subscription."))?.unwrap_or(0);
        let id = known_request(&app, &request_id).await?;
        Ok(try_stream! {
            let mut changed = app.events.request(id);
            loop {
                changed.mark_unchanged();
                // The request first: when it has ended, no image read after it can be missing.
                let Some(request) = patiently(|| find(&app, id)).await? else { break };
                loop {
                    let (images, progress) = patiently(|| ended_images(&app, id, after)).await?;
                    let Some(progress) = progress else { break };
                    let count = images.len();
                    for state in images {
                        after = state.image.revision;
                        let update = ImageUpdate {
                            cursor: after.to_string(),
                            image: Image(state),
                            progress: Progress(progress.clone()),
                        };
                        yield update;
                    }
                    if (count as i64) < IMAGES_PER_READ {
                        break;
                    }
                }
                if request.status.is_final() {
                    break;
                }
                let _ = tokio::time::timeout(POLL_INTERVAL, changed.changed()).await;
            }
        })
    }

    /// Any of the 50 newest requests, when it is created or changes; for consoles.
    async fn requests_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 1000)] min_interval_ms: i32,
    ) -> Result<impl Stream<Item = Result<ProcessingRequest>> + use<>> {
        let app = ctx.data_unchecked::<App>().clone();
        let interval = interval(min_interval_ms)?;
        Ok(try_stream! {
            let mut changed = app.events.any_request();
            let mut seen = std::collections::HashMap::new();
            loop {
                changed.mark_unchanged();
                let read_at = Instant::now();
                let requests = patiently(|| latest(&app)).await?;
                let mut shown = std::collections::HashMap::new();
                for request in requests.into_iter().rev() {
                    shown.insert(request.id, request.revision);
                    if seen.get(&request.id) != Some(&request.revision) {
                        yield ProcessingRequest(request);
                    }
                }
                seen = shown;
                let _ = tokio::time::timeout(POLL_INTERVAL, changed.changed()).await;
                tokio::time::sleep_until(read_at + interval).await;
            }
        })
    }
}

fn interval(milliseconds: i32) -> Result<Duration> {
    if !INTERVAL_MS.contains(&milliseconds) {
        let (least, most) = INTERVAL_MS.into_inner();
        return Err(bad_input(format!("`minIntervalMs` is {milliseconds}; it can be from {least} to {most}.")));
    }
    Ok(Duration::from_millis(milliseconds.unsigned_abs().into()))
}

/// Reads again while the database does not answer: a subscription that ended with an error would look finished.
async fn patiently<T, F: Future<Output = Result<T>>>(read: impl Fn() -> F) -> Result<T> {
    let give_up = Instant::now() + DATABASE_PATIENCE;
    loop {
        match read().await {
            Err(_) if Instant::now() < give_up => tokio::time::sleep(DATABASE_REST).await,
            done => return done,
        }
    }
}

async fn known_request(app: &App, id: &ID) -> Result<Uuid> {
    let unknown = || not_found(format!("There is no request with the id {:?}.", id.as_str()));
    let id = uuid(id).ok_or_else(unknown)?;
    find(app, id).await?.map(|request| request.id).ok_or_else(unknown)
}

async fn find(app: &App, id: Uuid) -> Result<Option<Row>> {
    let mut conn = db::connect(&app.pool).await.map_err(internal)?;
    Row::find(&mut conn, id).await.map_err(internal)
}

/// The requests a console shows, the newest first.
async fn latest(app: &App) -> Result<Vec<Row>> {
    let mut conn = db::connect(&app.pool).await.map_err(internal)?;
    Row::page(&mut conn, &request::RequestFilter::default(), &db::page::Page::first(50)).await.map_err(internal)
}

async fn ended_images(app: &App, id: Uuid, after: i64) -> Result<(Vec<image::ImageState>, Option<request::Progress>)> {
    let mut conn = db::connect(&app.pool).await.map_err(internal)?;
    let images = image::Image::ended_after(&mut conn, id, after, IMAGES_PER_READ).await.map_err(internal)?;
    let progress = Row::progress(&mut conn, &[id]).await.map_err(internal)?.pop();
    Ok((images, progress))
}
