//! Every setting: its name, meaning, unit, bounds and default, declared once in the group it belongs to. Read once at
//! start, from flags and the environment; every bad setting is reported at once.

mod general;

mod server;

mod storage;

mod workers;

mod fetching;

mod limits;

mod quotas;

mod webhooks;

mod value;

mod read;

use std::net::SocketAddr;

use halftone_compress as compress;
use halftone_sheet as sheet;

pub use self::fetching::Fetching;
pub use self::general::{DatabaseUrl, General, LogFormat};
pub use self::quotas::Quotas;
pub use self::read::read;
pub use self::server::Server;
pub use self::storage::Storage;
pub use self::webhooks::Webhooks;
pub use self::workers::Workers;
use crate::fetch;
use crate::store::Environment;

/// The settings as they were given.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    general: General,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    workers: Workers,
    #[command(flatten)]
    fetching: Fetching,
    #[command(flatten)]
    limits: limits::Limits,
    #[command(flatten)]
    quotas: Quotas,
    #[command(flatten)]
    webhooks: Webhooks,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    pub general: General,
    pub server: Server,
    pub storage: Storage,
    pub workers: Workers,
    pub fetching: Fetching,
    pub webhooks: Webhooks,
    pub quotas: Quotas,
    /// Limits of a download.
    pub fetch: fetch::Limits,
    /// Limits of a CSV.
    pub sheet: sheet::Limits,
    /// Limits of an image.
    pub compress: compress::Limits,
    /// How clients reach the API; without a trailing slash.
    pub public_url: String,
    /// Addresses this process listens on, once it does: no image is fetched from them.
    pub own_listeners: Vec<SocketAddr>,
}

impl Options {
    /// Takes what providers' tools read from these variables of the environment.
    pub fn set_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.storage.environment = Environment::of(variables);
    }

    /// Checks the settings against each other.
    pub fn check(mut self) -> Result<Config, Vec<String>> {
        self.general.read_database_url().map_err(|problem| vec![problem])?;
        Ok(Config {
            fetch: self.fetching.limits(self.workers.downloads),
            sheet: self.limits.sheet(),
            compress: self.limits.compress(self.workers.decode_memory),
            public_url: self.server.public_url.clone().unwrap_or_else(|| self.server.listen_url()),
            own_listeners: Vec::new(),
            general: self.general,
            server: self.server,
            storage: self.storage,
            workers: self.workers,
            fetching: self.fetching,
            webhooks: self.webhooks,
            quotas: self.quotas,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let database_url = "postgres://halftone:swordfish@localhost/halftone";
        let arguments = ["halftone", "--database-url", database_url, "--webhook-secret", secret];
        let config = Arguments::parse_from(arguments).options.check().expect("good settings");
        let printed = format!("{config:?}");
        assert!(printed.contains("DatabaseUrl") && !printed.contains("swordfish"), "{printed}");
        assert!(printed.contains("Secret") && !printed.contains("MfKQ9r8G"), "{printed}");
    }
}
