//! Entropy-coded scans to coefficients.

pub(crate) mod bits;
pub(crate) mod flaws;
pub(crate) mod image;
pub(crate) mod lookup;
pub(crate) mod progressive;
pub(crate) mod progressive_ac;
pub(crate) mod rounded;
pub(crate) mod sequential;
