//! API keys, made as an operator makes them.

use super::process;
use super::wait::in_time;

/// What `halftone keys` with these arguments prints, for the database at `database_url`.
pub async fn command(database_url: &str, arguments: &[&str]) -> std::process::Output {
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    let data_dir = data_dir.path().to_str().expect("a path in UTF-8");
    let ours = ["--database-url", database_url, "--data-dir", data_dir];
    let run = process::halftone().arg("keys").args(arguments).args(ours).kill_on_drop(true).output();
    in_time("halftone keys", run).await.expect("run halftone")
}

/// A new key, made with these arguments beside its name.
pub async fn create(database_url: &str, arguments: &[&str]) -> String {
    let output = command(database_url, &[&["create", "--name", "test"], arguments].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}
