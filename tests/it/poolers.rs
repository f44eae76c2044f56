//! PgBouncer between Halftone and PostgreSQL: pooling of sessions works, pooling of transactions is refused.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::json;
use tokio::process::{Child, Command};

use crate::support::database;
use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::halftone;
use crate::support::wait::{in_time, until};

/// A running PgBouncer. It ends when it is dropped.
struct PgBouncer {
    url: String,
    _child: Child,
    _directory: tempfile::TempDir,
}

impl PgBouncer {
    /// In front of the database at `url`. None where it is not installed: `./dev check` installs it where it can.
    async fn start(url: &str, pool_mode: &str) -> Option<Self> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&paths).chain(["/usr/sbin".into()]);
        let Some(program) = places.map(|place| place.join("pgbouncer")).find(|program| program.exists()) else {
            assert!(std::env::var_os("CI").is_none(), "PgBouncer is not installed");
            eprintln!("Skipped: PgBouncer is not installed.");
            return None;
        };
        let config: tokio_postgres::Config = url.parse().unwrap();
        let host = match &config.get_hosts()[0] {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.to_str().unwrap().to_owned(),
        };
        let (port, user) = (config.get_ports().first().copied().unwrap_or(5432), config.get_user().unwrap());
        let password = config.get_password().map(|secret| std::str::from_utf8(secret).unwrap());
        let password = password.map(|secret| format!("password={secret}")).unwrap_or_default();
        let database = config.get_dbname().unwrap();
        // Free a moment ago; PgBouncer cannot choose one itself.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let settings = format!(
            "[databases]\n* = host={host} port={port} user={user} {password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {free}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = 50\n"
        );
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        // It refuses to run as root, as PostgreSQL does, whose socket only its own user may use.
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        until("PgBouncer listens", async || {
            assert_eq!(child.try_wait().unwrap(), None, "PgBouncer ended");
            tokio::net::TcpStream::connect(("127.0.0.1", free)).await.is_ok()
        })
        .await;
        let url = format!("postgres://{user}@127.0.0.1:{free}/{database}?sslmode=disable");
        Some(Self { url, _child: child, _directory: directory })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_processed_through_a_pooler_of_sessions() {
    let direct = database::fresh().await;
    let Some(pooler) = PgBouncer::start(&direct, "session").await else { return };
    let origin = Origin::start().await;
    let image = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let mut halftone = Halftone::on(pooler.url.clone(), &[]).await;
    halftone.database_url.clone_from(&direct);
    let id = halftone.client.accepted(&csv(&[&[&image]]), json!({})).await;
    // A subscription, so notifications arrive.
    assert_eq!(halftone.client.finished(&id).await["status"], "COMPLETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_of_transactions_is_refused_with_a_sentence() {
    let direct = database::fresh().await;
    let Some(pooler) = PgBouncer::start(&direct, "transaction").await else { return };
    let directory = tempfile::tempdir().unwrap();
    let sheet = directory.path().join("sheet.csv");
    std::fs::write(&sheet, csv(&[&["https://www.example.com/1.jpg"]])).unwrap();
    let sheet = sheet.to_str().unwrap();
    let commands: [&[&str]; 5] =
        [&["serve", "--listen", "127.0.0.1:0"], &["work"], &["run", sheet], &["migrate"], &["keys", "list"]];
    for arguments in commands {
        let mut command = halftone();
        command.args(arguments).args(["--database-url", &pooler.url]).kill_on_drop(true);
        command.args(["--data-dir", directory.path().to_str().unwrap()]);
        let output = in_time("a refusal", command.output()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("pool_mode = session"), "{arguments:?}: {said}");
    }
    let mut command = halftone();
    command.args(["doctor", "--json", "--listen", "127.0.0.1:0", "--database-url", &pooler.url]);
    command.args(["--data-dir", directory.path().to_str().unwrap()]);
    let output = command.output().await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == "database pool");
    let finding = finding.unwrap_or_else(|| panic!("{report}"));
    assert_eq!((output.status.code(), &finding["verdict"]), (Some(1), &json!("bad")), "{report}");
    assert!(finding["message"].as_str().unwrap().contains("pool_mode = session"), "{report}");
}
