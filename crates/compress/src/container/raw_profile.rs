//! Metadata that ImageMagick stores in the text chunks of a PNG: hexadecimal, under a name such as "Raw profile type exif".
//!
//! The text is the profile's kind, its length in bytes, and the bytes, each on lines of their own. What is damaged reads as "nothing
//! there".

use crate::container::inflate::inflate;

const NAME: &[u8] = b"Raw profile type ";
const EXIF: &[u8] = b"Exif\0\0";
/// Of text; EXIF in a JPEG has at most 64 KiB.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// A file has one of each kind. Of more than this only some are unpacked: each can take a millisecond.
pub(crate) const MAX_TRIED: usize = 8;

/// Whether a text chunk is named like a raw profile.
pub(crate) fn is_one(chunk: &[u8; 4], data: &[u8]) -> bool {
    matches!(chunk, b"tEXt" | b"zTXt") && data.starts_with(NAME)
}

/// The TIFF part of the EXIF, if this text chunk holds it.
pub(crate) fn exif(chunk: &[u8; 4], data: &[u8]) -> Option<Vec<u8>> {
    let profile = bytes(chunk, data)?;
    // In an APP1 profile the name tells EXIF from XMP; in an EXIF profile some writers leave it out.
    match profile.strip_prefix(EXIF) {
        Some(tiff) => Some(tiff.to_vec()),
        None => matches!(profile.get(..4), Some(b"MM\0*" | b"II*\0")).then_some(profile),
    }
}

/// What a text chunk holds, if it is a raw profile.
pub(crate) fn bytes(chunk: &[u8; 4], data: &[u8]) -> Option<Vec<u8>> {
    let rest = data.strip_prefix(NAME)?;
    let rest = &rest[memchr::memchr(0, rest)? + 1..];
    let text = match chunk {
        b"tEXt" => rest.to_vec(),
        // The compression method, 0.
        b"zTXt" => inflate(rest.strip_prefix(&[0])?, MAX_TEXT_BYTES)?,
        _ => return None,
    };
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (_kind, length) = (words.next()?, std::str::from_utf8(words.next()?).ok()?.parse::<usize>().ok()?);
    let mut profile = hex::decode(words.collect::<Vec<_>>().concat()).ok()?;
    if length > profile.len() {
        return None;
    }
    profile.truncate(length);
    Some(profile)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The data of a tEXt chunk.
    pub(crate) fn text(kind: &str, profile: &[u8]) -> Vec<u8> {
        let hex = hex::encode(profile);
        let lines: Vec<&str> = hex.as_bytes().chunks(72).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("Raw profile type {kind}\0\n{kind}\n{:8}\n{}\n", profile.len(), lines.join("\n")).into_bytes()
    }

    #[test]
    fn a_profile_is_read_from_plain_and_from_packed_text() {
        let tiff = crate::metadata::exif::tests::located();
        let plain = text("APP1", &[EXIF, &tiff].concat());
        assert_eq!(exif(b"tEXt", &plain).unwrap(), tiff);
        let name_end = memchr::memchr(0, &plain).unwrap() + 1;
        let mut packed = [&plain[..name_end], &[0]].concat();
        let mut packer = flate2::write::ZlibEncoder::new(&mut packed, flate2::Compression::best());
        std::io::Write::write_all(&mut packer, &plain[name_end..]).unwrap();
        packer.finish().unwrap();
        assert_eq!(exif(b"zTXt", &packed).unwrap(), tiff);
        assert_eq!(exif(b"tEXt", &text("exif", &tiff)).unwrap(), tiff);
    }

    #[test]
    fn what_is_damaged_or_something_else_is_not_there() {
        assert_eq!(exif(b"tEXt", &text("APP1", b"http://ns.adobe.com/xap/1.0/\0<x/>")), None);
        let whole = text("exif", b"MM\0*\0\0\0\x08");
        for cut in 0..whole.len() - 1 {
            assert_eq!(exif(b"tEXt", &whole[..cut]), None, "{cut}");
        }
        assert_eq!(exif(b"tEXt", b"Comment\0Raw profile type exif"), None);
    }
}
