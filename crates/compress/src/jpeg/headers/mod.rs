//! What a file says before its image data: segments, the frame, tables, application data.

pub(crate) mod colour_model;
pub(crate) mod frame;
pub(crate) mod marker;
pub(crate) mod metadata;
pub(crate) mod tables;
