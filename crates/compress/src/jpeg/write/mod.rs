//! Coefficients to entropy-coded scans, with Huffman codes made for them.

pub(crate) mod bands;
pub(crate) mod codes;
pub(crate) mod emit;
