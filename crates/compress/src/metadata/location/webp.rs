//! The location in a WebP.

use std::borrow::Cow;

use super::erase::{blank_xmp, clean_exif, without_name};
use crate::container::webp;

pub(super) fn remove(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(bytes);
    for chunk in webp::chunks(bytes).unwrap_or_default() {
        match &chunk.name {
            b"EXIF" => clean_exif(&mut out, without_name(bytes, chunk.data)),
            b"XMP " => blank_xmp(&mut out, chunk.data),
            _ => {}
        }
    }
    out
}
