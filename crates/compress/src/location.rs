//! Removes the place a picture was taken from a file that is otherwise kept as it is.
//!
//! Overwrites in place: pixels, lengths and every other field stay. Only a PNG text chunk that cannot be overwritten is dropped.

use std::borrow::Cow;
use std::ops::Range;

use super::credits::properties;
use super::{Format, chunks, exif, gif, photoshop, raw_profile, riff, segments};

const JPEG_EXIF: &[u8] = b"Exif\0\0";
/// EXIF and XMP as ImageMagick stores them in text chunks.
const RAW_PROFILES: [&[u8]; 3] = [b"Raw profile type exif\0", b"Raw profile type APP1\0", b"Raw profile type xmp\0"];
/// Fields in which EXIF and XMP say where a picture was taken, as programs name them in text.
const FIELDS: [&[u8]; 4] = [b"gpslatitude", b"gpslongitude", b"gpsposition", b"gpscoordinates"];
const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0";

/// The same file without a location. Borrowed when there was none to remove.
pub(super) fn remove(bytes: &[u8], format: Format) -> Cow<'_, [u8]> {
    match format {
        Format::Jpeg => from_jpeg(bytes),
        Format::Png => from_png(bytes),
        Format::Webp => from_webp(bytes),
        Format::Gif => from_gif(bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// Every EXIF block, also those of pictures embedded before or after the main one, and the XMP.
fn from_jpeg(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(bytes);
    for at in memchr::memmem::find_iter(bytes, JPEG_EXIF) {
        // An APP1 segment: marker and length stand before its name. Nothing behind its end may be touched.
        if let Some(&[0xFF, 0xE1, high, low]) = bytes[..at].last_chunk() {
            let end = at - 2 + usize::from(u16::from_be_bytes([high, low]));
            let start = at + JPEG_EXIF.len();
            clean_exif(&mut out, start..end.clamp(start, bytes.len()));
        }
    }
    for segment in segments::segments(bytes).filter(|segment| segment.marker == 0xed) {
        let start = segment.payload.start;
        for (number, data) in photoshop::resources(&bytes[segment.payload]) {
            let data = start + data.start..start + data.end;
            match number {
                photoshop::EXIF => clean_exif(&mut out, data),
                photoshop::XMP => blank_xmp(&mut out, data),
                _ => {}
            }
        }
    }
    for segment in segments::segments(bytes).filter(|segment| segments::is_xmp(bytes, segment)) {
        let name_end = memchr::memchr(0, &bytes[segment.payload.clone()]).unwrap_or(0) + 1;
        blank_xmp(&mut out, (segment.payload.start + name_end).min(segment.payload.end)..segment.payload.end);
    }
    out
}

fn from_webp(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(bytes);
    for chunk in riff::chunks(bytes).unwrap_or_default() {
        match &chunk.name {
            b"EXIF" => clean_exif(&mut out, without_name(bytes, chunk.data)),
            b"XMP " => blank_xmp(&mut out, chunk.data),
            _ => {}
        }
    }
    out
}

/// XMP with a location is left out whole: its text counts as lengths of blocks too, so that nothing in it can be changed safely.
fn from_gif(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut located = gif::xmp(bytes);
    located.retain(|extension| mentions_gps(&bytes[extension.clone()]));
    if located.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for extension in located {
        out.extend(&bytes[at..extension.start]);
        at = extension.end;
    }
    out.extend(&bytes[at..]);
    Cow::Owned(out)
}

/// EXIF without the name that some writers put in front of it, as in a JPEG.
fn without_name(bytes: &[u8], data: Range<usize>) -> Range<usize> {
    let skip = if bytes[data.clone()].starts_with(JPEG_EXIF) { JPEG_EXIF.len() } else { 0 };
    data.start + skip..data.end
}

fn from_png(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(list) = chunks::chunks(bytes) else {
        return Cow::Borrowed(bytes);
    };
    let mut out = Cow::Borrowed(bytes);
    let mut dropped = Vec::new();
    let mut extra = Vec::new();
    for chunk in &list {
        let data = &bytes[chunk.data.clone()];
        match &chunk.name {
            b"eXIf" => clean_exif(&mut out, without_name(bytes, chunk.data.clone())),
            b"iTXt" if data.starts_with(PNG_XMP) => {
                if data.get(PNG_XMP.len()) == Some(&0) {
                    // Two flag bytes, then language and translated keyword, each with its NUL.
                    let text = nth_nul(data, PNG_XMP.len() + 2, 2).unwrap_or(data.len());
                    blank_xmp(&mut out, chunk.data.start + text..chunk.data.end);
                } else {
                    dropped.push(chunk.whole.start);
                }
            }
            b"zTXt" | b"tEXt" | b"iTXt"
                if RAW_PROFILES.iter().any(|name| data.starts_with(name))
                    && !is_free_of_location(raw_profile::bytes(&chunk.name, data)) =>
            {
                dropped.push(chunk.whole.start);
                // The orientation in it is not a location.
                if chunks::data(bytes, &list, b"eXIf").is_none()
                    && let Some(tiff) = raw_profile::exif(&chunk.name, data)
                    && let Some(minimal) = exif::minimal(None, exif::orientation(&tiff), false)
                {
                    extra = vec![(*b"eXIf", minimal)];
                }
            }
            b"zTXt" if data.starts_with(PNG_XMP) => dropped.push(chunk.whole.start),
            b"zTXt" | b"tEXt" | b"iTXt" if locates(data) => dropped.push(chunk.whole.start),
            _ => {}
        }
    }
    if let Cow::Owned(changed) = &mut out {
        for chunk in &list {
            let mut crc = crc32fast::Hasher::new();
            crc.update(&changed[chunk.whole.start + 4..chunk.data.end]);
            let is_changed = changed[chunk.data.clone()] != bytes[chunk.data.clone()];
            if is_changed {
                changed[chunk.data.end..chunk.whole.end].copy_from_slice(&crc.finalize().to_be_bytes());
            }
        }
    }
    if dropped.is_empty() {
        return out;
    }
    // In the order of the file.
    let is_dropped = |chunk: &chunks::Chunk| dropped.binary_search(&chunk.whole.start).is_ok();
    Cow::Owned(chunks::rewrite(&out, &list, is_dropped, &extra))
}

/// The position after the `count`-th NUL from `start`.
fn nth_nul(data: &[u8], start: usize, count: usize) -> Option<usize> {
    let mut at = start;
    for _ in 0..count {
        at += memchr::memchr(0, data.get(at..)?)? + 1;
    }
    Some(at)
}

fn clean_exif(out: &mut Cow<'_, [u8]>, range: Range<usize>) {
    let mut tiff = out[range.clone()].to_vec();
    if exif::remove_location(&mut tiff) {
        out.to_mut()[range].copy_from_slice(&tiff);
    }
}

/// The properties of a location become blank; all of what cannot be read, or still has some: a packet of spaces is read as an
/// empty one.
fn blank_xmp(out: &mut Cow<'_, [u8]>, range: Range<usize>) {
    let packet = &out[range.clone()];
    if !mentions_gps(packet) {
        return;
    }
    let mut clean = packet.to_vec();
    match properties(packet, |name| mentions_gps(name.as_bytes())) {
        Some(located) => located.into_iter().for_each(|property| clean[property].fill(b' ')),
        None => clean.fill(b' '),
    }
    if has_fields(&clean) {
        clean.fill(b' ');
    }
    if clean != *packet {
        out.to_mut()[range].copy_from_slice(&clean);
    }
}

/// What cannot be read may hold one.
fn is_free_of_location(profile: Option<Vec<u8>>) -> bool {
    profile.is_some_and(|profile| match profile.strip_prefix(JPEG_EXIF) {
        Some(tiff) => !exif::remove_location(&mut tiff.to_vec()),
        None => !mentions_gps(&profile) && !exif::remove_location(&mut profile.clone()),
    })
}

/// Whether a text chunk is a field of the location, by its keyword, or holds such fields: one that merely talks of GPS is not.
fn locates(data: &[u8]) -> bool {
    let keyword = &data[..memchr::memchr(0, data).unwrap_or(data.len())];
    let is_xmp = data.starts_with(PNG_XMP);
    mentions_gps(keyword) || is_xmp && mentions_gps(data) || has_fields(data)
}

/// Also where spaces stand in the names of the fields, or NULs between letters of two bytes.
fn has_fields(text: &[u8]) -> bool {
    let mut text = text.to_ascii_lowercase();
    text.retain(|byte| !matches!(*byte, b' ' | 0));
    FIELDS.iter().any(|field| memchr::memmem::find(&text, field).is_some())
}

/// Also in UTF-16.
fn mentions_gps(text: &[u8]) -> bool {
    let letters = || text.iter().filter(|byte| **byte != 0).map(u8::to_ascii_uppercase);
    letters().zip(letters().skip(1)).zip(letters().skip(2)).any(|((g, p), s)| [g, p, s] == *b"GPS")
}

#[cfg(test)]
mod tests {
    use super::super::exif::tests::located;
    use super::*;

    fn jpeg_with(payloads: &[&[u8]]) -> Vec<u8> {
        let mut jpeg = b"\xff\xd8".to_vec();
        for payload in payloads {
            jpeg.extend([0xff, 0xe1]);
            jpeg.extend((payload.len() as u16 + 2).to_be_bytes());
            jpeg.extend(*payload);
        }
        jpeg.extend(b"\xff\xda\0\x02scan\xff\xd9");
        jpeg
    }

    #[test]
    fn a_jpeg_loses_its_location_and_nothing_else() {
        let exif = [JPEG_EXIF, &located()].concat();
        let xmp = b"http://ns.adobe.com/xap/1.0/\0<x exif:GPSLatitude=\"52,31N\"/>";
        let jpeg = jpeg_with(&[&exif, xmp]);
        let clean = remove(&jpeg, Format::Jpeg);
        assert_eq!(clean.len(), jpeg.len());
        assert!(memchr::memmem::find(&clean, b"GPS").is_none());
        let tiff = &clean[segments::exif(&clean).unwrap()];
        assert_eq!(exif::orientation(tiff), 6);
        assert!(matches!(remove(&clean, Format::Jpeg), Cow::Borrowed(_)));
    }

    #[test]
    fn xmp_loses_its_location_and_keeps_the_rest() {
        let name = b"http://ns.adobe.com/xap/1.0/\0";
        let packet = |of_place: [&str; 2], title: &str| {
            format!(
                "<?xpacket begin='\u{feff}'?><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#' \
                 xmlns:exif='http://ns.adobe.com/exif/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'>\
                 <r:Description {} dc:rights='me'>{}<dc:title>{title}</dc:title></r:Description></r:RDF><?xpacket end='w'?>",
                of_place[0], of_place[1]
            )
        };
        let place = ["exif:GPSLatitude='52,31N'", "<exif:GPSLongitude>13,24E</exif:GPSLongitude>"];
        let blank = place.map(|property| " ".repeat(property.len()));
        let blank = [blank[0].as_str(), blank[1].as_str()];
        for (before, after) in [
            (packet(place, "a GPS watch"), packet(blank, "a GPS watch")),
            (packet(blank, "a GPS watch"), packet(blank, "a GPS watch")),
            // What is no property, or no XML, cannot be cut out.
            (packet(blank, "&lt;GPSLatitude&gt;"), " ".repeat(packet(blank, "&lt;GPSLatitude&gt;").len())),
            (packet(place, "<"), " ".repeat(packet(place, "<").len())),
        ] {
            let jpeg = jpeg_with(&[&[name, before.as_bytes()].concat()]);
            assert_eq!(*remove(&jpeg, Format::Jpeg), jpeg_with(&[&[name, after.as_bytes()].concat()]), "{before}");
        }
        let wide: Vec<u8> = packet(place, "a").encode_utf16().flat_map(u16::to_be_bytes).collect();
        let jpeg = jpeg_with(&[&[&name[..], &wide].concat()]);
        assert_eq!(*remove(&jpeg, Format::Jpeg), jpeg_with(&[&[&name[..], &vec![b' '; wide.len()]].concat()]));
    }

    #[test]
    fn photoshops_copies_lose_their_location_too() {
        let resource = |number: u8, data: &[u8]| {
            let padding = vec![0; data.len() % 2];
            [b"8BIM\x04", &[number, 0, 0][..], &(data.len() as u32).to_be_bytes(), data, &padding].concat()
        };
        let irb =
            [b"Photoshop 3.0\0", &resource(0x04, b"abc")[..], &resource(0x22, &located()), &resource(0x24, b"<GPSx/>")];
        let mut jpeg = jpeg_with(&[&irb.concat()]);
        jpeg[3] = 0xed;
        let clean = remove(&jpeg, Format::Jpeg);
        assert_eq!(clean.len(), jpeg.len());
        let payload = &clean[6..];
        let found: Vec<_> = photoshop::resources(payload).map(|(number, data)| (number, &payload[data])).collect();
        assert_eq!(found[0], (photoshop::IPTC, &b"abc"[..]));
        assert_eq!((found[1].0, exif::orientation(found[1].1)), (photoshop::EXIF, 6));
        assert!(!exif::remove_location(&mut found[1].1.to_vec()));
        assert_eq!(found[2], (photoshop::XMP, &[b' '; 7][..]));
        assert!(matches!(remove(&clean, Format::Jpeg), Cow::Borrowed(_)));
    }

    #[test]
    fn a_jpeg_without_a_location_is_borrowed() {
        let jpeg = jpeg_with(&[b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"]);
        assert!(matches!(remove(&jpeg, Format::Jpeg), Cow::Borrowed(_)));
    }

    #[test]
    fn an_exif_block_that_points_beyond_its_end_touches_nothing_there() {
        let cut = [JPEG_EXIF, &located()[..90]].concat();
        let jpeg = jpeg_with(&[&cut, &[7; 200]]);
        let clean = remove(&jpeg, Format::Jpeg);
        let end = 2 + 4 + cut.len();
        assert_eq!(clean[end..], jpeg[end..]);
        assert_ne!(clean[..end], jpeg[..end]);
    }

    #[test]
    fn a_gif_loses_xmp_with_a_location_and_nothing_else() {
        let xmp = |text: &[u8]| {
            let magic: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
            [b"\x21\xff\x0bXMP DataXMP", text, &magic].concat()
        };
        let start = b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
        let end = b"\x2c\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x0a\0;";
        let harmless = xmp(b"<x title='5'/>");
        let located = xmp(b"<x drone-dji:GpsLatitude='5'/>");
        let gif = [start, &located[..], &harmless, &located, end].concat();
        assert_eq!(*remove(&gif, Format::Gif), [start, &harmless[..], end].concat());
        let clean = remove(&gif, Format::Gif);
        assert!(matches!(remove(&clean, Format::Gif), Cow::Borrowed(_)));
    }

    #[test]
    fn a_png_loses_its_location_and_stays_valid() {
        let mut png = chunks::SIGNATURE.to_vec();
        chunks::write(&mut png, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
        chunks::write(&mut png, b"eXIf", &located());
        chunks::write(&mut png, b"tEXt", b"XML:com.adobe.xmp\0<exif:GPSx/>");
        chunks::write(&mut png, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<exif:GPSx/>");
        chunks::write(&mut png, b"zTXt", b"Raw profile type exif\0\0abc");
        chunks::write(&mut png, b"IEND", b"");
        let clean = remove(&png, Format::Png);
        assert!(memchr::memmem::find(&clean, b"GPS").is_none());
        let list = chunks::chunks(&clean).unwrap();
        assert_eq!(list.len(), 4);
        for chunk in &list {
            let mut again = Vec::new();
            chunks::write(&mut again, &chunk.name, &clean[chunk.data.clone()]);
            assert_eq!(again, &clean[chunk.whole.clone()]);
        }
        assert_eq!(exif::orientation(chunks::data(&clean, &list, b"eXIf").unwrap()), 6);
    }

    #[test]
    fn the_orientation_stays_when_the_text_around_it_goes() {
        let mut png = chunks::SIGNATURE.to_vec();
        chunks::write(&mut png, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
        chunks::write(&mut png, b"tEXt", &raw_profile::tests::text("exif", &located()));
        chunks::write(&mut png, b"IDAT", b"");
        chunks::write(&mut png, b"IEND", b"");
        let clean = remove(&png, Format::Png);
        let list = chunks::chunks(&clean).unwrap();
        assert_eq!(list.len(), 4);
        assert_eq!(exif::orientation(chunks::data(&clean, &list, b"eXIf").unwrap()), 6);
    }

    #[test]
    fn a_text_goes_only_if_it_locates() {
        let upright = exif::minimal(None, 3, false).unwrap();
        let raw = |profile: &[u8]| raw_profile::tests::text("exif", profile);
        for (text, stays) in [
            (b"Description\0A GPS watch, 42 mm".to_vec(), true),
            (b"exif:GPSInfo\0 640".to_vec(), false),
            (b"Comment\0GPS Latitude: 52 deg 31' N".to_vec(), false),
            (b"XML:com.adobe.xmp\0<x drone:GpsLongtitude='1'/>".to_vec(), false),
            (raw(&upright), true),
            (raw(&located()), false),
            (raw(&[JPEG_EXIF, &located()].concat()), false),
            (b"Raw profile type exif\0no profile".to_vec(), false),
        ] {
            let mut png = chunks::SIGNATURE.to_vec();
            chunks::write(&mut png, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
            chunks::write(&mut png, b"tEXt", &text);
            chunks::write(&mut png, b"IEND", b"");
            let clean = remove(&png, Format::Png);
            assert_eq!(matches!(clean, Cow::Borrowed(_)), stays, "{}", String::from_utf8_lossy(&text));
        }
    }
}
