//! Who runs PostgreSQL: ourselves, or, when we are root, an account without privileges.
//! Every child process of this module is made here, so none inherits `PG*` settings or our terminal's signals.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// The account that owns the cluster's files and runs its processes.
#[derive(Debug, Clone)]
pub(super) struct RunAs {
    pub(super) uid: u32,
    gid: u32,
    name: String,
    /// We are root and have to become this account first.
    drop: bool,
}

impl RunAs {
    /// Ourselves, unless we are root: PostgreSQL refuses to run as root, so then the owner of the existing data
    /// directory, else `postgres`, else `nobody`.
    pub(super) fn choose(data: &Path) -> Result<RunAs, Error> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return Ok(RunAs { uid, gid, name: format!("user {uid}"), drop: false });
        }
        if let Ok(found) = std::fs::symlink_metadata(data)
            && found.is_dir()
            && found.uid() != 0
        {
            return Ok(RunAs { uid: found.uid(), gid: found.gid(), name: format!("user {}", found.uid()), drop: true });
        }
        ["postgres", "nobody"].iter().find_map(|name| account(name)).ok_or(Error::NoAccount)
    }

    /// A command that runs as this account: in its own process group (Ctrl-C is for the program, which drains before it
    /// stops its database), in `/`, without input, in the C locale, UTC, and without `PG*` variables.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // Not configuration: names are looked at only to keep them from the child.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PG") || text.starts_with("LC_") || text == "LANG" || text == "LANGUAGE" {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").process_group(0);
        command.stdin(Stdio::null());
        if self.drop {
            // The standard library clears the supplementary groups too.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives an open file or directory we made to this account. By handle: a link put in its place is never followed.
    pub(super) fn own(&self, file: &File) -> io::Result<()> {
        if self.drop { fchown(file, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// True if `found` is a directory of this account that nobody else can enter.
    pub(super) fn is_private_directory(&self, found: &Metadata) -> bool {
        found.is_dir() && found.uid() == self.uid && found.permissions().mode() & 0o077 == 0
    }

    /// Fails with the blocking directory if this account cannot enter `dir`, an absolute path whose end may not exist yet.
    pub(super) fn check_reach(&self, dir: &Path) -> Result<(), Error> {
        if !self.drop {
            return Ok(());
        }
        let nearest = dir.ancestors().find(|place| place.is_dir()).unwrap_or(Path::new("/"));
        // Asking the kernel also honours access lists, which mode bits do not show.
        let entered = self
            .command("/bin/sh")
            .args(["-c", r#"cd -- "$1""#, "sh"])
            .arg(nearest)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|source| Error::io(format!("run /bin/sh as {}", self.name), source))?;
        if entered.success() {
            return Ok(());
        }
        let blocked = self.first_closed(nearest);
        Err(Error::OutOfReach { dir: dir.to_owned(), blocked, account: self.name.clone() })
    }

    fn first_closed(&self, dir: &Path) -> PathBuf {
        let mut places: Vec<&Path> = dir.ancestors().collect();
        places.reverse();
        let closed = places.iter().find(|place| {
            std::fs::metadata(place).is_ok_and(|found| {
                let bit = match () {
                    () if found.uid() == self.uid => 0o100,
                    () if found.gid() == self.gid => 0o010,
                    () => 0o001,
                };
                found.permissions().mode() & bit == 0
            })
        });
        closed.copied().unwrap_or(dir).to_owned()
    }
}

/// Asks `id`, which also knows accounts that are not in `/etc/passwd`.
fn account(name: &str) -> Option<RunAs> {
    let number = |option: &str| -> Option<u32> {
        let output = Command::new("id").args([option, name]).stderr(Stdio::null()).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    let (uid, gid) = (number("-u")?, number("-g")?);
    (uid != 0).then(|| RunAs { uid, gid, name: format!("user \"{name}\""), drop: true })
}
