//! Tells what bytes are by their content, never by a name or a header someone sent.
//!
//! Reads at most [`LOOK`] bytes and allocates no more; each kind that is refused is refused by its own error.

use super::{Error, Format};

/// Bytes looked at to tell a text format; binary signatures need fewer than 64.
const LOOK: usize = 4096;

/// The format of an image file, or why it is none we can name. The first 4 KiB are enough.
///
/// # Errors
///
/// [`Error::HtmlPage`], [`Error::NotAnImage`], or [`Error::UnsupportedFormat`] for what is known but not accepted.
pub fn sniff(bytes: &[u8]) -> Result<Format, Error> {
    if let Some(format) = signature(bytes) {
        return Ok(format);
    }
    if let Some(name) = unsupported_signature(bytes) {
        return Err(Error::unsupported(name));
    }
    Err(text_kind(bytes))
}

fn signature(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return Some(Format::Jpeg);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(Format::Png);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(Format::Webp);
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return Some(Format::Gif);
    }
    if matches!(bytes.get(..4), Some(b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+")) {
        return Some(Format::Tiff);
    }
    // "BM" alone begins many texts: the DIB header's size, one of seven values, decides.
    if bytes.starts_with(b"BM")
        && let Some(&[a, b, c, d]) = bytes.get(14..18)
        && matches!(u32::from_le_bytes([a, b, c, d]), 12 | 40 | 52 | 56 | 64 | 108 | 124)
    {
        return Some(Format::Bmp);
    }
    brands(bytes).any(|brand| matches!(brand, b"avif" | b"avis")).then_some(Format::Avif)
}

/// The major and compatible brands of an ISO base media file (`ftyp`), none for anything else.
fn brands(bytes: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let size =
        bytes.first_chunk::<4>().map_or(0, |size| usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX));
    let is_ftyp = bytes.get(4..8) == Some(b"ftyp");
    let list = if is_ftyp { bytes.get(8..size.min(256).min(bytes.len())) } else { None };
    let (chunks, _) = list.unwrap_or_default().as_chunks::<4>();
    // The second word is the minor version, not a brand.
    chunks.iter().enumerate().filter_map(|(at, brand)| (at != 1).then_some(brand))
}

/// Images and documents people put into catalogues that we do not read, by name.
fn unsupported_signature(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 9] = [
        (b"%PDF-", "PDF"),
        (b"8BPS", "Photoshop (PSD)"),
        (b"\0\0\x01\0", "ICO"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"%!PS", "PostScript"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
    ];
    if let Some((_, name)) = SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(name);
    }
    brands(bytes)
        .any(|brand| matches!(brand, b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1"))
        .then_some("HEIC")
}

/// What kind of text, if any, stands where an image should.
fn text_kind(bytes: &[u8]) -> Error {
    let look = &bytes[..bytes.len().min(LOOK)];
    // Dropping NULs reads UTF-16 mark-up well enough to recognise its tags.
    let text: Vec<u8> = match look {
        [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] => rest.iter().copied().filter(|byte| *byte != 0).collect(),
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.to_vec(),
        _ => look.to_vec(),
    };
    let text = text.trim_ascii_start().to_ascii_lowercase();
    if !text.starts_with(b"<") {
        return Error::NotAnImage;
    }
    let at = |needle: &[u8]| memchr::memmem::find(&text, needle);
    let svg = at(b"<svg").or_else(|| at(b"<!doctype svg"));
    let page = [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<script", b"<title", b"<meta", b"<div"]
        .iter()
        .filter_map(|tag| at(tag))
        .min();
    match (svg, page) {
        (Some(svg), Some(page)) if page < svg => Error::HtmlPage,
        (Some(_), _) => Error::unsupported("SVG"),
        (None, Some(_)) => Error::HtmlPage,
        (None, None) => Error::NotAnImage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsupported(name: &str) -> Result<Format, Error> {
        Err(Error::unsupported(name))
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        assert_eq!(sniff(b"\xff\xd8\xff\xe0rest"), Ok(Format::Jpeg));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\nrest"), Ok(Format::Png));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Ok(Format::Webp));
        assert_eq!(sniff(b"GIF89a"), Ok(Format::Gif));
        assert_eq!(sniff(b"II*\0\x08\0\0\0"), Ok(Format::Tiff));
        assert_eq!(sniff(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"), Ok(Format::Avif));
        assert_eq!(sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"), Ok(Format::Avif));
        let mut bmp = b"BM".to_vec();
        bmp.extend([0; 12]);
        bmp.extend(40u32.to_le_bytes());
        assert_eq!(sniff(&bmp), Ok(Format::Bmp));
    }

    #[test]
    fn what_is_not_accepted_is_named() {
        assert_eq!(sniff(b"%PDF-1.7\n"), unsupported("PDF"));
        assert_eq!(sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), unsupported("HEIC"));
        assert_eq!(sniff(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), unsupported("SVG"));
        assert_eq!(sniff(b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<SVG>"), unsupported("SVG"));
    }

    #[test]
    fn a_web_page_is_a_web_page_even_with_an_icon_inside() {
        assert_eq!(sniff(b"\r\n <!DOCTYPE html><html>"), Err(Error::HtmlPage));
        assert_eq!(sniff(b"<html><body><svg></svg></body></html>"), Err(Error::HtmlPage));
        let wide: Vec<u8> = "\u{feff}<html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(sniff(&wide), Err(Error::HtmlPage));
    }

    #[test]
    fn anything_else_is_no_image() {
        for bytes in [
            &b""[..],
            b"BMW sells cars and this is a text",
            b"{\"error\": \"not found\"}",
            b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
            b"PK\x03\x04",
            b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
            b"\xff\xd8",
            b"RIFF\x10\0\0\0WAVEfmt ",
            &[0; 64],
        ] {
            assert_eq!(sniff(bytes), Err(Error::NotAnImage), "{bytes:?}");
        }
    }
}
