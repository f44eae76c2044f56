//! What a client learns of a failure: a code and a sentence. The cause goes to the log, once.

use async_graphql::{Enum, ErrorExtensions as _, SimpleObject};

/// Something the caller can fix.
#[derive(SimpleObject)]
pub struct UserError {
    pub code: UserErrorCode,
    pub message: String,
    /// Path into the input.
    pub field: Option<Vec<String>>,
}

/// What a caller can fix.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserErrorCode {
    /// The file is not a CSV that can be processed; `csv` says why, line by line.
    CsvRejected,
    InvalidSettings,
    InvalidWebhookUrl,
    /// The webhook's host may not be contacted.
    BlockedAddress,
    /// The idempotency key was used for another upload.
    IdempotencyKeyReused,
    /// The object's status does not allow it.
    WrongStatus,
    NotFound,
}

impl UserError {
    /// An error about this place in the input.
    pub fn new(code: UserErrorCode, field: &[&str], message: impl Into<String>) -> Self {
        let field = (!field.is_empty()).then(|| field.iter().map(|part| (*part).to_owned()).collect());
        Self { code, message: message.into(), field }
    }
}

/// A fault of ours: the client gets the code INTERNAL, the log the cause.
pub fn internal(error: impl Into<anyhow::Error>) -> async_graphql::Error {
    tracing::error!("cannot answer a GraphQL request: {:#}", error.into());
    async_graphql::Error::new("Something went wrong inside Halftone; its log has the details.")
        .extend_with(|_, extensions| extensions.set("code", "INTERNAL"))
}

/// The argument is invalid.
pub fn bad_input(message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", "BAD_USER_INPUT"))
}

/// There is nothing with this id.
pub fn not_found(message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", "NOT_FOUND"))
}
