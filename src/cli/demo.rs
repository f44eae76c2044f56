//! `halftone demo`: a sample catalogue, its photos served from this process, uploaded to a Halftone of its own.

use std::io::{Read as _, Seek as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context as _;
use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytesize::ByteSize;
use include_dir::{Dir, include_dir};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::database::with_database;
use super::progress::watch;
use super::run::print_report;
use super::serve::{listen, run_until};
use super::signals::stop_signal;
use crate::config::Config;
use crate::db;
use crate::db::image::{Image, ImageFilter, ImageStatus};
use crate::db::page::Page;
use crate::pipeline::export::{self, Links, ResultKind};
use crate::pipeline::submit::{Submission, Submitted, submit};
use crate::service::Service;
use halftone_compress::Settings;

/// The catalogue and its photos; `demo/README.md` says where they come from.
static DEMO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/demo");
/// The origin the catalogue names, in whose place the demo's own photo server is put.
const PLACEHOLDER: &str = "http://demo.invalid";

/// Arguments of `halftone demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Stop when the catalogue is done instead of serving on
    #[arg(long)]
    once: bool,
}

/// Exit code 0 when the catalogue was processed to its end. One of its photos is missing on purpose.
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
    let photos =
        TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.context("listen for the photos")?;
    let photo_origin = format!("http://{}", photos.local_addr()?);
    config.fetching.allow_nets.push(IpAddr::from(Ipv4Addr::LOCALHOST).into());
    config.workers.compressions = config.workers.compressions.max(1);
    if config.general.log == "info" {
        config.general.log = "warn".to_owned();
    }
    let mut photo_server = JoinSet::new();
    let photo_routes = Router::new().route("/photos/{name}", get(photo));
    photo_server.spawn(async move { axum::serve(photos, photo_routes).await });

    say!("Starting Halftone with its database in {} …", config.general.data_dir.display());
    with_database(config, async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.serve(listener)?;
        service.work();
        let shown = show(&service, &photo_origin, &stop).await;
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

/// A photo of the catalogue.
async fn photo(Path(name): Path<String>) -> impl IntoResponse {
    let Some(file) = DEMO.get_file(format!("photos/{name}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let content_type = match name.rsplit('.').next() {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => "image/jpeg",
    };
    ([(header::CONTENT_TYPE, content_type)], file.contents()).into_response()
}

/// Uploads the catalogue and shows everything that comes of it.
async fn show(service: &Service, photo_origin: &str, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let app = &service.app;
    let catalogue =
        DEMO.get_file("catalogue.csv").and_then(|file| file.contents_utf8()).context("read the catalogue")?;
    let mut file = tempfile::tempfile().context("create a temporary file")?;
    file.write_all(catalogue.replace(PLACEHOLDER, photo_origin).as_bytes())?;
    file.rewind()?;
    let submission = Submission {
        file,
        filename: Some("catalogue.csv".to_owned()),
        label: Some("demo".to_owned()),
        settings: Settings::default(),
        webhook_url: None,
        reject_invalid_rows: false,
        idempotency_key: None,
    };
    let request = match submit(app, submission).await? {
        Submitted::Accepted(request) => request,
        Submitted::Rejected(report) | Submitted::RefusedInvalidRows(report) => {
            print_report(&report);
            return Ok(ExitCode::FAILURE);
        }
        Submitted::Replayed(_) | Submitted::IdempotencyConflict => {
            anyhow::bail!("no idempotency key was given, yet one is in use")
        }
    };
    say!(
        "Uploaded catalogue.csv: {} products, {} images. Request {}\n",
        request.csv_row_count,
        request.total,
        request.id
    );
    let Some(request) = watch(app, request.id, stop).await? else {
        return Ok(ExitCode::FAILURE);
    };

    let mut conn = db::connect(&app.pool).await?;
    let images = Image::page(&mut conn, request.id, &ImageFilter::default(), &Page::first(100)).await?;
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
    export::write(app, &request, ResultKind::OutputCsv, Links::Served, false).await?.read_to_string(&mut content)?;
    say!("{content}");
    let csv_url = app.links.result_at(&request.public_url, request.id, ResultKind::OutputCsv.file()).url;
    say!("Open the output CSV:  {csv_url}");
    say!("GraphQL:              {}/graphql", app.config.public_url);
    say!("The schema:           {}/schema.graphql", app.config.public_url);
    Ok(ExitCode::SUCCESS)
}

fn seconds(request: &db::request::ProcessingRequest) -> f64 {
    let ended = request.finished_at.unwrap_or(request.created_at);
    (ended - request.created_at).as_seconds_f64()
}
