//! The gate without a network: what each outcome does to the window, that no slot is lost, and how workers share.

use futures_util::FutureExt;
use tokio::task::unconstrained;

use super::*;

const ORIGIN: &str = "https://images.example";

fn gates(max_per_host: usize) -> Gates {
    Gates::new(max_per_host, Duration::from_secs(60))
}

/// What comes of asking for a slot; `None`: waiting.
fn enter_now(gates: &Gates) -> Option<Result<Slot, Closed>> {
    // Without this, tokio lets even what is ready wait once a task has done much.
    unconstrained(gates.enter(ORIGIN)).now_or_never()
}

/// Takes every slot that is free now.
fn fill(gates: &Gates) -> Vec<Slot> {
    std::iter::from_fn(|| enter_now(gates)?.ok()).collect()
}

/// Fills the window and ends every request like this; how many there were.
fn round(gates: &Gates, end: impl Fn(Slot)) -> usize {
    let slots = fill(gates);
    let count = slots.len();
    slots.into_iter().for_each(end);
    count
}

#[tokio::test]
async fn the_window_doubles_each_round_then_halves_then_grows_by_one() {
    let gates = gates(64);
    let rounds: Vec<usize> = (0..6).map(|_| round(&gates, Slot::coped)).collect();
    assert_eq!(rounds, [8, 16, 32, 64, 64, 64]);
    let rounds: Vec<usize> = (0..8).map(|_| round(&gates, Slot::overloaded)).collect();
    assert_eq!(rounds, [64, 32, 16, 8, 4, 2, 1, 1]);
    let rounds: Vec<usize> = (0..4).map(|_| round(&gates, Slot::coped)).collect();
    assert_eq!(rounds, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_window_that_is_not_used_does_not_grow() {
    let gates = gates(64);
    for _ in 0..100 {
        gates.enter(ORIGIN).await.expect("a slot").coped();
    }
    assert_eq!(fill(&gates).len(), 8);
}

#[tokio::test]
async fn a_small_maximum_is_kept_from_the_start() {
    let gates = gates(2);
    let rounds: Vec<usize> = (0..3).map(|_| round(&gates, Slot::coped)).collect();
    assert_eq!(rounds, [2, 2, 2]);
}

#[tokio::test]
async fn a_host_with_a_hard_limit_is_found_and_kept_near_it() {
    const LIMIT: usize = 12;
    let gates = gates(64);
    let mut rounds = (0..200).map(|_| {
        let mut slots = fill(&gates);
        let count = slots.len();
        let refused = slots.split_off(count.min(LIMIT));
        slots.into_iter().for_each(Slot::coped);
        refused.into_iter().for_each(Slot::overloaded);
        count
    });
    // Slow start overshoots once.
    assert_eq!(rounds.by_ref().take(3).collect::<Vec<_>>(), [8, 16, 14]);
    let rounds: Vec<usize> = rounds.collect();
    assert!(rounds.iter().all(|count| (6..=LIMIT + 1).contains(count)), "{rounds:?}");
    assert!(rounds.iter().filter(|count| **count > LIMIT).count() * 7 <= rounds.len(), "{rounds:?}");
}

#[tokio::test]
async fn slots_taken_before_a_halving_neither_halve_again_nor_come_back() {
    let gates = gates(64);
    let mut slots = fill(&gates);
    slots.pop().expect("eight").overloaded();
    // Four of the window are debt, paid by the next that end, however they end.
    slots.pop().expect("seven").overloaded();
    drop(slots.pop());
    slots.pop().expect("five").coped();
    assert_eq!(fill(&gates).len(), 0);
    drop(slots);
    assert_eq!(fill(&gates).len(), 4);
}

#[tokio::test]
async fn whatever_happens_slots_are_neither_lost_nor_invented() {
    let gates = gates(16);
    for i in 0..2000_usize {
        let mut slots = fill(&gates);
        // Queues, and is cancelled while others end.
        let mut waiting = Box::pin(unconstrained(gates.enter(ORIGIN)));
        assert!(waiting.as_mut().now_or_never().is_none());
        for j in 0..slots.len() {
            let slot = slots.swap_remove((i * 7 + j) % slots.len());
            match (i + j * j) % 11 {
                0 => slot.overloaded(),
                1..=2 => drop(slot),
                _ => slot.coped(),
            }
        }
        drop(waiting);
        let (free, window, debt) = gates.host(ORIGIN).accounts();
        assert_eq!((free, debt), (window, 0));
        assert!((1..=16).contains(&window));
    }
}

#[tokio::test]
async fn a_host_that_never_answers_goes_down_and_an_answer_brings_it_back() {
    let gates = gates(64);
    round(&gates, Slot::coped);
    let mut slots = fill(&gates);
    slots.truncate(9);
    let (last, late) = (slots.pop().expect("nine"), slots.pop().expect("eight"));
    slots.into_iter().for_each(Slot::unanswered);
    assert!(gates.enter(ORIGIN).await.is_ok(), "seven are not yet enough");
    last.unanswered();
    let closed = enter_now(&gates).expect("at once").expect_err("it is down");
    assert!(matches!(closed, Closed::Down { left } if left > Duration::from_secs(9)), "{closed:?}");

    // One that was under way all the time is answered after all.
    late.coped();
    assert!(gates.enter(ORIGIN).await.is_ok());
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_keeps_a_host_from_being_down() {
    let gates = gates(64);
    for _ in 0..7 {
        gates.enter(ORIGIN).await.expect("a slot").unanswered();
    }
    gates.enter(ORIGIN).await.expect("a slot").overloaded();
    gates.enter(ORIGIN).await.expect("a slot").unanswered();
    assert!(gates.enter(ORIGIN).await.is_ok());
}

#[tokio::test]
async fn the_hosts_remembered_are_bounded_and_those_in_use_are_kept() {
    let gates = gates(64);
    let mut kept = fill(&gates);
    for i in 0..3 * MAX_HOSTS {
        drop(gates.enter(&format!("http://{i}.example")).await.expect("a slot"));
    }
    assert!(lock(&gates.hosts).by_origin.len() <= MAX_HOSTS);
    assert!(enter_now(&gates).is_none(), "all of its slots are still taken");
    kept.pop();
    assert!(enter_now(&gates).is_some());
}

/// Two workers, and what each hears of the other.
fn exchange(gates: [&Gates; 2]) {
    let reports = gates.map(Gates::report);
    for (rank, gates) in gates.into_iter().enumerate() {
        let (mine, others) = (&reports[rank], &reports[1 - rank]);
        let shares = mine.iter().map(|report| {
            let other = others.iter().find(|other| other.origin == report.origin);
            Share {
                origin: report.origin.clone(),
                workers: 1 + usize::from(other.is_some()),
                rank: if other.is_some() { rank } else { 0 },
                others_window: other.map_or(0, |other| other.window),
                paused: other.and_then(|other| other.paused),
                down: other.and_then(|other| other.down),
            }
        });
        gates.adopt(&shares.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn workers_share_the_window_of_a_host_from_the_first_exchange_on() {
    let (first, second) = (gates(25), gates(25));
    (0..6).for_each(|_| _ = round(&first, Slot::coped));
    assert_eq!(fill(&first).len(), 25);
    exchange([&first, &second]);
    let held = fill(&second);
    assert_eq!(held.len(), 8);
    exchange([&first, &second]);
    // The one that was there makes room, what it has under way ends by itself.
    assert_eq!([&first, &second].map(|gates| gates.host(ORIGIN).accounts().1), [12, 8]);
    drop(held);
    for _ in 0..20 {
        let held = [fill(&first), fill(&second)];
        assert!(held[0].len() + held[1].len() <= 25);
        exchange([&first, &second]);
        held.into_iter().flatten().for_each(Slot::coped);
    }
    let grown = [&first, &second].map(|gates| fill(gates).len());
    assert_eq!(grown, [13, 12]);
}

#[tokio::test]
async fn a_worker_without_a_share_is_turned_away_until_it_asks_again() {
    let (first, second) = (gates(1), gates(1));
    drop((fill(&first), fill(&second)));
    exchange([&first, &second]);
    assert_eq!(enter_now(&second).expect("at once").expect_err("no share"), Closed::Busy);
    assert_eq!(fill(&first).len(), 1);
    assert_eq!(second.host(ORIGIN).open_window(), 0);
    // One that has not used the host for a while is not counted any more, and begins anew.
    assert_eq!(second.host(ORIGIN).report(ORIGIN, Instant::now() + IN_USE, IN_USE), None);
    assert_eq!(second.host(ORIGIN).open_window(), 1);
    second.adopt(&[Share { origin: ORIGIN.to_owned(), workers: 1, ..Share::default() }]);
    assert_eq!(fill(&second).len(), 1);
}

#[tokio::test]
async fn pauses_and_breakdowns_hold_for_all_workers() {
    let (first, second) = (gates(8), gates(8));
    let slot = first.enter(ORIGIN).await.expect("a slot");
    slot.pause(429, Duration::from_secs(600));
    slot.overloaded();
    drop(second.enter(ORIGIN).await.expect("not yet known"));
    exchange([&first, &second]);
    let closed = enter_now(&second).expect("at once").expect_err("paused");
    assert!(matches!(closed, Closed::Asked { status: 429, left } if left > Duration::from_secs(590)), "{closed:?}");
    // What was learned from others is not passed on as one's own.
    assert_eq!(second.report()[0].paused, None);

    let (first, second) = (gates(8), gates(8));
    let held = second.enter(ORIGIN).await.expect("a slot");
    for _ in 0..8 {
        first.enter(ORIGIN).await.expect("a slot").unanswered();
    }
    exchange([&first, &second]);
    assert!(matches!(enter_now(&second), Some(Err(Closed::Down { .. }))));
    held.coped();
    assert!(second.enter(ORIGIN).await.is_ok(), "the host answered after all");
    assert!(second.report()[0].answered);
}
