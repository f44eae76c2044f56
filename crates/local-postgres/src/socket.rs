//! Where the server's socket is: in the cluster's own directory when the path is short enough, else in a private
//! directory below `/tmp` whose name is kept in a note, so that a second process and the next start find it.
//! The directory is the access control: only its owner (and root) can enter, and every process that can is trusted.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::layout::{self, Layout};
use super::user::RunAs;

/// The server's only use of a port number is the name of its socket.
pub(super) const FILE: &str = ".s.PGSQL.5432";

/// `sun_path` holds 108 bytes on Linux and 104 elsewhere, with the closing zero.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The socket directory of a cluster that has been started before.
pub(super) fn recorded(layout: &Layout) -> PathBuf {
    match std::fs::read(layout.socket_note()) {
        Ok(note) => PathBuf::from(OsStr::from_bytes(&note)),
        Err(_) => layout.run(),
    }
}

/// The socket directory, made or found again, with no leftover of a dead server in it. Call it only while no server runs.
pub(super) fn prepare(layout: &Layout, run_as: &RunAs) -> Result<PathBuf, Error> {
    let dir = if fits(&layout.run()) { prepare_inside(layout, run_as)? } else { prepare_outside(layout, run_as)? };
    for name in [FILE.to_owned(), format!("{FILE}.lock")] {
        // PostgreSQL would take a lock file for valid if an unrelated process has its number by now.
        let _ = std::fs::remove_file(dir.join(name));
    }
    Ok(dir)
}

/// Removes a socket directory that is outside of the cluster's own.
pub(super) fn clear(layout: &Layout, dir: &Path) {
    if dir != layout.run() {
        let _ = std::fs::remove_dir(dir);
    }
}

fn prepare_inside(layout: &Layout, run_as: &RunAs) -> Result<PathBuf, Error> {
    let dir = layout.run();
    let _ = std::fs::remove_file(layout.socket_note());
    layout::make_own_dir(&dir, run_as)?;
    if is_ours(&dir, run_as) { Ok(dir) } else { Err(Error::NotPrivate { dir }) }
}

fn prepare_outside(layout: &Layout, run_as: &RunAs) -> Result<PathBuf, Error> {
    let before = recorded(layout);
    if fits(&before) && before.starts_with("/tmp") {
        // The same name again, so that addresses handed out earlier stay right. What others put there is not touched.
        let made = DirBuilder::new().mode(0o700).create(&before).and_then(|()| layout::give(&before, run_as));
        if made.is_ok() || is_ours(&before, run_as) {
            return Ok(before);
        }
    }
    // A random name: anybody may write to /tmp and could have taken one that can be foreseen.
    let failed = |source| Error::io("create a directory for the database's socket in /tmp".to_owned(), source);
    let dir = tempfile::Builder::new().prefix("local-postgres-").tempdir_in("/tmp").map_err(failed)?;
    layout::give(dir.path(), run_as).map_err(failed)?;
    layout::replace_file(&layout.socket_note(), dir.path().as_os_str().as_bytes(), run_as)?;
    Ok(dir.keep())
}

fn is_ours(dir: &Path, run_as: &RunAs) -> bool {
    std::fs::symlink_metadata(dir).is_ok_and(|found| run_as.is_private_directory(&found))
}

/// Short enough for a socket address, and free of what PostgreSQL's list of socket directories would need quoted.
fn fits(dir: &Path) -> bool {
    let bytes = dir.as_os_str().as_bytes();
    // The server also makes the socket's lock file beside it, but only the socket is an address.
    bytes.len() + 1 + FILE.len() <= LONGEST
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_paths_hold_the_socket() {
        assert!(fits(Path::new("/var/lib/example/postgres/run")));
        assert!(!fits(Path::new("/home/me/my data/run")));
        let longest = format!("/{}", "a".repeat(LONGEST - FILE.len() - 2));
        assert!(fits(Path::new(&longest)));
        assert!(!fits(Path::new(&format!("{longest}a"))));
    }
}
