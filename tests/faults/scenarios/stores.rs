//! A store that takes nothing, a full disk, too few descriptors.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::time::sleep;

use crate::checker;
use crate::support::database;
use crate::support::origin::Answer;
use crate::world::{Program, World};

/// For some seconds nothing can be stored: where the directory was there is a file.
pub async fn store_fails_for_a_while(world: &mut World) {
    let _server = world.serve(&[]).await;
    let id = world.upload(100, |bytes| Answer::Slow(Duration::from_millis(200), bytes)).await;
    world.ended(10).await;
    let (outputs, aside) = (world.data_dir.path().join("outputs"), world.data_dir.path().join("aside"));
    std::fs::write(&aside, b"").expect("a file");
    // In one step: an output that is stored in between would make the directory again.
    let exchange = || renameat_with(CWD, &outputs, CWD, &aside, RenameFlags::EXCHANGE).expect("exchange them");
    exchange();
    sleep(Duration::from_secs(5)).await;
    exchange();
    assert_it_recovers(world, &id).await;
}

/// The outputs' disk is full for half a minute. Needs root, for a file system of its own.
pub async fn disk_is_full_for_a_while(world: &mut World) {
    let outputs = world.data_dir.path().join("outputs");
    std::fs::create_dir(&outputs).expect("a directory");
    let Some(disk) = Disk::mount(&outputs, "size=64k") else {
        world.note("not run: only root can mount a small disk");
        return;
    };
    let server = world.serve(&[]).await;
    let id = world.upload(300, Answer::Image).await;
    sleep(Duration::from_secs(30)).await;
    disk.remount("size=256m");
    assert_it_recovers(world, &id).await;
    drop(server);
    checker::check(world).await;
    drop(disk);
    world.start_anew().await;
}

/// The disk of everything, also of the PostgreSQL that Halftone runs, is full for twenty seconds. Needs root.
pub async fn disk_of_the_database_is_full_for_a_while(world: &mut World) {
    let Some(disk) = Disk::mount(world.data_dir.path(), "size=400m,mode=755") else {
        world.note("not run: only root can mount a small disk");
        return;
    };
    let server = world.serve_with_own_database().await;
    checker::audit(&world.database_url).await;
    let id = world.upload(300, |bytes| Answer::Slow(Duration::from_millis(200), bytes)).await;
    world.ended(30).await;
    let ballast = world.data_dir.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("a file");
    while file.write_all(&[0; 64 * 1024]).is_ok() {}
    sleep(Duration::from_secs(20)).await;
    drop(file);
    std::fs::remove_file(&ballast).expect("make room");
    assert_it_recovers(world, &id).await;
    checker::check(world).await;
    assert_eq!(server.terminate().await, Some(0));
    drop(disk);
    world.start_anew().await;
}

/// A disk of its own, in memory, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(place: &Path, options: &str) -> Option<Self> {
        let disk = Self(place.to_owned());
        disk.try_to_mount(options).then_some(disk)
    }

    fn remount(&self, options: &str) {
        assert!(self.try_to_mount(&format!("remount,{options}")), "change the disk");
    }

    fn try_to_mount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0).status().is_ok_and(|done| done.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A process that may open few files, and clients that take all they can get.
pub async fn clients_take_all_descriptors(world: &mut World) {
    let _server = world.serve_with_descriptors(256).await;
    let id = world.upload(600, |bytes| Answer::Slow(Duration::from_millis(300), bytes)).await;
    let address = world.client().url.strip_prefix("http://").expect("an address").to_owned();
    let clients: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(&address).expect("connect")).collect();
    let taken = Instant::now();
    world.ended(300).await;
    world.note(format!("300 images took {:.1} s meanwhile", taken.elapsed().as_secs_f64()));
    drop(clients);
    assert_it_recovers(world, &id).await;
}

/// A worker that can open hardly any files: it does what it can, one after the other.
pub async fn descriptors_run_out(world: &mut World) {
    let _api = world.serve(&["--compressions", "0"]).await;
    let url = world.database_url.clone();
    let few = Program::start_with_descriptors(world.data_dir.path(), 32, &["work", "--database-url", &url]);
    few.logged("\"working\"").await;
    let id = world.upload(50, |bytes| Answer::Slow(Duration::from_millis(50), bytes)).await;
    assert_it_recovers(world, &id).await;
}

/// The fault was our own: every image succeeds, at its first attempt.
async fn assert_it_recovers(world: &mut World, id: &str) {
    let over = Instant::now();
    world.succeeded(id).await;
    world.note(format!("ended {:.1} s after the fault", over.elapsed().as_secs_f64()));
    let again = "SELECT count(*) FROM images WHERE attempt_count > 1";
    assert_eq!(database::number(&world.database_url, again).await, 0, "images that used up another attempt");
}
