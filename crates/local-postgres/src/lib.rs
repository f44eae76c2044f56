//! A PostgreSQL server for one program: created on first use, shared by the program's processes, and stopped when the
//! last of them ends.
//!
//! For programs that need PostgreSQL but should run without asking anybody to set it up, and for tests. The server
//! programs must be installed (version 13 or newer); nothing is downloaded, and no service is installed. The server
//! listens on a Unix socket in a directory that only its owner can enter. Linux and macOS.
//!
//! ```no_run
//! use local_postgres::{LocalPostgres, Options};
//!
//! # fn main() -> Result<(), local_postgres::Error> {
//! let options = Options { owner: "inventory".to_owned(), ..Options::default() };
//! let server = LocalPostgres::start("/var/lib/inventory/postgres".as_ref(), options)?;
//! println!("connect to {}", server.url("inventory"));
//! server.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! Tests want [`LocalPostgres::throw_away`]: a server without `fsync` in a temporary directory, which is removed even if
//! the test is killed.
//!
//! # How processes share a cluster
//!
//! No process owns the server. Each one that uses it holds a shared lock and the writing end of a named pipe (the module
//! `lock` lists the files). The first one starts the server, later ones attach, and the last one to leave stops it, no
//! matter which one started it.
//!
//! - A process killed with `kill -9` loses its lock and its end of the pipe at that moment; the others do not notice. If
//!   it was the last, the pipe reaches its end, and a small watcher process asks the server to stop. Both work the same
//!   on Linux and macOS and, unlike `PR_SET_PDEATHSIG`, are not tied to a thread.
//! - A server that dies is restarted within about a second by the first process that notices.
//! - Whether a server is alive is never guessed from a process number: the server and its children hold a lock.
//! - Starts and stops happen one at a time, under a lock of their own.
//!
//! Whoever can enter the socket's directory has all rights in the database: the account the server runs as, and root.
//!
//! # As root
//!
//! PostgreSQL refuses to run as root. A process that runs as root starts the server as the account `postgres`, or else
//! `nobody`; that account must be able to reach the directory.
//!
//! # Settings
//!
//! `postgresql.conf` in the cluster's directory is written at every start. `custom.conf` beside it is yours: it is read
//! last, so it wins.

mod binaries;
mod cluster;
mod keeper;
mod layout;
mod lock;
mod server;
mod settings;
mod socket;
#[cfg(test)]
mod tests;
mod user;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

pub use self::binaries::Search;
use self::cluster::Cluster;
use self::keeper::Keeper;
use self::layout::Layout;
use self::user::RunAs;

/// What survives a crash of the machine. A crash of only the program or the server loses no committed transaction either
/// way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every committed transaction.
    Full,
    /// Nothing for certain, at several times the speed: for tests.
    None,
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The role to connect as, which owns everything in the cluster; a database of this name always exists. It is fixed
    /// when the cluster is created, and may be any name without quotes. Default: `postgres`.
    pub owner: String,
    /// Default: [`Durability::Full`].
    pub durability: Durability,
    /// Where to look for the PostgreSQL programs. Default: [`Search::standard`].
    pub search: Search,
}

impl Default for Options {
    fn default() -> Options {
        Options { owner: "postgres".to_owned(), durability: Durability::Full, search: Search::standard() }
    }
}

/// A share in a running server. Dropping it does what [`LocalPostgres::stop`] does, and logs an error.
#[derive(Debug)]
pub struct LocalPostgres {
    owner: String,
    socket_dir: PathBuf,
    attached: bool,
    keeper: Option<Keeper>,
}

impl LocalPostgres {
    /// Creates the cluster at `dir` if there is none, starts its server or attaches to the running one, and waits until it
    /// accepts connections. Only the server's account can enter `dir` after that.
    ///
    /// Blocks: for some seconds when it creates the cluster, for minutes when the server has to recover much.
    ///
    /// # Errors
    /// Each [`Error`] is a sentence for the person who started the program. Nothing is created when PostgreSQL is missing
    /// or the server's account cannot reach `dir`.
    pub fn start(dir: &Path, options: Options) -> Result<LocalPostgres, Error> {
        let layout = Layout::new(dir)?;
        let run_as = RunAs::choose(&layout.data())?;
        let Options { owner, durability, search } = options;
        Self::join(Cluster { layout, run_as, owner, durability, search, throw_away: false })
    }

    /// A new cluster with [`Durability::None`] in a directory of its own below `/tmp`, for tests. It is removed when its
    /// last process ends, even one that is killed or never drops its handle.
    ///
    /// # Errors
    /// As for [`LocalPostgres::start`].
    pub fn throw_away() -> Result<LocalPostgres, Error> {
        let run_as = RunAs::choose(Path::new("/nonexistent"))?;
        let failed = |source| Error::io("create a directory in /tmp".to_owned(), source);
        let dir = tempfile::Builder::new().prefix("local-postgres-test-").tempdir_in("/tmp").map_err(failed)?;
        run_as.own(&std::fs::File::open(dir.path()).map_err(failed)?).map_err(failed)?;
        let layout = Layout::new(dir.path())?;
        let Options { owner, search, .. } = Options::default();
        let durability = Durability::None;
        let started = Self::join(Cluster { layout, run_as, owner, durability, search, throw_away: true })?;
        let _ = dir.keep();
        Ok(started)
    }

    fn join(cluster: Cluster) -> Result<LocalPostgres, Error> {
        let owner = cluster.owner.clone();
        let keeper = Keeper::join(cluster)?;
        Ok(LocalPostgres {
            owner,
            socket_dir: keeper.socket_dir.clone(),
            attached: keeper.attached,
            keeper: Some(keeper),
        })
    }

    /// The URL of `database` on this server, for `tokio_postgres`, diesel-async, `psql` and other clients that accept a
    /// percent-encoded socket directory as the host. It does not change while the handle lives, even if the server is
    /// restarted.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encode(self.socket_dir.as_os_str().as_bytes(), NON_ALPHANUMERIC);
        let owner = percent_encode(self.owner.as_bytes(), NON_ALPHANUMERIC);
        let database = percent_encode(database.as_bytes(), NON_ALPHANUMERIC);
        format!("postgres://{owner}@{host}/{database}?sslmode=disable")
    }

    /// Whether the server was already running for another process.
    pub fn attached(&self) -> bool {
        self.attached
    }

    /// Leaves the server. If no other process uses it, it is stopped, which closes open connections, and this waits until
    /// it has ended, for less than a minute.
    ///
    /// # Errors
    /// The server does not stop, or another process has been starting or stopping it for too long.
    pub fn stop(mut self) -> Result<(), Error> {
        self.keeper.take().map_or(Ok(()), Keeper::leave)
    }
}

impl Drop for LocalPostgres {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.keeper.take().map(Keeper::leave) {
            tracing::warn!(error = %error, "the local PostgreSQL server could not be stopped");
        }
    }
}

/// Why there is no local database, in sentences for the person who started the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server programs, or only ones that are too old.
    #[error(
        "PostgreSQL {} or newer is needed and was not found (versions found: {found}). Install it with\n    {install}",
        binaries::OLDEST
    )]
    NotInstalled { found: String, install: String },
    /// The data directory was made by a version that is not installed.
    #[error(
        "the local database was created by PostgreSQL {wanted}, which is not installed (versions found: {found}). Install \
         PostgreSQL {wanted}, or upgrade the data directory with pg_upgrade."
    )]
    VersionMissing { wanted: u32, found: String },
    /// We are root and there is no account to run PostgreSQL.
    #[error(
        "PostgreSQL refuses to run as root, and there is no account \"postgres\" or \"nobody\" to run it. Start the \
         program as an ordinary user."
    )]
    NoAccount,
    /// We are root, and the account that runs PostgreSQL cannot enter the directory.
    #[error(
        "PostgreSQL refuses to run as root, so it runs as {account}, which cannot reach {}: it may not enter {}. Choose a \
         data directory elsewhere, such as one below /var/lib, or start the program as an ordinary user.",
        dir.display(), blocked.display()
    )]
    OutOfReach { dir: PathBuf, blocked: PathBuf, account: String },
    /// The data directory holds something else.
    #[error("{} is not a complete PostgreSQL data directory; move it away, or choose another directory", dir.display())]
    NotACluster { dir: PathBuf },
    /// Somebody started a server by hand.
    #[error("a PostgreSQL server that was not started by this program (process {pid}) is running on {}; stop it first", dir.display())]
    ForeignServer { pid: u32, dir: PathBuf },
    /// The socket's directory would let others in.
    #[error("{}, where the database's socket goes, must be a directory that only its owner can enter", dir.display())]
    NotPrivate { dir: PathBuf },
    /// `initdb` failed.
    #[error("PostgreSQL could not create the local database:\n{output}")]
    Initdb { output: String },
    /// The server ended while starting.
    #[error("the local PostgreSQL server could not start ({status}):\n{log}")]
    Exited { status: String, log: String },
    /// The server does not accept connections.
    #[error("the local PostgreSQL server is not responding ({last}):\n{log}")]
    NoAnswer { last: String, log: String },
    /// The server does not stop.
    #[error("the PostgreSQL server on {} did not stop", dir.display())]
    StillRunning { dir: PathBuf },
    /// Another process is in the middle of a start or stop, and does not finish.
    #[error("another process has been starting or stopping the local database in {} for too long", dir.display())]
    Busy { dir: PathBuf },
    /// The operating system refused something.
    #[error("could not {what}: {cause}")]
    Io { what: String, cause: io::Error },
}

impl Error {
    fn io(what: String, cause: io::Error) -> Error {
        Error::Io { what, cause }
    }
}
