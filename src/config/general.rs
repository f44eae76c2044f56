//! Settings of every command: the database, the data directory, the logs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::value::{self, duration, number};
use crate::db::target::{InvalidTarget, Target};

/// General settings.
#[derive(Debug, Clone, clap::Args)]
pub struct General {
    /// The PostgreSQL database to use; across a network, with `sslmode=verify-full`. Without it, Halftone runs its own server in the data directory
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// A file that holds the URL instead, as secrets are mounted into containers
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// Where the outputs and the managed database are stored
    #[arg(long, env = "HALFTONE_DATA_DIR", value_name = "DIR", default_value = "./halftone-data")]
    pub data_dir: PathBuf,
    /// How long requests are kept after they have ended, with their outputs. Default: for ever
    #[arg(
        long,
        env = "HALFTONE_KEEP_REQUESTS",
        value_name = "DURATION",
        value_parser = duration("1h", "100y")
    )]
    pub keep_requests: Option<Duration>,
    /// How long outputs are kept after their request has ended; the request itself is kept. Default: as long as the request
    #[arg(
        long,
        env = "HALFTONE_KEEP_OUTPUTS",
        value_name = "DURATION",
        value_parser = duration("1h", "100y")
    )]
    pub keep_outputs: Option<Duration>,
    /// Database connections for the API; jobs have half as many in addition
    #[arg(
        long,
        env = "HALFTONE_DATABASE_CONNECTIONS",
        value_name = "N",
        default_value = "16",
        value_parser = number::<usize>(2, 1_000)
    )]
    pub database_connections: usize,
    /// What to log: error, warn, info, debug or trace, optionally per module (`info,halftone::fetch=debug`)
    #[arg(long, env = "HALFTONE_LOG", value_name = "FILTER", default_value = "info", value_parser = value::log_filter)]
    pub log: String,
    /// How to log: text or json
    #[arg(long, env = "HALFTONE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// An OpenTelemetry collector to which traces are sent over OTLP/HTTP, such as http://127.0.0.1:4318. Default: none
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = value::base_url)]
    pub otlp_endpoint: Option<String>,
}

impl General {
    /// Takes the database's URL from the file that is named instead.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it. It does not repeat what is in the file.
    pub(super) fn read_database_url(&mut self) -> Result<(), String> {
        let Some(file) = &self.database_url_file else { return Ok(()) };
        if self.database_url.is_some() {
            return Err("Give --database-url or --database-url-file, not both.".to_owned());
        }
        let read = std::fs::read_to_string(file);
        let file = file.display();
        let text = read.map_err(|error| format!("--database-url-file {file} cannot be read: {error}."))?;
        let url = text
            .trim()
            .parse()
            .map_err(|takes: String| format!("The content of --database-url-file {file} is not {takes}."))?;
        self.database_url = Some(url);
        Ok(())
    }

    /// How long outputs are kept after the end of their request; `None`: for ever.
    pub fn outputs_kept(&self) -> Option<Duration> {
        self.keep_outputs.into_iter().chain(self.keep_requests).min()
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("text or json".to_owned()),
        }
    }
}

/// The address of a database. It may hold a password, so `Debug` does not print it.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address with its password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Target>() {
            Ok(_) => Ok(DatabaseUrl(text.to_owned())),
            Err(InvalidTarget::Mode(_)) => {
                Err("a Postgres URL whose sslmode is disable, prefer, require, verify-ca or verify-full".to_owned())
            }
            Err(InvalidTarget::Other(_)) => {
                Err("a Postgres URL such as postgres://user:password@host/database".to_owned())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}
