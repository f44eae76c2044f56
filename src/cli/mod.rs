//! The command line: serve | work | run | check | compress | demo | schema | keys | migrate.

/// Prints a line as `println!` does. Where nobody reads it the work goes on all the same.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::cli::print_line(format_args!($($line)*))
    };
}

mod check;

mod demo;

mod run;

mod compress;

mod serve;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Options};
use crate::db::server::Database;
use crate::{app::App, db, graphql, telemetry};

/// Exit code for a command line or setting that makes no sense.
const USAGE: u8 = 2;
/// Exit code for a file that cannot be read or written at all.
const NO_FILE: u8 = 2;
/// Exit code when nobody reads the output to its end, as `head` does not: that of programs that such a signal ends.
const BROKEN_PIPE: u8 = 128 + 13;
/// Exit code when the user interrupts twice.
const INTERRUPTED: i32 = 130;

/// The settings that matter to commands without a database and a network; their help lists no others.
const FEW_SETTINGS: [(&str, &[&str]); 3] = [
    ("check", &["max_csv_bytes", "max_rows", "max_images", "max_images_per_product", "max_csv_issues"]),
    ("compress", &["workers", "decode_memory", "max_image_bytes", "max_pixels", "max_side"]),
    ("schema", &[]),
];

/// Bulk image compression with a live GraphQL API.
///
/// Upload a CSV of products and image URLs; Halftone downloads every image, compresses it, stores it, shows the progress
/// live, and gives back an output CSV and a webhook.
#[derive(Parser)]
#[command(name = "halftone", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and work on the images, in one process
    Serve,
    /// Only work on the images that other processes' APIs took in
    Work,
    /// Do the whole job for one CSV without a server
    Run(run::Arguments),
    /// Say everything that is wrong with a CSV; stores and fetches nothing
    Check(check::Arguments),
    /// Compress image files; no database, no network
    Compress(compress::Arguments),
    /// Upload a sample catalogue to a Halftone of its own, show what happens, and keep serving
    Demo(demo::Arguments),
    /// Print the GraphQL schema
    Schema,
    /// Print the secret with which webhooks are signed
    Keys,
    /// Bring the database to this version's schema
    Migrate,
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let cli = parse();
    let config = match cli.options.check() {
        Ok(config) => config,
        Err(problems) => {
            for problem in &problems {
                eprintln!("error: {problem}");
            }
            let name = Cli::command().get_name().to_owned();
            eprintln!("\nEvery setting is a flag or an environment variable; `{name} --help` lists them.");
            return ExitCode::from(USAGE);
        }
    };
    raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run_command(cli.command, config));
    // A compression that is still running would hold the process up; its job was given back.
    runtime.shutdown_background();
    match done {
        Ok(_) if IS_UNPRINTED.load(Ordering::Relaxed) => ExitCode::from(NO_FILE),
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Takes as many file descriptors as the system lets this process have: each download and each client needs one, and the
/// usual limit of 1,024 is there for programs that would break with more.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the limit that there is, the workers pause when it is reached.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The command line and the environment. A variable that is set to nothing counts as not set.
fn parse() -> Cli {
    let mut command = Cli::command().mut_args(|argument| match argument.get_env().map(std::env::var_os) {
        Some(Some(value)) if value.is_empty() => argument.env(Resettable::Reset),
        _ => argument,
    });
    // Which hands the settings down to the commands.
    command.build();
    for (name, settings) in FEW_SETTINGS {
        command = command.mut_subcommand(name, |command| {
            command.mut_args(|argument| {
                let unused = argument.is_global_set() && !settings.contains(&argument.get_id().as_str());
                argument.hide(unused)
            })
        });
    }
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
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
        Command::Keys => keys(config).await?,
        Command::Migrate => migrate(config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn keys(config: Config) -> anyhow::Result<()> {
    with_database(config, async |config, database| {
        db::migrate(database.url()).await?;
        let app = App::open(config, database.url().to_owned()).await?;
        say!("HALFTONE_WEBHOOK_SECRET={}", app.webhook_secret.reveal());
        Ok(())
    })
    .await
}

async fn migrate(config: Config) -> anyhow::Result<()> {
    with_database(config, async |_, database| {
        let applied = db::migrate(database.url()).await?;
        match applied.as_slice() {
            [] => say!("The database is up to date."),
            applied => say!("Applied {}.", applied.join(", ")),
        }
        Ok(())
    })
    .await
}

/// Opens the configured database, does `work` with it, and stops it again whatever came of the work.
async fn with_database<T>(
    mut config: Config,
    work: impl AsyncFnOnce(Config, &Database) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    telemetry::init(&config.log, config.log_json);
    std::fs::create_dir_all(&config.data_dir).with_context(|| format!("create {}", config.data_dir.display()))?;
    config.data_dir = absolute(&config.data_dir)?;
    let database = Database::open(config.database_url.as_deref(), config.data_dir.clone()).await?;
    let done = work(config, &database).await;
    let stopped = database.stop().await;
    let done = done?;
    stopped?;
    Ok(done)
}

/// Whether something could not be printed, as on a full disk; then the exit code says so.
static IS_UNPRINTED: AtomicBool = AtomicBool::new(false);

fn print_line(line: std::fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}")
        && error.kind() != io::ErrorKind::BrokenPipe
        && !IS_UNPRINTED.swap(true, Ordering::Relaxed)
    {
        eprintln!("error: cannot print: {error}");
    }
}

/// Says that a file cannot be read.
fn unreadable(path: &std::path::Path, error: &std::io::Error) -> ExitCode {
    eprintln!("error: cannot read {}: {error}", path.display());
    ExitCode::from(NO_FILE)
}

/// A number of things: `1 error`, `2 errors`.
fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn absolute(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("open {}", path.display()))
}

/// A token that is cancelled at the first SIGTERM or Ctrl-C; the second one ends the process at once.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = token.clone();
    let wait = async move {
        for is_second in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_second {
                std::process::exit(INTERRUPTED);
            }
            cancelled.cancel();
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the process, which it may have to end itself")]
    tokio::spawn(wait);
    Ok(token)
}
