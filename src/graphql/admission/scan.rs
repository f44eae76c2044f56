//! Bounds the text of a document before the recursive parser sees it.
//! One pass, no allocation, no recursion; agrees with the parser about where strings and comments end.

use async_graphql::Pos;

use super::{PARSE_FAILED, Rejection, TOO_COMPLEX};

/// Brackets inside brackets; a document of depth 16 with arguments needs about 25. The parser itself
/// stops at 64 selection sets, but follows lists and objects until the thread's stack is nearly used
/// up, and then quotes the whole document in its error.
const MAX_NESTING: usize = 64;

/// Bytes in one name. A misspelt name is compared with every name of its type to suggest another,
/// which costs its length each time.
const MAX_NAME: usize = 256;

/// Refuses a document that nests too deep, has too many tokens, too long a name, or a string that
/// does not end (about which parsers differ).
pub(super) fn check(source: &str, max_tokens: usize) -> Result<(), Rejection> {
    let bytes = source.as_bytes();
    let mut nesting = 0usize;
    let mut tokens = 0usize;
    let mut at = 0usize;

    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'#' => {
                at = skip_until(bytes, at, |byte| matches!(byte, b'\n' | b'\r'));
                continue;
            }
            b'"' => {
                at = string_end(bytes, at)
                    .ok_or_else(|| refuse(PARSE_FAILED, source, start, "A string is not closed."))?;
            }
            b'{' | b'[' | b'(' => {
                nesting += 1;
                at += 1;
                if nesting > MAX_NESTING {
                    let message = format!("Brackets nest deeper than {MAX_NESTING}.");
                    return Err(refuse(TOO_COMPLEX, source, start, message));
                }
            }
            b'}' | b']' | b')' => {
                nesting = nesting.saturating_sub(1);
                at += 1;
            }
            b'_' | b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => {
                at = skip_until(bytes, at, |byte| !(byte == b'_' || byte.is_ascii_alphanumeric()));
                if at - start > MAX_NAME {
                    let message = format!("A name or number is longer than {MAX_NAME} bytes.");
                    return Err(refuse(TOO_COMPLEX, source, start, message));
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            _ => at += 1,
        }
        tokens += 1;
        if tokens > max_tokens {
            let message = format!("The document has more than {max_tokens} tokens.");
            return Err(refuse(TOO_COMPLEX, source, start, message));
        }
    }
    Ok(())
}

fn skip_until(bytes: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|&byte| stop(byte)).map_or(bytes.len(), |length| from + length)
}

/// The place after the string that opens at `start`, or `None` if it does not end.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes[start..].starts_with(b"\"\"\"") {
        let mut at = start + 3;
        loop {
            let rest = bytes.get(at..)?;
            if rest.starts_with(b"\"\"\"") {
                return Some(at + 3);
            }
            at += if rest.starts_with(b"\\\"\"\"") { 4 } else { 1 };
            if at > bytes.len() {
                return None;
            }
        }
    }
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            b'\n' | b'\r' => return None,
            _ => at += 1,
        }
    }
}

fn refuse(code: &'static str, source: &str, offset: usize, message: impl Into<String>) -> Rejection {
    let before = &source.as_bytes()[..offset];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let location =
        Pos { line: before.iter().filter(|&&byte| byte == b'\n').count() + 1, column: offset - line_start + 1 };
    Rejection::new(code, Some(location), message)
}
