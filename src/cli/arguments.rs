//! The commands and their arguments, and how they are read together with the settings.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::{check, compress, database, demo, doctor, healthcheck, keys, run, store};
use crate::config::{self, Config, Options};

/// The variable of `--compressions` as it was called before.
const OLD_COMPRESSIONS: &str = "HALFTONE_WORKERS";

/// The settings that matter to commands without a database and a network. Their help lists no others.
const FEW_SETTINGS: [(&str, &[&str]); 4] = [
    ("check", &["max_csv_bytes", "max_rows", "max_images", "max_images_per_product", "max_csv_issues"]),
    ("compress", &["compressions", "decode_memory", "max_image_bytes", "max_pixels", "max_side"]),
    ("schema", &[]),
    ("healthcheck", &["listen", "admin_listen"]),
];

/// Bulk image compression with a live GraphQL API.
///
/// Upload a CSV of products and image URLs; Halftone downloads, compresses and stores every image, reports progress live,
/// writes an output CSV and calls your webhook.
#[derive(Parser)]
#[command(name = "halftone", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve the API and process images, in one process
    Serve,
    /// Only process images, for requests that `serve` processes have accepted
    Work,
    /// Process one CSV from start to finish, without a server
    Run(run::Arguments),
    /// Report every problem in a CSV, without storing or fetching anything
    Check(check::Arguments),
    /// Compress image files, without a database or a network
    Compress(compress::Arguments),
    /// Process a sample catalogue with its own Halftone, show what happens, and keep serving
    Demo(demo::Arguments),
    /// Maintain the store of the outputs
    #[command(subcommand)]
    Store(store::Command),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print the GraphQL schema
    Schema,
    /// Print the secret that signs webhooks, or rotate it
    WebhookSecret(database::WebhookSecretArguments),
    /// Update the database to this version's schema
    Migrate,
    /// Check the database, the store, the clock, the disk and the addresses, and report what is wrong
    Doctor(doctor::Arguments),
    /// Check whether the process on this machine is alive, as for a container's health check
    Healthcheck(healthcheck::Arguments),
}

/// The command of this process and the settings in force, or everything that is wrong with the settings.
pub fn parse() -> Result<(Command, Config), Vec<String>> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = config::read(command(), &arguments)?;
    let Arguments { command, mut options } = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let variables = std::env::vars_os();
    options.set_environment(
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    Ok((command, options.check()?))
}

/// Every setting can be given with every command: one environment can serve all of them.
fn command() -> clap::Command {
    let mut command = Arguments::command().mut_args(|argument| {
        let argument = match argument.get_env().map(std::env::var_os) {
            Some(None) if argument.get_id() == "compressions" && is_set(OLD_COMPRESSIONS) => {
                argument.env(OLD_COMPRESSIONS)
            }
            // A variable that is set to nothing counts as not set.
            Some(Some(value)) if value.is_empty() => argument.env(Resettable::Reset),
            _ => argument,
        };
        argument.global(true)
    });
    // This adds the settings to the commands.
    command.build();
    for (name, settings) in FEW_SETTINGS {
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|argument| {
                let is_unused = argument.is_global_set() && !settings.contains(&argument.get_id().as_str());
                argument.hide(is_unused)
            })
        });
    }
    command
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}
