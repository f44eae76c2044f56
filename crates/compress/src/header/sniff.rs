//! Recognises files by their content, never by a name or an HTTP header.
//!
//! Allocates at most [`MAX_TEXT_BYTES`] bytes; each kind that is refused is refused by its own error.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::contract::{Error, Format};

/// Bytes of a packed or wide text that are looked at.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// The format of an image file, or why it is not accepted. The first 256 bytes suffice to recognise an accepted format.
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
    // No file has a thousand icons, and text has no such NULs.
    if let [0, 0, 1, 0, 1..=255, 0..=3, ..] = bytes {
        return Some(Format::Ico);
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

/// Images and documents found in catalogues that are not accepted, by name.
fn unsupported_signature(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 18] = [
        (b"%PDF-", "PDF"),
        (b"8BPS", "Photoshop (PSD)"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"%!PS", "PostScript"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"\x8aMNG\r\n\x1a\n", "MNG"),
        (b"\x8bJNG\r\n\x1a\n", "JNG"),
        (b"icns", "ICNS"),
        (b"DDS ", "DDS"),
        (b"qoif", "QOI"),
        (b"FLIF", "FLIF"),
        (b"\xd7\xcd\xc6\x9a", "WMF"),
        (b"FUJIFILMCCD-RAW", "Camera raw"),
        (b"IIRO", "Camera raw"),
        (b"IIU\0", "Camera raw"),
    ];
    if let Some((_, name)) = SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(name);
    }
    // A plain text may begin like this too, but not go on with a number or a comment.
    if let [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', b'0'..=b'9' | b'#', ..] = bytes {
        return Some("PNM");
    }
    if brands(bytes).any(|brand| brand == b"crx ") {
        return Some("Camera raw");
    }
    brands(bytes)
        .any(|brand| matches!(brand, b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1"))
        .then_some("HEIC")
}

/// What kind of text this is, if any.
fn text_kind(bytes: &[u8]) -> Error {
    // Dropping NULs reads UTF-16 mark-up well enough to recognise its tags.
    let narrow = |wide: &[u8]| wide.iter().take(MAX_TEXT_BYTES).copied().filter(|byte| *byte != 0).collect();
    let text: Cow<'_, [u8]> = match bytes {
        // SVGZ, or a page that its server packed for nobody.
        [0x1f, 0x8b, 0x08, ..] => {
            let mut unpacked = Vec::new();
            // What comes before damage, or before the limit, is enough.
            let _ = GzDecoder::new(bytes).take(MAX_TEXT_BYTES as u64).read_to_end(&mut unpacked);
            Cow::Owned(unpacked)
        }
        [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] => Cow::Owned(narrow(rest)),
        [b'<', 0, ..] | [0, b'<', ..] => Cow::Owned(narrow(bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        _ => Cow::Borrowed(bytes),
    };
    let text = text.trim_ascii_start();
    if text.starts_with(b"%PDF-") {
        return Error::unsupported("PDF");
    }
    match first_element(text).as_deref() {
        Some(b"svg") => Error::unsupported("SVG"),
        Some(name) if PAGE_ELEMENTS.contains(&name) => Error::HtmlPage,
        _ => Error::NotAnImage,
    }
}

/// Elements that pages and parts of pages begin with (after WHATWG's "MIME Sniffing", 7.1).
const PAGE_ELEMENTS: [&[u8]; 36] = [
    b"html",
    b"head",
    b"body",
    b"title",
    b"meta",
    b"link",
    b"base",
    b"style",
    b"script",
    b"noscript",
    b"iframe",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"div",
    b"span",
    b"p",
    b"a",
    b"b",
    b"br",
    b"hr",
    b"img",
    b"font",
    b"center",
    b"table",
    b"form",
    b"ul",
    b"ol",
    b"pre",
    b"header",
    b"nav",
    b"main",
    b"section",
    b"article",
    b"strong",
];

/// The name of mark-up's first element, or the one a document type announces: lower case, without a namespace.
fn first_element(mut text: &[u8]) -> Option<Vec<u8>> {
    const DOCTYPE: &[u8] = b"<!doctype";
    loop {
        let (start, end): (usize, &[u8]) = match text {
            [b'<', b'!', b'-', b'-', ..] => (2, b"-->"),
            [b'<', b'?', ..] => (2, b"?>"),
            _ => break,
        };
        let found = memchr::memmem::find(&text[start..], end)?;
        text = text[start + found + end.len()..].trim_ascii_start();
    }
    let is_doctype = text.get(..DOCTYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(DOCTYPE));
    let name = if is_doctype { text[DOCTYPE.len()..].trim_ascii_start() } else { text.strip_prefix(b"<")? };
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b':';
    let name = &name[..name.iter().position(|byte| !is_part(byte)).unwrap_or(name.len())];
    name.rsplit(|byte| *byte == b':').next().map(<[u8]>::to_ascii_lowercase)
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
        assert_eq!(sniff(b"P6\n# made by hand\n3 2\n255\n"), unsupported("PNM"));
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
    fn what_stands_before_the_first_element_does_not_matter() {
        let comment = format!("<!-- {} -->", "<svg> or <html> or ".repeat(5000));
        let late = |root: &str| format!("\u{feff}\n<?xml version='1.0'?>\r\n{comment}\n\t{root}").into_bytes();
        assert_eq!(sniff(&late("<svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>")), unsupported("SVG"));
        assert_eq!(
            sniff(&late("<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' [<!ENTITY a '>'>]>")),
            unsupported("SVG")
        );
        assert_eq!(sniff(&late("<Html lang='en'>")), Err(Error::HtmlPage));
        assert_eq!(sniff(&late("<!doctype HTML>")), Err(Error::HtmlPage));
        assert_eq!(sniff(b"<h1>Not found</h1>"), Err(Error::HtmlPage));
        assert_eq!(sniff(&late("<feed><svg/></feed>")), Err(Error::NotAnImage));
        assert_eq!(sniff(b"\xef\xbb\xbf%PDF-1.4"), unsupported("PDF"));
        let wide: Vec<u8> = "<svg xmlns=''/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(sniff(&wide), unsupported("SVG"));
    }

    #[test]
    fn a_packed_svg_is_an_svg() {
        let packed = |text: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut packer, text).unwrap();
            packer.finish().unwrap()
        };
        let svgz = packed(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>");
        assert_eq!(sniff(&svgz), unsupported("SVG"));
        assert_eq!(sniff(&svgz[..svgz.len() - 9]), unsupported("SVG"));
        assert_eq!(sniff(&packed(b"just words")), Err(Error::NotAnImage));
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
