//! The location in an AVIF.

use std::borrow::Cow;

use super::erase::{blank_xmp, clean_exif, without_name};
use crate::container::avif;

pub(super) fn remove(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(bytes);
    let (exif, xmp) = avif::metadata(bytes);
    if let Some(exif) = exif {
        clean_exif(&mut out, without_name(bytes, exif));
    }
    if let Some(xmp) = xmp {
        blank_xmp(&mut out, xmp);
    }
    out
}
