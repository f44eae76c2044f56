//! Which way an image takes, and at which quality.

pub(crate) mod animate;
pub(crate) mod heavy_profile;
pub(crate) mod job;
pub(crate) mod jpeg_planes;
pub(crate) mod memory_estimate;
pub(crate) mod plan;
pub(crate) mod recompress;
pub(crate) mod score;
pub(crate) mod search;
pub(crate) mod transform;
