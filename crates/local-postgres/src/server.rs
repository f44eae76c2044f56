//! One PostgreSQL server process: start it, ask whether it answers, signal it.
//! A started server outlives the process that started it by at most a second once nobody uses it any more.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::Error;
use super::binaries::Binaries;
use super::layout::Layout;
use super::user::RunAs;

/// Becomes the server, leaving a watcher behind that outlives us.
///
/// Standard output is the reading end of the pipe `alive`. The watcher waits for its end, which comes when the last user
/// process has closed it or died, and then asks the server to stop: no server is left without a user, even by `kill -9`.
/// The watcher is detached, because PostgreSQL takes the death of a child it does not know for a crash. It acts only
/// while the process number is still that of this server, and waits for a server that has not written its number yet.
/// A throw-away cluster ($2) is removed when its server has gone.
const LAUNCH: &str = r#"
exec 3<&1 >/dev/null
(
    (
        while read -r _; do :; done
        tries=0
        while kill -0 $$ && [ $tries -lt 10 ]; do
            if read -r pid <"$1/postmaster.pid"; then
                [ "$pid" = $$ ] && kill -INT $$
                break
            fi
            tries=$((tries + 1))
            sleep 1
        done
        if [ -n "$2" ]; then
            while kill -0 $$; do sleep 1; done
            rm -rf -- "$2"
        fi
    ) <&3 3<&- 2>/dev/null &
)
shift 2
exec "$@" 3<&-
"#;

/// Starts the server. `held` is the locked file `server`, which the server and its children keep locked while any of them lives.
pub(super) fn spawn(
    layout: &Layout,
    run_as: &RunAs,
    binaries: &Binaries,
    held: File,
    throw_away: bool,
) -> Result<Child, Error> {
    let spawn = || -> io::Result<Child> {
        // Somebody (we) has the pipe open for writing, so this does not wait.
        let alive = File::open(layout.alive())?;
        let log = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(layout.start_log())?;
        run_as.own(&log)?;
        let mut config = std::ffi::OsString::from("config_file=");
        config.push(layout.config());
        let mut command = run_as.command("/bin/sh");
        command.arg("-c").arg(LAUNCH).arg("sh").arg(layout.data());
        command.arg(if throw_away { layout.dir().as_os_str() } else { "".as_ref() });
        command.arg(binaries.program("postgres")).arg("-D").arg(layout.data()).arg("-c").arg(config);
        command.stdin(Stdio::from(held)).stdout(Stdio::from(alive)).stderr(Stdio::from(log)).spawn()
    };
    spawn().map_err(|source| Error::io("start PostgreSQL".to_owned(), source))
}

/// Sends a signal to the server named in `postmaster.pid`, with the rights of the server's account only: the file belongs to
/// that account, so root must not obey it. No server, no effect.
pub(super) fn signal(layout: &Layout, run_as: &RunAs, signal: &str) -> Result<(), Error> {
    let script = r#"read -r pid <"$1" && [ "$pid" -gt 1 ] && kill -s "$2" "$pid""#;
    let mut command = run_as.command("/bin/sh");
    command.args(["-c", script, "sh"]).arg(layout.pid_file()).arg(signal);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop).map_err(|source| Error::io("signal PostgreSQL".to_owned(), source))
}

/// What a server said when asked.
pub(super) enum Answer {
    /// It takes connections, and the database exists.
    Ready,
    /// It is alive, but starting, recovering or stopping.
    NotYet,
    /// It could not be asked, and why.
    Silent(String),
}

/// Asks the server behind the socket, and creates the owner's database if it is missing.
pub(super) fn ask(socket_dir: &Path, owner: &str) -> Answer {
    // On a thread of its own, because a runtime must not be entered from within another one.
    let asked = std::thread::scope(|scope| {
        let ask = || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
            let patience = Duration::from_secs(10);
            runtime
                .block_on(async { tokio::time::timeout(patience, converse(socket_dir, owner)).await })
                .map_err(|e| e.to_string())
        };
        scope.spawn(ask).join().unwrap_or_else(|_| Err("the thread that asks PostgreSQL panicked".to_owned()))
    });
    match asked {
        Ok(Ok(())) => Answer::Ready,
        Ok(Err(error)) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => Answer::NotYet,
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Answer::Silent(format!("{error}{cause}"))
        }
        Err(error) => Answer::Silent(error),
    }
}

async fn converse(socket_dir: &Path, owner: &str) -> Result<(), tokio_postgres::Error> {
    let mut config = Config::new();
    config.host_path(socket_dir).port(5432).user(owner).dbname("postgres").ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect(NoTls).await?;
    // Both in this task: the connection has to be driven while the client waits, and ends when the client is dropped.
    let (answer, _) = tokio::join!(ensure_database(client, owner), connection);
    answer
}

async fn ensure_database(client: Client, name: &str) -> Result<(), tokio_postgres::Error> {
    let known = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await?;
    if known.is_none() {
        let name = name.replace('"', "\"\"");
        client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await?;
    }
    Ok(())
}
