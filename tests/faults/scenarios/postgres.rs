//! A database that goes away, or does not answer.

use std::time::{Duration, Instant};

use local_postgres::LocalPostgres;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::NoTls;

use crate::checker;
use crate::support::database;
use crate::support::origin::Answer;
use crate::support::proxy::Proxy;
use crate::world::{Program, World};

fn slow(bytes: bytes::Bytes) -> Answer {
    Answer::Slow(Duration::from_millis(50), bytes)
}

/// Connections are cut, then refused for a while, as in a restart.
pub async fn connections_cut_and_refused(world: &mut World) {
    let proxy = Proxy::start(&world.database_url).await;
    let _server = world.serve_on(&proxy.url, &[]).await;
    let id = world.upload(600, slow).await;
    for seconds in [0, 0, 3, 0, 5] {
        sleep(Duration::from_millis(500)).await;
        proxy.go_away();
        sleep(Duration::from_secs(seconds)).await;
        proxy.come_back();
    }
    let back = Instant::now();
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after the database was back", back.elapsed().as_secs_f64()));
    assert_no_attempt_was_lost(world).await;
}

/// Open connections carry nothing any more and nobody is told; new ones work. As after a failover to a moved address.
pub async fn connections_fall_silent(world: &mut World) {
    let proxy = Proxy::start(&world.database_url).await;
    let _api = world.serve_on(&proxy.url, &["--compressions", "0"]).await;
    let _worker = world.work_on(&proxy.url, &[]).await;
    let id = world.upload(600, slow).await;
    world.ended(50).await;
    proxy.silence();
    let silent = Instant::now();
    world.succeeded(&id).await;
    let took = silent.elapsed().as_secs_f64();
    assert!(took < 60.0, "it took {took:.1} s");
    world.note(format!("ended {took:.1} s after the connections fell silent"));
}

/// The server is killed, three times, and comes back.
pub async fn server_killed(world: &mut World) {
    let server = own_server(world).await;
    let halftone = world.serve(&[]).await;
    let id = world.upload(400, slow).await;
    for done in [20, 80, 150] {
        world.ended(done).await;
        signal(postmaster(world).await, Signal::QUIT);
        // It is started again by whoever holds it: here, this program.
        sleep(Duration::from_secs(2)).await;
    }
    world.succeeded(&id).await;
    checker::check(world).await;
    leave(world, halftone, server).await;
}

/// The server and all its backends stand still for 25 seconds.
pub async fn server_stalls(world: &mut World) {
    let server = own_server(world).await;
    let halftone = world.serve(&[]).await;
    let id = world.upload(600, slow).await;
    world.ended(50).await;
    let stopped = family(postmaster(world).await);
    for &pid in &stopped {
        signal(pid, Signal::STOP);
    }
    sleep(Duration::from_secs(25)).await;
    for &pid in &stopped {
        signal(pid, Signal::CONT);
    }
    let back = Instant::now();
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after it went on", back.elapsed().as_secs_f64()));
    assert_no_attempt_was_lost(world).await;
    checker::check(world).await;
    leave(world, halftone, server).await;
}

/// Others take every connection of the server for ten seconds, also those that Halftone had.
pub async fn connections_all_taken(world: &mut World) {
    let server = own_server(world).await;
    let halftone = world.serve(&[]).await;
    let id = world.upload(300, slow).await;
    world.ended(30).await;
    let url = format!("{}&application_name=others", world.database_url);
    let mut taken = JoinSet::new();
    let mut clients = Vec::new();
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        while let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
            taken.spawn(connection);
            clients.push(client);
        }
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE backend_type = 'client backend' AND application_name <> 'others'";
        clients[0].batch_execute(cut).await.expect("cut the others");
    }
    world.note(format!("{} connections", clients.len()));
    drop(clients);
    while taken.join_next().await.is_some() {}
    let free = Instant::now();
    world.succeeded(&id).await;
    world.note(format!("ended {:.1} s after they were free", free.elapsed().as_secs_f64()));
    assert_no_attempt_was_lost(world).await;
    checker::check(world).await;
    leave(world, halftone, server).await;
}

/// A server of this world's own.
async fn own_server(world: &mut World) -> LocalPostgres {
    let server = tokio::task::spawn_blocking(LocalPostgres::throw_away).await.expect("start").expect("start");
    world.database_url = server.url("postgres");
    halftone::db::migrate(&world.database_url).await.expect("migrate");
    checker::audit(&world.database_url).await;
    server
}

/// The first process of the server.
async fn postmaster(world: &World) -> i32 {
    let line = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::bigint";
    i32::try_from(database::number(&world.database_url, line).await).expect("a pid")
}

/// Goes back to a database that outlives the run.
async fn leave(world: &mut World, halftone: Program, server: LocalPostgres) {
    halftone.kill().await;
    world.start_anew().await;
    let stopped = tokio::task::spawn_blocking(move || server.stop()).await.expect("stop");
    stopped.expect("stop");
}

/// A process and its children.
fn family(parent: i32) -> Vec<i32> {
    let mut family = vec![parent];
    for entry in std::fs::read_dir("/proc").expect("/proc") {
        let entry = entry.expect("an entry");
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|of| of.trim() == parent.to_string())) {
            family.push(pid);
        }
    }
    family
}

fn signal(pid: i32, signal: Signal) {
    // A backend may have ended meanwhile.
    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), signal);
}

/// A fault of the database is no fault of an image.
async fn assert_no_attempt_was_lost(world: &World) {
    let again = "SELECT count(*) FROM images WHERE attempt_count > 1";
    assert_eq!(database::number(&world.database_url, again).await, 0, "images that used up another attempt");
}
