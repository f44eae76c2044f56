//! How far a request is, and what it has saved.

use async_graphql::Object;

use super::scalars::UnsignedInt53;
use crate::db::request::{self, ProcessingRequest as Row};

pub struct Progress(pub request::Progress);

/// Always adds up: total = pending + processing + retrying + succeeded + failed + canceled.
#[Object]
impl Progress {
    async fn total(&self) -> i32 {
        self.0.total
    }

    async fn pending(&self) -> i32 {
        self.0.pending()
    }

    async fn processing(&self) -> i32 {
        self.0.processing
    }

    async fn retrying(&self) -> i32 {
        self.0.retrying
    }

    async fn succeeded(&self) -> i32 {
        self.0.succeeded
    }

    async fn failed(&self) -> i32 {
        self.0.failed
    }

    async fn canceled(&self) -> i32 {
        self.0.canceled
    }

    /// 0–100; never goes back; 100 only when final.
    async fn percent(&self) -> f64 {
        self.0.percent()
    }

    /// Over the last seconds; null when there is too little evidence.
    async fn images_per_second(&self) -> Option<f64> {
        self.0.images_per_second
    }

    async fn estimated_seconds_remaining(&self) -> Option<i32> {
        let left = f64::from(self.0.total - self.0.ended());
        self.0.images_per_second.map(|pace| (left / pace).ceil() as i32)
    }

    /// Grows with every change; drop a snapshot whose revision is lower.
    async fn revision(&self) -> UnsignedInt53 {
        self.0.revision.into()
    }
}

pub struct Savings<'a>(pub &'a Row);

/// Over succeeded images.
#[Object]
impl Savings<'_> {
    async fn input_bytes(&self) -> UnsignedInt53 {
        self.0.input_bytes.into()
    }

    async fn output_bytes(&self) -> UnsignedInt53 {
        self.0.output_bytes.into()
    }

    async fn saved_bytes(&self) -> f64 {
        (self.0.input_bytes - self.0.output_bytes) as f64
    }

    /// 1 − output ÷ input; 0 when there is no input.
    async fn saved_ratio(&self) -> f64 {
        self.0.saved_ratio()
    }

    async fn compressed(&self) -> i32 {
        self.0.succeeded - self.0.kept_original
    }

    async fn kept_original(&self) -> i32 {
        self.0.kept_original
    }

    async fn target_missed(&self) -> i32 {
        self.0.target_missed
    }
}
