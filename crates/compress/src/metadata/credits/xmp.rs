//! The credits of an XMP packet (ISO 16684-1), read and written.
//!
//! Packets are untrusted: no document types, a bounded number of nodes, bounded texts.

use std::ops::Range;

use roxmltree::{Document, Node, ParsingOptions};

use crate::metadata::credits::{Credits, MAX_CREATORS, MAX_PACKET_BYTES, text};

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const DC: &str = "http://purl.org/dc/elements/1.1/";
const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
const RIGHTS: &str = "http://ns.adobe.com/xap/1.0/rights/";
/// A packet with a long edit history has some thousands.
const MAX_NODES: u32 = 50_000;

/// What a packet may have around it.
const AROUND: [char; 2] = ['\0', '\u{feff}'];

fn parse(packet: &str) -> Option<Document<'_>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(packet, options).ok()
}

/// Where the properties stand whose name is one of those asked for; none if the packet is too long or cannot be read.
pub(crate) fn properties(packet: &[u8], is_asked: impl Fn(&str) -> bool) -> Option<Vec<Range<usize>>> {
    if packet.len() > MAX_PACKET_BYTES {
        return None;
    }
    let text = std::str::from_utf8(packet).ok()?;
    let document = text.trim_start_matches(AROUND);
    let start = text.len() - document.len();
    let document = parse(document.trim_end_matches(AROUND))?;
    let elements = document.descendants().filter(Node::is_element);
    let ranges = elements.flat_map(|element| {
        let own = is_asked(element.tag_name().name()).then(|| element.range());
        let attributes = element.attributes().filter(|attribute| is_asked(attribute.name()));
        own.into_iter().chain(attributes.map(|attribute| attribute.range())).collect::<Vec<_>>()
    });
    Some(ranges.map(|range| start + range.start..start + range.end).collect())
}

/// From a whole packet; nothing from what is no XML.
pub(crate) fn read(packet: &[u8]) -> Credits {
    if packet.len() > MAX_PACKET_BYTES {
        return Credits::default();
    }
    let Some(document) = std::str::from_utf8(packet).ok().and_then(|packet| parse(packet.trim_matches(AROUND))) else {
        return Credits::default();
    };
    // The picture's own descriptions only: those of ingredients lie deeper.
    let descriptions: Vec<_> = document
        .descendants()
        .find(|node| node.has_tag_name((RDF, "RDF")))
        .into_iter()
        .flat_map(|rdf| rdf.children())
        .filter(|node| node.has_tag_name((RDF, "Description")))
        .collect();
    let all = |namespace, name| -> Vec<String> {
        descriptions.iter().flat_map(|description| values(*description, namespace, name)).collect()
    };
    let first = |namespace, name| all(namespace, name).into_iter().next();
    let mut creators = all(DC, "creator");
    creators.truncate(MAX_CREATORS);
    Credits {
        creators,
        copyright_notice: first(DC, "rights"),
        credit_line: first(PHOTOSHOP, "Credit"),
        source: first(PHOTOSHOP, "Source"),
        usage_terms: first(RIGHTS, "UsageTerms"),
        web_statement: first(RIGHTS, "WebStatement"),
        marked: first(RIGHTS, "Marked").filter(|value| matches!(&value[..], "True" | "False")),
    }
}

/// The values of a property, written as an attribute, as an element, or as a list in one.
fn values(description: Node<'_, '_>, namespace: &str, name: &str) -> Vec<String> {
    if let Some(value) = description.attribute((namespace, name)) {
        return text(value).into_iter().collect();
    }
    let Some(property) = description.children().find(|node| node.has_tag_name((namespace, name))) else {
        return Vec::new();
    };
    let Some(list) = property.children().find(Node::is_element) else {
        return property.text().and_then(text).into_iter().collect();
    };
    list.children().filter(|item| item.has_tag_name((RDF, "li"))).filter_map(|item| text(item.text()?)).collect()
}

/// A packet with nothing else.
pub(crate) fn write(credits: &Credits) -> String {
    let mut out = format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
         <rdf:RDF xmlns:rdf=\"{RDF}\"><rdf:Description rdf:about=\"\" xmlns:dc=\"{DC}\" \
         xmlns:photoshop=\"{PHOTOSHOP}\" xmlns:xmpRights=\"{RIGHTS}\">"
    );
    if !credits.creators.is_empty() {
        let items: String = credits.creators.iter().map(|name| format!("<rdf:li>{}</rdf:li>", escaped(name))).collect();
        out.push_str(&format!("<dc:creator><rdf:Seq>{items}</rdf:Seq></dc:creator>"));
    }
    for (name, value) in [("dc:rights", &credits.copyright_notice), ("xmpRights:UsageTerms", &credits.usage_terms)] {
        if let Some(value) = value {
            let value = escaped(value);
            out.push_str(&format!(
                "<{name}><rdf:Alt><rdf:li xml:lang=\"x-default\">{value}</rdf:li></rdf:Alt></{name}>"
            ));
        }
    }
    for (name, value) in [
        ("photoshop:Credit", &credits.credit_line),
        ("photoshop:Source", &credits.source),
        ("xmpRights:WebStatement", &credits.web_statement),
        ("xmpRights:Marked", &credits.marked),
    ] {
        if let Some(value) = value {
            out.push_str(&format!("<{name}>{}</{name}>", escaped(value)));
        }
    }
    out.push_str("</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// With credits in each of the three ways, and with what must go.
    pub(crate) const PACKET: &str = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
        <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" \
        xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:p=\"http://ns.adobe.com/photoshop/1.0/\" \
        xmlns:r=\"http://ns.adobe.com/xap/1.0/rights/\" xmlns:e=\"http://ns.adobe.com/exif/1.0/\" \
        p:Credit=\"Agency &amp; Sons\" r:Marked=\"True\" e:GPSLatitude=\"52,31N\">\
        <dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>\
        <dc:rights><rdf:Alt><rdf:li xml:lang=\"x-default\">(c) Ada &lt;3</rdf:li><rdf:li xml:lang=\"de\">von Ada</rdf:li></rdf:Alt></dc:rights>\
        <r:WebStatement>https://example.com/licence</r:WebStatement><dc:title>Secret</dc:title>\
        </rdf:Description></rdf:RDF></x:xmpmeta>";

    #[test]
    fn a_packet_is_read_and_what_is_written_reads_the_same() {
        let expected = Credits {
            creators: vec!["Ada".to_owned(), "Bo".to_owned()],
            copyright_notice: Some("(c) Ada <3".to_owned()),
            credit_line: Some("Agency & Sons".to_owned()),
            web_statement: Some("https://example.com/licence".to_owned()),
            marked: Some("True".to_owned()),
            ..Credits::default()
        };
        assert_eq!(read(PACKET.as_bytes()), expected);
        let written = write(&expected);
        assert!(!written.contains("GPS") && !written.contains("Secret"));
        assert_eq!(read(written.as_bytes()), expected);
    }

    #[test]
    fn hostile_packets_say_nothing() {
        let entities = format!("<!DOCTYPE a [<!ENTITY b \"{}\">]><a>&b;</a>", "x".repeat(1000));
        let deep = "<a>".repeat(MAX_PACKET_BYTES / 4);
        let closed = "<a>".repeat(20_000) + &"</a>".repeat(20_000);
        let many = format!("<a>{}</a>", "<b/>".repeat(60_000));
        let long = PACKET.replace("Ada &lt;3", &"x".repeat(5_000));
        for packet in ["", "no XML", "<a", &entities, &deep, &closed, &many, &"x".repeat(MAX_PACKET_BYTES + 1)] {
            assert_eq!(read(packet.as_bytes()), Credits::default());
        }
        assert_eq!(read(long.as_bytes()).copyright_notice, Some("von Ada".to_owned()));
        assert_eq!(read(b"\xff\xfe"), Credits::default());
    }
}
