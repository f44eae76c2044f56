//! Files taken apart and put together: bytes to the parts of a format and back, without a look at pixels.
//!
//! A length that points past the end is an error or ends the walk; no offset is trusted.

#[cfg_attr(not(feature = "avif"), expect(dead_code, reason = "only the decoder needs all of it"))]
pub(crate) mod avif;
pub(crate) mod gif;
pub(crate) mod inflate;
pub(crate) mod jpeg_segments;
pub(crate) mod photoshop;
pub(crate) mod png;
pub(crate) mod raw_profile;
pub(crate) mod vp8;
pub(crate) mod webp;
