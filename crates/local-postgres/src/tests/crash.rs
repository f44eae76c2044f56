//! Processes that die without warning: ours, the server's, and all at once.
//! Committed data is there afterwards, the next start works, and no server is left without users.

use super::*;
use crate::cluster::Cluster;
use crate::socket;

const SEED: &str = "CREATE TABLE kept AS SELECT generate_series(1, 5000) AS n";
const COUNT: &str = "SELECT count(*) FROM kept";

#[test]
fn a_killed_owner_leaves_no_server_behind_and_no_data_is_lost() {
    let scratch = Scratch::new();
    let (owner, began) = Holder::start(&scratch.path(), "fast");
    sql(&began.url, SEED);
    owner.kill();
    scratch.wait_until_down();
    assert_eq!(sql(&scratch.start().url(OWNER), COUNT), ["5000"]);
}

#[test]
fn starting_right_after_the_owner_was_killed_works() {
    let scratch = Scratch::new();
    for round in 1..=5 {
        let (owner, began) = Holder::start(&scratch.path(), "fast");
        sql(&began.url, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (1)");
        owner.kill();
        let next = scratch.start();
        assert!(!next.attached(), "an orphan is replaced");
        assert_eq!(sql(&next.url(OWNER), COUNT), [round.to_string()]);
        next.stop().expect("stop");
    }
}

#[test]
fn a_lock_that_outlives_its_server_for_a_moment_is_waited_for() {
    let scratch = Scratch::new();
    scratch.start().stop().expect("stop");
    let layout = scratch.layout();
    let run_as = RunAs::choose(&layout.data()).expect("an account");
    let held = lock::open(&layout.server(), &run_as).expect("the server's lock");
    // A process that another test is just starting has it for a moment.
    assert!(lock::lock_within(&held, Duration::from_secs(20)).expect("a lock"));
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    let _alive = lock::open_pipe(&layout.alive(), &run_as).expect("the pipe");
    let Options { owner, durability, search } = options(Durability::None);
    let cluster = Cluster { layout, run_as, owner, durability, search, throw_away: false };
    let mut server = cluster.ensure_running(&false.into()).expect("a server").expect("a new one");
    release.join().expect("the other holder");
    cluster.stop(Some(&mut server)).expect("stop");
}

#[test]
fn others_do_not_notice_that_the_owner_was_killed() {
    let scratch = Scratch::new();
    let (owner, began) = Holder::start(&scratch.path(), "fast");
    let other = scratch.start();
    assert!(other.attached());
    let server = scratch.postmaster();
    owner.kill();
    // Longer than a watcher would need to stop it.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(scratch.postmaster(), server);
    sql(&began.url, SEED);
    other.stop().expect("stop");
    scratch.wait_until_down();
}

#[test]
fn a_killed_server_is_started_again_for_every_user() {
    let scratch = Scratch::new();
    let (owner, began) = Holder::start(&scratch.path(), "fast");
    let other = scratch.start();
    sql(&began.url, SEED);
    for victim in ["the starter's", "anybody's"] {
        let server = scratch.postmaster();
        kill(server);
        wait_until(&format!("{victim} server is back"), || try_sql(&began.url, "SELECT 1").is_ok());
        assert_ne!(scratch.postmaster(), server);
        assert_eq!(sql(&began.url, COUNT), ["5000"]);
    }
    owner.stop();
    assert_eq!(sql(&other.url(OWNER), COUNT), ["5000"], "the other still has a server");
    other.stop().expect("stop");
    scratch.wait_until_down();
}

#[test]
fn everything_killed_at_once_recovers() {
    let scratch = Scratch::new();
    let (owner, began) = Holder::start(&scratch.path(), "durable");
    sql(&began.url, SEED);
    // The watcher is in the server's group.
    let group = rustix::process::getpgid(Some(scratch.postmaster())).expect("its group");
    owner.kill();
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    let next = scratch.start_durably();
    assert_eq!(sql(&next.url(OWNER), COUNT), ["5000"]);
}

#[test]
fn a_start_killed_in_the_middle_is_started_over() {
    let scratch = Scratch::new();
    for after in [50, 150, 400, 800] {
        let half = Holder::spawn(&scratch.path(), "fast");
        std::thread::sleep(Duration::from_millis(after));
        half.kill();
    }
    let held = scratch.start();
    assert_eq!(sql(&held.url(OWNER), "SELECT 1"), ["1"]);
    let leftovers = std::fs::read_dir(scratch.path()).expect("the directory").flatten();
    let leftovers = leftovers.filter(|entry| entry.file_name().to_string_lossy().starts_with("new-"));
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn lock_files_that_name_an_unrelated_live_process_do_not_stop_it() {
    let scratch = Scratch::new();
    scratch.start().stop().expect("stop");
    let layout = scratch.layout();
    // Of the same account: PostgreSQL ignores a process it may not signal.
    let run_as = RunAs::choose(&layout.data()).expect("an account");
    let mut unrelated = run_as.command("sleep");
    let unrelated = unrelated.arg("60").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process");
    let mut unrelated = Guard(unrelated);
    let text = format!("{}\n{}\n1\n5432\n", unrelated.0.id(), layout.data().display());
    std::fs::write(layout.pid_file(), &text).expect("write");
    std::fs::write(layout.run().join(format!("{}.lock", socket::FILE)), &text).expect("write");
    let held = scratch.start();
    assert_eq!(sql(&held.url(OWNER), "SELECT 1"), ["1"]);
    assert!(unrelated.0.try_wait().expect("its state").is_none(), "it was left alone");
}

#[test]
fn a_throw_away_cluster_is_removed_also_when_its_user_is_killed() {
    let dir_of =
        |url: &str| PathBuf::from(sql(url, "SHOW data_directory").remove(0)).parent().expect("a parent").to_owned();

    let held = LocalPostgres::throw_away().expect("start");
    let dir = dir_of(&held.url("postgres"));
    assert_eq!(sql(&held.url("postgres"), "SHOW fsync"), ["off"]);
    held.stop().expect("stop");
    assert!(!dir.exists());

    let mut holder = Holder::spawn(Path::new("-"), "throw away");
    let dir = dir_of(&holder.started().url);
    holder.kill();
    wait_until("it is removed", || !dir.exists());
}
