//! Asking hosts whether a file has changed.

use super::*;

/// A file whose host gives it an entity tag and a date, and answers conditions.
async fn versioned() -> Server {
    scripted::serve(async |mut exchange: Exchange| {
        let head = &exchange.head;
        let is_known = head.contains("if-none-match: \"1\"\r\n");
        assert_eq!(is_known, head.contains("if-modified-since: sat, 28 nov 2026 10:00:00 gmt\r\n"), "{head}");
        if head.starts_with("get /moved ") {
            assert!(!is_known, "the redirect is not the file: {head}");
            exchange.answer("302 Found", "Location: /file\r\n", b"").await;
        } else if is_known {
            exchange.write(&b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"[..]).await;
        } else {
            let headers = "ETag: \"1\"\r\nLast-Modified: Sat, 28 Nov 2026 10:00:00 GMT\r\n";
            exchange.answer("200 OK", headers, &[7; 1_000]).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let server = versioned().await;
    let fetcher = fetcher(limits());
    for path in ["/file", "/moved", "/file#part"] {
        let url = server.url(path);
        let first = fetcher.get(&url).await.expect("the file");
        let known = first.validators.clone().expect("validators");
        assert_eq!(first.bytes.len(), 1_000);
        let again = fetcher.get_if_changed(&url, Some(&known)).await.expect("an answer");
        assert!(again.is_none(), "{path}: {again:?}");
    }
}

#[tokio::test]
async fn validators_are_sent_to_no_other_address() {
    let server = versioned().await;
    let fetcher = fetcher(limits());
    let known = fetcher.get(&server.url("/file")).await.expect("the file").validators;
    let other = fetcher.get_if_changed(&server.url("/other"), known.as_ref()).await.expect("an answer");
    assert!(other.is_some());
}

#[tokio::test]
async fn nothing_but_a_condition_is_answered_with_unchanged() {
    let server = saying("HTTP/1.1 304 Not Modified\r\n\r\n").await;
    let error = failure(limits(), &server).await;
    assert!(matches!(error, Error::Http { status: 304, .. }), "{error:?}");
    let plain = saying("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: \r\n\r\nx").await;
    let fetched = fetcher(limits()).get(&plain.url("/")).await.expect("the file");
    assert_eq!(fetched.validators, None);
}
