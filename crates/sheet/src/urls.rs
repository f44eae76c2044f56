//! A cell → its image URLs, and whether each could be fetched as far as its text tells.
//!
//! A comma separates only where the next piece starts as a URL; any other belongs to the URL it stands in. The same
//! goes for spaces, semicolons and bars, which people put between URLs too. A line break always separates, and so does a
//! space or a bar behind the name of an image file.

use super::issue::IssueCode;
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

fn split_line<'a>(cell: &'a str, mut start: usize, end: usize, each: &mut impl FnMut(usize, &'a str)) {
    let bytes = &cell.as_bytes()[..end];
    let from = start;
    // Every beginning has one of these characters in it, and little else has: fewer to look at than separators.
    for at in memchr::memchr3_iter(b':', b'w', b'W', &bytes[from..]) {
        let at = from + at;
        let separated = beginning(bytes, at).filter(|next| cell[..*next].ends_with(is_separator));
        let next = separated.or_else(|| glued(&cell[start..end], at.checked_sub(start)?).map(|at| start + at));
        if let Some(next) = next.filter(|next| *next > start) {
            give(cell, start, next, each);
            start = next;
        }
    }
    give(cell, start, end, each);
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

fn is_scheme_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// What is wrong with a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: IssueCode,
    pub message: String,
}

/// Whether a URL of an image is one that a CSV may name, by its text.
///
/// # Errors
/// What is wrong with it and what to do, in sentences.
pub fn check_url(url: &str, max_bytes: usize) -> Result<(), String> {
    Checker::new(max_bytes).check(url).map_err(|fault| fault.message)
}

/// Judges URLs by their text.
pub(super) struct Checker {
    max_bytes: usize,
    /// Scheme and authority of the last URL that was valid; most of a file's URLs share theirs.
    origin: String,
}

impl Checker {
    pub fn new(max_bytes: usize) -> Self {
        Checker { max_bytes, origin: String::new() }
    }

    pub fn check(&mut self, url: &str) -> Result<(), Fault> {
        let max_bytes = self.max_bytes;
        if url.len() > max_bytes {
            let message = format!("This URL is longer than {max_bytes} bytes. Use a shorter one.");
            return Err(Fault { code: IssueCode::UrlTooLong, message });
        }
        if self.is_of_known_origin(url) {
            return Ok(());
        }
        if let Some(origin) = plain_origin(url) {
            origin.clone_into(&mut self.origin);
            return Ok(());
        }
        let origin = check_syntax(url)?;
        if origin == self.origin {
            return Ok(());
        }
        // Only scheme and authority can be invalid to the parser; it takes any path.
        check_origin(origin)?;
        origin.clone_into(&mut self.origin);
        Ok(())
    }

    /// Whether only the path of a URL is new, and that is plain.
    fn is_of_known_origin(&self, url: &str) -> bool {
        let path = if self.origin.is_empty() { None } else { url.strip_prefix(&self.origin) };
        path.is_some_and(|path| path.starts_with(['/', '?', '#']) && is_plain_path(path.as_bytes()))
    }
}

/// Scheme and host of a URL of the usual plain kind, which needs no parser to be told valid: `https://`, a lower-case host of
/// letters, digits, dots and hyphens that ends in a letter label, then printable ASCII without quotes and brackets that may
/// stand around a URL.
pub(super) fn plain_origin(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?.as_bytes();
    let host = rest
        .iter()
        .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
        .count();
    let (host, path) = rest.split_at(host);
    let labels_are_plain = host.split(|byte| *byte == b'.').all(|label| {
        let (Some(first), Some(last)) = (label.first(), label.last()) else {
            return false;
        };
        label.len() <= 63 && *first != b'-' && *last != b'-' && label.get(2..4) != Some(b"--")
    });
    let last_label = host.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let is_plain = labels_are_plain
        && host.len() <= 253
        && last_label.iter().all(u8::is_ascii_lowercase)
        && path.first().is_none_or(|byte| matches!(byte, b'/' | b'?' | b'#'))
        && is_plain_path(path);
    is_plain.then(|| &url[..url.len() - path.len()])
}

fn is_plain_path(path: &[u8]) -> bool {
    kinds(path) & NOT_PLAIN == 0 && !matches!(path.last(), Some(b')' | b']' | b'}' | b'\''))
}

/// No printable ASCII, or a quote or bracket that may stand around a URL.
const NOT_PLAIN: u8 = 1;
/// What a repair looks for.
pub(super) const SIGN: u8 = 2;

/// Of which kinds each byte is: a table, because every byte of a file's URLs is looked up.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        let sign = byte as u8;
        if !sign.is_ascii_graphic() || matches!(sign, b'"' | b'<' | b'>' | b'`') {
            kinds[byte] |= NOT_PLAIN;
        }
        if matches!(sign, b' ' | b':' | b';' | b'|' | b'#' | b'&' | b'\\' | b'"' | b'<' | b'>' | b'~' | b'^' | b'\'') {
            kinds[byte] |= SIGN;
        }
        byte += 1;
    }
    kinds
};

/// The kinds of all these bytes.
pub(super) fn kinds(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |kinds, byte| kinds | KINDS[usize::from(*byte)])
}

/// Checks what needs no parser; returns scheme and authority.
fn check_syntax(url: &str) -> Result<&str, Fault> {
    let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err(invalid("This is not a URL. Write the image's full address, beginning with https://."));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(foreign(scheme, rest));
    }
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    if authority.eq_ignore_ascii_case("http:") || authority.eq_ignore_ascii_case("https:") {
        return Err(invalid("There is https:// or http:// twice at the beginning of this URL. Remove one."));
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(invalid("This URL has no host. Write it as https://host/path."));
    }
    if url.chars().any(char::is_control) {
        return Err(invalid("There is a line break or another control character in this URL. Remove it."));
    }
    if let Some(c) = url.chars().find(|c| matches!(c, '"' | '<' | '>' | '`')) {
        return Err(invalid(format!(
            "There is a {c} in this URL. Remove it, or write it as %{:02X} if it belongs to the address.",
            u32::from(c)
        )));
    }
    if let Some(c) = stray_end(url) {
        return Err(invalid(format!(
            "This URL ends with a {c} that nothing in it opens. Remove what stands around it."
        )));
    }
    if authority.contains('@') {
        return Err(invalid("This URL has a user name or a password in it. Use an address that needs neither."));
    }
    Ok(&url[..scheme.len() + "://".len() + authority.len()])
}

/// A bracket or quote at the end that belongs to something around the URL.
fn stray_end(url: &str) -> Option<char> {
    let last = url.chars().next_back()?;
    let count = |c: char| url.matches(c).count();
    let is_stray = match last {
        ')' => count(')') > count('('),
        ']' => count(']') > count('['),
        '}' => count('}') > count('{'),
        '”' => count('”') > count('“'),
        '’' => count('’') > count('‘'),
        '»' => count('»') > count('«'),
        '\'' => count('\'') % 2 == 1,
        _ => false,
    };
    is_stray.then_some(last)
}

/// Another scheme than http and https, or what looks like one.
fn foreign(scheme: &str, rest: &str) -> Fault {
    if scheme.len() == 1 {
        return invalid("This is a path on one computer. Upload the image and give its https:// address.");
    }
    if !rest.starts_with('/') && scheme.contains('.') {
        return invalid("This URL has no scheme. Write https:// in front of it.");
    }
    Fault {
        code: IssueCode::UnsupportedScheme,
        message: "Only http:// and https:// addresses can be fetched. Give the image's web address.".to_owned(),
    }
}

fn check_origin(origin: &str) -> Result<(), Fault> {
    let parsed = url::Url::parse(origin).map_err(|error| {
        invalid(format!("This is not a valid URL ({error}). Copy the image's address from a browser."))
    })?;
    let host = parsed.host_str().unwrap_or_default();
    if host.strip_suffix('.').unwrap_or(host).split('.').any(str::is_empty) {
        return Err(invalid("The host of this URL is not a name. Write it as https://host/path."));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault { code: IssueCode::InvalidUrl, message: message.into() }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.as_bytes().iter().all(is_scheme_byte)
}
