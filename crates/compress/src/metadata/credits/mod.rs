//! Who made a picture and who may use it: read from IPTC and XMP, and written as a small XMP packet.
//!
//! The packet is new; of the source's only the texts below are copied, each bounded. Damaged metadata reads as "nothing there".

use crate::container::{avif, jpeg_segments, png, webp};
use crate::contract::{Error, Format};

mod iptc;
mod png_text;
mod xmp;

pub(crate) use xmp::properties;

/// Longer packets are not looked at; the XMP of one JPEG segment always fits.
const MAX_PACKET_BYTES: usize = 256 << 10;
/// A longer text is not kept.
const MAX_TEXT_BYTES: usize = 4096;
/// More texts of one file are not read: each may take some work.
const MAX_TEXTS: usize = 16;
/// More creators are not kept.
const MAX_CREATORS: usize = 16;

/// What is kept on request, under the names of the IPTC Core (IPTC Photo Metadata Standard).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Credits {
    pub creators: Vec<String>,
    pub copyright_notice: Option<String>,
    pub credit_line: Option<String>,
    pub source: Option<String>,
    pub usage_terms: Option<String>,
    pub web_statement: Option<String>,
    /// Whether the copyright is claimed: `True` or `False`.
    pub marked: Option<String>,
}

impl Credits {
    /// Those of a file. XMP comes first: programs that write both keep it up to date.
    pub fn read(bytes: &[u8], format: Format) -> Credits {
        let mut credits = Credits::default();
        match format {
            Format::Jpeg => {
                let application = jpeg_segments::segments(bytes).filter(|segment| segment.marker == 0xe1);
                let packets = application.filter_map(|segment| bytes[segment.payload].strip_prefix(JPEG_XMP));
                credits = packets.take(MAX_TEXTS).fold(credits, |credits, packet| credits.or(xmp::read(packet)));
                for segment in jpeg_segments::segments(bytes).filter(|segment| segment.marker == 0xed) {
                    credits = credits.or(iptc::read(&bytes[segment.payload]));
                }
            }
            Format::Png => {
                let list = png::chunks(bytes).unwrap_or_default();
                let texts = list.iter().map(|chunk| (&chunk.name, &bytes[chunk.data.clone()]));
                let tried = texts.filter(|(name, data)| png_text::may_credit(name, data)).take(MAX_TEXTS);
                let mut found: Vec<_> = tried.filter_map(|(name, data)| png_text::read(name, data)).collect();
                found.sort_by_key(|(rank, _)| *rank);
                credits = found.into_iter().fold(credits, |credits, (_, other)| credits.or(other));
            }
            Format::Webp => {
                let list = webp::chunks(bytes).unwrap_or_default();
                credits = webp::data(bytes, &list, b"XMP ").map(xmp::read).unwrap_or_default();
            }
            Format::Avif => {
                let packet = avif::metadata(bytes).1.and_then(|range| bytes.get(range));
                credits = packet.map(xmp::read).unwrap_or_default();
            }
            _ => {}
        }
        credits
    }

    /// These, completed by others where they say nothing.
    fn or(self, other: Credits) -> Credits {
        Credits {
            creators: if self.creators.is_empty() { other.creators } else { self.creators },
            copyright_notice: self.copyright_notice.or(other.copyright_notice),
            credit_line: self.credit_line.or(other.credit_line),
            source: self.source.or(other.source),
            usage_terms: self.usage_terms.or(other.usage_terms),
            web_statement: self.web_statement.or(other.web_statement),
            marked: self.marked.or(other.marked),
        }
    }

    /// The length of a packet of these, in bytes; `None` when there is nothing to say.
    pub fn packet_len(&self) -> Option<u64> {
        (*self != Credits::default()).then(|| xmp::write(self).len() as u64)
    }

    /// The file with a packet of these; unchanged when there is nothing to say, or no place for it.
    pub fn put(&self, file: Vec<u8>, format: Format) -> Result<Vec<u8>, Error> {
        if *self == Credits::default() {
            return Ok(file);
        }
        let packet = xmp::write(self);
        match format {
            Format::Jpeg => Ok(put_in_jpeg(file, packet.as_bytes())),
            Format::Png => {
                let list = png::chunks(&file)?;
                Ok(png::rewrite(&file, &list, |_| false, &[(*b"iTXt", [PNG_XMP, packet.as_bytes()].concat())]))
            }
            Format::Webp => webp::with_xmp(&file, packet.as_bytes()),
            _ => Ok(file),
        }
    }
}

/// How the segment of a JPEG's main packet starts (XMP Part 3, 1.1.3).
const JPEG_XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Keyword, no compression, no language, no translated keyword.
const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";

/// After JFIF and EXIF, which must be first.
fn put_in_jpeg(file: Vec<u8>, packet: &[u8]) -> Vec<u8> {
    let Ok(length) = u16::try_from(2 + JPEG_XMP.len() + packet.len()) else {
        return file;
    };
    let leading = jpeg_segments::segments(&file).take_while(|segment| matches!(segment.marker, 0xe0 | 0xe1));
    let at = leading.last().map_or(2, |segment| segment.payload.end);
    let mut out = file[..at].to_vec();
    out.extend([0xff, 0xe1]);
    out.extend(length.to_be_bytes());
    out.extend(JPEG_XMP);
    out.extend(packet);
    out.extend(&file[at..]);
    out
}

/// A text worth keeping: trimmed, not empty, not too long, and of characters XML can hold.
fn text(text: &str) -> Option<String> {
    let is_allowed =
        |c: &char| !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    let kept: String = text.trim().chars().filter(is_allowed).collect();
    (!kept.is_empty() && kept.len() <= MAX_TEXT_BYTES).then_some(kept)
}

#[cfg(test)]
pub(crate) mod tests {
    /// A packet with credits, and with what must go.
    pub fn packet() -> &'static [u8] {
        super::xmp::tests::PACKET.as_bytes()
    }

    pub(crate) use crate::metadata::credits::iptc::tests::payload as iptc_payload;
}
