//! The marker segments of a JPEG before its first scan.
//!
//! Walks headers only; image data is never touched. A walk over damaged bytes simply ends.

use std::ops::Range;

const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
/// Adobe's identifiers for the main XMP packet and its continuation.
const XMP: [&[u8]; 2] = [b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"];

/// One segment: its marker byte, and where its payload lies.
pub(crate) struct Segment {
    pub marker: u8,
    pub payload: Range<usize>,
}

/// The segments from SOI to the first SOS, exclusive.
pub(crate) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment> {
    let mut at = 2;
    std::iter::from_fn(move || {
        at = next_marker(bytes, at)?;
        let marker = *bytes.get(at + 1)?;
        if matches!(marker, 0xd8..=0xda) {
            return None;
        }
        let length = usize::from(u16::from_be_bytes(*bytes.get(at + 2..)?.first_chunk()?));
        let end = at + 2 + length;
        if length < 2 || end > bytes.len() {
            return None;
        }
        let segment = Segment { marker, payload: at + 4..end };
        at = end;
        Some(segment)
    })
}

/// Where the next marker stands. Stray bytes, fill bytes and markers without a segment are passed, as every decoder does.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(0xff, bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd7 => at += 2,
            _ => return Some(at),
        }
    }
}

/// How many components the first scan holds; `None` when there is no scan.
pub(crate) fn first_scan_components(bytes: &[u8]) -> Option<u8> {
    let at = next_marker(bytes, segments(bytes).last().map_or(2, |last| last.payload.end))?;
    if bytes.get(at..at + 2)? != [0xff, 0xda] {
        return None;
    }
    bytes.get(at + 4).copied()
}

/// Where the EXIF block (its TIFF part) lies.
pub(crate) fn exif(bytes: &[u8]) -> Option<Range<usize>> {
    segments(bytes)
        .find(|segment| segment.marker == 0xe1 && bytes[segment.payload.clone()].starts_with(EXIF))
        .map(|segment| segment.payload.start + EXIF.len()..segment.payload.end)
}

/// Whether the segment carries XMP.
pub(crate) fn is_xmp(bytes: &[u8], segment: &Segment) -> bool {
    let payload = &bytes[segment.payload.clone()];
    segment.marker == 0xe1 && XMP.iter().any(|name| payload.starts_with(name))
}

/// The ICC profile, put together from its numbered parts; `None` when there is none or a part is missing.
pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<(u8, u8, &[u8])> = segments(bytes)
        .filter(|segment| segment.marker == 0xe2)
        .filter_map(|segment| match bytes[segment.payload].strip_prefix(ICC)? {
            [number, count, data @ ..] => Some((*number, *count, data)),
            _ => None,
        })
        .collect();
    parts.sort_by_key(|(number, _, _)| *number);
    let count = usize::from(parts.first()?.1);
    let is_complete =
        parts.len() == count && parts.iter().enumerate().all(|(at, (number, _, _))| usize::from(*number) == at + 1);
    is_complete.then(|| parts.iter().flat_map(|(_, _, data)| *data).copied().collect())
}

/// A copy with this profile in the place of its own, or without one. `None` if it has none, or the new one needs several segments.
pub(crate) fn with_icc(bytes: &[u8], icc: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut copied, mut waiting) = (0, icc);
    let is_of_profile = |segment: &Segment| segment.marker == 0xe2 && bytes[segment.payload.clone()].starts_with(ICC);
    for Segment { payload, .. } in segments(bytes).filter(is_of_profile) {
        // The marker and the length.
        out.extend(&bytes[copied..payload.start - 4]);
        if let Some(icc) = waiting.take() {
            let length = u16::try_from(2 + ICC.len() + 2 + icc.len()).ok()?;
            out.extend([0xff, 0xe2]);
            out.extend(length.to_be_bytes());
            out.extend(ICC);
            out.extend([1, 1]);
            out.extend(icc);
        }
        copied = payload.end;
    }
    out.extend(&bytes[copied..]);
    (copied > 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_walked_up_to_the_first_scan() {
        let mut bytes = b"\xff\xd8".to_vec();
        bytes.extend(b"stray\xff\0\xff\x01\xff\xff\xe1\0\x0cExif\0\0MM\0*");
        bytes.extend(b"\xff\xe2\0\x12ICC_PROFILE\0\x02\x02de");
        bytes.extend(b"\xff\xe2\0\x12ICC_PROFILE\0\x01\x02bc");
        bytes.extend(b"\0\xff\xda\0\x02\xff\xe1\0\x08Exif\0\0");
        assert_eq!(segments(&bytes).count(), 3);
        assert_eq!(&bytes[exif(&bytes).unwrap()], b"MM\0*");
        assert_eq!(icc(&bytes).unwrap(), b"bcde");
        assert_eq!(first_scan_components(&bytes), Some(0xff));
        let other = with_icc(&bytes, Some(b"other")).unwrap();
        assert_eq!(icc(&other).unwrap(), b"other");
        assert_eq!(&other[exif(&other).unwrap()], b"MM\0*");
        let without = with_icc(&bytes, None).unwrap();
        assert_eq!((icc(&without), without.len()), (None, bytes.len() - 40));
        assert_eq!(with_icc(&without, None), None);
    }

    #[test]
    fn a_profile_with_a_missing_part_is_none() {
        let bytes = b"\xff\xd8\xff\xe2\0\x12ICC_PROFILE\0\x01\x02bc\xff\xda";
        assert_eq!(icc(bytes), None);
    }
}
