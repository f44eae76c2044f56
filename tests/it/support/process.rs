//! The real binary as a child process, to be killed in every way.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::bucket::Bucket;
use super::halftone::Client;
use super::wait::{PATIENCE, in_time};

/// The program, to be started without the settings that our environment may hold.
pub fn halftone() -> Command {
    without_settings(env!("CARGO_BIN_EXE_halftone"))
}

fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("HALFTONE_") || name.starts_with("DATABASE_URL")) {
            command.env_remove(name);
        }
    }
    command.envs(Bucket::environment());
    command
}

/// A `halftone` process. It is killed when it is dropped.
pub struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Process {
    /// Starts `halftone` with these arguments.
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(halftone(), arguments)
    }

    /// The same after a command of the shell that changes what it inherits.
    pub fn start_with(first: &str, arguments: &[&str]) -> Self {
        let mut command = without_settings("sh");
        command.args(["-c", &format!("{first} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_halftone")]);
        Self::spawn(command, arguments)
    }

    fn spawn(mut command: Command, arguments: &[&str]) -> Self {
        command.args(arguments).args(["--log-format", "json", "--allow-net", "127.0.0.0/8"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("start halftone");
        let log = BufReader::new(child.stderr.take().expect("its log")).lines();
        Self { child, log }
    }

    /// `halftone serve` on a free port, ready; with a client that talks to it.
    pub async fn serve(database_url: &str, data_dir: &std::path::Path, arguments: &[&str]) -> (Self, Client) {
        let data_dir = data_dir.to_str().expect("a path in UTF-8");
        let ours = ["serve", "--listen", "127.0.0.1:0", "--database-url", database_url, "--data-dir", data_dir];
        let mut process = Self::start(&[&ours, arguments].concat());
        let line = process.log_line("ready at http").await;
        let message: serde_json::Value = serde_json::from_str(&line).expect("a JSON log line");
        let url =
            message["fields"]["message"].as_str().and_then(|text| text.strip_prefix("ready at ")).expect("an address");
        let client = Client::new(url.to_owned());
        (process, client)
    }

    /// `halftone work`, working.
    pub async fn work(database_url: &str, data_dir: &std::path::Path, arguments: &[&str]) -> Self {
        let data_dir = data_dir.to_str().expect("a path in UTF-8");
        let ours = ["work", "--database-url", database_url, "--data-dir", data_dir];
        let mut process = Self::start(&[&ours, arguments].concat());
        process.log_line("\"working\"").await;
        process
    }

    /// The next line of the log that contains this text.
    pub async fn log_line(&mut self, text: &str) -> String {
        let find = async {
            while let Some(line) = self.log.next_line().await.expect("a log in UTF-8") {
                if line.contains(text) {
                    return line;
                }
                eprintln!("{line}");
            }
            panic!("the process ended before it logged {text:?}");
        };
        in_time(&format!("a log line with {text:?}"), find).await
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The exit code and the log of a process that ends by itself.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        let read = async {
            while let Some(line) = self.log.next_line().await.expect("a log in UTF-8") {
                log.push_str(&line);
                log.push('\n');
            }
        };
        let (exited, ()) = tokio::join!(tokio::time::timeout(PATIENCE, self.child.wait()), read);
        (exited.expect("it ends in time").expect("wait").code(), log)
    }

    /// SIGSTOP: the process stands still until [`Self::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("signal");
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("kill");
    }

    /// SIGTERM; returns the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        // Its log is read to the end: a full pipe would hold it up.
        let drained = async { while let Ok(Some(_)) = self.log.next_line().await {} };
        let (exited, ()) = tokio::join!(tokio::time::timeout(PATIENCE, self.child.wait()), drained);
        exited.expect("it ends in time").expect("wait").code()
    }
}
