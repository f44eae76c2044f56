//! Why an image that has not ended waits, and until when: its last attempt failed, or its host is paused or down.

use chrono::{DateTime, Utc};

use super::failure::{Failure, internal_error};
use crate::db::ending::Error;
use crate::db::image::{ImageState, ImageStatus};
use crate::fetch;

fn waits(image: &ImageState) -> bool {
    matches!(image.status, ImageStatus::Pending | ImageStatus::Retrying)
}

/// Why the image waits; `None` when it does not, or only waits for its turn.
pub fn reason(image: &ImageState) -> Option<Error> {
    if image.status == ImageStatus::Retrying
        && let Some(recorded) = &image.last_error
    {
        // What is no record of an attempt is a note of the queue: an attempt panicked.
        return Some(serde_json::from_str(recorded).unwrap_or_else(|_| internal_error()));
    }
    let until = until(image)?;
    let retry_after = (until - Utc::now()).to_std().unwrap_or_default();
    let host = url::Url::parse(image.host.as_deref()?).ok()?.host_str()?.to_owned();
    let closed = match image.paused_status {
        _ if image.down_until.is_some() => fetch::Error::HostDown { host, retry_after },
        status => {
            let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(429);
            fetch::Error::HostPaused { host, status, retry_after }
        }
    };
    Some(Failure::of_fetch(&closed).error)
}

/// When the next attempt is due, or the host's pause ends if that is later.
pub fn until(image: &ImageState) -> Option<DateTime<Utc>> {
    waits(image).then_some(image.next_attempt_at.max(image.paused_until).max(image.down_until)).flatten()
}
