//! Whether a URL could be fetched, as far as its text tells.
//!
//! Most URLs are plain, and of the same host as the one before: these need no parser.

use super::bytes::any_byte;
use super::issue::IssueCode;
use super::urls::is_scheme_byte;

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
        self.check_length(url)?;
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

    pub fn check_length(&self, url: &str) -> Result<(), Fault> {
        let max_bytes = self.max_bytes;
        if url.len() <= max_bytes {
            return Ok(());
        }
        let message = format!("This URL is longer than {max_bytes} bytes. Use a shorter one.");
        Err(Fault { code: IssueCode::UrlTooLong, message })
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
    let (origin, path) = split_plain_host(url)?;
    is_plain_path(path.as_bytes()).then_some(origin)
}

/// Cuts a URL behind its host, if that is of the usual plain kind and a path, a query or nothing follows.
pub(super) fn split_plain_host(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.as_bytes().iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    is_plain_host(&rest.as_bytes()[..host]).then(|| url.split_at(url.len() - rest.len() + host))
}

fn is_plain_host(host: &[u8]) -> bool {
    let (mut label, mut is_letters) = (0, true);
    for (at, byte) in host.iter().enumerate() {
        match byte {
            b'a'..=b'z' => {}
            b'0'..=b'9' => is_letters = false,
            // A label neither begins with a hyphen nor has two of them where those of encoded names are.
            b'-' if at > label && !(at == label + 3 && host[at - 1] == b'-') => is_letters = false,
            b'.' if is_plain_label(&host[label..at]) => (label, is_letters) = (at + 1, true),
            _ => return false,
        }
    }
    is_letters && is_plain_label(&host[label..]) && host.len() <= 253
}

fn is_plain_label(label: &[u8]) -> bool {
    label.last().is_some_and(|last| *last != b'-') && label.len() <= 63
}

fn is_plain_path(path: &[u8]) -> bool {
    // Quotes and brackets may stand around a URL.
    let is_odd =
        |byte: u8| !byte.is_ascii_graphic() | (byte == b'"') | (byte == b'<') | (byte == b'>') | (byte == b'`');
    !any_byte(path, is_odd) && !matches!(path.last(), Some(b')' | b']' | b'}' | b'\''))
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
        return Err(invalid(format!("This URL ends with an unmatched {c}. Remove the characters around the URL.")));
    }
    if authority.contains('@') {
        return Err(invalid("This URL contains a user name or a password. Use an address that needs neither."));
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
        return invalid(
            "This is a path on a computer, not a web address. Upload the image and use its https:// address.",
        );
    }
    if !rest.starts_with('/') && scheme.contains('.') {
        return invalid("This URL has no scheme. Write https:// in front of it.");
    }
    Fault {
        code: IssueCode::UnsupportedScheme,
        message: "Only http:// and https:// addresses can be fetched. Use the image's web address.".to_owned(),
    }
}

fn check_origin(origin: &str) -> Result<(), Fault> {
    let parsed = url::Url::parse(origin).map_err(|error| {
        invalid(format!("This is not a valid URL ({error}). Copy the image's address from a browser."))
    })?;
    let host = parsed.host_str().unwrap_or_default();
    if host.strip_suffix('.').unwrap_or(host).split('.').any(str::is_empty) {
        return Err(invalid("The host of this URL is not a valid name. Write it as https://host/path."));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault { code: IssueCode::InvalidUrl, message: message.into() }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.as_bytes().iter().all(is_scheme_byte)
}
