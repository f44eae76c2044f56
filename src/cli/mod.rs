//! The command line: serve | work | run | check | compress | demo | store | keys | schema | webhook-secret | migrate |
//! healthcheck.

#[macro_use]
mod print;

mod arguments;

mod columns;

mod serve;

mod run;

mod resume;

mod estimate;

mod check;

mod compress;

mod demo;
mod doctor;

mod database;

mod store;

mod keys;

mod healthcheck;

mod progress;

mod atomic_file;

mod signals;

use std::process::ExitCode;

use self::arguments::Command;
use crate::config::Config;
use crate::{descriptors, graphql, telemetry};

/// Exit code for a command line or setting that makes no sense.
const USAGE: u8 = 2;
/// Exit code for a file that cannot be read or written at all.
const NO_FILE: u8 = 2;
/// Exit code when the reader of the output closes it early, as `head` does: that of a program ended by SIGPIPE.
const BROKEN_PIPE: u8 = 128 + 13;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let (command, config) = match arguments::parse() {
        Ok(parsed) => parsed,
        Err(problems) => {
            for problem in &problems {
                eprintln!("error: {problem}");
            }
            eprintln!("\nEvery setting is a flag or an environment variable; `halftone --help` lists them.");
            return ExitCode::from(USAGE);
        }
    };
    descriptors::raise_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run_command(command, config));
    telemetry::flush();
    // A compression that is still running would keep the process alive; its job has been given back.
    runtime.shutdown_background();
    match done {
        Ok(_) if print::has_failed() => ExitCode::from(NO_FILE),
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_command(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Schema => say!("{}", graphql::sdl().trim_end()),
        Command::Serve => serve::serve(config).await?,
        Command::Work => serve::work(config).await?,
        Command::Run(arguments) => return run::run(config, arguments).await,
        Command::Check(arguments) => return Ok(check::check(&config.sheet, &arguments)),
        Command::Compress(arguments) => return compress::compress(config, arguments).await,
        Command::Demo(arguments) => return demo::demo(config, arguments).await,
        Command::Store(command) => return store::store(config, command).await,
        Command::Keys(command) => return keys::keys(config, command).await,
        Command::WebhookSecret(arguments) => database::webhook_secret(config, &arguments).await?,
        Command::Migrate => database::migrate(config).await?,
        Command::Doctor(arguments) => return doctor::doctor(config, &arguments).await,
        Command::Healthcheck(arguments) => return healthcheck::healthcheck(&config, &arguments).await,
    }
    Ok(ExitCode::SUCCESS)
}
