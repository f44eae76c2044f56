//! A cluster on disk: made once, configured at every start, started, and stopped.
//! Every function here is called by a holder of `lock`, so only one process at a time is in this file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::binaries::{Binaries, Search};
use super::layout::{self, Layout};
use super::server::{self, Answer};
use super::user::RunAs;
use super::{Durability, Error, lock, settings, socket};

/// How long a server may take to answer at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long a server that answers may go on recovering from a crash.
const RECOVER_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long a server may take to stop when asked to; after that it is stopped without a checkpoint, which loses nothing.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const STOP_AT_ONCE_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const LONGEST_POLL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) layout: Layout,
    pub(super) run_as: RunAs,
    /// The role that owns everything, and the database that always exists.
    pub(super) owner: String,
    pub(super) durability: Durability,
    pub(super) search: Search,
    /// Remove the whole directory at the end.
    pub(super) throw_away: bool,
}

impl Cluster {
    /// True if nothing of a server is alive.
    pub(super) fn is_down(&self) -> Result<bool, Error> {
        // The lock is given back when the file is closed.
        lock::try_lock(&lock::open(&self.layout.server(), &self.run_as)?)
    }

    /// Starts the server unless one runs; returns when it accepts connections, or when it is not waited for any more.
    /// `Some` if it was started now.
    pub(super) fn ensure_running(&self, give_up: &AtomicBool) -> Result<Option<Child>, Error> {
        let started = Instant::now();
        loop {
            // Tried anew each time: the server may be one that is ending, and a process that is just being started by
            // another thread keeps what we had locked for a moment longer.
            let held = lock::open(&self.layout.server(), &self.run_as)?;
            if lock::try_lock(&held)? {
                let mut child = self.start(held)?;
                return match self.wait_until_ready(&mut child, give_up) {
                    Ok(()) => Ok(Some(child)),
                    Err(error) => {
                        // A server that cannot be used is not left behind.
                        let _ = self.stop(Some(&mut child));
                        Err(error)
                    }
                };
            }
            let last = match server::ask(&socket::recorded(&self.layout), &self.owner) {
                Answer::Ready => return Ok(None),
                Answer::NotYet => "it is starting or stopping".to_owned(),
                Answer::Silent(last) => last,
            };
            if give_up.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if started.elapsed() > ANSWER_WITHIN {
                return Err(Error::NoAnswer { last, log: self.log_tail() });
            }
            std::thread::sleep(POLL);
        }
    }

    fn start(&self, held: File) -> Result<Child, Error> {
        let version_file = self.layout.version_file();
        let wanted = match std::fs::read_to_string(&version_file) {
            Ok(text) => Some(text.trim().parse::<u32>().map_err(|_| Error::NotACluster { dir: self.layout.data() })?),
            Err(_) if self.layout.data().exists() => {
                return Err(Error::NotACluster { dir: self.layout.data() });
            }
            Err(_) => None,
        };
        let binaries = Binaries::find(&self.search, &self.run_as, wanted)?;
        if wanted.is_none() {
            self.init(&binaries, &held)?;
        }
        self.clear_stale_pid_file()?;
        let socket_dir = socket::prepare(&self.layout, &self.run_as)?;
        let text = settings::render(&socket_dir, &self.owner, self.durability, binaries.major);
        layout::replace_file(&self.layout.config(), text.as_bytes(), &self.run_as)?;
        server::spawn(&self.layout, &self.run_as, &binaries, held, self.throw_away)
    }

    /// Makes the data directory under another name and renames it when it is complete and durable.
    fn init(&self, binaries: &Binaries, held: &File) -> Result<(), Error> {
        let dir = self.layout.dir();
        let failed = |source| Error::io("create the local database".to_owned(), source);
        for leftover in std::fs::read_dir(dir).map_err(failed)?.flatten() {
            // Nobody works on it: an initdb that lost its parent holds the lock that we hold.
            if leftover.file_name().to_string_lossy().starts_with("new-") {
                std::fs::remove_dir_all(leftover.path()).map_err(failed)?;
            }
        }
        let new = tempfile::Builder::new().prefix("new-").tempdir_in(dir).map_err(failed)?;
        self.run_as.own(&File::open(new.path()).map_err(failed)?).map_err(failed)?;
        let mut command = self.run_as.command(binaries.program("initdb"));
        command.arg("-D").arg(new.path()).args(["-U", &self.owner, "--auth-local=trust", "--auth-host=reject"]);
        command.args(["--encoding=UTF8", "--locale=C", "--no-sync"]);
        command.stdin(Stdio::from(held.try_clone().map_err(failed)?));
        let output = command.output().map_err(|source| Error::io("run initdb".to_owned(), source))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(Error::Initdb { output: String::from_utf8_lossy(&said).trim().to_owned() });
        }
        let data = self.layout.data();
        if self.durability == Durability::Full {
            layout::sync(new.path()).map_err(failed)?;
            if !cfg!(target_os = "linux") {
                let mut sync = self.run_as.command(binaries.program("initdb"));
                sync.arg("--sync-only").arg("-D").arg(new.path()).output().map_err(failed)?;
            }
        }
        std::fs::rename(new.keep(), &data).map_err(failed)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    /// Removes a `postmaster.pid` whose process number now belongs to something else (or to a zombie): PostgreSQL would
    /// refuse to start because of it. That no server of ours lives is known from the lock; one that somebody started
    /// by hand on our data directory is refused instead.
    fn clear_stale_pid_file(&self) -> Result<(), Error> {
        let path = self.layout.pid_file();
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(());
        };
        let pid = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
        if let Some(pid) = pid
            && serves(pid, &self.layout.data())
        {
            return Err(Error::ForeignServer { pid, dir: self.layout.data() });
        }
        std::fs::remove_file(&path).map_err(|source| Error::io(format!("remove {}", path.display()), source))
    }

    fn wait_until_ready(&self, child: &mut Child, give_up: &AtomicBool) -> Result<(), Error> {
        let socket_dir = socket::recorded(&self.layout);
        let started = Instant::now();
        let mut said_so = false;
        loop {
            let exited = child.try_wait().map_err(|source| Error::io("watch PostgreSQL".to_owned(), source))?;
            if let Some(status) = exited {
                return Err(Error::Exited { status: status.to_string(), log: self.log_tail() });
            }
            // Not before there is something to ask.
            let (limit, last) = if !socket_dir.join(socket::FILE).exists() {
                (ANSWER_WITHIN, "it created no socket".to_owned())
            } else {
                match server::ask(&socket_dir, &self.owner) {
                    Answer::Ready => return Ok(()),
                    Answer::NotYet => (RECOVER_WITHIN, "it is still recovering".to_owned()),
                    Answer::Silent(last) => (ANSWER_WITHIN, last),
                }
            };
            if started.elapsed() > Duration::from_secs(5) && !said_so {
                said_so = true;
                tracing::info!("waiting for the local PostgreSQL server, which may be recovering from a crash");
            }
            // Others may be using it already: whoever leaves does not stop it here.
            if give_up.load(Ordering::Relaxed) {
                return Ok(());
            }
            if started.elapsed() > limit {
                return Err(Error::NoAnswer { last, log: self.log_tail() });
            }
            // Every question costs the server a process: ask less often when it takes long.
            std::thread::sleep((started.elapsed() / 10).clamp(POLL, LONGEST_POLL));
        }
    }

    /// Stops whatever server runs, gently first; returns when nothing of it is alive. `child` is reaped if it is given.
    pub(super) fn stop(&self, mut child: Option<&mut Child>) -> Result<(), Error> {
        let held = lock::open(&self.layout.server(), &self.run_as)?;
        let steps = [("INT", STOP_WITHIN), ("QUIT", STOP_AT_ONCE_WITHIN), ("KILL", STOP_AT_ONCE_WITHIN)];
        for (signal, patience) in steps {
            let started = Instant::now();
            let mut signalled: Option<Instant> = None;
            while started.elapsed() < patience {
                if lock::try_lock(&held)? {
                    if let Some(child) = child.as_deref_mut() {
                        let _ = child.wait();
                    }
                    return Ok(());
                }
                // Again now and then: a server that is just starting may not have written its number the first time.
                if signalled.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                    server::signal(&self.layout, &self.run_as, signal)?;
                    signalled = Some(Instant::now());
                }
                std::thread::sleep(POLL);
            }
        }
        Err(Error::StillRunning { dir: self.layout.data() })
    }

    /// Removes what a stopped server leaves outside of the cluster's directory, and a throw-away cluster itself.
    pub(super) fn clear(&self) {
        socket::clear(&self.layout, &socket::recorded(&self.layout));
        if self.throw_away {
            let _ = std::fs::remove_dir_all(self.layout.dir());
        }
    }

    /// The last lines the server wrote, from the file it writes before its log is open and from its newest log.
    fn log_tail(&self) -> String {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.layout.log())
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        files.sort_by_key(|path| std::fs::metadata(path).and_then(|found| found.modified()).ok());
        let start_log = self.layout.start_log();
        let newest = files.iter().rev().find(|path| **path != start_log);
        let texts: Vec<String> = [Some(&start_log), newest].into_iter().flatten().map(|path| tail(path)).collect();
        let text = texts.join("\n");
        format!("{}\n(logs: {})", text.trim(), self.layout.log().display())
    }
}

fn tail(path: &Path) -> String {
    const LINES: usize = 12;
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// True if process `pid` is alive and is a PostgreSQL server on `data`.
fn serves(pid: u32, data: &Path) -> bool {
    if cfg!(target_os = "linux") {
        // A server's working directory is its data directory. A process of another account cannot be read, and is not ours.
        return std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place == data);
    }
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| {
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        line.contains("postgres") && line.contains(&*data.to_string_lossy())
    })
}
