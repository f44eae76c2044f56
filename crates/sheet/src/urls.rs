//! A cell → its image URLs.
//!
//! A comma separates only where the next piece starts as a URL; any other belongs to the URL it stands in. The same
//! goes for spaces, semicolons and bars, which people put between URLs too. A line break always separates, and so does a
//! space or a bar behind the name of an image file.

use std::ops::Range;

use super::bytes::any_two;
use super::spaces::is_space;

/// Most characters of a scheme we recognise; the longest in use are far shorter.
const MAX_SCHEME_BYTES: usize = 16;

/// Endings of the names of image files.
const IMAGE_ENDINGS: [&str; 11] = ["jpg", "jpeg", "png", "webp", "gif", "avif", "bmp", "tif", "tiff", "svg", "heic"];
/// The longest of them, and its dot.
const MAX_ENDING_BYTES: usize = 5;

/// Gives each URL in a cell, in order, trimmed, with its byte offset.
pub(super) fn split<'a>(cell: &'a str, mut each: impl FnMut(usize, &'a str)) {
    let mut start = 0;
    for end in memchr::memchr2_iter(b'\r', b'\n', cell.as_bytes()) {
        split_line(cell, start, end, &mut each);
        start = end + 1;
    }
    split_line(cell, start, cell.len(), &mut each);
}

fn split_line<'a>(cell: &'a str, start: usize, end: usize, each: &mut impl FnMut(usize, &'a str)) {
    let bytes = &cell.as_bytes()[..end];
    // Every beginning has one of these characters in it, and little else has: fewer to look at than separators.
    if any_two(&bytes[start..], |byte| byte | 0x20 == b'w') {
        split_at(cell, start..end, memchr::memchr3_iter(b':', b'w', b'W', &bytes[start..]), each);
    } else {
        split_at(cell, start..end, memchr::memchr_iter(b':', &bytes[start..]), each);
    }
}

/// `places`, from the start of the line, are those where a URL may begin.
fn split_at<'a>(
    cell: &'a str,
    line: Range<usize>,
    places: impl Iterator<Item = usize>,
    each: &mut impl FnMut(usize, &'a str),
) {
    let bytes = &cell.as_bytes()[..line.end];
    let mut start = line.start;
    for at in places.map(|at| line.start + at) {
        let separated = beginning(bytes, at).filter(|next| cell[..*next].ends_with(is_separator));
        let next = separated.or_else(|| glued(&cell[start..line.end], at.checked_sub(start)?).map(|at| start + at));
        if let Some(next) = next.filter(|next| *next > start) {
            give(cell, start, next, each);
            start = next;
        }
    }
    give(cell, start, line.end, each);
}

/// Where the URL begins that has its `://` at `at` and directly follows the name of an image file: nobody means that.
fn glued(text: &str, at: usize) -> Option<usize> {
    let (before, after) = text.split_at(at);
    let scheme = ["https", "http"].into_iter().find(|scheme| before.ends_with(scheme))?;
    let name = &before[..at - scheme.len()];
    (after.starts_with("://") && ends_as_image(name)).then_some(name.len())
}

/// Where the URL begins that has its `://`, or its `www.`, at `at`; none if there is none.
fn beginning(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if !rest.starts_with(b"://") {
        return is_www(rest).then_some(at);
    }
    let scheme = bytes[..at].iter().rev().take(MAX_SCHEME_BYTES + 1).take_while(|byte| is_scheme_byte(byte)).count();
    let start = at - scheme;
    (scheme <= MAX_SCHEME_BYTES && bytes[start].is_ascii_alphabetic()).then_some(start)
}

fn give<'a>(cell: &'a str, start: usize, end: usize, each: &mut impl FnMut(usize, &'a str)) {
    let piece = cell[start..end].trim_end_matches(is_separator);
    let text = piece.trim_start_matches(is_separator);
    if text.is_empty() {
        return;
    }
    let at = start + piece.len() - text.len();
    let (url, rest) = cut_behind_image(text);
    each(at, url);
    if !rest.is_empty() {
        each(at + text.len() - rest.len(), rest);
    }
}

/// A URL and what follows it, where a space or a bar stands behind the name of an image file: words, or another file's name
/// behind a comma. The name of a file may have spaces in it.
fn cut_behind_image(text: &str) -> (&str, &str) {
    let mut from = 0;
    while let Some(at) = memchr::memchr3(b' ', b'\t', b'|', &text.as_bytes()[from..]) {
        let (before, after) = text.split_at(from + at);
        let (url, rest) = (before.trim_end_matches(is_separator), after.trim_start_matches(is_separator));
        let between = &text[url.len()..text.len() - rest.len()];
        let is_name = between.chars().all(is_space) && ends_as_image(rest);
        if ends_as_image(url) && !is_name && starts_as_url(url) {
            return (url, rest);
        }
        from = text.len() - rest.len();
    }
    (text, "")
}

pub(super) fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '|' | '，' | '、' | '；') || is_space(c)
}

/// Whether a text that was cut off at a comma may be the rest of what stands before the comma, which is a URL or such a
/// rest itself. Nothing is missing from a URL that ends in the name of an image file.
pub(super) fn may_go_on(before: &str, rest: &str) -> bool {
    !ends_as_image(before) && !rest.is_empty() && !rest.contains(is_space) && !is_placeholder(rest)
}

/// Whether a text looks like the rest of a URL by itself, and so tells what the texts before it are: `h_300/1.jpg`, but
/// not words such as `Home/Kitchen`, nor a spreadsheet's formula.
pub(super) fn goes_on_surely(rest: &str) -> bool {
    let is_formula = rest.trim_start_matches('\'').starts_with('=');
    let is_parts = rest.contains('=') || (rest.contains(['/', '&']) && has_digit_or_underscore(rest));
    (is_parts && !is_formula) || ends_as_image(rest)
}

/// Whether a text may be the very end of a URL: a number or a setting, but not a word. `2`, `h_300`.
pub(super) fn may_end(rest: &str) -> bool {
    has_digit_or_underscore(rest)
        && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+' | '~'))
}

fn has_digit_or_underscore(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit() || c == '_')
}

/// Whether a text stands for nothing, as `-` and `N/A` do.
pub(super) fn is_placeholder(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphanumeric());
    let words = ["", "n/a", "n.a", "na", "none", "null", "nil", "nan", "tba", "tbd", "missing", "pending", "invalid"];
    words.iter().any(|placeholder| word.eq_ignore_ascii_case(placeholder))
}

/// Whether words say that there is no URL, as `no image yet` and `not a URL` do.
pub(super) fn says_that_none_is_there(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.starts_with("no ") || words.starts_with("not ") || words.contains("url")
}

pub(super) fn ends_as_image(text: &str) -> bool {
    let end = &text.as_bytes()[text.len().saturating_sub(MAX_ENDING_BYTES)..];
    let Some(dot) = memchr::memrchr(b'.', end) else {
        return false;
    };
    IMAGE_ENDINGS.iter().any(|known| end[dot + 1..].eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a text begins as a URL does: with a scheme and `://`, or with `www.`.
pub(super) fn starts_as_url(text: &str) -> bool {
    let bytes = text.as_bytes();
    let scheme = bytes.iter().take(MAX_SCHEME_BYTES).take_while(|byte| is_scheme_byte(byte)).count();
    beginning(bytes, scheme.min(bytes.len())) == Some(0) || is_www(bytes)
}

/// Whether there is a URL anywhere in a text.
pub(super) fn holds_url(text: &str) -> bool {
    memchr::memchr(b':', text.as_bytes()).is_some() && (text.contains("http://") || text.contains("https://"))
}

/// The name of a URL's file without its ending.
pub(super) fn file_stem(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (_, path) = path.split_once("://")?;
    let (_, file) = path.trim_end_matches('/').rsplit_once('/')?;
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let stem = percent_encoding::percent_decode_str(stem).decode_utf8().map_or(stem.into(), |stem| stem);
    let stem = super::spaces::trim(&stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// Whether a text has a URL in it that is likely one of an image: by the name of its file, or by a word in it.
pub(super) fn is_likely_image(text: &str) -> bool {
    if !holds_url(text) {
        return false;
    }
    let text = text.to_ascii_lowercase();
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let words = ["image", "img", "photo", "picture", "/pic", "foto", "bild", "media", "thumb", "cdn.", "/cdn"];
    IMAGE_ENDINGS.iter().any(|ending| path.contains(&format!(".{ending}")))
        || words.iter().any(|word| text.contains(word))
}

pub(super) fn is_www(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"www."))
}

pub(super) fn is_scheme_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}
