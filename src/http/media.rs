//! The media types of a single GraphQL answer.

use axum::http::HeaderValue;

/// The two forms of a single answer. They differ in status codes, not in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// 200 for every well-formed request, also one whose document is refused: what clients from before
    /// the specification expect.
    Json,
    /// 4xx and 5xx mean what they say.
    GraphqlResponse,
}

impl Media {
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Media::Json => "application/json; charset=utf-8",
            Media::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }
}
