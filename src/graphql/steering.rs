//! Steering a request that was accepted: trying images again, pausing, deleting, and its webhooks.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::error::{UserError, UserErrorCode, internal};
use super::failure::ImageErrorCode;
use super::request::ProcessingRequest;
use super::scalars::uuid;
use super::viewer::viewer;
use super::webhook::{WebhookAttempt, WebhookDelivery, check_url};
use crate::app::App;
use crate::db::run::RetryFilter;
use crate::pipeline::delete::{Deleted, delete};
use crate::pipeline::notify::{self, Redelivered};
use crate::pipeline::pause::{self, Paused};
use crate::pipeline::retry::{Retried, retry};

/// Which images are tried again: those that match every field.
#[derive(InputObject, Default)]
pub struct FailedImageFilter {
    /// Only images that failed with one of these codes.
    codes: Option<Vec<ImageErrorCode>>,
    /// Only images from these hosts, named as in `failureGroups` or in `hosts`.
    hosts: Option<Vec<String>>,
    /// Only these images.
    ids: Option<Vec<ID>>,
}

/// Input of `retryFailedImages`.
#[derive(InputObject)]
pub struct RetryFailedImagesInput {
    /// The request; it must have ended.
    request_id: ID,
    /// Which of its failed and canceled images; all by default.
    filter: Option<FailedImageFilter>,
}

/// Result of `retryFailedImages`.
#[derive(SimpleObject)]
pub struct RetryFailedImagesPayload {
    /// The request; null if it does not exist.
    processing_request: Option<ProcessingRequest>,
    /// Number of images that are tried again.
    image_count: i32,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// Input of `pauseProcessingRequest`.
#[derive(InputObject)]
pub struct PauseProcessingRequestInput {
    /// The request.
    id: ID,
}

/// Result of `pauseProcessingRequest`.
#[derive(SimpleObject)]
pub struct PauseProcessingRequestPayload {
    /// The request; null if it does not exist.
    processing_request: Option<ProcessingRequest>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// Input of `resumeProcessingRequest`.
#[derive(InputObject)]
pub struct ResumeProcessingRequestInput {
    /// The request.
    id: ID,
}

/// Result of `resumeProcessingRequest`.
#[derive(SimpleObject)]
pub struct ResumeProcessingRequestPayload {
    /// The request; null if it does not exist.
    processing_request: Option<ProcessingRequest>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// What to delete.
#[derive(InputObject)]
pub struct DeleteProcessingRequestInput {
    /// The request; it must have ended.
    id: ID,
}

/// Result of `deleteProcessingRequest`.
#[derive(SimpleObject)]
pub struct DeleteProcessingRequestPayload {
    /// The ID of the deleted request; null if nothing was deleted.
    deleted_id: Option<ID>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// Input of `redeliverWebhook`.
#[derive(InputObject)]
pub struct RedeliverWebhookInput {
    /// The delivery.
    id: ID,
}

/// Result of `redeliverWebhook`.
#[derive(SimpleObject)]
pub struct RedeliverWebhookPayload {
    /// The delivery; null when there is none.
    webhook_delivery: Option<WebhookDelivery>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

/// Input of `testWebhook`.
#[derive(InputObject)]
pub struct TestWebhookInput {
    /// An http or https URL.
    url: String,
}

/// Result of `testWebhook`.
#[derive(SimpleObject)]
pub struct TestWebhookPayload {
    /// The attempt; null if the URL was refused.
    attempt: Option<WebhookAttempt>,
    /// Problems the caller can fix; empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct Steering;

#[Object]
impl Steering {
    /// Try the failed and canceled images of a finished request again, in place. This begins the request's next run.
    async fn retry_failed_images(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request, and which of its images to try again.")] input: RetryFailedImagesInput,
    ) -> Result<RetryFailedImagesPayload> {
        let app = ctx.data_unchecked::<App>();
        let refused = |request, error| RetryFailedImagesPayload {
            processing_request: request,
            image_count: 0,
            user_errors: vec![error],
        };
        let Some(id) = uuid(&input.request_id) else {
            return Ok(refused(None, no_request("requestId", &input.request_id)));
        };
        let filter = input.filter.unwrap_or_default();
        let filter = RetryFilter {
            codes: filter.codes.map(|codes| codes.into_iter().map(Into::into).collect()),
            // No URL has a NUL, which the database does not take.
            hosts: filter.hosts.map(|hosts| hosts.iter().map(|host| host.to_lowercase().replace('\0', "")).collect()),
            // What is no ID of ours is that of no image.
            ids: filter.ids.map(|ids| ids.iter().filter_map(uuid).collect()),
        };
        let _place = app.submissions.acquire().await?;
        Ok(match retry(app, viewer(ctx), id, &filter).await.map_err(internal)? {
            Retried::Begun(request, image_count) => {
                RetryFailedImagesPayload { processing_request: Some(request.into()), image_count, user_errors: vec![] }
            }
            Retried::WrongStatus(request) => {
                let message = format!(
                    "The request is {}; images can be tried again once it has ended. Wait for it, or cancel it.",
                    request.status
                );
                let error = UserError::new(UserErrorCode::WrongStatus, &["input", "requestId"], message);
                refused(Some(request.into()), error)
            }
            Retried::NothingMatches(request) => {
                let message = "No failed or canceled image of the request matches; there is nothing to try again.";
                let error = UserError::new(UserErrorCode::NotFound, &["input", "filter"], message);
                refused(Some(request.into()), error)
            }
            Retried::NotFound => refused(None, no_request("requestId", &input.request_id)),
        })
    }

    /// Start no more images of a request until it is resumed. Images in progress are finished.
    async fn pause_processing_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request.")] input: PauseProcessingRequestInput,
    ) -> Result<PauseProcessingRequestPayload> {
        let app = ctx.data_unchecked::<App>();
        let paused = match uuid(&input.id) {
            Some(id) => pause::pause(app, viewer(ctx), id).await.map_err(internal)?,
            None => Paused::NotFound,
        };
        let (processing_request, user_errors) = request_payload(paused, &input.id, "paused");
        Ok(PauseProcessingRequestPayload { processing_request, user_errors })
    }

    /// Resume a paused request.
    async fn resume_processing_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request.")] input: ResumeProcessingRequestInput,
    ) -> Result<ResumeProcessingRequestPayload> {
        let app = ctx.data_unchecked::<App>();
        let resumed = match uuid(&input.id) {
            Some(id) => pause::resume(app, viewer(ctx), id).await.map_err(internal)?,
            None => Paused::NotFound,
        };
        let (processing_request, user_errors) = request_payload(resumed, &input.id, "resumed");
        Ok(ResumeProcessingRequestPayload { processing_request, user_errors })
    }

    /// Delete a request that has ended, with its outputs and result files. Their links answer 404 at once; the files
    /// are removed in the background. Its undelivered webhooks are not sent.
    async fn delete_processing_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The request.")] input: DeleteProcessingRequestInput,
    ) -> Result<DeleteProcessingRequestPayload> {
        let deleted = match uuid(&input.id) {
            Some(id) => delete(ctx.data_unchecked::<App>(), viewer(ctx), id).await.map_err(internal)?,
            None => Deleted::NotFound,
        };
        let refused = |error| DeleteProcessingRequestPayload { deleted_id: None, user_errors: vec![error] };
        Ok(match deleted {
            Deleted::Done => DeleteProcessingRequestPayload { deleted_id: Some(input.id), user_errors: Vec::new() },
            Deleted::WrongStatus(status) => {
                let message = format!("The request is {status}; cancel it first, or wait until it has ended.");
                refused(UserError::new(UserErrorCode::WrongStatus, &["input", "id"], message))
            }
            Deleted::NotFound => refused(no_request("id", &input.id)),
        })
    }

    /// Send a webhook again, with the same ID and body, and a new timestamp and signature. Its schedule of attempts
    /// starts over.
    async fn redeliver_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The delivery.")] input: RedeliverWebhookInput,
    ) -> Result<RedeliverWebhookPayload> {
        let redelivered = match uuid(&input.id) {
            Some(id) => notify::redeliver(ctx.data_unchecked::<App>(), viewer(ctx), id).await.map_err(internal)?,
            None => Redelivered::NotFound,
        };
        Ok(match redelivered {
            Redelivered::Enqueued(delivery) => {
                RedeliverWebhookPayload { webhook_delivery: Some(WebhookDelivery(delivery)), user_errors: Vec::new() }
            }
            Redelivered::NotFound => {
                let message = format!("There is no webhook delivery with the id {:?}.", input.id.as_str());
                let error = UserError::new(UserErrorCode::NotFound, &["input", "id"], message);
                RedeliverWebhookPayload { webhook_delivery: None, user_errors: vec![error] }
            }
        })
    }

    /// Send one signed test event of the type `webhook.test` to a URL, and return its response. Nothing is stored.
    async fn test_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] input: TestWebhookInput,
    ) -> Result<TestWebhookPayload> {
        let app = ctx.data_unchecked::<App>();
        if let Some(error) = check_url(app, &["input", "url"], &input.url) {
            return Ok(TestWebhookPayload { attempt: None, user_errors: vec![error] });
        }
        let attempt = notify::send_test(app, input.url).await.map_err(internal)?;
        Ok(TestWebhookPayload { attempt: Some(WebhookAttempt::of_test(attempt)), user_errors: Vec::new() })
    }
}

/// What a mutation that pauses or resumes answers.
fn request_payload(paused: Paused, id: &ID, what: &str) -> (Option<ProcessingRequest>, Vec<UserError>) {
    match paused {
        Paused::Done(request) => (Some(request.into()), Vec::new()),
        Paused::WrongStatus(request) => {
            let message = if request.status.is_final() {
                format!("The request is {}; it cannot be {what}.", request.status)
            } else if request.cancel_requested_at.is_some() {
                format!("The request is being canceled; it cannot be {what}.")
            } else if request.paused_at.is_some() {
                "The request is already paused.".to_owned()
            } else {
                "The request is not paused.".to_owned()
            };
            (Some(request.into()), vec![UserError::new(UserErrorCode::WrongStatus, &["input", "id"], message)])
        }
        Paused::NotFound => (None, vec![no_request("id", id)]),
    }
}

pub(super) fn no_request(field: &str, id: &ID) -> UserError {
    let message = format!("There is no request with the id {:?}.", id.as_str());
    UserError::new(UserErrorCode::NotFound, &["input", field], message)
}
