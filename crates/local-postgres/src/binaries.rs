//! Finds the PostgreSQL server programs that are installed.
//! Chooses the version an existing data directory needs, or the newest one for a new directory; never one below 13.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use super::user::RunAs;

/// The oldest major version accepted: the first whose `initdb`, `DROP DATABASE … WITH (FORCE)` and settings the program relies on.
pub(super) const OLDEST: u32 = 13;

/// Directories to look for `initdb` and `postgres` in, best first.
#[derive(Debug, Clone)]
pub struct Search {
    directories: Vec<PathBuf>,
}

impl Search {
    /// Only these directories.
    pub fn only(directories: impl IntoIterator<Item = PathBuf>) -> Search {
        Search { directories: directories.into_iter().collect() }
    }

    /// `PATH`, what `pg_config --bindir` says, and where Debian, Red Hat, SUSE, Gentoo, Alpine, Homebrew, Postgres.app and
    /// a build from source put the programs.
    pub fn standard() -> Search {
        // PATH is how an operating system finds programs rather than a setting of ours, so it is read here.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = std::env::split_paths(&path).filter(|place| place.is_absolute()).collect();
        directories.extend(pg_config());
        for (parent, prefix, rest) in [
            ("/usr/lib/postgresql", "", "bin"),
            ("/usr", "pgsql-", "bin"),
            ("/usr/lib", "postgresql", "bin"),
            ("/usr/lib64", "postgresql-", "bin"),
            ("/usr/libexec", "postgresql", ""),
            ("/opt/homebrew/opt", "postgresql", "bin"),
            ("/usr/local/opt", "postgresql", "bin"),
            ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
            ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
            ("/usr/local", "pgsql", "bin"),
        ] {
            directories.extend(expand(Path::new(parent), prefix, rest));
        }
        Search { directories }
    }
}

/// The programs of one installed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The programs for an existing data directory of major version `wanted`, or else the newest ones.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] if there are none from version 13 on; [`Error::VersionMissing`] if there are some but not `wanted`.
    pub(super) fn find(search: &Search, run_as: &RunAs, wanted: Option<u32>) -> Result<Binaries, Error> {
        let mut installed: Vec<Binaries> = Vec::new();
        for place in &search.directories {
            // The canonical path lets two links to one place count once.
            let Ok(dir) = place.canonicalize() else { continue };
            if installed.iter().any(|known| known.dir == dir) || !dir.join("initdb").is_file() {
                continue;
            }
            if let Some(major) = version(&dir.join("postgres"), run_as) {
                if wanted == Some(major) {
                    return Ok(Binaries { dir, major });
                }
                installed.push(Binaries { dir, major });
            }
        }
        let mut found: Vec<u32> = installed.iter().map(|one| one.major).collect();
        found.sort_unstable();
        found.dedup();
        match wanted {
            Some(wanted) if !found.is_empty() => Err(Error::VersionMissing { wanted, found: list(&found) }),
            _ => {
                // Reversed, so that of equal versions the first found wins.
                let newest = installed.into_iter().rev().max_by_key(|one| one.major);
                newest
                    .filter(|one| one.major >= OLDEST)
                    .ok_or_else(|| Error::NotInstalled { found: list(&found), install: install_line() })
            }
        }
    }
}

fn list(majors: &[u32]) -> String {
    match majors {
        [] => "none".to_owned(),
        _ => majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The major version `program` reports when run as the account that will run the server: a program that account may not
/// run is no use.
fn version(program: &Path, run_as: &RunAs) -> Option<u32> {
    if !program.is_file() {
        return None;
    }
    let output = run_as.command(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, the 18 of `… 18beta1`.
fn parse_version(text: &str) -> Option<u32> {
    let number = text.split_once("(PostgreSQL)")?.1.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let dir = PathBuf::from(text.trim_end());
    (output.status.success() && dir.is_absolute()).then_some(dir)
}

/// `parent/<any name that starts with prefix>/rest`.
fn expand(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| if rest.is_empty() { entry.path() } else { entry.path().join(rest) })
        .collect();
    found.sort();
    found
}

/// What to type on this system to install the server.
fn install_line() -> String {
    let managers = [
        ("apt-get", "sudo apt-get install postgresql"),
        ("dnf", "sudo dnf install postgresql-server"),
        ("brew", "brew install postgresql"),
        ("apk", "apk add postgresql"),
        ("pacman", "sudo pacman -S postgresql"),
        ("zypper", "sudo zypper install postgresql-server"),
    ];
    let places = ["/usr/bin", "/sbin", "/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin"];
    let here = |name: &str| places.iter().any(|place| Path::new(place).join(OsStr::new(name)).is_file());
    managers.iter().find(|(name, _)| here(name)).map_or_else(
        || managers[..3].iter().map(|(_, line)| *line).collect::<Vec<_>>().join("  |  "),
        |(_, line)| (*line).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_server_prints() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(parse_version("something else 15"), None);
    }
}
