//! The credits in the text chunks of a PNG: XMP, profiles as ImageMagick stores them, and the keywords of the PNG specification.

use crate::container::inflate::inflate;
use crate::container::raw_profile;
use crate::metadata::credits::{Credits, JPEG_XMP, MAX_PACKET_BYTES, iptc, text, xmp};

/// Where credits come from: XMP first, as in other formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Xmp,
    Iptc,
    Keyword,
}

/// The keywords of texts that are read.
const KEYWORDS: [&[u8]; 6] = [
    b"XML:com.adobe.xmp\0",
    b"Raw profile type xmp\0",
    b"Raw profile type APP1\0",
    b"Raw profile type iptc\0",
    b"Author\0",
    b"Copyright\0",
];

/// Whether [`read`] may find something in this chunk. Longer ones are not read.
pub(crate) fn may_credit(chunk: &[u8; 4], data: &[u8]) -> bool {
    matches!(chunk, b"tEXt" | b"zTXt" | b"iTXt")
        && data.len() <= 2 * MAX_PACKET_BYTES
        && KEYWORDS.iter().any(|keyword| data.starts_with(keyword))
}

/// The credits in a text chunk.
pub(crate) fn read(chunk: &[u8; 4], data: &[u8]) -> Option<(Rank, Credits)> {
    let (keyword, value) = data.split_at(memchr::memchr(0, data)?);
    let value = || unpacked(chunk, &value[1..]);
    let words = || text(&value()?);
    let profile = || raw_profile::bytes(chunk, data);
    match keyword {
        b"XML:com.adobe.xmp" if chunk == b"iTXt" => Some((Rank::Xmp, xmp::read(value()?.as_bytes()))),
        b"Raw profile type xmp" => Some((Rank::Xmp, xmp::read(&profile()?))),
        b"Raw profile type APP1" => Some((Rank::Xmp, xmp::read(profile()?.strip_prefix(JPEG_XMP)?))),
        b"Raw profile type iptc" => Some((Rank::Iptc, iptc::read(&profile()?))),
        b"Author" => Some((Rank::Keyword, Credits { creators: vec![words()?], ..Credits::default() })),
        b"Copyright" => Some((Rank::Keyword, Credits { copyright_notice: Some(words()?), ..Credits::default() })),
        _ => None,
    }
}

/// The text after the keyword (PNG, 11.3.3): Latin-1, the same compressed, or UTF-8 preceded by flags and languages.
fn unpacked(chunk: &[u8; 4], value: &[u8]) -> Option<String> {
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    match chunk {
        b"tEXt" => Some(latin(value)),
        b"zTXt" => Some(latin(&inflate(value.strip_prefix(&[0])?, MAX_PACKET_BYTES)?)),
        _ => {
            let ([is_packed, _method], rest) = value.split_first_chunk()?;
            let rest = &rest[memchr::memchr(0, rest)? + 1..];
            let rest = &rest[memchr::memchr(0, rest)? + 1..];
            let bytes = if *is_packed == 1 { inflate(rest, MAX_PACKET_BYTES)? } else { rest.to_vec() };
            String::from_utf8(bytes).ok()
        }
    }
}
