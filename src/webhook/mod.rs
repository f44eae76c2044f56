//! Signs and sends one delivery, and says when to try again.
//! One attempt ends within 15 s, follows no redirect, reads a few KiB at most, and goes only where the guard allows.

mod schedule;
mod signature;

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, InvalidHeaderValue};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;
use uuid::Uuid;

use crate::guard::retry_after;
use crate::guard::{Client, Failure};
use crate::trace;

pub use schedule::{DEFAULT_SCHEDULE, retry_delay};
pub use signature::{InvalidSecret, Secret, sign};

/// An attempt, from the name lookup to the end of the answer, unless the caller asks for less.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// What is read of an answer, for the sake of using the connection again.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// `Retry-After` above this is taken as this: the longest delay of the schedule.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// One event on its way to one receiver.
#[derive(Clone)]
pub struct Delivery {
    /// The same in every attempt, so that the receiver can tell a repetition; sent as `webhook-id`.
    pub id: Uuid,
    pub url: String,
    /// JSON, sent and signed as it is.
    pub body: Bytes,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `None`: there was no answer.
    pub http_status: Option<u16>,
    /// Why it is not delivered, in one sentence; `None`: it is.
    pub error: Option<String>,
    /// How long the receiver asked to be left alone, at most a day.
    pub retry_after: Option<Duration>,
    pub duration: Duration,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: done.
    Delivered,
    /// 410: the receiver wants nothing more.
    Gone,
    /// Everything else: try again by the schedule.
    Retry,
}

impl Attempt {
    pub fn verdict(&self) -> Verdict {
        match self.http_status {
            Some(200..=299) => Verdict::Delivered,
            Some(410) => Verdict::Gone,
            _ => Verdict::Retry,
        }
    }
}

/// Sends `delivery` once, signed with each of the secrets for the moment `now`, within `limit` (see [`TIMEOUT`]).
pub async fn send(
    client: &Client,
    delivery: &Delivery,
    secrets: &[Secret],
    now: SystemTime,
    limit: Duration,
) -> Attempt {
    let started = Instant::now();
    let answered = match request(delivery, secrets, now) {
        Ok(request) => timeout(limit, client.execute(request)).await,
        Err(error) => return failed(started, error),
    };
    match answered {
        Ok(Ok(response)) => {
            let left = limit.saturating_sub(started.elapsed());
            let status = response.status();
            let retry_after = retry_after::parse(response.headers(), now, MAX_RETRY_AFTER);
            // The status has been said; whether the rest comes does not change it.
            let _ = timeout(left, drain(response)).await;
            Attempt {
                http_status: Some(status.as_u16()),
                error: refusal(status),
                retry_after,
                duration: started.elapsed(),
            }
        }
        Ok(Err(failure)) => failed(started, no_answer(&failure)),
        Err(_) => failed(started, format!("The receiver did not answer within {} s.", limit.as_secs_f64())),
    }
}

fn request(delivery: &Delivery, secrets: &[Secret], now: SystemTime) -> Result<Request, String> {
    let url = Url::parse(&delivery.url).map_err(|error| format!("The webhook URL is not valid: {error}."))?;
    let id = delivery.id.to_string();
    let timestamp = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    // One by each secret: a receiver that knows one of them is content.
    let signatures: Vec<_> = secrets.iter().map(|secret| sign(secret, &id, timestamp, &delivery.body)).collect();
    let mut request = Request::new(Method::POST, url);
    let header = |value: &str| {
        HeaderValue::from_str(value).map_err(|error: InvalidHeaderValue| format!("A header cannot be sent: {error}."))
    };
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", header(&id)?);
    headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
    headers.insert("webhook-signature", header(&signatures.join(" "))?);
    if let Some(trace) = trace::current() {
        headers.insert(trace::HEADER, header(&trace.to_string())?);
    }
    *request.body_mut() = Some(delivery.body.clone().into());
    Ok(request)
}

fn failed(started: Instant, error: String) -> Attempt {
    Attempt { http_status: None, error: Some(error), retry_after: None, duration: started.elapsed() }
}

/// What is wrong with a status; `None` for 2xx.
fn refusal(status: StatusCode) -> Option<String> {
    match status.as_u16() {
        200..=299 => None,
        code @ 300..=399 => {
            Some(format!("The receiver returned {code}; redirects are not followed, so register the final address."))
        }
        410 => Some("The receiver returned 410: it wants no more deliveries.".to_owned()),
        code => Some(format!("The receiver returned {code}.")),
    }
}

fn no_answer(failure: &Failure) -> String {
    match failure {
        Failure::Blocked(reason) => format!("The receiver may not be contacted: {reason}."),
        Failure::Http(error) if error.is_dns() => "The receiver's host could not be found.".to_owned(),
        Failure::Http(_) if failure.is_tls() => {
            "No secure connection to the receiver could be made: its certificate is missing, expired or not trusted."
                .to_owned()
        }
        Failure::Http(error) if error.is_connect() && error.is_timeout() => {
            "The connection to the receiver took too long.".to_owned()
        }
        Failure::Http(error) if error.is_connect() => "No connection to the receiver could be made.".to_owned(),
        Failure::Http(_) => "The receiver closed the connection before it answered.".to_owned(),
    }
}

async fn drain(mut response: Response) {
    let mut left = MAX_ANSWER_BYTES;
    while let Ok(Some(chunk)) = response.chunk().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}
