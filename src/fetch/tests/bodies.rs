//! Bodies: too long, too short, too slow, lying about their length, encoded, endless.

use std::time::Duration;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_body_announced_over_the_limit_is_refused_before_it_is_read() {
    let server = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n").await;
        exchange.until_gone().await;
    })
    .await;
    let error = failure(limits(), &server).await;
    assert!(matches!(error, Error::TooManyBytes { limit: 262_144 }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_arrives() {
    for framing in ["Content-Length: 262144\r\n\r\n", "\r\n"] {
        let mut raw = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{framing}").into_bytes();
        raw.resize(raw.len() + 256 * 1024, 1);
        let server = saying(raw).await;
        let fetched = fetcher(limits()).get(&server.url("/")).await.expect("the limit itself is allowed");
        assert_eq!(fetched.bytes.len(), 256 * 1024);
    }
}

#[tokio::test]
async fn endless_bodies_are_cut_at_the_limit() {
    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", format!("1000\r\n{}\r\n", "x".repeat(4096))),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "x".repeat(4096)),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&sent);
        let server = scripted::serve(move |mut exchange| {
            let (piece, sent) = (piece.clone(), Arc::clone(&counting));
            async move {
                exchange.write(head).await;
                while exchange.write(&piece).await {
                    sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
            }
        })
        .await;
        let error = failure(limits(), &server).await;
        assert!(matches!(error, Error::TooManyBytes { .. }), "{error:?}");
        // What is above the limit sits in socket buffers.
        assert!(sent.load(Ordering::Relaxed) < 32 * 1024 * 1024, "{sent:?}");
    }
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_a_lost_connection() {
    let server = saying("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this").await;
    let error = failure(limits(), &server).await;
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_chunked_body_without_its_end_is_a_lost_connection() {
    let server = saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let error = failure(limits(), &server).await;
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_longer_than_announced_ends_where_it_was_announced_to_end() {
    let server = saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\nsmuggled").await;
    let fetcher = fetcher(limits());
    for _ in 0..5 {
        let fetched = fetcher.get(&server.url("/")).await.expect("the announced part");
        assert_eq!(fetched.bytes.as_ref(), b"hello");
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_is_a_lost_connection() {
    let server = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nsome bytes").await;
        exchange.reset();
    })
    .await;
    let error = failure(limits(), &server).await;
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_its_end_is_a_lost_connection() {
    for raw in ["", "HTTP/1.1 200 OK\r\nContent-Len"] {
        let error = failure(limits(), &saying(raw).await).await;
        assert!(matches!(error, Error::ConnectionLost { .. }), "{raw:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_final_and_named() {
    let two_lengths = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nimage";
    for raw in ["SSH-2.0-OpenSSH_9.9\r\n", "\u{ff}\u{d8}an image without a head\r\n\r\n", two_lengths] {
        let error = failure(limits(), &saying(raw).await).await;
        assert!(matches!(error, Error::BadAnswer { .. }), "{raw:?}: {error:?}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_encoded_body_is_decoded_within_the_limit() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).expect("into memory");
        encoder.finish().expect("into memory")
    };
    let sending = |encoding: &'static str, body: Vec<u8>| {
        scripted::serve(move |exchange: Exchange| {
            let body = body.clone();
            async move { exchange.answer("200 OK", &format!("Content-Encoding: {encoding}\r\n"), &body).await }
        })
    };
    let photo = [b"\xff\xd8\xff\xe0".as_slice(), &[7; 100_000]].concat();
    let server = sending("gzip", gzip(&photo)).await;
    let fetched = fetcher(limits()).get(&server.url("/")).await.expect("decoded");
    assert!(fetched.bytes == photo);
    for untrue in ["utf-8", "none", "aws-chunked", "gzip", "br", ""] {
        let server = sending(untrue, photo.clone()).await;
        let fetched = fetcher(limits()).get(&server.url("/")).await.expect("the label is ignored");
        assert!(fetched.bytes == photo, "{untrue}");
    }

    let bomb = sending("gzip", gzip(&vec![0; 10 << 20])).await;
    let error = failure(limits(), &bomb).await;
    assert!(matches!(error, Error::TooManyBytes { .. }), "{error:?}");
    let mut cut = gzip(&photo);
    cut.truncate(cut.len() / 2);
    let error = failure(limits(), &sending("gzip", cut).await).await;
    assert!(matches!(error, Error::ContentEncoding { encoding: "gzip", .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn odd_but_readable_headers_are_read() {
    let many: String = (0..200).map(|i| format!("X-{i}: v\r\n")).collect();
    for headers in ["X-Powered By : php\r\nServer : IIS\r\n", "X-A: one\r\n two\r\n", &many] {
        let raw = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 5\r\n\r\nimage");
        let server = saying(raw).await;
        let fetched = fetcher(limits()).get(&server.url("/")).await.expect("it can be read");
        assert_eq!(fetched.bytes.as_ref(), b"image", "{headers}");
    }
}

#[tokio::test]
async fn a_request_lost_on_a_kept_connection_is_sent_again_at_once() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&requests);
    // Answers the first request of a connection, and closes it as the second one arrives.
    let server = scripted::serve(move |exchange: Exchange| {
        let requests = Arc::clone(&counting);
        async move {
            requests.fetch_add(1, Ordering::Relaxed);
            if exchange.answer_and_read_next("200 OK", "", b"image").await.is_some() {
                requests.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await;
    let fetcher = fetcher(limits());
    for _ in 0..10 {
        let fetched = fetcher.get(&server.url("/")).await.expect("sent again");
        assert_eq!(fetched.bytes.as_ref(), b"image");
    }
    assert!(requests.load(Ordering::Relaxed) > 10, "no kept connection was used");

    // Once more, not for ever.
    let requests = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&requests);
    let resetting = scripted::serve(move |exchange: Exchange| {
        counting.fetch_add(1, Ordering::Relaxed);
        async move { exchange.reset() }
    })
    .await;
    let error = failure(limits(), &resetting).await;
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_head_that_does_not_come_times_out() {
    let limits = Limits { first_byte_timeout: 50 * MS, ..limits() };
    let silent = scripted::serve(Exchange::until_gone).await;
    // Bytes of a head are not a head.
    let dripping = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nX-Slow: ").await;
        exchange.drip(b"x", 5 * MS).await;
    })
    .await;
    for server in [silent, dripping] {
        let error = failure(limits.clone(), &server).await;
        assert!(matches!(error, Error::Timeout { during: Stage::FirstByte, after } if after == 50 * MS), "{error:?}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_body_below_the_minimum_rate_is_given_up_although_it_never_stops() {
    let server = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n").await;
        exchange.drip(b"drop", 5 * MS).await;
    })
    .await;
    let slow = Limits { rate_grace: 100 * MS, min_bytes_per_second: 16 * KIB, ..limits() };
    let error = failure(slow, &server).await;
    assert!(matches!(error, Error::Timeout { during: Stage::Body, after } if after >= 100 * MS), "{error:?}");
}

#[tokio::test]
async fn a_body_above_the_minimum_rate_may_take_longer_than_the_grace() {
    let server = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n").await;
        for _ in 0..40 {
            exchange.write([1; 1000]).await;
            tokio::time::sleep(10 * MS).await;
        }
    })
    .await;
    // About 100 kB/s come, 4 KiB/s are asked for; the body lasts several times the grace.
    let limits = Limits { rate_grace: 100 * MS, min_bytes_per_second: 4 * KIB, ..limits() };
    let fetched = fetcher(limits).get(&server.url("/")).await.expect("fast enough");
    assert_eq!(fetched.bytes.len(), 40_000);
}

#[tokio::test]
async fn a_body_that_is_fast_enough_and_endless_in_time_meets_the_total() {
    let server = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n").await;
        exchange.drip(b"drop", 5 * MS).await;
    })
    .await;
    let limits = Limits { total_timeout: 150 * MS, min_bytes_per_second: 0, ..limits() };
    let error = failure(limits, &server).await;
    assert!(matches!(error, Error::Timeout { during: Stage::Total, after } if after == 150 * MS), "{error:?}");
}

#[tokio::test]
async fn fetched_bodies_hold_the_budget_and_waiting_for_it_times_nothing_out() {
    let server = scripted::serve(|exchange| exchange.answer("200 OK", "", &[1; 60_000])).await;
    let limits = Limits { first_byte_timeout: 300 * MS, total_timeout: 300 * MS, rate_grace: 50 * MS, ..limits() };
    let fetcher = fetcher_with_budget(limits, 100 * KIB);
    let first = fetcher.get(&server.url("/1")).await.expect("there is room");
    let second = server.url("/2");
    let waiting = fetcher.get(&second);
    tokio::pin!(waiting);
    // Three times the total timeout: no room, no answer, and no failure.
    assert!(tokio::time::timeout(900 * MS, &mut waiting).await.is_err());
    drop(first);
    assert_eq!(waiting.await.expect("there is room again").bytes.len(), 60_000);
}

#[tokio::test]
async fn more_downloads_than_the_budget_holds_all_come_through() {
    let body = |exchange: Exchange| async move {
        // Half of them do not say how long they are, so each reserves the whole limit.
        match exchange.path.ends_with('0') {
            true => exchange.answer("200 OK", "", &[1; 50_000]).await,
            false => {
                let mut exchange = exchange;
                exchange.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
                exchange.write([1; 50_000]).await;
            }
        }
    };
    let server = scripted::serve(body).await;
    let fetcher = fetcher_with_budget(limits(), 300 * KIB);
    let gets = (0..24).map(|i| {
        let (fetcher, url) = (fetcher.clone(), server.url(&format!("/{i}/{}", i % 2)));
        async move { fetcher.get(&url).await.expect("it waits, it does not fail").bytes.len() }
    });
    assert_eq!(futures_util::future::join_all(gets).await, [50_000; 24]);
    // A limit above the budget takes all of it, and still runs.
    let large = fetcher_with_budget(limits(), 64 * KIB);
    assert!(large.get(&server.url("/1")).await.is_ok());
}
