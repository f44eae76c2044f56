//! Pixels in memory, and what is done to them before they are encoded.

pub(crate) mod animation;
pub(crate) mod colour;
pub(crate) mod decode;
pub(crate) mod orient;
pub(crate) mod pixels;
pub(crate) mod resize;
#[cfg_attr(not(feature = "avif"), allow(dead_code, reason = "only AVIF has full planes and shows them"))]
pub(crate) mod yuv;
