//! Whether the colour profile is so much of a file that its effect should go into the pixels.

use crate::contract::Goal;
use crate::decide::job::Job;
use crate::metadata::profile::{self, Embedded};
use crate::picture::colour;

/// Encoding a JPEG's pixels instead of its coefficients takes a few percent more bytes; a file becomes half as long or less. So a profile
/// of this share of the source, or of what the output may have, costs more than that.
const SHARE: u64 = 16;

/// For a source that would keep its format, its size and its profile.
pub(crate) fn is_heavy(job: &Job, embedded: &Embedded) -> bool {
    let aim = match job.settings.goal {
        // The pixels would not be identical.
        Goal::Lossless => return false,
        Goal::MaxBytes(limit) => limit,
        Goal::TargetRatio(share) => (share * job.size as f64) as u64,
        _ => u64::MAX,
    };
    let shortest = profile::smallest(&embedded.icc).map_or(0, |short| short.len()).min(embedded.stored) as u64;
    shortest.saturating_mul(SHARE) > aim.min(job.size)
        && shortest > profile::SMALL
        && colour::is_convertible(&embedded.icc)
}
