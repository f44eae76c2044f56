//! A whole picture: its headers, its coefficients, and how these are rounded.

use crate::jpeg::headers::colour_model::classes;
use crate::jpeg::headers::frame::Frame;
use crate::jpeg::headers::metadata::Metadata;
use crate::jpeg::headers::tables::Steps;
use crate::jpeg::hold::planes::Plane;
use crate::jpeg::hold::quality::{self, Quantiser, Role};
use crate::jpeg::hold::tokens::TokenScan;
use crate::jpeg::types::Colour;

/// A whole image.
pub(crate) struct Picture<'a, S = Vec<TokenScan>> {
    pub(crate) frame: Frame,
    pub(crate) metadata: Metadata<'a>,
    /// Per component, those of its coefficients.
    pub(crate) steps: Vec<Steps>,
    pub(crate) body: Body<S>,
}

/// The quantised coefficients of a picture, or what was made of them on the way.
pub(crate) enum Body<S = Vec<TokenScan>> {
    Sequential(S),
    Progressive(Vec<Plane>),
}

/// How to round coefficients with steps `source` at a quality, and their steps afterwards.
pub(crate) fn target(source: &Steps, quality: Option<u8>, role: Role) -> (Quantiser, Steps) {
    match quality {
        None if source.contains(&0) => {
            // Whatever a step of zero is multiplied with is zero.
            let steps = source.map(|step| step.max(1));
            (Quantiser::new(source, &steps), steps)
        }
        None => (Quantiser::identity(), *source),
        Some(quality) => {
            let steps = quality::coarser(source, &quality::steps(quality, role));
            (Quantiser::new(source, &steps), steps)
        }
    }
}

/// What a component carries.
pub(crate) fn role(frame: &Frame, colour: Colour, component: usize) -> Role {
    if classes(colour)[component] == 0 {
        return Role::Plain;
    }
    let (luma, chroma) = (&frame.components[0], &frame.components[component]);
    Role::Chroma { full_height: chroma.v >= luma.v, full_width: chroma.h >= luma.h }
}
