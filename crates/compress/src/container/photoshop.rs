//! Photoshop's image resources in a JPEG's APP13 segment (Adobe Photoshop File Formats Specification, "Image Resource Blocks").
//!
//! Walks blocks by their lengths; the first that does not fit ends the walk.

use std::ops::Range;

const PREFIX: &[u8] = b"Photoshop 3.0\0";
const SIGNATURE: &[u8] = b"8BIM";

pub(crate) const IPTC: u16 = 0x0404;
pub(crate) const EXIF: u16 = 0x0422;
pub(crate) const XMP: u16 = 0x0424;

/// The number of each resource in the payload of an APP13 segment, or in a bare list of resources, and where its data lies in it.
pub(crate) fn resources(payload: &[u8]) -> impl Iterator<Item = (u16, Range<usize>)> {
    let mut at = if payload.starts_with(PREFIX) { PREFIX.len() } else { 0 };
    std::iter::from_fn(move || {
        // Signature, number, a name padded to even length, a length, data padded to even length.
        let header = payload.get(at..)?.strip_prefix(SIGNATURE)?;
        let (number, name) = (u16::from_be_bytes(*header.first_chunk()?), usize::from(*header.get(2)?));
        let length_at = at + SIGNATURE.len() + 3 + name + (name + 1) % 2;
        let length = u32::from_be_bytes(*payload.get(length_at..)?.first_chunk()?) as usize;
        let start = length_at + 4;
        let end = start.checked_add(length).filter(|end| *end <= payload.len())?;
        at = end + length % 2;
        Some((number, start..end))
    })
}
