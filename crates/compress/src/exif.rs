//! EXIF: reads the orientation and the copyright, removes the location, writes a minimal block.
//!
//! Works on the TIFF structure inside EXIF (TIFF 6.0, EXIF 2.32). Damaged structures read as "nothing there"; no offset is trusted.

use std::ops::Range;

const ORIENTATION: u16 = 0x0112;
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
const GPS_DIRECTORY: u16 = 0x8825;
/// Main image and thumbnail; anything longer is a loop.
const MAX_DIRECTORIES: usize = 4;
/// A longer artist or copyright line is not kept.
const MAX_TEXT: usize = 4096;
const ENTRY: usize = 12;

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
    let end = start.checked_add(count.checked_mul(ENTRY)?)?;
    tiff.get(start..end)?;
    Some((start..end, end))
}

fn find(tiff: &[u8], order: Order, entries: Range<usize>, tag: u16) -> Option<usize> {
    entries.step_by(ENTRY).find(|at| order.u16(tiff, *at) == Some(tag))
}

fn first_directory(tiff: &[u8]) -> Option<(Order, Range<usize>)> {
    let order = Order::of(tiff)?;
    let (entries, _) = directory(tiff, order, order.offset(tiff, 4)?)?;
    Some((order, entries))
}

/// The orientation, 1–8, as TIFF counts; 1 when there is none or it is nonsense.
pub(super) fn orientation(tiff: &[u8]) -> u8 {
    read_orientation(tiff).unwrap_or(1)
}

fn read_orientation(tiff: &[u8]) -> Option<u8> {
    let (order, entries) = first_directory(tiff)?;
    let at = find(tiff, order, entries, ORIENTATION)?;
    // SHORT, inline. Some writers use LONG, whose value lies in the other half when big-endian.
    let value = match order.u16(tiff, at + 2)? {
        3 => usize::from(order.u16(tiff, at + 8)?),
        4 => order.offset(tiff, at + 8)?,
        _ => return None,
    };
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

/// The text of an ASCII tag of the first directory, without its terminator.
fn text(tiff: &[u8], tag: u16) -> Option<Vec<u8>> {
    let (order, entries) = first_directory(tiff)?;
    let at = find(tiff, order, entries, tag)?;
    if order.u16(tiff, at + 2)? != 2 {
        return None;
    }
    let length = order.offset(tiff, at + 4)?;
    if length > MAX_TEXT {
        return None;
    }
    let start = if length <= 4 { at + 8 } else { order.offset(tiff, at + 8)? };
    let text = tiff.get(start..start.checked_add(length)?)?;
    let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    (end > 0).then(|| text[..end].to_vec())
}

/// Overwrites the location in place: the values and entries of every GPS directory become zero and the pointers to them vanish.
/// Lengths and all other offsets stay. Returns whether there was one.
pub(super) fn remove_location(tiff: &mut [u8]) -> bool {
    let Some(order) = Order::of(tiff) else {
        return false;
    };
    let mut found = false;
    let mut next = order.offset(tiff, 4);
    for _ in 0..MAX_DIRECTORIES {
        let Some((entries, link)) = next.filter(|at| *at != 0).and_then(|at| directory(tiff, order, at)) else {
            break;
        };
        next = order.offset(tiff, link);
        while let Some(at) = current_gps(tiff, order, &entries) {
            found = true;
            if let Some(gps) = order.offset(tiff, at + 8) {
                erase_directory(tiff, order, gps);
            }
            // The following entries and the link move up over the pointer.
            let after = (link + 4).min(tiff.len());
            tiff.copy_within(at + ENTRY..after, at);
            tiff[after - ENTRY..after].fill(0);
            let start = entries.start - 2;
            let count = order.u16(tiff, start).unwrap_or(1);
            order.put_u16(tiff, start, count.saturating_sub(1));
        }
    }
    found
}

/// The GPS pointer among the entries the directory counts now (its count shrinks as pointers are removed).
fn current_gps(tiff: &[u8], order: Order, entries: &Range<usize>) -> Option<usize> {
    let count = usize::from(order.u16(tiff, entries.start - 2)?);
    let end = (entries.start + count * ENTRY).min(entries.end);
    find(tiff, order, entries.start..end, GPS_DIRECTORY)
}

fn erase_directory(tiff: &mut [u8], order: Order, at: usize) {
    let Some((entries, _)) = directory(tiff, order, at) else {
        return;
    };
    for entry in entries.clone().step_by(ENTRY) {
        let size = match order.u16(tiff, entry + 2) {
            Some(1 | 2 | 6 | 7) => 1,
            Some(3 | 8) => 2,
            Some(4 | 9 | 11) => 4,
            Some(5 | 10 | 12) => 8,
            _ => continue,
        };
        let length = order.offset(tiff, entry + 4).and_then(|count| count.checked_mul(size));
        let start = order.offset(tiff, entry + 8);
        if let (Some(length @ 5..), Some(start)) = (length, start)
            && let Some(end) = start.checked_add(length)
            // A value may not lie over the header or over the directory that is being read.
            && start >= 8
            && (end <= at || start >= entries.end)
            && let Some(value) = tiff.get_mut(start..end)
        {
            value.fill(0);
        }
    }
    tiff[at..entries.end].fill(0);
}

/// A block with nothing but the orientation (left out when 1) and, on request, artist and copyright of `source`.
/// `None` when nothing is left to say.
pub(super) fn minimal(source: Option<&[u8]>, orientation: u8, keep_copyright: bool) -> Option<Vec<u8>> {
    let credit = |tag| source.filter(|_| keep_copyright).and_then(|tiff| text(tiff, tag));
    let texts: Vec<(u16, Vec<u8>)> =
        [ARTIST, COPYRIGHT].into_iter().filter_map(|tag| Some((tag, credit(tag)?))).collect();
    let with_orientation = (2..=8).contains(&orientation);
    let count = texts.len() + usize::from(with_orientation);
    if count == 0 {
        return None;
    }
    let mut tiff = b"MM\0*\0\0\0\x08".to_vec();
    let mut values = Vec::new();
    let values_at = 8 + 2 + count * ENTRY + 4;
    // At most three entries and two short texts: every length and offset fits its field.
    tiff.extend((count as u16).to_be_bytes());
    if with_orientation {
        tiff.extend(ORIENTATION.to_be_bytes());
        tiff.extend([0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    }
    for (tag, mut text) in texts {
        // Padded to five bytes at least, so that the value never has to be inline.
        text.push(0);
        text.resize(text.len().max(6), 0);
        tiff.extend(tag.to_be_bytes());
        tiff.extend([0, 2]);
        tiff.extend((text.len() as u32).to_be_bytes());
        tiff.extend(((values_at + values.len()) as u32).to_be_bytes());
        values.extend(text);
        if values.len() % 2 == 1 {
            values.push(0);
        }
    }
    tiff.extend([0; 4]);
    tiff.extend(values);
    Some(tiff)
}

#[cfg(test)]
pub(super) mod tests {
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
        assert_eq!(orientation(&tiff), 6);
        assert_eq!(text(&tiff, COPYRIGHT).unwrap(), b"(c) Jane.");
        assert!(tiff[60..].iter().all(|byte| *byte == 0));
        assert_eq!(tiff[8..10], 2u16.to_le_bytes());
        assert!(!remove_location(&mut tiff));
    }

    #[test]
    fn a_minimal_block_reads_back() {
        let source = located();
        let kept = minimal(Some(&source), 6, true).unwrap();
        assert_eq!(orientation(&kept), 6);
        assert_eq!(text(&kept, COPYRIGHT).unwrap(), b"(c) Jane.");
        let bare = minimal(Some(&source), 3, false).unwrap();
        assert_eq!(orientation(&bare), 3);
        assert_eq!(text(&bare, COPYRIGHT), None);
        assert_eq!(minimal(Some(&source), 1, false), None);
    }

    #[test]
    fn damaged_blocks_never_panic() {
        let source = located();
        for at in 0..source.len() {
            for value in [0x00, 0x01, 0x7f, 0xff] {
                let mut tiff = source.clone();
                tiff[at] = value;
                orientation(&tiff);
                minimal(Some(&tiff), 6, true);
                remove_location(&mut tiff);
            }
            let mut short = source[..at].to_vec();
            orientation(&short);
            remove_location(&mut short);
        }
    }
}
