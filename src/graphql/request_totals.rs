//! Totals over the requests of a list, as a client sees them.

use async_graphql::SimpleObject;

use super::request::ProcessingRequestStatus;
use super::scalars::UnsignedInt53;
use crate::db::request_totals::{self as rows, Sum};

/// Labels that are listed, those with the most requests.
pub const MAX_LABELS: i64 = 100;

/// Requests with the same status.
#[derive(SimpleObject)]
struct StatusCount {
    /// The status.
    status: ProcessingRequestStatus,
    /// Number of requests, at least 1.
    count: UnsignedInt53,
}

/// Requests with the same label.
#[derive(SimpleObject)]
struct LabelCount {
    /// The label.
    label: String,
    /// Number of requests, at least 1.
    count: UnsignedInt53,
}

/// Totals over all requests of a list, on all pages.
#[derive(SimpleObject)]
pub struct ProcessingRequestTotals {
    /// Number of requests.
    requests: UnsignedInt53,
    /// Number of images.
    images: UnsignedInt53,
    /// Number of images that have an output.
    succeeded: UnsignedInt53,
    /// Number of images that failed.
    failed: UnsignedInt53,
    /// Bytes of the sources of the images that have an output.
    input_bytes: UnsignedInt53,
    /// Bytes of the outputs.
    output_bytes: UnsignedInt53,
    /// Bytes saved.
    saved_byte_count: UnsignedInt53,
    /// Number of requests by status.
    by_status: Vec<StatusCount>,
    /// Number of requests by label, the most frequent first; at most 100. Requests without a label are left out.
    by_label: Vec<LabelCount>,
}

impl From<rows::RequestTotals> for ProcessingRequestTotals {
    fn from(totals: rows::RequestTotals) -> Self {
        let Sum { requests, images, succeeded, failed, input_bytes, output_bytes } = totals.all;
        let of_status = |(status, sum): (_, Sum)| StatusCount {
            status: ProcessingRequestStatus::from(status),
            count: sum.requests.into(),
        };
        let of_label = |(label, sum): (String, Sum)| LabelCount { label, count: sum.requests.into() };
        Self {
            requests: requests.into(),
            images: images.into(),
            succeeded: succeeded.into(),
            failed: failed.into(),
            input_bytes: input_bytes.into(),
            output_bytes: output_bytes.into(),
            saved_byte_count: (input_bytes - output_bytes).into(),
            by_status: totals.by_status.into_iter().map(of_status).collect(),
            by_label: totals.by_label.into_iter().map(of_label).collect(),
        }
    }
}
