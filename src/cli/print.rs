//! What the commands print.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use super::NO_FILE;

/// Prints a line as `println!` does, but goes on where it cannot be printed. A closed pipe is ignored.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::cli::print::line(format_args!($($line)*))
    };
}

static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Whether something could not be printed, as on a full disk; the exit code then says so.
pub fn has_failed() -> bool {
    HAS_FAILED.load(Ordering::Relaxed)
}

pub fn line(line: std::fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}")
        && error.kind() != io::ErrorKind::BrokenPipe
        && !HAS_FAILED.swap(true, Ordering::Relaxed)
    {
        eprintln!("error: cannot print: {error}");
    }
}

/// Says that a file cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> ExitCode {
    eprintln!("error: cannot read {}: {error}", path.display());
    ExitCode::from(NO_FILE)
}

/// A number of things: `1 error`, `2 errors`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
