//! The credits of an IPTC-IIM record inside Photoshop's JPEG segment.
//!
//! Walks data sets by their lengths; the first that does not fit ends the walk.

use crate::container::photoshop::{IPTC, resources};
use crate::metadata::credits::{Credits, MAX_CREATORS, text};

/// Data set 1:90 with this value: the texts are UTF-8 (IIM 4.2, appendix C).
const UTF8: &[u8] = b"\x1b%G";

/// From the payload of an APP13 segment.
pub(crate) fn read(payload: &[u8]) -> Credits {
    let record = resources(payload).find(|(number, _)| *number == IPTC);
    record.map(|(_, data)| data_sets(&payload[data])).unwrap_or_default()
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
pub(crate) mod tests {
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
        let mut out = b"Photoshop 3.0\0".to_vec();
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
