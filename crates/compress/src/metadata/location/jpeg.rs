//! The location in a JPEG: every EXIF block, Photoshop's copies, and XMP.

use std::borrow::Cow;

use super::erase::{JPEG_EXIF, blank_xmp, clean_exif};
use crate::container::{jpeg_segments, photoshop};

/// A file has one for its picture and one for each smaller copy of it. Blocks can overlap, so that very many would take long.
const MAX_EXIF_BLOCKS: usize = 64;

/// Every EXIF block, also those of pictures embedded before or after the main one, and the XMP.
pub(super) fn remove(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(bytes);
    let mut count = 0;
    for at in memchr::memmem::find_iter(bytes, JPEG_EXIF) {
        // An APP1 segment: its marker and length precede the name. Nothing after its end may be changed.
        if let Some(&[0xFF, 0xE1, high, low]) = bytes[..at].last_chunk() {
            count += 1;
            if count > MAX_EXIF_BLOCKS {
                // Without its name nobody reads it as EXIF.
                out.to_mut()[at..at + JPEG_EXIF.len()].fill(0);
                continue;
            }
            let end = at - 2 + usize::from(u16::from_be_bytes([high, low]));
            let start = at + JPEG_EXIF.len();
            clean_exif(&mut out, start..end.clamp(start, bytes.len()));
        }
    }
    for segment in jpeg_segments::segments(bytes).filter(|segment| segment.marker == 0xed) {
        let start = segment.payload.start;
        for (number, data) in photoshop::resources(&bytes[segment.payload]) {
            let data = start + data.start..start + data.end;
            match number {
                photoshop::EXIF => clean_exif(&mut out, data),
                photoshop::XMP => blank_xmp(&mut out, data),
                _ => {}
            }
        }
    }
    for segment in jpeg_segments::segments(bytes).filter(|segment| jpeg_segments::is_xmp(bytes, segment)) {
        let name_end = memchr::memchr(0, &bytes[segment.payload.clone()]).unwrap_or(0) + 1;
        blank_xmp(&mut out, (segment.payload.start + name_end).min(segment.payload.end)..segment.payload.end);
    }
    out
}
