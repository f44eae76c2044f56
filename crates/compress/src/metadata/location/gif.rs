//! The location in a GIF.

use std::borrow::Cow;

use super::erase::mentions_gps;
use crate::container::gif;

/// XMP with a location is left out whole: its text counts as lengths of blocks too, so that nothing in it can be changed safely.
pub(super) fn remove(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut located = gif::xmp(bytes);
    located.retain(|extension| mentions_gps(&bytes[extension.clone()]));
    if located.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for extension in located {
        out.extend(&bytes[at..extension.start]);
        at = extension.end;
    }
    out.extend(&bytes[at..]);
    Cow::Owned(out)
}
