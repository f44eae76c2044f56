//! How far a request is, and what it has saved.

use async_graphql::Object;

use super::scalars::UnsignedInt53;
use crate::db::progress;

pub struct Progress(pub progress::Progress);

/// Always adds up: total = pending + processing + retrying + succeeded + failed + canceled. The progress of a request
/// covers all its images: those that a run processes again are pending when it begins; the others keep their state.
#[Object]
impl Progress {
    /// All distinct images of the request, or of the run.
    async fn total(&self) -> i32 {
        self.0.total
    }

    /// Waiting for their first attempt.
    async fn pending(&self) -> i32 {
        self.0.pending()
    }

    /// Being downloaded or compressed now.
    async fn processing(&self) -> i32 {
        self.0.processing
    }

    /// Waiting for another attempt after a temporary failure.
    async fn retrying(&self) -> i32 {
        self.0.retrying
    }

    /// Have an output.
    async fn succeeded(&self) -> i32 {
        self.0.succeeded
    }

    /// Have no output and will not be tried again in this run.
    async fn failed(&self) -> i32 {
        self.0.failed
    }

    /// Were not processed because the request was canceled.
    async fn canceled(&self) -> i32 {
        self.0.canceled
    }

    /// 0–100. Never decreases within a run; 100 only once the run has ended.
    async fn percent(&self) -> f64 {
        self.0.percent()
    }

    /// Images finished per second over the last few seconds; null when there are too few to tell.
    async fn images_per_second(&self) -> Option<f64> {
        self.0.images_per_second
    }

    /// Seconds remaining at the current rate; null when the rate is unknown.
    async fn estimated_seconds_remaining(&self) -> Option<i32> {
        let left = f64::from(self.0.total - self.0.ended());
        self.0.images_per_second.map(|pace| (left / pace).ceil() as i32)
    }

    /// Increases with every change; ignore a snapshot with a lower revision than one you already have.
    async fn revision(&self) -> UnsignedInt53 {
        self.0.revision.into()
    }
}

pub struct Savings(pub progress::Savings);

/// Savings over the images that have an output.
#[Object]
impl Savings {
    /// Bytes of the sources.
    async fn input_bytes(&self) -> UnsignedInt53 {
        self.0.input_bytes.into()
    }

    /// Bytes of the outputs.
    async fn output_bytes(&self) -> UnsignedInt53 {
        self.0.output_bytes.into()
    }

    /// Bytes saved.
    async fn saved_byte_count(&self) -> UnsignedInt53 {
        (self.0.input_bytes - self.0.output_bytes).into()
    }

    /// Bytes saved, as a Float.
    #[graphql(deprecation = "Use `savedByteCount`, which has the same type as all other byte counts.")]
    async fn saved_bytes(&self) -> f64 {
        (self.0.input_bytes - self.0.output_bytes) as f64
    }

    /// 1 − output ÷ input; 0 when there is no input.
    async fn saved_ratio(&self) -> f64 {
        self.0.saved_ratio()
    }

    /// Images that became smaller.
    async fn compressed(&self) -> i32 {
        self.0.compressed()
    }

    /// Images whose source was kept, because it could not be made smaller.
    async fn kept_original(&self) -> i32 {
        self.0.outcomes.kept_original
    }

    /// Images whose output is as close to the compression goal as possible but does not reach it.
    async fn target_missed(&self) -> i32 {
        self.0.outcomes.target_missed
    }

    /// Images whose source has not changed since an earlier run, so their output stayed the same.
    async fn unchanged(&self) -> i32 {
        self.0.outcomes.unchanged
    }

    /// Images that share an output because the same source was already compressed with the same settings.
    async fn reused(&self) -> i32 {
        self.0.outcomes.reused
    }

    /// Downloads that were not needed, because the host reported that the image had not changed.
    async fn avoided_downloads(&self) -> i32 {
        self.0.outcomes.avoided_downloads
    }

    /// Bytes of the images that were not downloaded for this reason.
    async fn avoided_bytes(&self) -> UnsignedInt53 {
        self.0.outcomes.avoided_bytes.into()
    }
}
