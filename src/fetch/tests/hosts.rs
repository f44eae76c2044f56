//! Politeness: how many requests a host sees at once, and how it can ask for fewer.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A host that takes 10 ms for each request and counts how many it has at once.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
    requests: AtomicUsize,
    overloaded_above: AtomicUsize,
}

impl Load {
    async fn answer(&self, exchange: Exchange) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(10 * MS).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        match now > self.overloaded_above.load(Ordering::SeqCst) {
            true => exchange.answer("429 Too Many Requests", "", b"").await,
            false => exchange.answer("200 OK", "", b"image").await,
        }
    }

    fn most_since_last_asked(&self) -> usize {
        self.most.swap(0, Ordering::SeqCst)
    }
}

async fn loaded(overloaded_above: usize) -> (Arc<Load>, Server) {
    let load = Arc::new(Load::default());
    load.overloaded_above.store(overloaded_above, Ordering::SeqCst);
    let answering = Arc::clone(&load);
    let server = scripted::serve(move |exchange| {
        let load = Arc::clone(&answering);
        async move { load.answer(exchange).await }
    })
    .await;
    (load, server)
}

/// Fetches `count` images together; how many came.
async fn fetch_all(fetcher: &Fetcher, server: &Server, count: usize) -> usize {
    let url = server.url("/");
    let fetch = async || loop {
        match fetcher.get(&url).await {
            // Put off, as the queue does.
            Err(Error::HostBusy { .. }) => tokio::time::sleep(MS).await,
            done => return done,
        }
    };
    let fetched = join_all((0..count).map(|_| fetch())).await;
    fetched.iter().filter(|fetched| fetched.is_ok()).count()
}

#[tokio::test]
async fn a_host_that_copes_is_given_more_at_once_up_to_the_maximum() {
    let (load, server) = loaded(usize::MAX).await;
    let fetcher = fetcher(Limits { max_per_host: 24, ..limits() });
    assert_eq!(fetch_all(&fetcher, &server, 8).await, 8);
    assert!(load.most_since_last_asked() <= 8, "nobody starts with more than eight");
    assert_eq!(fetch_all(&fetcher, &server, 300).await, 300);
    let most = load.most_since_last_asked();
    assert!((17..=24).contains(&most), "{most}");
}

#[tokio::test]
async fn a_host_that_answers_429_is_given_less_at_once_and_then_slowly_more() {
    let (load, server) = loaded(usize::MAX).await;
    let fetcher = fetcher(limits());
    let window = || fetcher.windows().first().map_or(fetcher.first_window(), |(_, window)| *window);
    fetch_all(&fetcher, &server, 300).await;
    let (grown, most) = (window(), load.most_since_last_asked());
    assert!(most > 16 && most <= grown, "{most} of {grown}");

    // Overloaded for one round: halved once, however many of it were refused.
    load.overloaded_above.store(0, Ordering::SeqCst);
    assert_eq!(fetch_all(&fetcher, &server, 8).await, 0);
    assert_eq!(window(), grown / 2);
    load.overloaded_above.store(usize::MAX, Ordering::SeqCst);
    load.most_since_last_asked();
    fetch_all(&fetcher, &server, 60).await;
    let halved = load.most_since_last_asked();
    assert!(halved <= grown.div_ceil(2) + 3 && halved > 8, "{grown} → {halved}");

    // Overloaded for many rounds: one at a time.
    load.overloaded_above.store(0, Ordering::SeqCst);
    for _ in 0..8 {
        fetch_all(&fetcher, &server, 1).await;
    }
    load.most_since_last_asked();
    load.overloaded_above.store(usize::MAX, Ordering::SeqCst);
    fetch_all(&fetcher, &server, 3).await;
    let least = load.most_since_last_asked();
    assert!(least <= 3, "{least}");
}

#[tokio::test]
async fn hosts_do_not_wait_for_each_other() {
    let stuck = scripted::serve(Exchange::until_gone).await;
    let (_, quick) = loaded(usize::MAX).await;
    let fetcher = fetcher(limits());
    let url = stuck.url("/");
    let stuck = join_all((0..100).map(|_| fetcher.get(&url)));
    tokio::select! {
        _ = stuck => panic!("a silent host answered"),
        fetched = fetch_all(&fetcher, &quick, 20) => assert_eq!(fetched, 20),
    }
}

/// Answers 429 with this `Retry-After` once, then well; notes when each request came.
async fn pausing(retry_after: &'static str) -> (Arc<Mutex<Vec<tokio::time::Instant>>>, Server) {
    let came = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&came);
    let server = scripted::serve(move |exchange: Exchange| {
        let noting = Arc::clone(&noting);
        async move {
            let first = {
                let mut came = noting.lock().expect("not poisoned");
                came.push(tokio::time::Instant::now());
                came.len() == 1
            };
            match first {
                true => exchange.answer("429 X", &format!("Retry-After: {retry_after}\r\n"), b"").await,
                false => exchange.answer("200 OK", "", b"image").await,
            }
        }
    })
    .await;
    (came, server)
}

#[tokio::test]
async fn retry_after_holds_back_new_requests_and_their_timeouts_do_not_run() {
    let (came, server) = pausing("1").await;
    let fetcher = fetcher(Limits { total_timeout: 500 * MS, ..limits() });
    let refused = fetcher.get(&server.url("/")).await.expect_err("asked to wait");
    assert_eq!((refused.http_status(), refused.retry_after()), (Some(429), Some(Duration::from_secs(1))));
    assert_eq!(fetch_all(&fetcher, &server, 5).await, 5);
    let came = came.lock().expect("not poisoned");
    assert!(came[1] - came[0] >= 990 * MS, "{:?}", came[1] - came[0]);
}

#[tokio::test]
async fn a_longer_retry_after_fails_at_once_and_says_how_long() {
    let (came, server) = pausing("7200").await;
    let fetcher = fetcher(limits());
    let refused = fetcher.get(&server.url("/")).await.expect_err("asked to wait");
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(3600)), "an hour is the longest believed");
    for _ in 0..20 {
        let refused = fetcher.get(&server.url("/")).await.expect_err("still asked to wait");
        assert_eq!((refused.http_status(), refused.is_transient()), (Some(429), true));
        let left = refused.retry_after().expect("the rest of the hour");
        assert!(left > Duration::from_secs(3590) && left <= Duration::from_secs(3600), "{left:?}");
    }
    assert_eq!(came.lock().expect("not poisoned").len(), 1, "the host was left alone");
}

#[tokio::test]
async fn a_dead_host_fails_its_fetches_at_once_and_is_tried_again_later() {
    let silent = scripted::serve(Exchange::until_gone).await;
    let fetcher = fetcher(Limits { first_byte_timeout: 50 * MS, ..limits() });
    let url = silent.url("/");
    let started = tokio::time::Instant::now();
    let failures = join_all((0..20).map(|_| fetcher.get(&url))).await;
    let timed_out = failures.iter().filter(|it| matches!(it, Err(Error::Timeout { .. }))).count();
    let not_tried = failures.iter().filter(|it| matches!(it, Err(Error::HostDown { .. }))).count();
    // The window halves meanwhile, so a few more may slip in before the eighth is known.
    assert!((8..=12).contains(&timed_out), "{timed_out}");
    assert_eq!(timed_out + not_tried, 20);
    assert!(started.elapsed() < 2000 * MS, "{:?}", started.elapsed());
    let error = fetcher.get(&url).await.expect_err("still down");
    assert!(error.is_transient() && error.retry_after() <= Some(Duration::from_secs(10)), "{error:?}");
}

#[tokio::test]
async fn a_lack_of_descriptors_is_not_held_against_the_host() {
    let gates = Gates::new(64, Duration::ZERO);
    // EMFILE, and then EHOSTUNREACH.
    for (code, is_own) in [(24, true), (113, false)] {
        for _ in 0..8 {
            let source = std::io::Error::from_raw_os_error(code).into();
            let error = Error::ConnectFailure { host: "images.example".to_owned(), source };
            assert_eq!(error.is_own_fault(), is_own);
            let slot = gates.enter("http://images.example").await.expect("the host is not down");
            report_to_gate(slot, Some(&error));
        }
    }
    assert!(matches!(gates.enter("http://images.example").await, Err(gate::Closed::Down { .. })));
}

#[tokio::test]
async fn nobody_waits_for_a_turn_behind_too_many_others() {
    let silent = scripted::serve(Exchange::until_gone).await;
    let fetcher = fetcher(limits());
    let url = silent.url("/");
    let mut fetches: futures_util::stream::FuturesUnordered<_> = (0..100).map(|_| fetcher.get(&url)).collect();
    // Eight are under way and sixteen wait; the others hear at once.
    for _ in 0..76 {
        let turned_away = futures_util::StreamExt::next(&mut fetches).await.expect("a fetch");
        assert!(matches!(turned_away, Err(Error::HostBusy { .. })), "{turned_away:?}");
    }
    assert_eq!(fetches.len(), 24);
}

#[tokio::test]
async fn a_fetch_waits_for_its_turn_only_so_long() {
    let dripping = scripted::serve(async |mut exchange: Exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n").await;
        exchange.drip(b"drop", 5 * MS).await;
    })
    .await;
    let fetcher = fetcher(Limits { max_wait: 100 * MS, total_timeout: 400 * MS, ..limits() });
    let url = dripping.url("/");
    let failures = join_all((0..12).map(|_| fetcher.get(&url))).await;
    let busy = failures.iter().filter(|it| matches!(it, Err(Error::HostBusy { .. }))).count();
    let timed_out = failures.iter().filter(|it| matches!(it, Err(Error::Timeout { .. }))).count();
    assert_eq!((busy, timed_out), (4, 8));
}
