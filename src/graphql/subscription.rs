//! Watching: snapshots of a request, and its images one by one, until it ends.

use std::collections::HashMap;
use std::time::Duration;

use async_graphql::{Context, ID, Result, SimpleObject, Subscription as GraphqlSubscription};
use async_stream::try_stream;
use futures_util::Stream;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{bad_input, internal, internal_ref, not_found};
use super::estimate::{self, Estimate, EstimateInput};
use super::image::Image;
use super::progress::Progress;
use super::request::ProcessingRequest;
use super::scalars::uuid;
use super::snapshots::{Seen, Snapshots, patiently};
use super::viewer::viewer;
use super::watching::{DEFAULT_INTERVAL_MS, INTERVAL_MS, Pinned, Watch};
use crate::app::App;
use crate::db;
use crate::db::image::{self, ImageState};
use crate::db::progress;
use crate::db::request::ProcessingRequest as Row;

/// Ended images read at once.
const IMAGES_PER_READ: i64 = 100;

/// An image that has finished.
#[derive(SimpleObject)]
pub struct ImageUpdate {
    /// Pass it as `after` to continue after this image.
    cursor: String,
    /// The image.
    image: Image,
    /// The progress of its request.
    progress: Progress,
}

pub struct Subscription;

/// The operations that keep sending updates.
#[GraphqlSubscription]
impl Subscription {
    /// The current snapshot, then at most one per interval, always including the last; completes when the request has
    /// ended. When more than 50 subscribers watch a request, the interval grows with their number.
    async fn request_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the request.")] id: ID,
        #[graphql(
            default_with = "DEFAULT_INTERVAL_MS",
            desc = "Shortest time between two snapshots, 50 to 60,000 milliseconds."
        )]
        min_interval_ms: i32,
    ) -> Result<impl Stream<Item = Result<ProcessingRequest>> + use<>> {
        let mut watch = match ctx.data_opt::<Pinned>() {
            Some(pinned) => Watch::only(pinned),
            None => {
                let app = ctx.data_unchecked::<App>();
                let interval = interval(min_interval_ms)?;
                let id = known_request(ctx, &id).await?;
                Watch::new(ctx.data_unchecked::<Snapshots>().request(app, viewer(ctx), id), interval)
            }
        };
        Ok(try_stream! {
            while let Some(next) = watch.next().await {
                let snapshot = next.map_err(|error| internal_ref(&error))?;
                yield ProcessingRequest { row: snapshot.request.clone(), progress: Some(snapshot.progress.clone()) };
            }
        })
    }

    /// Every image as it finishes, in every run. Reconnect with the last `cursor` as `after`, and you miss nothing;
    /// completes when the request has ended.
    async fn image_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the request.")] request_id: ID,
        #[graphql(desc = "Only images after this cursor: after a lost connection, the last one that arrived.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<ImageUpdate>> + use<>> {
        let app = ctx.data_unchecked::<App>().clone();
        let after = after.map(|cursor| cursor.parse::<i64>()).transpose();
        let mut after = after.map_err(|_| bad_input("`after` is not a cursor of this subscription."))?.unwrap_or(0);
        let id = known_request(ctx, &request_id).await?;
        let mut watched = ctx.data_unchecked::<Snapshots>().request(&app, viewer(ctx), id);
        Ok(try_stream! {
            loop {
                let seen = watched.borrow_and_update().clone();
                match seen {
                    Seen::Nothing => {}
                    Seen::Gone => break,
                    Seen::Lost(error) => Err(internal_ref(&error))?,
                    Seen::This(snapshot) => {
                        // What ended before the snapshot's images is read here.
                        while after < snapshot.images_after {
                            let images = patiently(|| ended_images(&app, id, after)).await;
                            let images = images.map_err(internal)?;
                            let count = images.len();
                            for state in images {
                                after = state.image.revision;
                                yield ImageUpdate::new(state, &snapshot.progress);
                            }
                            if (count as i64) < IMAGES_PER_READ {
                                break;
                            }
                        }
                        for state in &snapshot.images {
                            if state.image.revision > after {
                                after = state.image.revision;
                                yield ImageUpdate::new(ImageState::clone(state), &snapshot.progress);
                            }
                        }
                        after = after.max(snapshot.images_after);
                        if snapshot.is_last {
                            break;
                        }
                    }
                }
                if watched.changed().await.is_err() {
                    break;
                }
            }
        })
    }

    /// Estimate the result of compressing a CSV: a sample of its images is downloaded and compressed, and nothing is
    /// stored. Sends an estimate at once and after each image of the sample, then completes. A file needs
    /// multipart/form-data, so subscribe by POST with `Accept: text/event-stream` or `multipart/mixed`. Each caller may
    /// have one at a time.
    async fn estimate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file, and how it would be processed.")] input: EstimateInput,
    ) -> Result<impl Stream<Item = Result<Estimate>> + use<>> {
        estimate::run(ctx, input).await
    }

    /// Requests as they are created or change, for consoles. Starts with the 50 newest and all that are running, oldest
    /// first.
    async fn requests_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 1000, desc = "Shortest time between two snapshots, 50 to 60,000 milliseconds.")]
        min_interval_ms: i32,
    ) -> Result<impl Stream<Item = Result<ProcessingRequest>> + use<>> {
        let interval = interval(min_interval_ms)?;
        let mut watched = ctx.data_unchecked::<Snapshots>().list(ctx.data_unchecked::<App>(), viewer(ctx));
        Ok(try_stream! {
            let mut sent = HashMap::new();
            loop {
                let taken_at = Instant::now();
                let seen = watched.borrow_and_update().clone();
                match seen {
                    Seen::Nothing | Seen::Gone => {}
                    Seen::Lost(error) => Err(internal_ref(&error))?,
                    Seen::This(requests) => {
                        let mut listed = HashMap::new();
                        for request in requests.iter() {
                            listed.insert(request.id, request.revision);
                            if sent.get(&request.id) != Some(&request.revision) {
                                yield ProcessingRequest::from(request.clone());
                            }
                        }
                        sent = listed;
                    }
                }
                if watched.changed().await.is_err() {
                    break;
                }
                if !sent.is_empty() {
                    tokio::time::sleep_until(taken_at + interval).await;
                }
            }
        })
    }
}

impl ImageUpdate {
    fn new(state: ImageState, progress: &progress::Progress) -> Self {
        Self { cursor: state.image.revision.to_string(), image: Image(state), progress: Progress(progress.clone()) }
    }
}

fn interval(milliseconds: i32) -> Result<Duration> {
    if !INTERVAL_MS.contains(&milliseconds) {
        let (least, most) = INTERVAL_MS.into_inner();
        return Err(bad_input(format!("`minIntervalMs` is {milliseconds}; it must be from {least} to {most}.")));
    }
    Ok(Duration::from_millis(milliseconds.unsigned_abs().into()))
}

async fn known_request(ctx: &Context<'_>, id: &ID) -> Result<Uuid> {
    let unknown = || not_found(format!("There is no request with the id {:?}.", id.as_str()));
    let id = uuid(id).ok_or_else(unknown)?;
    let mut conn = db::connect(&ctx.data_unchecked::<App>().pool).await.map_err(internal)?;
    let found = Row::find(&mut conn, viewer(ctx), id).await.map_err(internal)?;
    found.map(|request| request.id).ok_or_else(unknown)
}

async fn ended_images(app: &App, id: Uuid, after: i64) -> anyhow::Result<Vec<ImageState>> {
    let mut conn = db::connect(&app.pool).await?;
    Ok(image::Image::ended_after(&mut conn, id, after, IMAGES_PER_READ).await?)
}
