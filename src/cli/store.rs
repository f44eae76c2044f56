//! `halftone store`: looks after the store of the outputs.

use std::process::ExitCode;

use bytesize::ByteSize;

use super::database::with_database;
use super::print::counted;
use crate::app::App;
use crate::config::Config;
use crate::db;
use crate::pipeline::store_audit::{Finding, audit};

/// What to do with the store.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Remove objects that no request uses, and list outputs that are missing
    Sweep {
        /// Only list what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// Exit code 1 when an output is gone, which nothing here can mend.
pub async fn store(config: Config, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Sweep { dry_run } = command;
    with_database(config, async |config, database| {
        db::migrate(database.url()).await?;
        let app = App::open(config, database.url().to_owned()).await?;
        let (mut unnamed, mut bytes, mut missing) = (0, 0, 0);
        let each = |finding: &Finding| match finding {
            Finding::Unnamed(object) => {
                unnamed += 1;
                bytes += object.bytes;
                say!("No request uses {} ({}).", object.key, ByteSize(object.bytes));
            }
            Finding::Missing { image_id, key } => {
                missing += 1;
                say!("The output of the image {image_id} is missing: {key}");
            }
        };
        audit(&app, !dry_run, each).await?;
        let what = if dry_run { "would be removed" } else { "removed" };
        say!("{} {what} ({}); {} missing.", counted(unnamed, "object"), ByteSize(bytes), counted(missing, "output"));
        Ok(if missing > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
    .await
}
