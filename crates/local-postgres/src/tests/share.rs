//! Starting, sharing and stopping, when nothing goes wrong.
//! The number of rounds of the race is small here; the ignored test has twenty.

use super::*;
use crate::Search;
use crate::binaries::Binaries;

#[test]
fn data_survives_stop_and_start() {
    let scratch = Scratch::new();
    let first = scratch.start_durably();
    assert!(!first.attached());
    let url = first.url(OWNER);
    sql(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)");
    first.stop().expect("stop");
    assert!(try_sql(&url, "SELECT 1").is_err(), "the server is gone");
    scratch.wait_until_down();
    assert!(!scratch.layout().pid_file().exists(), "it was shut down in order");

    let again = scratch.start_durably();
    assert!(!again.attached());
    assert_eq!(again.url(OWNER), url);
    assert_eq!(sql(&url, "SELECT n FROM kept"), ["7"]);
    drop(again);
    scratch.wait_until_down();
}

#[test]
fn the_server_is_durable_private_and_utf8() {
    let scratch = Scratch::new();
    let held = scratch.start_durably();
    let url = held.url(OWNER);
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("TimeZone", "UTC"),
        ("jit", "off"),
        ("max_connections", "100"),
    ] {
        assert_eq!(sql(&url, &format!("SHOW {name}")), [value], "{name}");
    }
    let socket_dir = sql(&url, "SHOW unix_socket_directories").remove(0);
    let mode = std::fs::metadata(socket_dir).expect("the socket's directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // Ctrl-C goes to our group: it must not stop the database before the program has drained.
    let group = rustix::process::getpgid(Some(scratch.postmaster())).expect("its group");
    assert_ne!(group, rustix::process::getpgrp());
}

#[test]
fn your_own_settings_win() {
    let scratch = Scratch::new();
    scratch.start().stop().expect("stop");
    let custom = scratch.path().join("custom.conf");
    std::fs::write(&custom, "max_connections = 33\n").expect("write");
    std::fs::set_permissions(&custom, Permissions::from_mode(0o644)).expect("its mode");
    assert_eq!(sql(&scratch.start().url(OWNER), "SHOW max_connections"), ["33"]);
}

#[test]
fn a_second_process_attaches_and_the_last_one_out_stops_the_server() {
    let scratch = Scratch::new();
    let (first, began) = Holder::start(&scratch.path(), "fast");
    assert!(!began.attached);
    sql(&began.url, "CREATE TABLE kept (n int)");

    let second = scratch.start();
    assert!(second.attached());
    assert_eq!(second.url(OWNER), began.url);
    let server = scratch.postmaster();

    // The one that started it leaves first, and the server stays.
    first.stop();
    sql(&began.url, "INSERT INTO kept VALUES (1)");
    assert_eq!(scratch.postmaster(), server);

    second.stop().expect("stop");
    assert!(try_sql(&began.url, "SELECT 1").is_err(), "the last one stopped it");
    scratch.wait_until_down();
}

#[test]
fn two_processes_starting_at_once_both_get_a_server() {
    race(2);
}

#[test]
#[ignore = "a minute of first starts"]
fn two_processes_starting_at_once_both_get_a_server_twenty_times() {
    race(20);
}

fn race(rounds: usize) {
    for round in 0..rounds {
        let scratch = Scratch::new();
        let mut both = [Holder::spawn(&scratch.path(), "fast"), Holder::spawn(&scratch.path(), "fast")];
        let started = both.each_mut().map(Holder::started);
        assert_eq!(started.iter().filter(|one| one.attached).count(), 1, "one starts it, one attaches (round {round})");
        sql(&started[0].url, "CREATE TABLE seen (n int); INSERT INTO seen VALUES (1)");
        assert_eq!(sql(&started[1].url, "SELECT n FROM seen"), ["1"]);
        both.into_iter().for_each(Holder::stop);
        scratch.wait_until_down();
    }
}

#[test]
fn a_directory_too_deep_for_a_socket_works_and_is_found_again() {
    let scratch = Scratch::new();
    let deep = scratch.path().join("d".repeat(60)).join("and a name with spaces, and commas").join("e".repeat(60));
    let (first, began) = Holder::start(&deep, "fast");
    let second = LocalPostgres::start(&deep, options(Durability::None)).expect("attach");
    assert!(second.attached());
    assert_eq!(second.url(OWNER), began.url);
    let socket_dir = PathBuf::from(sql(&began.url, "SHOW unix_socket_directories").remove(0));
    assert!(socket_dir.starts_with("/tmp") && !socket_dir.starts_with(scratch.path()), "{}", socket_dir.display());
    first.stop();
    second.stop().expect("stop");
    assert!(!socket_dir.exists(), "nothing is left in /tmp");
    let again = LocalPostgres::start(&deep, options(Durability::None)).expect("start again");
    assert_eq!(sql(&again.url(OWNER), "SELECT 1"), ["1"]);
}

#[test]
fn it_starts_from_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let held = runtime.block_on(async { LocalPostgres::throw_away() }).expect("start");
    let url = held.url("postgres");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connect");
        let ask = async move { client.query_one("SELECT 41 + 1", &[]).await.map(|row| row.get::<_, i32>(0)) };
        assert_eq!(tokio::join!(ask, connection).0.expect("an answer"), 42);
    });
}

#[test]
fn the_newest_programs_make_a_cluster_and_its_own_version_opens_it() {
    let run_as = RunAs::choose(Path::new("/nonexistent")).expect("an account");
    let newest = Binaries::find(&Search::standard(), &run_as, None).expect("PostgreSQL");
    let same = Binaries::find(&Search::standard(), &run_as, Some(newest.major)).expect("PostgreSQL");
    assert_eq!(newest.major, same.major);
    assert!(newest.program("initdb").is_file());
}
