//! Running a request again for what changed.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::error::{UserError, UserErrorCode, internal};
use super::request::ProcessingRequest;
use super::scalars::uuid;
use super::steering::no_request;
use super::viewer::viewer;
use crate::app::App;
use crate::db::run;
use crate::pipeline::rerun::{Rerun, rerun};

/// How the images of a run compare with their state before it, or in the request that the upload is based on. Images
/// that failed both times are not counted.
#[derive(SimpleObject)]
pub struct Changes {
    /// Images whose URLs are not in the request that the upload is based on; 0 in later runs.
    added: i32,
    /// Images of that request whose URLs are not in this one; 0 in later runs.
    removed: i32,
    /// Images whose source file has changed.
    changed: i32,
    /// Images whose source file has not changed.
    unchanged: i32,
    /// Images that had an output and have now failed. Their former outputs keep their addresses.
    newly_broken: i32,
    /// Images that had failed and now have an output.
    mended: i32,
}

impl From<run::Changes> for Changes {
    fn from(changes: run::Changes) -> Self {
        let run::Changes { added, removed, changed, unchanged, newly_broken, mended } = changes;
        Self { added, removed, changed, unchanged, newly_broken, mended }
    }
}

/// Input of `rerunProcessingRequest`.
#[derive(InputObject)]
pub struct RerunProcessingRequestInput {
    /// The request; it must have ended.
    id: ID,
    /// Ask each host whether its images have changed, and compress only those that have. If false, all images are downloaded
    /// and compressed again.
    #[graphql(default = true)]
    only_changed: bool,
}

/// Result of `rerunProcessingRequest`.
#[derive(SimpleObject)]
pub struct RerunProcessingRequestPayload {
    /// The request; null if it does not exist.
    processing_request: Option<ProcessingRequest>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct Rerunning;

#[Object]
impl Rerunning {
    /// Request all images of a finished request again from their hosts. This begins the request's next run. An image whose
    /// source has not changed keeps its output; one that has changed gets an output at another address. Former outputs keep
    /// their addresses until the request is deleted.
    async fn rerun_processing_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request, and what to process again.")] input: RerunProcessingRequestInput,
    ) -> Result<RerunProcessingRequestPayload> {
        let app = ctx.data_unchecked::<App>();
        let begun = match uuid(&input.id) {
            Some(id) => {
                let _place = app.submissions.acquire().await?;
                rerun(app, viewer(ctx), id, !input.only_changed).await.map_err(internal)?
            }
            None => Rerun::NotFound,
        };
        let (processing_request, user_errors) = match begun {
            Rerun::Begun(request) => (Some(request.into()), Vec::new()),
            Rerun::WrongStatus(request) => {
                let message = format!(
                    "The request is {}; it can be run again once it has ended. Wait for it, or cancel it.",
                    request.status
                );
                let error = UserError::new(UserErrorCode::WrongStatus, &["input", "id"], message);
                (Some(request.into()), vec![error])
            }
            Rerun::NotFound => (None, vec![no_request("id", &input.id)]),
        };
        Ok(RerunProcessingRequestPayload { processing_request, user_errors })
    }
}
