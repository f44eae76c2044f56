//! What a scenario happens to: a database, a data directory, an image host, a webhook receiver, and the processes.

use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::network::Network;
use crate::support::bucket::Bucket;
use crate::support::halftone::{Client, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;
use crate::support::wait::PATIENCE;
use crate::{checker, support};

/// Everything of one run.
pub struct World {
    /// The database itself, whatever stands between it and the processes.
    pub database_url: String,
    pub data_dir: TempDir,
    pub origin: Origin,
    pub sink: Sink,
    /// What the API is reached by: the last one that was started.
    pub client: Option<Client>,
    /// Figures for the table.
    pub notes: Vec<String>,
    /// Of every process, also of the checker's.
    pub arguments: Vec<String>,
    /// Where the outputs are, if not in the data directory.
    pub bucket: Option<Bucket>,
    /// The machines, if there are several.
    pub network: Option<Network>,
    /// Requests whose webhook the checker need not wait for.
    pub without_webhook: Vec<String>,
}

impl World {
    pub async fn new() -> Self {
        let database_url = support::database::fresh().await;
        checker::audit(&database_url).await;
        // Started as root, Halftone runs its own database as another user.
        let data_dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir();
        let data_dir = data_dir.expect("a temporary directory");
        let (origin, sink) = (Origin::start().await, Sink::start(&[]).await);
        Self {
            database_url,
            data_dir,
            origin,
            sink,
            client: None,
            notes: Vec::new(),
            arguments: Vec::new(),
            bucket: None,
            network: None,
            without_webhook: Vec::new(),
        }
    }

    /// Leaves everything this world had to itself: the checker has been called already, and is called once more.
    pub async fn start_anew(&mut self) {
        let other = Self::new().await;
        (self.database_url, self.data_dir, self.sink) = (other.database_url, other.data_dir, other.sink);
    }

    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("an API was started")
    }

    /// `halftone serve` on this world's database.
    pub async fn serve(&mut self, arguments: &[&str]) -> Program {
        let url = self.database_url.clone();
        self.serve_on(&url, arguments).await
    }

    /// `halftone serve` that reaches its database by another address.
    pub async fn serve_on(&mut self, database_url: &str, arguments: &[&str]) -> Program {
        let ours = ["serve", "--listen", "127.0.0.1:0", "--database-url", database_url];
        let common: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let program = Program::start(self.data_dir.path(), &[&ours, &common[..], arguments].concat());
        self.ready(program).await
    }

    /// `halftone serve` that may have so many files open.
    pub async fn serve_with_descriptors(&mut self, descriptors: u32) -> Program {
        let ours = ["serve", "--listen", "127.0.0.1:0", "--database-url", &self.database_url];
        let program = Program::start_with_descriptors(self.data_dir.path(), descriptors, &ours);
        self.ready(program).await
    }

    /// `halftone serve` of another version.
    pub async fn serve_with(&mut self, program: &Path, arguments: &[&str]) -> Program {
        let ours = ["serve", "--listen", "127.0.0.1:0", "--database-url", &self.database_url];
        let program = Program::start_version(program, self.data_dir.path(), &[&ours, arguments].concat());
        self.ready(program).await
    }

    /// `halftone work` of another version.
    pub async fn work_with(&self, program: &Path) -> Program {
        let ours = ["work", "--database-url", &self.database_url];
        let program = Program::start_version(program, self.data_dir.path(), &ours);
        program.logged("\"working\"").await;
        program
    }

    /// `halftone serve` with a PostgreSQL of its own in the data directory, which becomes the database of this world.
    pub async fn serve_with_own_database(&mut self) -> Program {
        let program = Program::start(self.data_dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
        let socket = self.data_dir.path().join("postgres/run");
        let host = percent_encode(socket.as_os_str().as_bytes(), NON_ALPHANUMERIC);
        self.database_url = format!("postgres://halftone@{host}/halftone?sslmode=disable");
        self.ready(program).await
    }

    /// Makes a `serve` the API of this world once it is ready.
    pub async fn ready(&mut self, program: Program) -> Program {
        let line = program.logged("ready at http").await;
        let line: Value = serde_json::from_str(&line).expect("a JSON log line");
        let message = line["fields"]["message"].as_str().expect("a message");
        self.client = Some(Client::new(message.strip_prefix("ready at ").expect("an address").to_owned()));
        program
    }

    /// `halftone work` on this world's database.
    pub async fn work(&self, arguments: &[&str]) -> Program {
        self.work_on(&self.database_url, arguments).await
    }

    /// `halftone work` that reaches its database by another address.
    pub async fn work_on(&self, database_url: &str, arguments: &[&str]) -> Program {
        let ours = ["work", "--database-url", database_url];
        let common: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let program = Program::start(self.data_dir.path(), &[&ours, &common[..], arguments].concat());
        program.logged("\"working\"").await;
        program
    }

    /// Uploads a catalogue of as many images, one a row, each of which the host answers as `answer` says.
    pub async fn upload(&self, count: u32, answer: impl Fn(bytes::Bytes) -> Answer) -> String {
        let urls: Vec<String> = (0..count)
            .map(|n| self.origin.set(&format!("{count}/{n}.jpg"), answer(images::jpeg(96, 64, n % 50))))
            .collect();
        self.upload_urls(&urls, json!({ "webhookUrl": self.sink.url })).await
    }

    /// Uploads a catalogue of these URLs, one a row.
    pub async fn upload_urls(&self, urls: &[String], input: Value) -> String {
        let rows: Vec<[&str; 1]> = urls.iter().map(|url| [url.as_str()]).collect();
        let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
        self.client().accepted(&csv(&rows), input).await
    }

    /// Returns once this many images have ended.
    pub async fn ended(&self, count: i64) {
        self.until(&format!("SELECT (count(*) >= {count})::int::bigint FROM images WHERE finished_at IS NOT NULL"))
            .await;
    }

    /// Returns once this query says 1.
    pub async fn until(&self, sql: &str) {
        let give_up = Instant::now() + 3 * PATIENCE;
        while support::database::number(&self.database_url, sql).await != 1 {
            assert!(Instant::now() < give_up, "this never came true: {sql}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The request once it is final: asked for again and again, so that the API may be away meanwhile.
    pub async fn finished(&self, id: &str) -> Value {
        let ended = format!("SELECT (finished_at IS NOT NULL)::int::bigint FROM processing_requests WHERE id = '{id}'");
        self.until(&ended).await;
        self.client().finished(id).await
    }

    /// As [`Self::finished`], and every image has an output.
    pub async fn succeeded(&self, id: &str) {
        let request = self.finished(id).await;
        assert_eq!(request["status"], "COMPLETED", "{request}");
    }

    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }
}

/// A `halftone` process with its log in a file. It is killed when it is dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `halftone` with these arguments and none of the settings in our environment.
    pub fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_version(Path::new(env!("CARGO_BIN_EXE_halftone")), data_dir, arguments)
    }

    /// As [`Self::start`], of another version.
    pub fn start_version(program: &Path, data_dir: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(command, data_dir)
    }

    /// As [`Self::start`], with at most this many open files.
    pub fn start_with_descriptors(data_dir: &Path, descriptors: u32, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_halftone")]).args(arguments);
        Self::spawn(command, data_dir)
    }

    /// As [`Self::start`], on a machine of a [`crate::network::Network`].
    pub fn start_on(machine: &str, data_dir: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", machine, env!("CARGO_BIN_EXE_halftone")]).args(arguments);
        Self::spawn(command, data_dir)
    }

    fn spawn(mut command: Command, data_dir: &Path) -> Self {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("HALFTONE_") || name == "DATABASE_URL") {
                command.env_remove(name);
            }
        }
        command.envs(Bucket::environment());
        let (file, log) =
            tempfile::Builder::new().prefix("log-").tempfile().expect("a log").keep().expect("keep the log");
        command.arg("--data-dir").arg(data_dir);
        command.args(["--log-format", "json", "--allow-net", "127.0.0.0/8", "--worker-timeout", "3s"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(file)).kill_on_drop(true);
        Self { child: command.spawn().expect("start halftone"), log }
    }

    /// The first line of the log that contains this text, once there is one.
    pub async fn logged(&self, text: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(&self.log).expect("the log");
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(Instant::now() < give_up, "{text:?} was never logged:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it runs")).expect("a pid");
        kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("signal");
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("kill");
    }

    /// The exit code of one that ends by itself.
    pub async fn ended(mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("wait").code()
    }

    /// SIGTERM, to its end; returns the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("wait").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of a log:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
        let _ = std::fs::remove_file(&self.log);
    }
}
