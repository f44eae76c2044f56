//! The managed cluster against real PostgreSQL programs and real second processes, as root and as an ordinary user.
//! This file has the tools; a second process is this test binary again, running the test `holder`.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio_postgres::SimpleQueryMessage;

use super::layout::Layout;
use super::user::RunAs;
use super::{Durability, LocalPostgres, Options, lock};

mod crash;
mod refuse;
mod share;

/// A name that has to be quoted.
const OWNER: &str = "The Owner";

fn options(durability: Durability) -> Options {
    Options { owner: OWNER.to_owned(), durability, ..Options::default() }
}

/// A directory that the server's account can reach, also when we are root.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        let dir = tempfile::Builder::new().prefix("ht-").tempdir_in("/tmp").expect("a directory in /tmp");
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("its mode");
        Scratch(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("pg")
    }

    fn layout(&self) -> Layout {
        Layout::new(&self.path()).expect("a layout")
    }

    /// Starts in this process, without waiting for the disk: a crash of processes loses nothing even so.
    fn start(&self) -> LocalPostgres {
        LocalPostgres::start(&self.path(), options(Durability::None)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts in this process as the program does.
    fn start_durably(&self) -> LocalPostgres {
        LocalPostgres::start(&self.path(), options(Durability::Full)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn postmaster(&self) -> Pid {
        postmaster(&self.layout())
    }

    /// Waits until nothing of the server is alive.
    fn wait_until_down(&self) {
        wait_until_down(&self.layout());
    }
}

fn postmaster(layout: &Layout) -> Pid {
    let text = std::fs::read_to_string(layout.pid_file()).expect("a running server");
    let number = text.lines().next().expect("a first line").parse().expect("a process number");
    Pid::from_raw(number).expect("not zero")
}

fn wait_until_down(layout: &Layout) {
    let run_as = RunAs::choose(&layout.data()).expect("an account");
    let held = lock::open(&layout.server(), &run_as).expect("the server's lock");
    assert!(lock::lock_within(&held, Duration::from_secs(20)).expect("a lock"), "the server goes on without users");
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "not so after 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(process: Pid) {
    rustix::process::kill_process(process, Signal::KILL).expect("kill");
}

/// A process that ends with its test, also when the test fails.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs statements; the first column of the rows they return, or why not.
fn try_sql(url: &str, statements: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let statements = statements.to_owned();
        let run = async move { client.simple_query(&statements).await };
        let (answer, _) = tokio::join!(run, connection);
        let rows = answer?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        });
        Ok(rows.collect())
    })
}

fn sql(url: &str, statements: &str) -> Vec<String> {
    try_sql(url, statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"))
}

/// A second process that holds a share in a cluster until it is asked to stop, or killed.
struct Holder {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Does not wait; see [`Holder::started`].
    fn spawn(dir: &Path, kind: &str) -> Holder {
        let name = format!("{}::holder", module_path!().split_once("::").expect("a crate name").1);
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args([&name, "--exact", "--ignored", "--nocapture"])
            // What a user may have set, and what must not reach the server.
            .envs([("PGDATA", "/nonexistent"), ("PGPORT", "1"), ("PGHOST", "/nonexistent"), ("LC_ALL", "tlh_QO.UTF-8")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let mut input = process.stdin.take().expect("its input");
        writeln!(input, "{kind}\n{}", dir.display()).expect("tell it where");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        Holder { process, input, lines }
    }

    fn start(dir: &Path, kind: &str) -> (Holder, Started) {
        let mut holder = Holder::spawn(dir, kind);
        let started = holder.started();
        (holder, started)
    }

    fn started(&mut self) -> Started {
        let line = self.answer();
        let mut words = line.split(' ');
        let attached = words.next() == Some("attached");
        Started { attached, url: words.next().unwrap_or_else(|| panic!("second process: {line}")).to_owned() }
    }

    fn answer(&mut self) -> String {
        let mut lines = self.lines.by_ref().map(|line| line.expect("its output"));
        // The test harness prints "test … ... " before it on the same line.
        lines.find_map(|line| line.split_once("holder: ").map(|(_, rest)| rest.to_owned())).expect("an answer")
    }

    fn stop(mut self) {
        writeln!(self.input, "stop").expect("tell it to stop");
        assert_eq!(self.answer(), "stopped");
        assert!(self.process.wait().expect("its end").success());
    }

    fn kill(mut self) {
        self.process.kill().expect("kill");
        self.process.wait().expect("its end");
    }
}

struct Started {
    attached: bool,
    url: String,
}

/// Not a test: what a second process does. Reads a kind and a directory, starts, says so, waits for a line, stops.
#[test]
#[ignore = "run by the other tests, as a second process"]
fn holder() {
    let mut lines = std::io::stdin().lines().map_while(Result::ok);
    let (Some(kind), Some(dir)) = (lines.next(), lines.next()) else {
        return;
    };
    let started = match kind.as_str() {
        "throw away" => LocalPostgres::throw_away(),
        "durable" => LocalPostgres::start(Path::new(&dir), options(Durability::Full)),
        _ => LocalPostgres::start(Path::new(&dir), options(Durability::None)),
    };
    let held = started.unwrap_or_else(|error| {
        println!("holder: failed: {error}");
        panic!("{error}");
    });
    println!("holder: {} {}", if held.attached() { "attached" } else { "own" }, held.url(&held.owner));
    if lines.next().is_some() {
        held.stop().expect("stop");
        println!("holder: stopped");
    }
}

#[test]
fn everything_also_holds_for_an_ordinary_user() {
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        // We are that user.
        return;
    }
    let scratch = Scratch::new();
    // The build directory may be closed to others. Copied by another process: a program that is open for writing here
    // would be so too in whatever a test beside this one starts meanwhile, and could not be run ("text file busy").
    let program = scratch.0.path().join("tests");
    let mut install = Command::new("install");
    install.arg("-m755").arg(std::env::current_exe().expect("this program")).arg(&program);
    assert!(install.status().expect("install").success());
    let tests = module_path!().split_once("::").expect("a crate name").1;
    let nobody = 65534;
    let output =
        Command::new(&program).args([tests, "--test-threads=2"]).current_dir("/").uid(nobody).gid(nobody).output();
    let output = output.expect("the tests as another user");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("test result: ok"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!said.contains("ok. 0 passed"), "no test ran: {said}");
}
