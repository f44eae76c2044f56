//! The credits of an IPTC-IIM record inside Photoshop's JPEG segment.
//!
//! Walks blocks and data sets by their lengths; the first that does not fit ends the walk.

use super::{Credits, MAX_CREATORS, text};

const PREFIX: &[u8] = b"Photoshop 3.0\0";
/// Photoshop's image resource that holds IPTC-IIM (Adobe Photoshop File Formats Specification).
const IPTC: u16 = 0x0404;
/// Data set 1:90 with this value: the texts are UTF-8 (IIM 4.2, appendix C).
const UTF8: &[u8] = b"\x1b%G";

/// From the payload of an APP13 segment.
pub(super) fn read(payload: &[u8]) -> Credits {
    payload.strip_prefix(PREFIX).and_then(record).map(data_sets).unwrap_or_default()
}

/// The resource with the record: signature, number, a name padded to even length, a length, data padded to even length.
fn record(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (header, after) = rest.strip_prefix(b"8BIM")?.split_first_chunk::<3>()?;
        let name = usize::from(header[2]);
        let after = after.get(name + (name + 1) % 2..)?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let data = after.get(..length)?;
        if u16::from_be_bytes([header[0], header[1]]) == IPTC {
            return Some(data);
        }
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}

/// Data sets: a tag marker, record and number, a length of two bytes, data (IIM 4.2, 1.5).
fn data_sets(mut rest: &[u8]) -> Credits {
    let mut credits = Credits::default();
    let mut is_utf8 = false;
    while let [0x1c, record, number, high, low, after @ ..] = rest {
        let Some((data, next)) = after.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else {
            break;
        };
        rest = next;
        let words = || match std::str::from_utf8(data) {
            Ok(words) => text(words),
            Err(_) if is_utf8 => None,
            // Not declared: Latin-1 is what most writers mean.
            Err(_) => text(&data.iter().map(|byte| char::from(*byte)).collect::<String>()),
        };
        match (record, number) {
            (1, 90) => is_utf8 = data == UTF8,
            (2, 80) if credits.creators.len() < MAX_CREATORS => credits.creators.extend(words()),
            (2, 110) => credits.credit_line = words(),
            (2, 115) => credits.source = words(),
            (2, 116) => credits.copyright_notice = words(),
            _ => {}
        }
    }
    credits
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn data_set(number: u8, value: &[u8]) -> Vec<u8> {
        [&[0x1c, 2, number], &(value.len() as u16).to_be_bytes()[..], value].concat()
    }

    /// A segment's payload with another resource before the record.
    pub(crate) fn payload() -> Vec<u8> {
        let record = [
            data_set(80, b"Ada L."),
            data_set(80, "Zo\u{eb}".as_bytes()),
            data_set(90, b"Berlin"),
            data_set(110, b"Agency"),
            data_set(115, b"Archive"),
            data_set(116, b"\xa9 Ada"),
        ]
        .concat();
        let mut out = PREFIX.to_vec();
        out.extend(b"8BIM\x03\xed\0\0\0\0\0\x03abc\0");
        out.extend(b"8BIM\x04\x04\0\0");
        out.extend((record.len() as u32).to_be_bytes());
        out.extend(record);
        out
    }

    #[test]
    fn the_credits_are_found_and_nothing_else() {
        let expected = Credits {
            creators: vec!["Ada L.".to_owned(), "Zo\u{eb}".to_owned()],
            copyright_notice: Some("\u{a9} Ada".to_owned()),
            credit_line: Some("Agency".to_owned()),
            source: Some("Archive".to_owned()),
            ..Credits::default()
        };
        assert_eq!(read(&payload()), expected);
    }

    #[test]
    fn damaged_records_never_panic() {
        let whole = payload();
        for at in 0..whole.len() {
            read(&whole[..at]);
            for value in [0, 0x1c, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                read(&damaged);
            }
        }
    }
}
