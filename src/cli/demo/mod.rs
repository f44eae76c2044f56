//! `halftone demo`: a sample catalogue, its photos served from this process, uploaded to a Halftone of its own.

mod host;

use std::io::{Read as _, Seek as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bytesize::ByteSize;
use tokio_util::sync::CancellationToken;

use self::host::Host;
use super::database::with_database;
use super::progress::watch;
use super::run::print_report;
use super::serve::{listen, run_until};
use super::signals::stop_signal;
use crate::config::Config;
use crate::db::image::{ImageFilter, ImageStatus};
use crate::db::page::Page;
use crate::db::{self, children, tenant};
use crate::pipeline::export::{self, FileFormat, Outputs, ResultKind};
use crate::pipeline::submit::{Submission, Submitted, submit};
use crate::service::Service;
use halftone_compress::Settings;

/// How long a photo takes when somebody is to watch in the browser.
const WATCHABLE: Duration = Duration::from_millis(600);
/// Photos on their way at once, when each takes a while.
const AT_ONCE: usize = 2;
/// What does not answer is given up soon: nobody waits minutes for a demonstration of that.
const RETRY_DELAY: Duration = Duration::from_millis(400);
const ATTEMPTS: u32 = 3;

/// Arguments of `halftone demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Stop when the catalogue is done instead of continuing to serve
    #[arg(long)]
    once: bool,
    /// Open the console in the browser, and let each photo take 600 ms so that there is something to watch
    #[arg(long)]
    open: bool,
    /// How long each photo takes to arrive, such as 2s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pace: Option<Duration>,
}

/// Exit code 0 when the catalogue was processed to its end. Some of its photos cannot be had, on purpose.
pub async fn demo(mut config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let listener = match listen(&mut config).await {
        Ok(listener) => listener,
        Err(error) => {
            let taken = config.server.listen;
            config.server.listen = SocketAddr::new(taken.ip(), 0);
            let listener = listen(&mut config).await?;
            eprintln!("{taken} is not free ({:#}); using {}.", error.root_cause(), config.server.listen);
            listener
        }
    };
    let pace = arguments.pace.unwrap_or(if arguments.open { WATCHABLE } else { Duration::ZERO });
    let host = Host::start(pace).await?;
    config.fetching.allow_nets.push(IpAddr::from(Ipv4Addr::LOCALHOST).into());
    config.workers.compressions = config.workers.compressions.max(1);
    if config.general.log == "info" {
        config.general.log = "warn".to_owned();
    }
    // Each time is like the first.
    config.workers.no_reuse = true;
    if !pace.is_zero() {
        config.workers.downloads = AT_ONCE;
    }
    config.fetching.retry_delay = config.fetching.retry_delay.min(RETRY_DELAY);
    config.fetching.max_attempts = config.fetching.max_attempts.min(ATTEMPTS);

    say!("Starting Halftone with its database in {} …", config.general.data_dir.display());
    with_database(config, async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.serve(listener).await?;
        service.work();
        let shown = show(&service, &host.catalogue, arguments.open, &stop).await;
        if shown.is_err() || arguments.once || stop.is_cancelled() {
            service.stop().await?;
            return shown;
        }
        say!("\nStill serving. Press Ctrl-C to stop.");
        run_until(stop, service).await?;
        shown
    })
    .await
}

/// Uploads the catalogue and shows everything that comes of it.
async fn show(service: &Service, catalogue: &str, open: bool, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let app = &service.app;
    let mut file = tempfile::tempfile().context("create a temporary file")?;
    file.write_all(catalogue.as_bytes())?;
    file.rewind()?;
    let submission = Submission {
        tenant_id: tenant::DEFAULT,
        file,
        filename: Some("catalogue.csv".to_owned()),
        hints: Default::default(),
        label: Some("demo".to_owned()),
        settings: Settings::default(),
        webhook_url: None,
        reject_invalid_rows: false,
        idempotency_key: None,
        based_on: None,
        is_fresh: false,
        remembered_as: None,
        max_queued: None,
        links: app.links.clone(),
    };
    let request = match submit(app, submission).await? {
        Submitted::Accepted(request) => request,
        Submitted::Rejected(report) | Submitted::RefusedInvalidRows(report) => {
            print_report(&report);
            return Ok(ExitCode::FAILURE);
        }
        Submitted::Replayed(_)
        | Submitted::IdempotencyConflict
        | Submitted::BaseNotFound
        | Submitted::BaseNotEnded(_)
        | Submitted::QueueFull { .. } => {
            anyhow::bail!("neither an idempotency key nor an earlier request was given, yet one is refused")
        }
    };
    say!(
        "Uploaded catalogue.csv: {} products, {} images. Request {}\n",
        request.csv_row_count,
        request.total,
        request.id
    );
    if !app.config.server.no_console {
        let console = format!("{}/requests/{}", app.config.public_url, request.id);
        say!("Watch it:  {console}\n");
        if open && let Err(error) = open::that_detached(&console) {
            say!("No browser could be opened ({error}). Open the address above.\n");
        }
    }
    let Some(request) = watch(app, request.id, stop).await? else {
        return Ok(ExitCode::FAILURE);
    };

    let mut conn = db::connect(&app.pool).await?;
    let images = children::images(&mut conn, &[request.id], &ImageFilter::default(), &Page::first(100)).await?;
    let images = images.into_values().flatten();
    drop(conn);
    say!("");
    for state in images {
        let name = state.image.input_url.rsplit('/').next().unwrap_or_default().to_owned();
        match (state.status, state.image.source_bytes, state.image.output_bytes) {
            (ImageStatus::Succeeded, Some(before), Some(after)) => {
                let saved = 100.0 * (1.0 - after as f64 / before.max(1) as f64);
                let size = |bytes: i64| ByteSize(bytes.unsigned_abs()).to_string();
                say!("  {name:<28} {:>10} → {:>10}   {saved:>3.0} % saved", size(before), size(after));
            }
            (status, ..) => say!("  {name:<28} {status}: {}", state.image.error_message.unwrap_or_default()),
        }
    }
    say!("\n{} after {:.1} s. The output CSV:\n", request.status, seconds(&request));
    let mut content = String::new();
    export::write(
        app,
        &request,
        ResultKind::OutputCsv,
        Outputs::Served(app.links.clone()),
        FileFormat::Csv { byte_order_mark: false },
    )
    .await?
    .read_to_string(&mut content)?;
    say!("{content}");
    let csv_url = app.links.result_at(&request.public_url, request.id, ResultKind::OutputCsv.file()).url;
    say!("Open the output CSV:  {csv_url}");
    if !app.config.server.no_console {
        say!("The console:          {}", app.config.public_url);
        say!("The playground:       {}/playground", app.config.public_url);
    }
    say!("GraphQL:              {}/graphql", app.config.public_url);
    say!("The schema:           {}/schema.graphql", app.config.public_url);
    Ok(ExitCode::SUCCESS)
}

fn seconds(request: &db::request::ProcessingRequest) -> f64 {
    let ended = request.finished_at.unwrap_or(request.created_at);
    (ended - request.created_at).as_seconds_f64()
}
