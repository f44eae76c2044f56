//! The files through which processes that share a cluster know of each other.
//! All are released by the kernel when a process dies, however it dies.
//!
//! | file | who holds it | what it says |
//! |---|---|---|
//! | `lock` | the process that starts or stops the server, exclusively | wait your turn |
//! | `users` | every process that uses the server, shared | locking it exclusively succeeds only if nobody does |
//! | `server` | PostgreSQL and all its children, exclusively, as standard input | somebody of the server is alive |
//! | `alive` | a named pipe; every user process keeps it open for writing | it ends when the last user is gone |

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Error;
use super::user::RunAs;

const POLL: Duration = Duration::from_millis(20);

/// Opens a lock file, making it if it is absent.
pub(super) fn open(path: &Path, run_as: &RunAs) -> Result<File, Error> {
    let open = || -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        run_as.own(&file)?;
        Ok(file)
    };
    open().map_err(|source| Error::io(format!("open {}", path.display()), source))
}

/// True if the lock was free and is now held exclusively.
pub(super) fn try_lock(file: &File) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(Error::io("lock a file of the local database".to_owned(), source)),
    }
}

/// Waits for the exclusive lock; false if it was not free within `patience`.
pub(super) fn lock_within(file: &File, patience: Duration) -> Result<bool, Error> {
    let started = Instant::now();
    loop {
        if try_lock(file)? {
            return Ok(true);
        }
        if started.elapsed() >= patience {
            return Ok(false);
        }
        std::thread::sleep(POLL);
    }
}

/// Takes or downgrades to the shared lock. Call it only while holding `lock`, so that nobody holds it exclusively.
pub(super) fn share(file: &File) -> Result<(), Error> {
    file.lock_shared().map_err(|source| Error::io("lock a file of the local database".to_owned(), source))
}

/// Opens the named pipe `path` for writing, making it if it is absent, and never waits for a reader.
pub(super) fn open_pipe(path: &Path, run_as: &RunAs) -> Result<File, Error> {
    let failed = |source| Error::io(format!("open the named pipe {}", path.display()), source);
    if std::fs::symlink_metadata(path).is_err() {
        // The command rather than the system call, which macOS lacks in the form that works elsewhere.
        let made = run_as_ourselves("mkfifo").args(["-m", "600"]).arg(path).status().map_err(failed)?;
        if !made.success() && std::fs::symlink_metadata(path).is_err() {
            return Err(failed(io::Error::other("mkfifo failed")));
        }
    }
    // Reading and writing: opening for writing alone would wait for a reader. What counts is that it can be written.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    if !file.metadata().map_err(failed)?.file_type().is_fifo() {
        return Err(failed(io::Error::other("it is not a named pipe")));
    }
    run_as.own(&file).map_err(failed)?;
    Ok(file)
}

fn run_as_ourselves(program: &str) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
