//! What a file is, before a pixel of it is decoded.

pub(crate) mod foreign;
pub(crate) mod guarded;
pub(crate) mod probe;
pub(crate) mod sniff;
