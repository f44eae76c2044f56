//! Tests of the requantiser against independent encoders and decoders.
//!
//! Fixtures are made on the spot; a folder of real photos is used as well when it is there.

mod fixtures;
mod hostile;
mod identity;
mod metadata;
mod rounding;

use crate::jpeg::types::{Encoded, Limits, Options};

/// A progressive and a sequential way to write.
const BOTH: [Options; 2] =
    [Options { progressive: false, keep_copyright: false }, Options { progressive: true, keep_copyright: false }];

fn requantise(bytes: &[u8], quality: u8) -> Encoded {
    super::requantise(bytes, quality, &Options::default(), &Limits::default()).expect("a valid JPEG")
}
