//! Files that appear under their name whole or not at all.

use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// A file in the output's directory, to be renamed to the output when it is complete. The error does not mention the
/// temporary name, which means nothing to the user.
pub fn beside(output: &Path) -> io::Result<NamedTempFile> {
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().permissions(permissions()).tempfile_in(directory);
    file.map_err(|error| error.kind().into())
}

/// What a file created the usual way may be used for, before the umask applies.
fn permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
