//! Unpacks zlib data within a bound.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// Zlib data unpacked, unless it is damaged or grows beyond `most` bytes.
pub(crate) fn inflate(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    ZlibDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut unpacked).ok()?;
    (unpacked.len() <= most).then_some(unpacked)
}
