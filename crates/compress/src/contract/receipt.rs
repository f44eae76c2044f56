//! The result: the bytes, facts about both files, and a receipt of what was tried and decided.

use std::borrow::Cow;

use crate::contract::Format;

/// The result for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Compressed<'a> {
    /// The file to store. Borrowed when it is the source itself.
    pub bytes: Cow<'a, [u8]>,
    pub source: Facts,
    pub output: Facts,
    pub outcome: Outcome,
    pub receipt: Receipt,
    /// Sentences about what the caller may not expect, such as an animation that was kept unchanged.
    pub warnings: Vec<String>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub format: Format,
    /// Pixels as stored in the file, before any orientation tag is applied.
    pub width: u32,
    /// Pixels as stored in the file, before any orientation tag is applied.
    pub height: u32,
}

/// Whether the output is a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The output is a new file.
    Compressed,
    /// The output is the source, byte for byte, apart from a location that was removed from its metadata.
    KeptOriginal,
}

/// What was tried, measured and decided.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// Encoder quality of the output; `None` for lossless output and kept originals.
    pub quality: Option<u8>,
    /// SSIMULACRA2 of the output against the source; `None` where it was not measured.
    pub score: Option<f64>,
    /// Whether the goal was reached. Missing it is still a success.
    pub target_met: bool,
    /// Encodes, or exact size computations, made on the way.
    pub encodes_tried: u32,
    /// One sentence, or two.
    pub decision: String,
    /// Where the format was to be chosen: the files that it could have been instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// A file in another format that looks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alternative {
    pub format: Format,
    pub bytes: u64,
}
