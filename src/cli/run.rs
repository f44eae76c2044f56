//! `halftone run`: the whole job for one CSV, without a server.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytesize::ByteSize;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::columns::Columns;
use super::database::with_database;
use super::estimate::estimate;
use super::print::{counted, unreadable};
use super::progress::watch;
use super::resume::resume;
use super::signals::stop_signal;
use super::{NO_FILE, USAGE, atomic_file};
use crate::app::App;
use crate::config::Config;
use crate::db;
use crate::db::image::Image;
use crate::db::request::ProcessingRequest;
use crate::db::run::{self, Run};
use crate::db::tenant;
use crate::db::viewer::Viewer;
use crate::pipeline::export::{self, FileFormat, Outputs, ResultKind};
use crate::pipeline::submit::{Submission, Submitted};
use crate::service::Service;
use halftone_compress::{Goal, Settings};
use halftone_sheet::{Issue, Report, Severity};

/// Arguments of `halftone run`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The CSV: one product per row, with its image URLs
    file: PathBuf,
    /// Where to write the output: a CSV, or a workbook if the name ends in .xlsx. Default: the file's name with `_output.csv`
    /// appended
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Also write the input file with each image URL replaced by that of its output; as a workbook if the name ends in .xlsx
    #[arg(long, value_name = "OUT")]
    updated_csv: Option<PathBuf>,
    #[command(flatten)]
    columns: Columns,
    /// Encoder quality, 1 to 100
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Only estimate the result: a sample of 50 images is downloaded and compressed, and nothing is stored or written
    #[arg(long, conflicts_with_all = ["output", "updated_csv", "fresh"])]
    estimate: bool,
    /// Download and compress every image again, regardless of earlier runs of the file. Otherwise only what is missing is done
    #[arg(long)]
    fresh: bool,
}

impl Arguments {
    fn settings(&self) -> Settings {
        Settings { goal: Goal::Quality(self.quality), ..Settings::default() }
    }
}

/// Exit code 0 when every image has an output, 1 when any has none or the CSV was rejected, 2 when the CSV cannot be read or
/// the output cannot be written where it should.
pub async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (file, metadata) = match open(&arguments.file) {
        Ok(opened) => opened,
        Err(error) => return Ok(unreadable(&arguments.file, &error)),
    };
    if arguments.estimate {
        let stop = stop_signal()?;
        return with_database(quiet(config), async |config, database| {
            let service = Service::open(config, database.url()).await?;
            let done = estimate(&service.app, file, arguments.columns.hints(), arguments.settings(), &stop).await;
            service.stop().await?;
            done
        })
        .await;
    }
    let output = arguments.output.clone().unwrap_or_else(|| default_output(&arguments.file));
    let mut whole = Vec::new();
    for output in [Some(&output), arguments.updated_csv.as_ref()].into_iter().flatten() {
        if std::fs::metadata(output).is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino())) {
            eprintln!("error: {} is the CSV itself. Choose another name for the output.", output.display());
            return Ok(ExitCode::from(USAGE));
        }
        match create(output) {
            Ok(file) => whole.push(file),
            Err(error) => {
                eprintln!("error: cannot write {}: {error}", output.display());
                return Ok(ExitCode::from(NO_FILE));
            }
        }
    }
    let updated = arguments.updated_csv.clone().zip((whole.len() > 1).then(|| whole.pop()).flatten());
    let whole = whole.pop().context("an output was created")?;
    let stop = stop_signal()?;
    let is_served = config.server.public_url.is_some();
    with_database(quiet(config), async |config, database| {
        let mut service = Service::open(config, database.url()).await?;
        service.work();
        let done = process(&service.app, &arguments, file, (&output, whole), updated, is_served, &stop).await;
        service.stop().await?;
        done
    })
    .await
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok((file, metadata))
}

/// The file the output is written to. An output that cannot be written fails now, not after all the work.
fn create(output: &Path) -> io::Result<NamedTempFile> {
    if output.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    atomic_file::beside(output)
}

/// Next to a progress bar, only errors are worth a log line.
fn quiet(mut config: Config) -> Config {
    if config.general.log == "info" {
        config.general.log = "error".to_owned();
    }
    config.workers.compressions = config.workers.compressions.max(1);
    config
}

async fn process(
    app: &App,
    arguments: &Arguments,
    file: File,
    (output, mut whole): (&Path, NamedTempFile),
    updated: Option<(PathBuf, NamedTempFile)>,
    is_served: bool,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let submission = Submission {
        tenant_id: tenant::DEFAULT,
        file,
        filename: arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()),
        hints: arguments.columns.hints(),
        label: None,
        settings: arguments.settings(),
        webhook_url: None,
        reject_invalid_rows: false,
        idempotency_key: None,
        based_on: None,
        is_fresh: arguments.fresh,
        remembered_as: None,
        max_queued: None,
        links: app.links.clone(),
    };
    let path = std::fs::canonicalize(&arguments.file)?.to_string_lossy().into_owned();
    let request = match resume(app, path, submission).await? {
        Submitted::Accepted(request) | Submitted::Replayed(request) => request,
        Submitted::Rejected(report) | Submitted::RefusedInvalidRows(report) => {
            print_report(&report);
            return Ok(ExitCode::FAILURE);
        }
        Submitted::IdempotencyConflict | Submitted::QueueFull { .. } => {
            anyhow::bail!("neither an idempotency key nor a limit was given, yet one is in force")
        }
        Submitted::BaseNotFound | Submitted::BaseNotEnded(_) => {
            eprintln!(
                "error: another process began or deleted the earlier run of this file in the meantime. Run it again."
            );
            return Ok(ExitCode::FAILURE);
        }
    };
    if request.csv_issue_count > 0 {
        let mut conn = db::connect(&app.pool).await?;
        for issue in db::csv_issue::CsvIssue::page(&mut conn, request.id, None, 20).await? {
            eprintln!("{}: line {}: {}", issue.severity.to_lowercase(), issue.line, issue.message);
        }
        if request.csv_issue_count > 20 {
            eprintln!("… and {} more", request.csv_issue_count - 20);
        }
    }
    let Some(request) = watch(app, request.id, stop).await? else {
        eprintln!(
            "Stopped. Finished images are kept; run the file again with the same data directory or database to continue."
        );
        return Ok(ExitCode::FAILURE);
    };
    let outputs_at = if is_served { Outputs::Served(app.links.clone()) } else { Outputs::Files };
    let mut content =
        export::write(app, &request, ResultKind::OutputCsv, outputs_at.clone(), format_of(output)).await?;
    io::copy(&mut content, &mut whole).with_context(|| format!("write {}", output.display()))?;
    whole.persist(output).with_context(|| format!("write {}", output.display()))?;
    if let Some((updated, mut whole)) = updated {
        let mut content = export::write(app, &request, ResultKind::UpdatedCsv, outputs_at, format_of(&updated)).await?;
        io::copy(&mut content, &mut whole).with_context(|| format!("write {}", updated.display()))?;
        whole.persist(&updated).with_context(|| format!("write {}", updated.display()))?;
        say!("Updated file: {}", updated.display());
    }
    summarise(app, &request, output).await?;
    Ok(if request.succeeded == request.total && request.csv_error_count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn format_of(output: &Path) -> FileFormat {
    let is_workbook = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx"));
    if is_workbook { FileFormat::Xlsx } else { FileFormat::Csv { byte_order_mark: false } }
}

fn default_output(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}_output.csv"))
}

async fn summarise(app: &App, request: &ProcessingRequest, output: &Path) -> anyhow::Result<()> {
    let (before, after) = (request.input_bytes.unsigned_abs(), request.output_bytes.unsigned_abs());
    say!(
        "{} of {} compressed{}; {} became {}: {} saved ({:.0} %)",
        request.succeeded - request.outcomes.kept_original,
        counted(u64::from(request.total.unsigned_abs()), "image"),
        [(request.outcomes.kept_original, "kept as they were"), (request.outcomes.reused, "of them before")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, how)| format!(", {count} {how}"))
            .collect::<String>(),
        ByteSize(before),
        ByteSize(after),
        ByteSize(before.saturating_sub(after)),
        100.0 * request.savings().saved_ratio(),
    );
    if request.failed > 0 {
        let mut conn = db::connect(&app.pool).await?;
        for group in db::children::failure_groups(&mut conn, &[request.id]).await?.into_values().flatten() {
            let example = Image::load(&mut conn, Viewer::Operator, &[group.example_id]).await?.pop();
            let example = example.map(|state| (state.image.input_url, state.image.error_message.unwrap_or_default()));
            let (url, reason) = example.unwrap_or_default();
            say!("{} × {} ({}): {reason} For example {url}", group.count, group.code, group.host.unwrap_or_default());
        }
    }
    if let Some(changes) = Run::find(&mut *db::connect(&app.pool).await?, request.id, request.run).await?.changes()
        && request.run == 1
    {
        let run::Changes { added, removed, changed, unchanged, newly_broken, mended } = changes;
        say!(
            "Compared with last time: {added} added, {removed} removed, {changed} changed, {unchanged} unchanged, \
             {newly_broken} newly broken, {mended} mended"
        );
    }
    say!("Output CSV: {}", output.display());
    Ok(())
}

/// Says why a CSV was rejected, line by line.
pub fn print_report(report: &Report) {
    eprintln!("The CSV was rejected:");
    for Issue { severity, line, message, .. } in &report.issues {
        let word = if *severity == Severity::Error { "error" } else { "warning" };
        eprintln!("{word}: line {line}: {message}");
    }
}
