//! Which texts are taken for URLs that can be fetched.

use crate::IssueCode::{self, InvalidUrl, UnsupportedScheme};
use crate::check_url::Checker;

#[test]
fn urls_are_judged_by_their_text() {
    let cases: &[(&str, Option<IssueCode>)] = &[
        ("https://a.com", None),
        ("http://a.com:8080/x", None),
        ("HTTPS://A.COM/X", None),
        ("https://a.com?x=1", None),
        ("https://a.com/my photo.jpg", None),
        ("https://a.com/%zz", None),
        ("https://bücher.example/ü.jpg", None),
        ("https://192.0.2.1/x", None),
        ("https://[2001:db8::1]/x", None),
        ("https://a.com./x", None),
        ("https://localhost/x", None),
        ("https://a.com/x@y", None),
        ("a.com/1.jpg", Some(InvalidUrl)),
        ("www.a.com/1.jpg", Some(InvalidUrl)),
        ("//a.com/1.jpg", Some(InvalidUrl)),
        ("1.jpg", Some(InvalidUrl)),
        ("N/A", Some(InvalidUrl)),
        ("https:", Some(InvalidUrl)),
        ("https://", Some(InvalidUrl)),
        ("https:/a.com/x", Some(InvalidUrl)),
        ("https:///a.com/x", Some(InvalidUrl)),
        ("https://?x", Some(InvalidUrl)),
        ("https://:80/x", Some(InvalidUrl)),
        ("https://https://a.com/x", Some(InvalidUrl)),
        ("http://HTTPS://a.com/x", Some(InvalidUrl)),
        ("https://https.a.com/https://a.com/x", None),
        ("https://.../x", Some(InvalidUrl)),
        ("https://a..com/x", Some(InvalidUrl)),
        ("https://a b.com/x", Some(InvalidUrl)),
        ("https://a.com:99999/x", Some(InvalidUrl)),
        ("https://300.1.1.1/x", Some(InvalidUrl)),
        ("https://user@a.com/x", Some(InvalidUrl)),
        ("https://user:password@a.com/x", Some(InvalidUrl)),
        ("https://@a.com/x", Some(InvalidUrl)),
        ("https://a.com/1\u{7}2", Some(InvalidUrl)),
        ("https://a.com/1\n2", Some(InvalidUrl)),
        ("C:\\images\\1.jpg", Some(InvalidUrl)),
        ("a.com:80/x", Some(InvalidUrl)),
        ("ftp://a.com/x", Some(UnsupportedScheme)),
        ("file:///x.jpg", Some(UnsupportedScheme)),
        ("data:image/png;base64,AAAA", Some(UnsupportedScheme)),
        ("s3://bucket/x.jpg", Some(UnsupportedScheme)),
        ("javascript:alert(1)", Some(UnsupportedScheme)),
    ];
    for (url, expected) in cases {
        let found = Checker::new(2_048).check(url).err().map(|fault| fault.code);
        assert_eq!(found, *expected, "{url}");
    }
}
