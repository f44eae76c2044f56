//! Overwrites a location where it stands: in EXIF, in XMP, in text.

use std::borrow::Cow;
use std::ops::Range;

use crate::metadata::credits::properties;
use crate::metadata::exif;

pub(super) const JPEG_EXIF: &[u8] = b"Exif\0\0";
/// Fields in which EXIF and XMP say where a picture was taken, as programs name them in text.
const FIELDS: [&[u8]; 4] = [b"gpslatitude", b"gpslongitude", b"gpsposition", b"gpscoordinates"];
pub(super) const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0";

/// EXIF without the name that some writers put in front of it, as in a JPEG.
pub(super) fn without_name(bytes: &[u8], data: Range<usize>) -> Range<usize> {
    let skip = if bytes[data.clone()].starts_with(JPEG_EXIF) { JPEG_EXIF.len() } else { 0 };
    data.start + skip..data.end
}

pub(super) fn clean_exif(out: &mut Cow<'_, [u8]>, range: Range<usize>) {
    let mut tiff = out[range.clone()].to_vec();
    if exif::remove_location(&mut tiff) {
        out.to_mut()[range].copy_from_slice(&tiff);
    }
}

/// The properties of a location become blank; all of what cannot be read, or still has some: a packet of spaces is read as an
/// empty one.
pub(super) fn blank_xmp(out: &mut Cow<'_, [u8]>, range: Range<usize>) {
    let packet = &out[range.clone()];
    if !mentions_gps(packet) {
        return;
    }
    let mut clean = packet.to_vec();
    match properties(packet, |name| mentions_gps(name.as_bytes())) {
        Some(located) => located.into_iter().for_each(|property| clean[property].fill(b' ')),
        None => clean.fill(b' '),
    }
    if has_fields(&clean) {
        clean.fill(b' ');
    }
    if clean != *packet {
        out.to_mut()[range].copy_from_slice(&clean);
    }
}

/// Also where spaces stand in the names of the fields, or NULs between letters of two bytes.
pub(super) fn has_fields(text: &[u8]) -> bool {
    let mut text = text.to_ascii_lowercase();
    text.retain(|byte| !matches!(*byte, b' ' | 0));
    FIELDS.iter().any(|field| memchr::memmem::find(&text, field).is_some())
}

/// Also in UTF-16.
pub(super) fn mentions_gps(text: &[u8]) -> bool {
    let letters = || text.iter().filter(|byte| **byte != 0).map(u8::to_ascii_uppercase);
    letters().zip(letters().skip(1)).zip(letters().skip(2)).any(|((g, p), s)| [g, p, s] == *b"GPS")
}
