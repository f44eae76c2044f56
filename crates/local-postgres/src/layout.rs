//! The files of a managed cluster, and making the directory that holds them.
//! Everything made is private to the account that runs the server.
//!
//! ```text
//! <dir>/data/             PostgreSQL's data directory, made by initdb
//! <dir>/postgresql.conf   the settings, written anew at every start
//! <dir>/custom.conf       yours, optional: read last, so it wins
//! <dir>/log/              the server's log, a file per weekday, and start.log
//! <dir>/run/ or the directory named in <dir>/socket: the socket
//! <dir>/lock users server alive    see the lock module
//! ```

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;
use super::user::RunAs;

#[derive(Debug, Clone)]
pub(super) struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// The layout below `dir`, made absolute.
    pub(super) fn new(dir: &Path) -> Result<Layout, Error> {
        let failed = |source| Error::io(format!("find the directory {}", dir.display()), source);
        // Links are resolved where they exist: PostgreSQL and the check for a running server compare real paths.
        let absolute = std::path::absolute(dir).map_err(failed)?;
        let existing = absolute.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
        let rest = absolute.strip_prefix(existing).unwrap_or(Path::new(""));
        let real = existing.canonicalize().map_err(failed)?;
        Ok(Layout { dir: if rest.as_os_str().is_empty() { real } else { real.join(rest) } })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
    pub(super) fn version_file(&self) -> PathBuf {
        self.data().join("PG_VERSION")
    }
    pub(super) fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("postgresql.conf")
    }
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
    pub(super) fn start_log(&self) -> PathBuf {
        self.log().join("start.log")
    }
    pub(super) fn run(&self) -> PathBuf {
        self.dir.join("run")
    }
    pub(super) fn socket_note(&self) -> PathBuf {
        self.dir.join("socket")
    }
    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }
    pub(super) fn users(&self) -> PathBuf {
        self.dir.join("users")
    }
    pub(super) fn server(&self) -> PathBuf {
        self.dir.join("server")
    }
    pub(super) fn alive(&self) -> PathBuf {
        self.dir.join("alive")
    }

    /// Makes the directory and its missing parents. Harmless when done twice, also at the same time.
    pub(super) fn make(&self, run_as: &RunAs) -> Result<(), Error> {
        let missing: Vec<&Path> = self.dir.ancestors().skip(1).take_while(|place| !place.exists()).collect();
        for parent in missing.into_iter().rev() {
            // As root, the server's account has to pass through, whatever our umask.
            make_dir(parent, 0o755).map_err(|source| Error::io(format!("make {}", parent.display()), source))?;
        }
        if !self.dir.exists() {
            make_own_dir(&self.dir, run_as)?;
        }
        make_own_dir(&self.log(), run_as)
    }
}

/// Makes a private directory, unless it exists, and gives it to the server's account.
pub(super) fn make_own_dir(path: &Path, run_as: &RunAs) -> Result<(), Error> {
    let made = make_dir(path, 0o700).and_then(|()| give(path, run_as));
    made.map_err(|source| Error::io(format!("make {}", path.display()), source))
}

/// Gives a directory to the server's account; a link in its place is an error.
pub(super) fn give(dir: &Path, run_as: &RunAs) -> io::Result<()> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::DIRECTORY;
    run_as.own(&OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(dir)?)
}

/// Makes a directory with exactly this mode; one that exists already keeps its own.
fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a small file that replaces `path` as a whole, owned by the server's account.
pub(super) fn replace_file(path: &Path, text: &[u8], run_as: &RunAs) -> Result<(), Error> {
    let replace = || -> io::Result<()> {
        let parent = path.parent().ok_or_else(|| io::Error::other("no parent directory"))?;
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        io::Write::write_all(&mut file, text)?;
        run_as.own(file.as_file())?;
        file.persist(path)?;
        Ok(())
    };
    replace().map_err(|source| Error::io(format!("write {}", path.display()), source))
}

/// Makes what was written below `dir` durable: one call for its whole filesystem is several times faster than a file at
/// a time for the thousand files of a new cluster.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    let handle = File::open(dir)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&handle)?;
    handle.sync_all()
}
