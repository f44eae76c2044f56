//! The tags of a TIFF's first picture (TIFF 6.0, section 2).

pub(crate) const PHOTOMETRIC: u16 = 262;

/// A tag with one number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub tag: u16,
    /// As a number of two or four bytes; `None` where the file ends before it.
    pub value: Option<u32>,
    /// Where the value is in the file.
    pub at: usize,
}

/// Those of the first directory; none of a file that is no classic TIFF.
pub(crate) fn entries(bytes: &[u8]) -> Vec<Entry> {
    let is_little = bytes.starts_with(b"II");
    let u16_at = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let is_classic = u16_at(2) == Some(42);
    let Some(start) = u32_at(4).and_then(|start| usize::try_from(start).ok()).filter(|_| is_classic) else {
        return Vec::new();
    };
    let entry = |number: usize| {
        let at = start.checked_add(2 + number * 12)?;
        let value = match u16_at(at.checked_add(2)?) {
            Some(3) => u16_at(at.checked_add(8)?).map(u32::from),
            _ => u32_at(at.checked_add(8)?),
        };
        Some(Entry { tag: u16_at(at)?, value, at: at + 8 })
    };
    (0..usize::from(u16_at(start).unwrap_or(0))).map_while(entry).collect()
}

/// The file with another interpretation of its first picture's samples.
pub(crate) fn with_photometric(bytes: &[u8], value: u16) -> Option<Vec<u8>> {
    let at = entries(bytes).iter().find(|entry| entry.tag == PHOTOMETRIC)?.at;
    let mut other = bytes.to_vec();
    let value = if bytes.starts_with(b"II") { value.to_le_bytes() } else { value.to_be_bytes() };
    other.get_mut(at..at + 2)?.copy_from_slice(&value);
    Some(other)
}
