//! What a file is, before a pixel of it is decoded.

pub(crate) mod foreign;
pub(crate) mod guarded;
mod odd_tiff;
pub(crate) mod probe;
pub(crate) mod sniff;
mod tiff_tags;
