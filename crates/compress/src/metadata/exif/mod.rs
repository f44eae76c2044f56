//! EXIF: reads the orientation and the copyright, writes a block with nothing else, removes the location.
//!
//! Works on the TIFF structure inside EXIF (TIFF 6.0, EXIF 2.32). Damaged structures read as "nothing there"; no offset is trusted.

mod erase;

use std::ops::Range;

pub(crate) use erase::remove_location;

/// How EXIF starts in a JPEG's APP1 segment (CIPA DC-008, 4.7.2); some writers put it into other formats too.
pub(crate) const PREFIX: &[u8] = b"Exif\0\0";

// Tags of the image directory (CIPA DC-008, table 4) and TIFF field types (TIFF 6.0, section 2).
const ORIENTATION: u16 = 0x0112;
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
const GPS_DIRECTORY: u16 = 0x8825;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
/// Main image and thumbnail; anything longer is a loop.
const MAX_DIRECTORIES: usize = 4;
/// A longer artist or copyright line is not kept.
const MAX_TEXT_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 12;

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn of(tiff: &[u8]) -> Option<Order> {
        match tiff.get(..4)? {
            b"MM\0*" => Some(Order::Big),
            b"II*\0" => Some(Order::Little),
            _ => None,
        }
    }

    fn u16(self, tiff: &[u8], at: usize) -> Option<u16> {
        let bytes = tiff.get(at..)?.first_chunk::<2>()?;
        Some(match self {
            Order::Big => u16::from_be_bytes(*bytes),
            Order::Little => u16::from_le_bytes(*bytes),
        })
    }

    fn offset(self, tiff: &[u8], at: usize) -> Option<usize> {
        let bytes = tiff.get(at..)?.first_chunk::<4>()?;
        let value = match self {
            Order::Big => u32::from_be_bytes(*bytes),
            Order::Little => u32::from_le_bytes(*bytes),
        };
        usize::try_from(value).ok()
    }

    fn put_u16(self, tiff: &mut [u8], at: usize, value: u16) {
        let bytes = match self {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        };
        tiff[at..at + 2].copy_from_slice(&bytes);
    }
}

/// Positions of the entries of the directory at `at`, and the position of the link to the next one.
fn directory(tiff: &[u8], order: Order, at: usize) -> Option<(Range<usize>, usize)> {
    let count = usize::from(order.u16(tiff, at)?);
    let start = at.checked_add(2)?;
    let end = start.checked_add(count.checked_mul(ENTRY_BYTES)?)?;
    tiff.get(start..end)?;
    Some((start..end, end))
}

fn find(tiff: &[u8], order: Order, entries: Range<usize>, tag: u16) -> Option<usize> {
    entries.step_by(ENTRY_BYTES).find(|at| order.u16(tiff, *at) == Some(tag))
}

/// What is kept of EXIF, from the first directory. What lies outside the data or has an unexpected type reads as absent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exif<'a> {
    /// 2 to 8; 1 and absent are both `None`, because both mean upright.
    orientation: Option<u8>,
    /// Texts without their terminator and without trailing spaces.
    artist: Option<&'a [u8]>,
    copyright: Option<&'a [u8]>,
}

impl<'a> Exif<'a> {
    /// Reads TIFF data: what follows [`PREFIX`].
    pub fn read(tiff: &'a [u8]) -> Exif<'a> {
        read(tiff).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.orientation.is_none() && self.artist.is_none() && self.copyright.is_none()
    }

    /// 1 to 8, as EXIF numbers them; 1 is upright.
    pub fn orientation(&self) -> u8 {
        self.orientation.unwrap_or(1)
    }

    /// The same for a picture with another orientation; 1 when it was turned upright.
    pub fn with_orientation(self, orientation: u8) -> Exif<'a> {
        Exif { orientation: Some(orientation).filter(|value| (2..=8).contains(value)), ..self }
    }

    /// TIFF data with the orientation and, on request, artist and copyright. `None` when there is nothing to say.
    pub fn write(&self, keep_copyright: bool) -> Option<Vec<u8>> {
        let credit = |tag, text: Option<&'a [u8]>| Some((tag, text.filter(|_| keep_copyright)?));
        let texts: Vec<_> =
            [credit(ARTIST, self.artist), credit(COPYRIGHT, self.copyright)].into_iter().flatten().collect();
        let count = texts.len() + usize::from(self.orientation.is_some());
        if count == 0 {
            return None;
        }
        let mut tiff = b"MM\0*\0\0\0\x08".to_vec();
        let mut values = Vec::new();
        let values_at = 8 + 2 + count * ENTRY_BYTES + 4;
        // At most three entries and two short texts: every length and offset fits its field.
        tiff.extend((count as u16).to_be_bytes());
        if let Some(orientation) = self.orientation {
            tiff.extend(ORIENTATION.to_be_bytes());
            tiff.extend([0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
        }
        for (tag, text) in texts {
            let start = values.len();
            values.extend(text);
            // Terminated, and at least five bytes, so that the value is never inline.
            values.resize(start + (text.len() + 1).max(6), 0);
            tiff.extend(tag.to_be_bytes());
            tiff.extend([0, 2]);
            tiff.extend(((values.len() - start) as u32).to_be_bytes());
            tiff.extend(((values_at + start) as u32).to_be_bytes());
            // Values start at even offsets (TIFF 6.0, section 2).
            if values.len() % 2 == 1 {
                values.push(0);
            }
        }
        tiff.extend([0; 4]);
        tiff.extend(values);
        Some(tiff)
    }
}

/// The orientation, 1 to 8; 1 when there is none or it is nonsense.
pub(crate) fn orientation(tiff: &[u8]) -> u8 {
    Exif::read(tiff).orientation()
}

/// A block with nothing but the orientation (left out when 1) and, on request, artist and copyright of `source`.
/// `None` when there is nothing to say.
pub(crate) fn minimal(source: Option<&[u8]>, orientation: u8, keep_copyright: bool) -> Option<Vec<u8>> {
    source.map(Exif::read).unwrap_or_default().with_orientation(orientation).write(keep_copyright)
}

fn read(tiff: &[u8]) -> Option<Exif<'_>> {
    let order = Order::of(tiff)?;
    let start = order.offset(tiff, 4)?;
    let count = usize::from(order.u16(tiff, start)?);
    // As many entries as there are: a directory that ends early is read as far as it goes.
    let entries =
        (0..count).map(|index| start + 2 + index * ENTRY_BYTES).take_while(|at| at + ENTRY_BYTES <= tiff.len());
    let find = |tag| entries.clone().find(|at| order.u16(tiff, *at) == Some(tag));
    Some(Exif {
        orientation: find(ORIENTATION).and_then(|at| orientation_at(tiff, order, at)),
        artist: find(ARTIST).and_then(|at| text(tiff, order, at)),
        copyright: find(COPYRIGHT).and_then(|at| text(tiff, order, at)),
    })
}

fn orientation_at(tiff: &[u8], order: Order, entry: usize) -> Option<u8> {
    let value = match order.u16(tiff, entry + 2)? {
        SHORT => usize::from(order.u16(tiff, entry + 8)?),
        // Against the standard, and read by every viewer.
        LONG => order.offset(tiff, entry + 8)?,
        _ => return None,
    };
    u8::try_from(value).ok().filter(|value| (2..=8).contains(value))
}

fn text(tiff: &[u8], order: Order, entry: usize) -> Option<&[u8]> {
    if order.u16(tiff, entry + 2)? != ASCII {
        return None;
    }
    let length = order.offset(tiff, entry + 4)?;
    if length > MAX_TEXT_BYTES {
        return None;
    }
    let start = if length <= 4 { entry + 8 } else { order.offset(tiff, entry + 8)? };
    let text = tiff.get(start..start.checked_add(length)?)?;
    let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    (end > 0).then(|| &text[..end])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Orientation 6, a GPS directory with a latitude, and a copyright: little-endian.
    pub(crate) fn located() -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0".to_vec();
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            let mut bytes = tag.to_le_bytes().to_vec();
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            bytes
        };
        tiff.extend(3u16.to_le_bytes());
        tiff.extend(entry(ORIENTATION, 3, 1, 6));
        tiff.extend(entry(COPYRIGHT, 2, 10, 50));
        tiff.extend(entry(GPS_DIRECTORY, 4, 1, 60));
        tiff.extend([0; 4]);
        assert_eq!(tiff.len(), 50);
        tiff.extend(b"(c) Jane.\0");
        tiff.extend(2u16.to_le_bytes());
        tiff.extend(entry(1, 2, 2, u32::from(b'N')));
        tiff.extend(entry(2, 5, 3, 90));
        tiff.extend([0; 4]);
        assert_eq!(tiff.len(), 90);
        for degrees in [52u32, 31, 12] {
            tiff.extend(degrees.to_le_bytes());
            tiff.extend(1u32.to_le_bytes());
        }
        tiff
    }

    #[test]
    fn the_location_goes_and_everything_else_stays_where_it_is() {
        let mut tiff = located();
        let length = tiff.len();
        assert!(remove_location(&mut tiff));
        assert_eq!(tiff.len(), length);
        assert_eq!(Exif::read(&tiff).orientation(), 6);
        assert_eq!(Exif::read(&tiff).copyright.unwrap(), b"(c) Jane.");
        assert!(tiff[60..].iter().all(|byte| *byte == 0));
        assert_eq!(tiff[8..10], 2u16.to_le_bytes());
        assert!(!remove_location(&mut tiff));
    }

    #[test]
    fn a_minimal_block_reads_back() {
        let source = located();
        let source = Exif::read(&source);
        let kept = source.write(true).unwrap();
        let kept = Exif::read(&kept);
        assert_eq!((kept.orientation(), kept.copyright), (6, Some(&b"(c) Jane."[..])));
        let bare = source.with_orientation(3).write(false).unwrap();
        let bare = Exif::read(&bare);
        assert_eq!((bare.orientation(), bare.copyright), (3, None));
        assert_eq!(source.with_orientation(1).write(false), None);
    }

    #[test]
    fn any_number_of_locations_goes() {
        let count = 3_000_u16;
        let mut tiff = b"MM\0*\0\0\0\x08".to_vec();
        tiff.extend(count.to_be_bytes());
        for _ in 0..count {
            tiff.extend(GPS_DIRECTORY.to_be_bytes());
            tiff.extend([0, 4, 0, 0, 0, 1, 0, 0, 0, 8]);
        }
        tiff.extend([0; 4]);
        assert!(remove_location(&mut tiff));
        assert!(!remove_location(&mut tiff));
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let exif = Exif { orientation: Some(6), artist: Some(b"Ada L."), copyright: Some(b"me") };
        let bytes = exif.write(true).unwrap();
        let again = Exif::read(&bytes);
        assert_eq!((again.orientation, again.artist, again.copyright), (exif.orientation, exif.artist, exif.copyright));
        assert_eq!(again.write(true).unwrap(), bytes);
        assert_eq!(Exif::default().write(true), None);
    }

    #[test]
    fn an_orientation_of_four_bytes_is_one() {
        for (tiff, expected) in [
            (&b"II\x2A\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0"[..], 6),
            (b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x03\0\0\0\0", 3),
            (b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\x03\0\0\0\0\0\0", 1),
        ] {
            assert_eq!(orientation(tiff), expected);
        }
    }

    #[test]
    fn offsets_beyond_the_data_are_ignored() {
        for tiff in [&b"II\x2A\0\xFF\xFF\xFF\xFF"[..], b"MM\0\x2A\0\0\0\x08\xFF\xFF", b"MM\0\x2A"] {
            assert!(Exif::read(tiff).is_empty());
        }
    }

    #[test]
    fn damaged_blocks_never_panic() {
        let source = located();
        for at in 0..source.len() {
            for value in [0x00, 0x01, 0x7f, 0xff] {
                let mut tiff = source.clone();
                tiff[at] = value;
                Exif::read(&tiff).write(true);
                remove_location(&mut tiff);
            }
            let mut short = source[..at].to_vec();
            Exif::read(&short).write(true);
            remove_location(&mut short);
        }
    }
}
