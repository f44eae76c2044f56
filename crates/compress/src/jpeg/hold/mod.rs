//! Quantised coefficients in memory, and how they are rounded to another quality.

pub(crate) mod picture;
pub(crate) mod planes;
pub(crate) mod quality;
pub(crate) mod tokens;
