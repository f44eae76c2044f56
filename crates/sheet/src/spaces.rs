//! What counts as a space: every one of Unicode's, and the characters without a width that copying leaves behind, among
//! them the marks that turn the direction of writing.

pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A text without the spaces around it.
pub(super) fn trim(text: &str) -> &str {
    // Most texts have none, which two bytes tell.
    match (text.as_bytes().first(), text.as_bytes().last()) {
        (Some(first), Some(last)) if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim_matches(is_space),
    }
}
