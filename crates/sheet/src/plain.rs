//! Lists of plain URLs, as most cells are: one look at their bytes finds the URLs and tells that nothing is wrong with them.

use super::bytes::{any_byte, any_two};
use super::check_url::split_plain_host;

/// Gives each of the plain URLs that a list begins with and its byte offset; returns where the rest of the list begins.
///
/// What is given is what `urls::split` gives. It needs no repair, and no check of its text but of its length.
pub(super) fn split<'a>(list: &'a str, mut each: impl FnMut(usize, &'a str)) -> usize {
    let mut start = 0;
    while start < list.len() {
        let rest = &list[start..];
        let comma = memchr::memchr(b',', rest.as_bytes());
        let url = &rest[..comma.unwrap_or(rest.len())];
        let goes_on = |at: usize| rest[at + 1..].starts_with("http://") || rest[at + 1..].starts_with("https://");
        if !comma.is_none_or(goes_on) || !is_plain(url) {
            break;
        }
        each(start, url);
        start = comma.map_or(list.len(), |at| start + at + 1);
    }
    start
}

/// Whether a text is a URL with a plain host and a path of nothing but letters, digits and the few signs that neither separate
/// URLs nor stand around them.
fn is_plain(url: &str) -> bool {
    let Some((_, path)) = split_plain_host(url) else {
        return false;
    };
    let is_odd = |byte: u8| {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let is_digit = byte.wrapping_sub(b'-') <= b'9' - b'-'; // Or one of - . /
        !(is_letter | is_digit | (byte == b'_') | (byte == b'=') | (byte == b'?') | (byte == b'%'))
    };
    !any_byte(path.as_bytes(), is_odd) && !any_two(path.as_bytes(), |byte| byte == b'/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check_url::Checker;
    use super::super::{repair, urls};
    use super::*;

    const PARTS: [&str; 26] = [
        "https://",
        "http://",
        "https://cdn.example.com/1.jpg",
        "www.",
        "HTTPS://",
        "a",
        "example",
        ".",
        "-",
        "--",
        "xn",
        "0",
        "/",
        "//",
        "?",
        "=",
        "_",
        "%20",
        "#",
        "&",
        ":",
        " ",
        ";",
        "'",
        "é",
        "\n",
    ];

    proptest! {
        #[test]
        fn plain_urls_are_those_that_a_closer_look_finds_and_approves(
            parts in proptest::collection::vec(prop_oneof![2 => Just(","), 3 => proptest::sample::select(&PARTS[..3]), 4 => proptest::sample::select(&PARTS[..])], 0..12),
        ) {
            let list = parts.concat();
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            let rest = split(&list, |at, url| found.push((at, url)));
            for (_, url) in &found {
                prop_assert!(repair::is_simple(url) && Checker::new(2048).check(url).is_ok(), "{url}");
            }
            urls::split(&list[rest..], |at, url| found.push((rest + at, url)));
            urls::split(&list, |at, url| expected.push((at, url)));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_usual_list_needs_no_closer_look() {
        let list = "https://cdn1.example.com/2026/view-1.jpg,http://img.example.de/a_b.png?w=300,https://x.io";
        let mut found = Vec::new();
        assert_eq!(split(list, |at, _| found.push(at)), list.len());
        assert_eq!(found, [0, 41, 77]);
        for odd in
            ["https://a.com/1.jpg, https://a.com/2.jpg", "https://a.com/1,2.jpg", "https://a..com/", "ftp://a.com", ""]
        {
            assert_eq!(split(odd, |_, _| panic!("{odd}")), 0);
        }
    }
}
