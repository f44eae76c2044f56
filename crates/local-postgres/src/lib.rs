//! A PostgreSQL server of our own, for when no database is configured: made, started and stopped by the program.
//! As long as a process holds a [`LocalPostgres`] there is a server; when the last one ends, however it ends, it stops.
//!
//! # How the processes that share a cluster get along
//!
//! The server belongs to nobody in particular. Every user process holds a shared lock and the writing end of a named
//! pipe (the module `lock` has the list). Whoever comes first starts the server, whoever comes later attaches, and the last one to leave
//! stops it, whether or not that one started it.
//!
//! - A user killed with `kill -9` loses its lock and its end of the pipe at that moment. Others do not notice. If it was
//!   the last, the pipe ends, and a small watcher beside the server asks the server to stop. Both work the same on Linux and
//!   macOS and need no signal tied to a thread, as `PR_SET_PDEATHSIG` is.
//! - A server that dies is started again by the keeper of whichever process notices first, within a second.
//! - Whether a server lives is never guessed from a process number: the server and all its children hold a lock.
//! - Starts and stops happen one at a time, under a lock of their own.
//!
//! Anybody who can enter the socket's directory is trusted as the database's owner: that is the account the server runs
//! as, and root.

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

/// The owner of everything in the cluster, and the name to connect as.
const ROLE: &str = "halftone";
/// The database that always exists.
const DATABASE: &str = "halftone";

/// What survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every committed transaction.
    Full,
    /// Nothing for certain, at several times the speed: for throw-away clusters of tests. When only the program or the server
    /// crashes, and not the machine, every committed transaction survives even so.
    None,
}

/// A share in a running local server. Dropping it leaves as [`LocalPostgres::stop`] does, and logs what goes wrong.
#[derive(Debug)]
pub struct LocalPostgres {
    socket_dir: PathBuf,
    attached: bool,
    keeper: Option<Keeper>,
}

impl LocalPostgres {
    /// Makes the cluster at `dir` if there is none, starts its server or attaches to the running one, and waits until it
    /// accepts connections. The database `halftone` exists then.
    ///
    /// Blocks, for some seconds the first time. As root, everything is made for and run by the account `postgres`, else
    /// `nobody`, which has to be able to reach `dir`.
    ///
    /// # Errors
    /// Each [`Error`] is a sentence for the person who started the program. Nothing is created when PostgreSQL is missing
    /// or `dir` is out of reach.
    pub fn start(dir: &Path, durability: Durability) -> Result<LocalPostgres, Error> {
        LocalPostgres::start_with(dir, durability, Search::standard())
    }

    /// Like [`LocalPostgres::start`], looking for the PostgreSQL programs in the given places.
    pub fn start_with(dir: &Path, durability: Durability, search: Search) -> Result<LocalPostgres, Error> {
        let layout = Layout::new(dir)?;
        let run_as = RunAs::choose(&layout.data())?;
        Self::join(Cluster { layout, run_as, durability, search, throw_away: false })
    }

    /// A new cluster with [`Durability::None`] in a directory of its own below `/tmp`, for tests. It is removed when its
    /// last user ends, also one that is killed or that never drops its handle.
    pub fn throw_away() -> Result<LocalPostgres, Error> {
        let run_as = RunAs::choose(Path::new("/nonexistent"))?;
        let failed = |source| Error::io("make a directory in /tmp".to_owned(), source);
        let dir = tempfile::Builder::new().prefix("halftone-test-").tempdir_in("/tmp").map_err(failed)?;
        run_as.own(&std::fs::File::open(dir.path()).map_err(failed)?).map_err(failed)?;
        let layout = Layout::new(dir.path())?;
        let cluster =
            Cluster { layout, run_as, durability: Durability::None, search: Search::standard(), throw_away: true };
        let started = Self::join(cluster)?;
        let _ = dir.keep();
        Ok(started)
    }

    fn join(cluster: Cluster) -> Result<LocalPostgres, Error> {
        let keeper = Keeper::join(cluster)?;
        Ok(LocalPostgres { socket_dir: keeper.socket_dir.clone(), attached: keeper.attached, keeper: Some(keeper) })
    }

    /// The address of `database` on this server, for `tokio_postgres`, diesel-async and `psql`. It stays the same for the life
    /// of the handle.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encode(self.socket_dir.as_os_str().as_bytes(), NON_ALPHANUMERIC);
        let database = percent_encode(database.as_bytes(), NON_ALPHANUMERIC);
        format!("postgres://{ROLE}@{host}/{database}?sslmode=disable")
    }

    /// True if the server was already running for another process when this one came.
    pub fn attached(&self) -> bool {
        self.attached
    }

    /// Leaves. If nobody else uses the server it is stopped, cutting connections that are still open, and this waits, less
    /// than a minute, until it has ended; else it goes on for the others.
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
        "PostgreSQL {} or newer is needed and was not found (versions found: {found}). Install it with\n    {install}\nor set \
         DATABASE_URL to a PostgreSQL database you have.",
        binaries::OLDEST
    )]
    NotInstalled { found: String, install: String },
    /// The data directory was made by a version that is not installed.
    #[error(
        "the local database was made by PostgreSQL {wanted}, which is not installed (versions found: {found}). Install \
         PostgreSQL {wanted}, or upgrade the data directory with pg_upgrade, or set DATABASE_URL to another database."
    )]
    VersionMissing { wanted: u32, found: String },
    /// We are root and there is no account to run PostgreSQL.
    #[error(
        "PostgreSQL refuses to run as root, and neither of the accounts \"postgres\" and \"nobody\" exists to run it. Start the \
         program as an ordinary user, or set DATABASE_URL."
    )]
    NoAccount,
    /// We are root, and the account that runs PostgreSQL cannot enter the directory.
    #[error(
        "PostgreSQL refuses to run as root, so it runs as {account}, which cannot reach {}: {} is closed to it. Choose a \
         data directory elsewhere, such as /var/lib/halftone, or start the program as an ordinary user.",
        dir.display(), blocked.display()
    )]
    OutOfReach { dir: PathBuf, blocked: PathBuf, account: String },
    /// The data directory holds something else.
    #[error("{} is not a complete PostgreSQL data directory; move it away or choose another data directory", dir.display())]
    NotACluster { dir: PathBuf },
    /// Somebody started a server by hand.
    #[error("a PostgreSQL server that was not started by this program (process {pid}) is running on {}; stop it first", dir.display())]
    ForeignServer { pid: u32, dir: PathBuf },
    /// The socket's directory would let others in.
    #[error("{}, where the database's socket goes, must be a directory that only its owner can enter", dir.display())]
    NotPrivate { dir: PathBuf },
    /// `initdb` failed.
    #[error("PostgreSQL could not make the local database:\n{output}")]
    Initdb { output: String },
    /// The server ended while starting.
    #[error("the local PostgreSQL server could not start ({status}):\n{log}")]
    Exited { status: String, log: String },
    /// The server does not accept connections.
    #[error("the local PostgreSQL server does not answer ({last}):\n{log}")]
    NoAnswer { last: String, log: String },
    /// The server does not stop.
    #[error("the PostgreSQL server on {} does not stop", dir.display())]
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
