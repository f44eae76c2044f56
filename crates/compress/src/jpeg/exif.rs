//! The little of EXIF that matters here: orientation, artist and copyright, from the first image directory of its TIFF data.
//!
//! Reading never fails: what lies outside the data or has an unexpected type is treated as absent.

/// How an APP1 segment with EXIF data starts (CIPA DC-008, 4.7.2).
pub(super) const PREFIX: &[u8] = b"Exif\0\0";

// Tags of the image directory (CIPA DC-008, table 4) and TIFF field types (TIFF 6.0, section 2).
const ORIENTATION: u16 = 0x0112;
const ARTIST: u16 = 0x013B;
const COPYRIGHT: u16 = 0x8298;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The longest text that is kept, in bytes.
const MAX_TEXT: usize = 4096;

/// What was found.
#[derive(Default)]
pub(super) struct Exif<'a> {
    /// 2 to 8; 1 and absent are both `None`, because both mean upright.
    orientation: Option<u8>,
    /// Texts with their closing zero byte.
    artist: Option<&'a [u8]>,
    copyright: Option<&'a [u8]>,
}

impl Exif<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.orientation.is_none() && self.artist.is_none() && self.copyright.is_none()
    }

    /// 1 to 8, as EXIF numbers them; 1 is upright.
    pub(super) fn orientation(&self) -> u8 {
        self.orientation.unwrap_or(1)
    }

    /// The TIFF data of a directory with only what is kept; empty when that is nothing.
    pub(super) fn write(&self, keep_copyright: bool) -> Vec<u8> {
        let mut entries: Vec<(u16, &[u8])> = Vec::new();
        let orientation = self.orientation.map(|orientation| [0, orientation]);
        if let Some(value) = &orientation {
            entries.push((ORIENTATION, value));
        }
        if keep_copyright {
            entries.extend(self.artist.map(|text| (ARTIST, text)));
            entries.extend(self.copyright.map(|text| (COPYRIGHT, text)));
        }
        if entries.is_empty() {
            return Vec::new();
        }
        // Header, number of entries, 12 bytes each, no next directory; then the texts longer than the 4 bytes of a field.
        let mut out = b"MM\0\x2A\0\0\0\x08".to_vec();
        out.extend_from_slice(&(entries.len() as u16).to_be_bytes());
        let mut texts = Vec::new();
        let texts_at = 8 + 2 + 12 * entries.len() + 4;
        for (tag, value) in entries {
            let (kind, count) = if tag == ORIENTATION { (SHORT, 1) } else { (ASCII, value.len() as u32) };
            out.extend_from_slice(&tag.to_be_bytes());
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&count.to_be_bytes());
            if value.len() > 4 {
                out.extend_from_slice(&((texts_at + texts.len()) as u32).to_be_bytes());
                texts.extend_from_slice(value);
                if texts.len() % 2 == 1 {
                    // Values start on even offsets (TIFF 6.0, section 2).
                    texts.push(0);
                }
            } else {
                let mut field = [0; 4];
                field[..value.len()].copy_from_slice(value);
                out.extend_from_slice(&field);
            }
        }
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&texts);
        out
    }
}

/// Reads TIFF data: what follows [`PREFIX`].
pub(super) fn read(tiff: &[u8]) -> Exif<'_> {
    let mut exif = Exif::default();
    let little = match tiff.get(..4) {
        Some(b"II\x2A\0") => true,
        Some(b"MM\0\x2A") => false,
        _ => return exif,
    };
    let u16_at = |at: usize| {
        let bytes: [u8; 2] = *tiff.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes: [u8; 4] = *tiff.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) } as usize)
    };
    let text = |entry: usize| {
        let count = u32_at(entry + 4)?;
        let start = if count > 4 { u32_at(entry + 8)? } else { entry + 8 };
        let text = tiff.get(start..start.checked_add(count)?)?;
        (text.len() > 1 && text.len() <= MAX_TEXT && text.ends_with(&[0])).then_some(text)
    };
    let Some(directory) = u32_at(4) else {
        return exif;
    };
    let Some(count) = u16_at(directory) else {
        return exif;
    };
    for index in 0..usize::from(count) {
        let entry = directory + 2 + 12 * index;
        let (Some(tag), Some(kind)) = (u16_at(entry), u16_at(entry + 2)) else {
            break;
        };
        match (tag, kind) {
            // LONG is against the standard, and read by every viewer.
            (ORIENTATION, SHORT | LONG) => {
                let value = if kind == SHORT { u16_at(entry + 8).map(usize::from) } else { u32_at(entry + 8) };
                exif.orientation = value.and_then(|o| u8::try_from(o).ok()).filter(|o| (2..=8).contains(o));
            }
            (ARTIST, ASCII) => exif.artist = text(entry),
            (COPYRIGHT, ASCII) => exif.copyright = text(entry),
            _ => {}
        }
    }
    exif
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let exif = Exif { orientation: Some(6), artist: Some(b"Ada L.\0"), copyright: Some(b"me\0") };
        let bytes = exif.write(true);
        let again = read(&bytes);
        assert_eq!(again.orientation(), 6);
        assert_eq!(again.artist, Some(&b"Ada L.\0"[..]));
        assert_eq!(again.copyright, Some(&b"me\0"[..]));
        assert_eq!(again.write(true), bytes);
        assert_eq!(read(&exif.write(false)).artist, None);
    }

    #[test]
    fn an_orientation_of_four_bytes_is_one() {
        for (tiff, orientation) in [
            (&b"II\x2A\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0"[..], 6),
            (b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x03\0\0\0\0", 3),
            (b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\x03\0\0\0\0\0\0", 1),
        ] {
            assert_eq!(read(tiff).orientation(), orientation);
        }
    }

    #[test]
    fn an_upright_picture_needs_no_exif() {
        assert!(Exif::default().write(true).is_empty());
    }

    #[test]
    fn offsets_beyond_the_data_are_ignored() {
        for tiff in [&b"II\x2A\0\xFF\xFF\xFF\xFF"[..], b"MM\0\x2A\0\0\0\x08\xFF\xFF", b"MM\0\x2A"] {
            assert!(read(tiff).is_empty());
        }
    }
}
