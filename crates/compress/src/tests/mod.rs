//! The promises of the module as a whole, on pictures made here and on sample files where they are present.
//!
//! Each format's own details are tested beside its code.

use super::*;

mod animations;
mod as_jpeg;
mod auto;
#[cfg(feature = "avif")]
mod avif;
#[cfg(feature = "avif")]
mod avif_sources;
mod bounded;
mod broken_jpegs;
mod credits;
mod foreign;
mod goals;
mod kept;
mod mutation;
mod odd;
pub(crate) mod pictures;
mod profiles;
mod refused;
mod reworked;
mod samples;
mod tiffs;

/// Compresses within the default limits.
fn run<'a>(bytes: &'a [u8], settings: &Settings) -> Compressed<'a> {
    compress(bytes, settings, &Limits::default()).unwrap()
}

fn with_goal(goal: Goal) -> Settings {
    Settings { goal, ..Settings::default() }
}

/// Decodes with an independent decoder.
fn open(bytes: &[u8]) -> image::DynamicImage {
    image::load_from_memory(bytes).unwrap()
}
