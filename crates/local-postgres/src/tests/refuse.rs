//! What is refused, with which sentence, and that nothing was made by then.
//! The sentences are for the person who started the program.

use super::*;
use crate::{Error, Options, Search};

fn refused(dir: &Path, search: Search) -> Error {
    match LocalPostgres::start(dir, Options { search, ..Options::default() }) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

/// A place with programs that only know their version.
fn pretend(scratch: &Scratch, version: &str) -> Search {
    let dir = scratch.0.path().join(format!("pretend-{version}"));
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("its mode");
    for name in ["postgres", "initdb"] {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).expect("write");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("its mode");
    }
    Search::only([dir])
}

#[test]
fn without_postgresql_it_says_what_to_type_and_makes_nothing() {
    let scratch = Scratch::new();
    let error = refused(&scratch.path(), Search::only([PathBuf::from("/nonexistent")]));
    assert!(matches!(error, Error::NotInstalled { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("install") && text.contains("postgresql"), "{text}");
    assert!(!scratch.path().exists());
}

#[test]
fn a_version_that_is_too_old_is_named() {
    let scratch = Scratch::new();
    let error = refused(&scratch.path(), pretend(&scratch, "12.22"));
    assert!(error.to_string().contains("PostgreSQL 13 or newer"), "{error}");
    assert!(error.to_string().contains("found: 12"), "{error}");
    assert!(!scratch.path().exists());
}

#[test]
fn data_of_a_version_that_is_not_installed_is_left_alone() {
    let scratch = Scratch::new();
    scratch.start().stop().expect("stop");
    let version = std::fs::read_to_string(scratch.layout().version_file()).expect("a version");
    let error = refused(&scratch.path(), pretend(&scratch, "99.1"));
    let text = error.to_string();
    assert!(
        text.contains(&format!("created by PostgreSQL {}", version.trim())) && text.contains("found: 99"),
        "{text}"
    );
    scratch.start().stop().expect("it still opens with its own version");
}

#[test]
fn a_directory_that_is_not_a_cluster_is_left_alone() {
    let scratch = Scratch::new();
    let data = scratch.path().join("data");
    std::fs::create_dir_all(&data).expect("a directory");
    std::fs::write(data.join("letter.txt"), "dear").expect("write");
    for place in [scratch.path(), data.clone()] {
        std::fs::set_permissions(place, Permissions::from_mode(0o755)).expect("its mode");
    }
    let error = refused(&scratch.path(), Search::standard());
    assert!(matches!(error, Error::NotACluster { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(data.join("letter.txt")).expect("still there"), "dear");
}

#[test]
fn a_server_started_by_hand_on_our_data_is_not_disturbed() {
    let scratch = Scratch::new();
    scratch.start().stop().expect("stop");
    let layout = scratch.layout();
    let run_as = RunAs::choose(&layout.data()).expect("an account");
    let found = crate::binaries::Binaries::find(&Search::standard(), &run_as, None).expect("PostgreSQL");
    let mut by_hand = run_as.command(found.program("postgres"));
    by_hand.arg("-D").arg(layout.data()).args(["-c", "listen_addresses=", "-k"]).arg(layout.run());
    let mut by_hand = Guard(by_hand.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server"));
    wait_until("it writes its number", || layout.pid_file().metadata().is_ok_and(|found| found.len() > 0));

    let error = refused(&scratch.path(), Search::standard());
    assert!(matches!(error, Error::ForeignServer { .. }), "{error}");
    assert!(error.to_string().contains(&by_hand.0.id().to_string()), "{error}");
    assert!(by_hand.0.try_wait().expect("its state").is_none());
    rustix::process::kill_process(postmaster(&layout), Signal::INT).expect("stop it");
    by_hand.0.wait().expect("its end");
}

#[test]
fn root_is_told_that_a_private_home_is_out_of_reach_before_anything_is_made() {
    if !rustix::process::geteuid().is_root() {
        // An ordinary user runs the server itself and reaches its own home: every other test shows it.
        return;
    }
    let scratch = Scratch::new();
    let home = scratch.0.path().join("home");
    std::fs::create_dir(&home).expect("a directory");
    std::fs::set_permissions(&home, Permissions::from_mode(0o700)).expect("its mode");
    let error = refused(&home.join("data").join("postgres"), Search::standard());
    assert!(
        matches!(&error, Error::OutOfReach { blocked, .. } if *blocked == home.canonicalize().expect("a path")),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(&home).expect("the home").count(), 0);
}

#[test]
fn a_server_that_cannot_start_shows_its_own_words() {
    let scratch = Scratch::new();
    scratch.start().stop().expect("stop");
    let custom = scratch.path().join("custom.conf");
    std::fs::write(&custom, "shared_buffers = 'many'\n").expect("write");
    std::fs::set_permissions(&custom, Permissions::from_mode(0o644)).expect("its mode");
    let error = refused(&scratch.path(), Search::standard());
    assert!(matches!(error, Error::Exited { .. }), "{error}");
    assert!(error.to_string().contains("shared_buffers"), "{error}");
    scratch.wait_until_down();
}
