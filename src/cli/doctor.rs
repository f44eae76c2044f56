//! `halftone doctor`: looks at everything a Halftone with these settings needs, and says what is wrong and what to do.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::config::{Config, DatabaseUrl, LogFormat};
use crate::db::doctor::{self, Examined};
use crate::db::pooler;
use crate::db::server::Database;
use crate::store::Store;
use crate::{app, descriptors, telemetry};

/// How long anything may take that is asked.
const PATIENCE: Duration = Duration::from_secs(20);
/// How far the clocks of this machine and the database may be apart: links and leases end by one, requests to stores by the other.
const CLOCKS_APART: Duration = Duration::from_secs(5);
/// Room on the disk that uploads and result files need while they are made, and the oldest supported version of Postgres.
const FREE_BYTES: u64 = 1 << 30;
const OLDEST_POSTGRES: i32 = 130_000;
/// Files and connections that a busy process has open.
const OPEN_FILES: usize = 1_024;

#[derive(clap::Args)]
pub struct Arguments {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// It works, and may not for long or for everyone.
    Doubtful,
    /// It does not work.
    Bad,
}

/// What was found of one thing.
#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    verdict: Verdict,
    message: String,
}

#[derive(Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn note(&mut self, subject: &'static str, verdict: Verdict, message: impl Into<String>) {
        self.findings.push(Finding { subject, verdict, message: message.into() });
    }

    fn is_bad(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Bad)
    }
}

/// Exit code 1 when something does not work.
pub async fn doctor(config: Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // What is wrong with a certificate is in the report.
    telemetry::init("error,rustls_platform_verifier=off", config.general.log_format == LogFormat::Json, None)?;
    let mut report = Report::default();
    examine_disk(&mut report, &config.general.data_dir);
    examine_database(&mut report, &config).await;
    examine_store(&mut report, &config).await;
    let limit = descriptors::limit();
    match limit {
        limit if limit >= OPEN_FILES => {
            report.note("descriptors", Verdict::Good, format!("{limit} files may be open."));
        }
        limit => report.note(
            "descriptors",
            Verdict::Doubtful,
            format!(
                "Only {limit} files may be open. Raise the limit (`ulimit -n`, LimitNOFILE=) to {OPEN_FILES} or more."
            ),
        ),
    }
    let server = &config.server;
    examine_listener(&mut report, "listen", server.listen).await;
    if let Some(address) = server.admin_listen {
        examine_listener(&mut report, "admin-listen", address).await;
    }
    examine_public_url(&mut report, &config).await;

    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for Finding { subject, verdict, message } in &report.findings {
            let verdict = match verdict {
                Verdict::Good => "good",
                Verdict::Doubtful => "doubtful",
                Verdict::Bad => "BAD",
            };
            say!("{verdict:<8}  {subject}: {message}");
        }
    }
    Ok(if report.is_bad() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine_disk(report: &mut Report, directory: &Path) {
    let shown = directory.display();
    let examined = std::fs::create_dir_all(directory).and_then(|()| tempfile::tempfile_in(directory)).and_then(|_| {
        let disk = rustix::fs::statvfs(directory)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    });
    match examined {
        Ok(free) if free >= FREE_BYTES => {
            report.note("disk", Verdict::Good, format!("{} are free in {shown}.", ByteSize(free)));
        }
        Ok(free) => report.note(
            "disk",
            Verdict::Doubtful,
            format!("Only {} are free in {shown}. Make room, or choose another --data-dir.", ByteSize(free)),
        ),
        Err(error) => report.note(
            "disk",
            Verdict::Bad,
            format!(
                "Nothing can be written to {shown}: {error}. Let this user write there, or choose another --data-dir."
            ),
        ),
    }
}

async fn examine_database(report: &mut Report, config: &Config) {
    let general = &config.general;
    let url = general.database_url.as_ref().map(DatabaseUrl::reveal);
    // Said because another one may be meant: a variable is easily lost on its way here.
    let whose = match url {
        Some(_) => String::new(),
        None => format!(" It is the managed one in {}: DATABASE_URL is not set.", general.data_dir.display()),
    };
    let examined = async {
        let data_dir = std::path::absolute(&general.data_dir)?;
        let database = Database::open(url, data_dir).await?;
        let examined = doctor::examine(database.url()).await;
        database.stop().await?;
        examined
    };
    let examined: Examined = match timeout(PATIENCE, examined).await {
        Ok(Ok(Some(examined))) => examined,
        Ok(Ok(None)) => return report.note("database pool", Verdict::Bad, pooler::REFUSAL),
        Ok(Err(error)) => {
            let message = format!(
                "{error:#}. Check DATABASE_URL, and that the server is running and accepts connections from this machine."
            );
            return report.note("database", Verdict::Bad, message);
        }
        Err(_) => {
            let message = format!("It did not answer within {PATIENCE:?}. Check its address and the firewall.{whose}");
            return report.note("database", Verdict::Bad, message);
        }
    };
    match &examined.version {
        (number, name) if *number < OLDEST_POSTGRES => {
            report.note("database", Verdict::Bad, format!("It is PostgreSQL {name}; Halftone needs 13 or newer."));
        }
        (_, name) => report.note("database", Verdict::Good, format!("PostgreSQL {name} answers.{whose}")),
    }
    match (examined.is_encrypted, examined.is_remote) {
        (true, _) => report.note("database TLS", Verdict::Good, "The connection is encrypted."),
        (false, false) => report.note("database TLS", Verdict::Good, "The connection does not leave this machine."),
        (false, true) => report.note(
            "database TLS",
            Verdict::Doubtful,
            "The connection is not encrypted. Add sslmode=verify-full to DATABASE_URL unless the network is private.",
        ),
    }
    match (examined.unknown_migration, examined.pending_migrations) {
        (Some(unknown), _) => report.note(
            "schema",
            Verdict::Bad,
            format!("A newer Halftone has migrated the database ({unknown} is unknown to this version). Run that version or a later one."),
        ),
        (None, 0) => report.note("schema", Verdict::Good, "It is up to date."),
        (None, pending) => report.note(
            "schema",
            Verdict::Good,
            format!("Pending migrations: {pending}. The next start, or `halftone migrate`, applies them."),
        ),
    }
    let apart = examined.clocks_apart;
    if apart > CLOCKS_APART {
        let message = format!(
            "This machine's clock and the database's are {:.0} s apart. Synchronise both with NTP: links and signed requests expire by these clocks.",
            apart.as_secs_f64()
        );
        report.note("clock", Verdict::Bad, message);
    } else {
        report.note("clock", Verdict::Good, "This machine and the database agree on the time.");
    }
}

async fn examine_store(report: &mut Report, config: &Config) {
    let address = app::store_address(config);
    let storage = &config.storage;
    let examined = async {
        let store = Store::open(&address, storage.store_endpoint.as_deref(), &storage.environment).await?;
        store.try_out().await
    };
    match timeout(PATIENCE, examined).await {
        Ok(Ok(())) => {
            report.note("store", Verdict::Good, format!("An object was stored in {address}, read and removed."));
        }
        Ok(Err(error)) => report.note(
            "store",
            Verdict::Bad,
            format!("{error:#}. Check --store, --store-endpoint, and the credentials and their permissions."),
        ),
        Err(_) => report.note(
            "store",
            Verdict::Bad,
            format!("{address} did not answer within {PATIENCE:?}. Check --store-endpoint and the firewall."),
        ),
    }
}

async fn examine_listener(report: &mut Report, subject: &'static str, address: SocketAddr) {
    match TcpListener::bind(address).await {
        Ok(_) => report.note(subject, Verdict::Good, format!("{address} is free.")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => report.note(
            subject,
            Verdict::Doubtful,
            format!("Something is already listening on {address}. If that is not Halftone, choose another address with --{subject}."),
        ),
        Err(error) => report.note(
            subject,
            Verdict::Bad,
            format!("Halftone cannot listen on {address}: {error}. Choose an address of this machine with --{subject}."),
        ),
    }
}

async fn examine_public_url(report: &mut Report, config: &Config) {
    let url = &config.public_url;
    if config.server.public_url.is_none() && !config.server.listen.ip().is_loopback() {
        let message =
            format!("Links would begin with {url}. Set --public-url to the address at which clients reach the API.");
        return report.note("public-url", Verdict::Bad, message);
    }
    // Only the first provider of a process can be installed; if one is there already, it is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        client.get(format!("{url}/healthz")).send().await
    };
    match asked.await {
        Ok(answer) if answer.status().is_success() => {
            report.note("public-url", Verdict::Good, format!("{url} leads to Halftone."));
        }
        Ok(answer) => report.note(
            "public-url",
            Verdict::Doubtful,
            format!("{url}/healthz returns {}. Check that the proxy leads to Halftone.", answer.status()),
        ),
        Err(error) => {
            let error = anyhow::Error::from(error.without_url());
            let message =
                format!("{url}/healthz did not answer ({error:#}). This is expected if Halftone is not running.");
            report.note("public-url", Verdict::Doubtful, message);
        }
    }
}
