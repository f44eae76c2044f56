//! Credits in XMP and IPTC survive on request, in every container with a place for them, and nothing beside them does.

use crate::container::{png, webp};
use crate::metadata::credits::tests::{iptc_payload, packet};
use crate::picture::pixels::Layout;
use crate::tests::pictures::{self, photo};
use crate::tests::*;

/// The file with a segment behind its first marker.
fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, payload, &jpeg[2..]].concat()
}

fn sources() -> [Vec<u8>; 3] {
    let pixels = photo(120, 90, Layout::Rgb);
    let xmp = packet();
    let jpeg = with_segment(&pictures::jpeg(120, 90), 0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", xmp].concat());
    let png = pictures::png(&pixels);
    let list = png::chunks(&png).unwrap();
    let text = [&b"XML:com.adobe.xmp\0\0\0\0\0"[..], xmp].concat();
    let png = png::rewrite(&png, &list, |_| false, &[(*b"iTXt", text)]);
    [jpeg, png, webp::with_xmp(&pictures::webp(&pixels, 95.0), xmp).unwrap()]
}

fn contains(file: &[u8], words: &str) -> bool {
    memchr::memmem::find(file, words.as_bytes()).is_some()
}

#[test]
fn xmp_credits_travel_from_every_format_to_every_other() {
    for file in sources() {
        for format in [Format::Jpeg, Format::Png, Format::Webp] {
            for goal in [Goal::Quality(50), Goal::TargetRatio(0.6)] {
                let settings = Settings { goal, format: Some(format), keep_copyright: true, ..Settings::default() };
                let kept = run(&file, &settings);
                assert_eq!(kept.outcome, Outcome::Compressed);
                assert!(
                    contains(&kept.bytes, "(c) Ada &lt;3") && contains(&kept.bytes, "Agency &amp; Sons"),
                    "{format}"
                );
                assert!(!contains(&kept.bytes, "GPS") && !contains(&kept.bytes, "Secret"), "{format}");
                open(&kept.bytes);
                if kept.receipt.target_met && goal != Goal::Quality(50) {
                    assert!(kept.bytes.len() as f64 <= file.len() as f64 * 0.6, "{format}");
                }
                let dropped = run(&file, &Settings { keep_copyright: false, ..settings });
                assert!(!contains(&dropped.bytes, "Ada"), "{format}");
            }
        }
    }
}

#[test]
fn iptc_credits_become_xmp() {
    let file = with_segment(&pictures::jpeg(120, 90), 0xed, &iptc_payload());
    let output = run(&file, &Settings { keep_copyright: true, ..Settings::default() });
    assert!(contains(&output.bytes, "<rdf:li>Ada L.</rdf:li>") && contains(&output.bytes, "Archive"));
    assert!(!contains(&output.bytes, "Berlin"));
    assert!(!contains(&run(&file, &Settings::default()).bytes, "Ada"));
}

#[test]
fn credits_are_found_in_every_text_of_a_png() {
    let png = pictures::png(&photo(120, 90, Layout::Rgb));
    let list = png::chunks(&png).unwrap();
    let packed = |text: &[u8]| {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, text).unwrap();
        packer.finish().unwrap()
    };
    let raw = |kind: &str, profile: &[u8]| {
        let text = format!("\n{kind}\n{:8}\n{}\n", profile.len(), hex::encode(profile));
        [format!("Raw profile type {kind}\0\0").as_bytes(), &packed(text.as_bytes())].concat()
    };
    let resources = iptc_payload()[b"Photoshop 3.0\0".len()..].to_vec();
    for (name, data, credit) in [
        (b"iTXt", [b"XML:com.adobe.xmp\0\x01\0\0\0", &packed(packet())[..]].concat(), "Agency &amp; Sons"),
        (b"zTXt", raw("xmp", packet()), "Agency &amp; Sons"),
        (b"zTXt", raw("iptc", &resources), "<rdf:li>Ada L.</rdf:li>"),
        (b"tEXt", b"Author\0Zo\xeb".to_vec(), "<rdf:li>Zo\u{eb}</rdf:li>"),
        (b"zTXt", [b"Copyright\0\0", &packed(b"(c) me")[..]].concat(), "(c) me"),
        (b"iTXt", "Copyright\0\0\0en\0\0© me".as_bytes().to_vec(), "© me"),
    ] {
        let file = png::rewrite(&png, &list, |_| false, &[(*name, data)]);
        for format in [Format::Png, Format::Jpeg] {
            let settings = Settings { format: Some(format), keep_copyright: true, ..Settings::default() };
            assert!(contains(&run(&file, &settings).bytes, credit), "{credit} in {format}");
        }
    }
}
