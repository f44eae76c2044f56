//! What a client learns of a failure: a code and a sentence. The cause goes to the log, once.

use async_graphql::{Enum, ErrorExtensions as _, SimpleObject};

use crate::access::quota::Exceeded;
use crate::db;

/// Something the caller can fix.
#[derive(SimpleObject)]
pub struct UserError {
    /// What is wrong, for programs.
    pub code: UserErrorCode,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
    /// Path to the input field that caused it.
    pub field: Option<Vec<String>>,
}

/// What is wrong with the input.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserErrorCode {
    /// The file is not a CSV that can be processed; `csv` says why, line by line.
    CsvRejected,
    /// A setting has an invalid value.
    InvalidSettings,
    /// The URL of an image cannot be fetched.
    InvalidUrl,
    /// The webhook is not an http or https URL.
    InvalidWebhookUrl,
    /// The webhook's host may not be contacted.
    BlockedAddress,
    /// The idempotency key was used for another upload.
    IdempotencyKeyReused,
    /// The object's status does not allow it.
    WrongStatus,
    /// There is no object with this ID.
    NotFound,
}

impl UserError {
    /// An error about this place in the input.
    pub fn new(code: UserErrorCode, field: &[&str], message: impl Into<String>) -> Self {
        let field = (!field.is_empty()).then(|| field.iter().map(|part| (*part).to_owned()).collect());
        Self { code, message: message.into(), field }
    }
}

/// The code of a failure that passes by itself: the database does not answer.
pub const UNAVAILABLE: &str = "UNAVAILABLE";

/// The code of what the caller's key is not good for.
pub const FORBIDDEN: &str = "FORBIDDEN";

/// The code of what the caller's key may do again in `retryAfter` seconds.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// The caller's key may not do more of this now.
pub fn rate_limited(exceeded: &Exceeded) -> async_graphql::Error {
    async_graphql::Error::new(&exceeded.message).extend_with(|_, extensions| {
        extensions.set("code", RATE_LIMITED);
        extensions.set("retryAfter", exceeded.retry_after_seconds());
    })
}

/// A fault of ours: the client gets the code INTERNAL, or UNAVAILABLE where trying again helps; the log gets the cause.
pub fn internal(error: impl Into<anyhow::Error>) -> async_graphql::Error {
    internal_ref(&error.into())
}

/// As [`internal`], of an error that others hold too.
pub fn internal_ref(error: &anyhow::Error) -> async_graphql::Error {
    tracing::error!("cannot answer a GraphQL request: {error:#}");
    let (code, message) = if db::is_unavailable(error) {
        (UNAVAILABLE, "The database does not answer; try again in a few seconds.")
    } else {
        ("INTERNAL", "Something went wrong inside Halftone; its log has the details.")
    };
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// The argument is invalid.
pub fn bad_input(message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", "BAD_USER_INPUT"))
}

/// The caller's key is not good for this.
pub fn forbidden(message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", FORBIDDEN))
}

/// The caller has as much under way as they may.
pub fn busy(message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", "TOO_MANY_OPERATIONS"))
}

/// There is nothing with this id.
pub fn not_found(message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", "NOT_FOUND"))
}
