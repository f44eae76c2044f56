//! URLs among other text, as people and programs leave them: formulas, markup, lists of programs, labels, numbering,
//! entities, missing schemes.
//!
//! What may rightly be part of a URL stays. Each repair is noted, and what is repaired is in no need of it again: reading
//! what was written of it gives the same.

use std::ops::Range;

use super::bytes::{any_byte, any_two};
use super::check_url::Checker;
use super::layout::Piece;
use super::spaces::{is_space, trim};
use super::urls;

/// What was repaired.
pub(super) struct Note {
    pub line: u64,
    pub column: usize,
    /// The text as it was.
    pub value: String,
    pub message: &'static str,
}

const UNWRAPPED: &str = "The URL was taken out of the text around it.";
const SPLIT: &str = "These are several URLs. They were separated.";
const NO_SCHEME: &str = "This URL has no scheme. It was read with https:// in front.";
const ESCAPED: &str = "This URL contains HTML or JSON escapes. It was read with plain & and / instead.";
const CUT: &str = "The text after the name of the image file was left out.";
const LABEL: &str = "This is not a URL. It was treated as a label of the URL next to it and left out.";

/// Repairs a row's URLs where they need it.
pub(super) fn repair(pieces: Vec<Piece>, checker: &mut Checker) -> (Vec<Piece>, Vec<Note>) {
    if pieces.iter().all(|piece| piece.is_plain || is_simple(&piece.text)) {
        return (pieces, Vec::new());
    }
    let mut notes = Vec::new();
    let mut mended = Vec::with_capacity(pieces.len());
    let mut pieces = pieces.into_iter().peekable();
    while let Some(mut piece) = pieces.next() {
        let next = pieces.peek().filter(|next| next.column == piece.column && urls::starts_as_url(&next.text));
        if next.is_some() {
            notes.extend(cut_label(&mut piece));
        }
        let Some(mend) = mend_soundly(&piece.text, checker) else {
            mended.push(piece);
            continue;
        };
        for (part, text) in mend.parts {
            let (from, to) = piece.spots(part);
            mended.push(Piece {
                text,
                line: piece.line,
                column: piece.column,
                from,
                to,
                joins: Vec::new(),
                is_plain: false,
            });
        }
        notes.push(Note { line: piece.line, column: piece.column, value: piece.text, message: mend.message });
    }
    let kept = drop_labels(mended, &mut notes);
    (kept, notes)
}

/// Drops what labels or numbers a URL that follows, and what a dash ties to a URL before it.
fn drop_labels(pieces: Vec<Piece>, notes: &mut Vec<Note>) -> Vec<Piece> {
    let mut note = |piece: Piece| {
        notes.push(Note { line: piece.line, column: piece.column, value: piece.text, message: LABEL });
    };
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces.into_iter().rev() {
        let labels_next = kept.last().is_some_and(|next| urls::starts_as_url(&next.text)) && is_label(&piece.text);
        if labels_next { note(piece) } else { kept.push(piece) }
    }
    let mut ordered: Vec<Piece> = Vec::with_capacity(kept.len());
    for piece in kept.into_iter().rev() {
        let before = ordered.last().map_or("", |before| before.text.as_str());
        let is_tied = piece.text.starts_with(['-', '–', '—']) && !urls::is_placeholder(&piece.text);
        let is_label = is_tied && urls::starts_as_url(before) && urls::ends_as_image(before);
        if is_label { note(piece) } else { ordered.push(piece) }
    }
    ordered
}

/// Takes the label of the next URL off the end of this one: `https://a.com/1, back:`.
fn cut_label(piece: &mut Piece) -> Option<Note> {
    if !urls::starts_as_url(&piece.text) {
        return None;
    }
    let spaces = piece.text.char_indices().filter(|(_, c)| is_space(*c));
    let (url, label) = spaces.map(|(at, _)| piece.text.split_at(at)).find(|(_, label)| is_label(trim(label)))?;
    let (url_bytes, label) = (url.trim_end_matches(urls::is_separator).len(), trim(label).to_owned());
    (_, piece.to) = piece.spots(0..url_bytes);
    piece.text.truncate(url_bytes);
    Some(Note { line: piece.line, column: piece.column, value: label, message: LABEL })
}

/// `front:`, `1.`, `2)`, `•`.
fn is_label(text: &str) -> bool {
    let number = text.trim_end_matches(['.', ')', ':']);
    let is_number = number.len() < text.len() && number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        || (text.len() <= 60 && text.ends_with([':', '=']) && !text.contains('/'))
        || matches!(text, "•" | "·" | "‣" | "▪" | "*" | "-" | "–" | "—" | "&" | "+" | "/")
}

/// What a repair looks for.
fn is_sign(byte: u8) -> bool {
    let is_separator =
        (byte == b' ') | (byte == b';') | (byte == b'|') | (byte == b'~') | (byte == b'^') | (byte == b'#');
    let is_quote = (byte == b'"') | (byte == b'\'') | (byte == b'<') | (byte == b'>');
    is_separator | is_quote | (byte == b':') | (byte == b'&') | (byte == b'\\')
}

/// Whether a text is a URL with nothing in it that could need a repair; most are.
pub(super) fn is_simple(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !any_byte(rest.as_bytes(), is_sign) && !any_two(rest.as_bytes(), |byte| byte == b'/'))
}

/// The URLs of a text, each with the part of the text that it was made of.
#[derive(Debug, PartialEq, Eq)]
struct Mend {
    parts: Vec<(Range<usize>, String)>,
    message: &'static str,
}

/// A repair that leaves nothing to repair and nothing but URLs.
fn mend_soundly(text: &str, checker: &mut Checker) -> Option<Mend> {
    if is_simple(text) {
        return None;
    }
    let mend = mend(text)?;
    let is_sound = |url: &str, checker: &mut Checker| {
        let mut pieces = 0;
        urls::split(url, |_, piece| pieces += if piece == url { 1 } else { 2 });
        pieces == 1 && urls::starts_as_url(url) && checker.check(url).is_ok() && self::mend(url).is_none()
    };
    mend.parts.iter().all(|(_, url)| is_sound(url, checker)).then_some(mend)
}

fn mend(text: &str) -> Option<Mend> {
    let whole = |url: String, message| Some(Mend { parts: vec![(0..text.len(), url)], message });
    if let Some((first, second)) = next_without_scheme(text) {
        return Some(split(text, first, second));
    }
    if is_without_scheme(text) {
        return whole(unescaped(&format!("https://{}", text.trim_start_matches('/'))), NO_SCHEME);
    }
    if !urls::starts_as_url(text) {
        let parts = wrapped(text);
        return (!parts.is_empty()).then_some(Mend { parts, message: UNWRAPPED });
    }
    if let Some((first, second)) = glued(text) {
        return Some(split(text, first, second));
    }
    if let Some(end) = end_of_image(text) {
        return Some(Mend { parts: vec![(0..end, unescaped(&text[..end]))], message: CUT });
    }
    let url = unescaped(text);
    if url != text { whole(url, ESCAPED) } else { None }
}

/// Two parts of a text, each mended.
fn split(text: &str, first: Range<usize>, second: Range<usize>) -> Mend {
    let mut parts = Vec::new();
    for range in [first, second] {
        match mend(&text[range.clone()]) {
            Some(inner) => parts.extend(
                inner.parts.into_iter().map(|(part, url)| (range.start + part.start..range.start + part.end, url)),
            ),
            None => parts.push((range.clone(), text[range].to_owned())),
        }
    }
    Mend { parts, message: SPLIT }
}

/// A URL, and one of the kind `//cdn.example.com/…` that follows after a separator.
fn next_without_scheme(text: &str) -> Option<(Range<usize>, Range<usize>)> {
    let is_first_without = is_without_scheme(text);
    if !is_first_without && !urls::starts_as_url(text) {
        return None;
    }
    let mut places = memchr::memmem::find_iter(text.as_bytes(), "//").skip(usize::from(is_first_without));
    places.find_map(|start| {
        let first = text[..start].trim_end_matches(urls::is_separator);
        let between = &text[first.len()..start];
        // Two slashes may be part of a URL, whatever sign stands in front of them.
        let separates = is_first_without || between.contains(is_space) || urls::ends_as_image(first);
        let separates = separates && !between.is_empty();
        (separates && is_without_scheme(&text[start..])).then_some((0..first.len(), start..text.len()))
    })
}

/// `www.example.com/…` and `//cdn.example.com/…`.
fn is_without_scheme(text: &str) -> bool {
    let host = match text.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => rest,
        Some(_) => return false,
        None if urls::is_www(text.as_bytes()) => text,
        None => return false,
    };
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let is_host = |character: char| character.is_alphanumeric() || matches!(character, '.' | '-' | '_');
    host.trim_matches('.').contains('.') && host.chars().all(is_host)
}

/// A URL that ends with the name of an image file, and another that follows with hardly more than signs between.
fn glued(text: &str) -> Option<(Range<usize>, Range<usize>)> {
    const BREAKS: [&str; 6] = ["\\r\\n", "\\n", "<br>", "<br/>", "<br />", "%0A"];
    let mut from = 1;
    while let Some(at) = text.get(from..)?.find("://").map(|at| from + at) {
        from = at + 3;
        let Some(scheme) = ["https", "http"].into_iter().find(|scheme| text[..at].ends_with(scheme)) else { continue };
        let start = at - scheme.len();
        let before = &text[..start];
        let (mut name, max_end) = (before, before.len().saturating_sub(12));
        while let Some(last) = name.chars().next_back() {
            if let Some(rest) = BREAKS.iter().find_map(|end| name.strip_suffix(end)) {
                name = rest;
            } else if !last.is_alphanumeric() && !matches!(last, '?' | '=' | '&' | '%' | ')' | ']' | '}') {
                name = &name[..name.len() - last.len_utf8()];
            } else {
                break;
            }
            if name.len() < max_end {
                break;
            }
        }
        let between = &before[name.len()..];
        if !between.is_empty() && between != "/" && urls::ends_as_image(name) && urls::starts_as_url(name) {
            return Some((0..name.len(), start..text.len()));
        }
    }
    None
}

/// Where a URL ends whose image file's name is followed by words: `….jpg;front`, `….jpg:Blue jar`.
fn end_of_image(text: &str) -> Option<usize> {
    for at in memchr::memchr2_iter(b';', b':', text.as_bytes()) {
        let (before, after) = (&text[..at], &text[at + 1..]);
        if before.contains(['?', '#']) {
            return None;
        }
        let is_words = !after.contains(['/', '=', '&', '?', '.']);
        if urls::ends_as_image(before) && is_words {
            return Some(at);
        }
    }
    None
}

/// The URLs within a text, each up to what closes that which opens directly before it.
fn wrapped(text: &str) -> Vec<(Range<usize>, String)> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(start) = find_url(text, from) {
        let rest = &text[start..];
        let end = match text[..start].chars().next_back() {
            Some('(') => closing(rest, '(', ')'),
            Some('[') => closing(rest, '[', ']'),
            Some('<') => rest.find('>'),
            Some(quote @ ('"' | '\'' | '`')) => rest.find(quote),
            Some('“' | '”' | '„') => rest.find(['”', '“']),
            Some('‘' | '’' | '‚') => rest.find(['’', '‘']),
            Some('«' | '»') => rest.find(['»', '«']),
            _ => Some(rest.find(|c: char| is_space(c) || matches!(c, '"' | '<' | '>')).unwrap_or(rest.len())),
        };
        let Some(end) = end else { return Vec::new() };
        let url = rest[..end].trim_end_matches([',', ';', '|']);
        parts.push((start..start + url.len(), unescaped(url)));
        from = start + end.max(1);
    }
    parts
}

/// Where the next `http://` or `https://` begins, also as JSON may write it.
fn find_url(text: &str, from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + text.get(from..)?.find(':')?;
        from = at + 1;
        let after = &text[at + 1..];
        if !after.starts_with("//") && !after.starts_with("\\/\\/") {
            continue;
        }
        let before = &text.as_bytes()[..at];
        let is_scheme = |scheme: &str| {
            before.len() >= scheme.len()
                && before[before.len() - scheme.len()..].eq_ignore_ascii_case(scheme.as_bytes())
        };
        if let Some(scheme) = ["https", "http"].into_iter().find(|scheme| is_scheme(scheme)) {
            return Some(at - scheme.len());
        }
    }
}

fn closing(text: &str, opening: char, closing: char) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        if c == opening {
            depth += 1;
        } else if c == closing {
            depth -= 1;
        }
        (depth < 0).then_some(at)
    })
}

/// Without the escapes of HTML and of JSON, however often they were put.
fn unescaped(url: &str) -> String {
    let mut url = url.to_owned();
    if url.contains("\\/") || url.contains("\\u0026") {
        url = url.replace("\\/", "/").replace("\\u0026", "&");
    }
    for entity in ["&amp;", "&#38;", "&#038;", "&#x26;", "&AMP;"] {
        while url.contains(entity) {
            url = url.replace(entity, "&");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> Vec<String> {
        let mend = mend_soundly(text, &mut Checker::new(2_048));
        mend.map_or_else(Vec::new, |mend| mend.parts.into_iter().map(|(_, url)| url).collect())
    }

    #[test]
    fn urls_are_taken_out_of_what_is_around_them() {
        for (text, expected) in [
            ("=HYPERLINK(\"https://a.com/1.jpg\",\"photo\")", vec!["https://a.com/1.jpg"]),
            ("=IMAGE('https://a.com/1')", vec!["https://a.com/1"]),
            ("[front](https://a.com/x_(1).jpg)", vec!["https://a.com/x_(1).jpg"]),
            ("<https://a.com/1>", vec!["https://a.com/1"]),
            ("„https://a.com/1“", vec!["https://a.com/1"]),
            ("«https://a.com/1»", vec!["https://a.com/1"]),
            (
                "[\"https:\\/\\/a.com\\/1.jpg\",\"https://a.com/2.jpg\"]",
                vec!["https://a.com/1.jpg", "https://a.com/2.jpg"],
            ),
            ("<a href=\"https://a.com/1?a=1&amp;b=2\">x</a>", vec!["https://a.com/1?a=1&b=2"]),
            ("www.a.com/1.jpg", vec!["https://www.a.com/1.jpg"]),
            ("//cdn.a.com/1.jpg", vec!["https://cdn.a.com/1.jpg"]),
            ("//a.com/1,//a.com/2.jpg | //a.com/3", vec!["https://a.com/1", "https://a.com/2.jpg", "https://a.com/3"]),
            ("https://a.com/1, //a.com/2", vec!["https://a.com/1", "https://a.com/2"]),
            ("https://a.com/1?a=1&amp;amp;b=2&#38;c=3", vec!["https://a.com/1?a=1&b=2&c=3"]),
            ("https://a.com/1.jpg;front", vec!["https://a.com/1.jpg"]),
            ("https://a.com/1.jpg:Blue jar, front", vec!["https://a.com/1.jpg"]),
            (
                "https://a.com/1.jpg#https://a.com/2.jpg~https://a.com/3",
                vec!["https://a.com/1.jpg", "https://a.com/2.jpg", "https://a.com/3"],
            ),
            ("https://a.com/1.jpg\\nhttps://a.com/2.jpg", vec!["https://a.com/1.jpg", "https://a.com/2.jpg"]),
            ("https://a.com/1.jpg<br>https://a.com/2.jpg", vec!["https://a.com/1.jpg", "https://a.com/2.jpg"]),
            ("https://a.com/1.jpg//https://a.com/2.jpg", vec!["https://a.com/1.jpg", "https://a.com/2.jpg"]),
        ] {
            assert_eq!(mended(text), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_part_of_a_url_stays() {
        for url in [
            "https://a.com/x[1](2).jpg",
            "https://a.com/a;b=1.jpg",
            "https://a.com/1.jpg?u=https://b.com/2.jpg",
            "https://a.com/1.jpg/https://b.com/2.jpg",
            "https://a.com/fetch/https://b.com/1?u=https://c.com",
            "https://a.com/filters:watermark(https://b.com/w.png)/https://c.com/1.jpg",
            "https://a.com:8080/1.jpg",
            "https://a.com/1.jpg;jsessionid=7",
            "https://a.com/1.jpg#x",
            "https://a.com/men's-shoe.jpg",
            "https://a.com/a^b~c.jpg",
            "https://a.com/?a=1&b=2",
            "https://a.com/w_1,//b.com/2.jpg",
            "1.jpg",
            "n/a",
            "//x",
            "///a.com",
            "(https://a.com",
        ] {
            assert_eq!(mended(url), Vec::<String>::new(), "{url}");
        }
    }
}
