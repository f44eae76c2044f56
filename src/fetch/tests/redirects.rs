//! Redirects: each hop is judged like a URL somebody typed.

use super::*;

async fn redirecting_to(status: &'static str, location: &str) -> Server {
    let location = format!("Location: {location}\r\n");
    scripted::serve(move |exchange: Exchange| {
        let location = location.clone();
        async move {
            match exchange.path.as_str() {
                "/image.jpg" => exchange.answer(status, &location, b"moved").await,
                path => {
                    let path = path.to_owned();
                    exchange.answer("200 OK", "", path.as_bytes()).await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn redirects_are_followed_relative_and_absolute() {
    for status in ["301 X", "302 X", "303 X", "307 X", "308 X"] {
        let server = redirecting_to(status, "../b/c.jpg?d=1").await;
        let fetched = fetcher(limits()).get(&server.url("/image.jpg")).await.expect("the target");
        assert_eq!(fetched.bytes.as_ref(), b"/b/c.jpg?d=1", "{status}");
    }
    let target = saying("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthere!").await;
    let server = redirecting_to("302 Found", &target.url("/")).await;
    let fetched = fetcher(limits()).get(&server.url("/image.jpg")).await.expect("the target");
    assert_eq!(fetched.bytes.as_ref(), b"there!");
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_is_refused_even_from_an_allowed_one() {
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:a9fe:a9fe]/",
        "//10.0.0.1/a.jpg",
        "http://127.0.0.2:9/",
        "http://[::1]:9/",
        "https://8.8.8.8:8443/",
    ] {
        let server = redirecting_to("302 Found", target).await;
        let error = failure(limits(), &server).await;
        assert!(matches!(error, Error::BlockedAddress { .. }), "{target}: {error:?}");
    }
    for target in ["file:///etc/passwd", "ftp://example.com/", "http://user:pass@example.com/", "http://[oops/"] {
        let server = redirecting_to("302 Found", target).await;
        let error = failure(limits(), &server).await;
        assert!(matches!(error, Error::InvalidUrl { .. }), "{target}: {error:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_name_is_judged_by_the_address_it_resolves_to() {
    let refused = scripted::serve(|exchange| exchange.answer("200 OK", "", b"private")).await;
    let location = format!("http://localhost:{}/", refused.address.port());
    let server = redirecting_to("302 Found", &location).await;
    let allow = vec!["127.0.0.1/32".parse().expect("a network")];
    let guard = Guard::new(allow, DEFAULT_PORTS.to_vec()).refusing(vec![refused.address]);
    let client = client(&guard, &limits(), None).expect("a client");
    let fetcher = Fetcher::new(client, limits(), DEFAULT_BUDGET_BYTES);
    let error = fetcher.get(&server.url("/image.jpg")).await.expect_err("the target is refused");
    assert!(matches!(&error, Error::BlockedAddress { host, .. } if host == "localhost"), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_location_in_raw_bytes_is_followed_as_it_is() {
    let server = scripted::serve(async |mut exchange: Exchange| match exchange.path.as_str() {
        "/image.jpg" => {
            exchange.write(b"HTTP/1.1 302 X\r\nLocation: /M\xfctze 1.jpg\r\nContent-Length: 0\r\n\r\n").await;
        }
        path => {
            let path = path.to_owned();
            exchange.answer("200 OK", "", path.as_bytes()).await;
        }
    })
    .await;
    let fetched = fetcher(limits()).get(&server.url("/image.jpg")).await.expect("the target");
    assert_eq!(fetched.bytes.as_ref(), b"/M%FCtze%201.jpg");
}

#[tokio::test]
async fn a_cookie_set_with_a_redirect_goes_back_within_the_same_fetch_only() {
    let server = scripted::serve(async |exchange: Exchange| match exchange.head.contains("cookie: ok=1\r\n") {
        true => exchange.answer("200 OK", "", b"image").await,
        false => exchange.answer("302 X", "Set-Cookie: ok=1; Path=/\r\nLocation: /image.jpg\r\n", b"").await,
    })
    .await;
    let fetcher = fetcher(limits());
    let fetched = fetcher.get(&server.url("/image.jpg")).await.expect("the cookie was sent back");
    assert_eq!(fetched.bytes.as_ref(), b"image");
    let strict = Fetcher::new(fetcher.inner.client.clone(), Limits { max_redirects: 0, ..limits() }, 1 << 20);
    let error = strict.get(&server.url("/image.jpg")).await.expect_err("a new fetch begins without cookies");
    assert!(matches!(error, Error::TooManyRedirects { .. }), "{error:?}");
}

#[tokio::test]
async fn loops_end_at_the_limit() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&requests);
    let server = scripted::serve(move |exchange: Exchange| {
        counting.fetch_add(1, Ordering::Relaxed);
        exchange.answer("302 Found", "Location: /image.jpg\r\n", b"")
    })
    .await;
    let error = failure(limits(), &server).await;
    assert!(matches!(error, Error::TooManyRedirects { limit: 5 }), "{error:?}");
    assert_eq!(requests.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn exactly_as_many_redirects_as_allowed_are_followed() {
    let server = scripted::serve(async |exchange: Exchange| {
        let hop: usize = exchange.path[1..].parse().expect("a number");
        match hop {
            5 => exchange.answer("200 OK", "", b"arrived").await,
            _ => exchange.answer("307 X", &format!("Location: /{}\r\n", hop + 1), b"").await,
        }
    })
    .await;
    let fetched = fetcher(limits()).get(&server.url("/0")).await.expect("five redirects are allowed");
    assert_eq!(fetched.bytes.as_ref(), b"arrived");
}
