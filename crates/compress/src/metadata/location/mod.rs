//! Removes the place a picture was taken from a file that is otherwise kept as it is.
//!
//! Overwrites in place: pixels, lengths and every other field stay. Only a PNG text chunk that cannot be overwritten is dropped.

use std::borrow::Cow;

use crate::contract::Format;

mod avif;
mod erase;
mod gif;
mod jpeg;
mod png;
mod webp;

/// The same file without a location. Borrowed when there was none to remove.
pub(crate) fn remove(bytes: &[u8], format: Format) -> Cow<'_, [u8]> {
    match format {
        Format::Jpeg => jpeg::remove(bytes),
        Format::Png => png::remove(bytes),
        Format::Webp => webp::remove(bytes),
        Format::Gif => gif::remove(bytes),
        Format::Avif => avif::remove(bytes),
        Format::Tiff | Format::Bmp | Format::Ico => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::erase::JPEG_EXIF;
    use super::remove;
    use crate::container::{jpeg_segments, photoshop, png, raw_profile};
    use crate::contract::Format;
    use crate::metadata::exif;
    use crate::metadata::exif::tests::located;
    use std::borrow::Cow;

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
        let tiff = &clean[jpeg_segments::exif(&clean).unwrap()];
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
        let mut png = png::SIGNATURE.to_vec();
        png::write(&mut png, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
        png::write(&mut png, b"eXIf", &located());
        png::write(&mut png, b"tEXt", b"XML:com.adobe.xmp\0<exif:GPSx/>");
        png::write(&mut png, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<exif:GPSx/>");
        png::write(&mut png, b"zTXt", b"Raw profile type exif\0\0abc");
        png::write(&mut png, b"IEND", b"");
        let clean = remove(&png, Format::Png);
        assert!(memchr::memmem::find(&clean, b"GPS").is_none());
        let list = png::chunks(&clean).unwrap();
        assert_eq!(list.len(), 4);
        for chunk in &list {
            let mut again = Vec::new();
            png::write(&mut again, &chunk.name, &clean[chunk.data.clone()]);
            assert_eq!(again, &clean[chunk.whole.clone()]);
        }
        assert_eq!(exif::orientation(png::data(&clean, &list, b"eXIf").unwrap()), 6);
    }

    #[test]
    fn the_orientation_stays_when_the_text_around_it_goes() {
        let mut png = png::SIGNATURE.to_vec();
        png::write(&mut png, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
        png::write(&mut png, b"tEXt", &raw_profile::tests::text("exif", &located()));
        png::write(&mut png, b"IDAT", b"");
        png::write(&mut png, b"IEND", b"");
        let clean = remove(&png, Format::Png);
        let list = png::chunks(&clean).unwrap();
        assert_eq!(list.len(), 4);
        assert_eq!(exif::orientation(png::data(&clean, &list, b"eXIf").unwrap()), 6);
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
            let mut png = png::SIGNATURE.to_vec();
            png::write(&mut png, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
            png::write(&mut png, b"tEXt", &text);
            png::write(&mut png, b"IEND", b"");
            let clean = remove(&png, Format::Png);
            assert_eq!(matches!(clean, Cow::Borrowed(_)), stays, "{}", String::from_utf8_lossy(&text));
        }
    }
}
