//! `halftone compress`: image files to smaller ones, without a database or a network.
//!
//! Sources are only read. An output appears whole or not at all. A file that fails fails alone.

mod names;

mod options;

mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use self::names::Job;
pub use self::options::Arguments;
use self::report::{Done, Report};
use super::USAGE;
use super::atomic_file::beside;
use super::signals::stop_signal;
use crate::budget::Budget;
use crate::config::Config;
use crate::db::image::ImageErrorCode;
use halftone_compress::{self as compress, Limits, Settings};

/// Exit code 0 when every file has its output, 1 when any has none, 2 when the settings make no sense.
pub async fn compress(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = match arguments.settings() {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in problems {
                eprintln!("error: {problem}");
            }
            return Ok(ExitCode::from(USAGE));
        }
    };
    if let Some(folder) = &arguments.output {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let stop = stop_signal()?;
    let jobs = names::jobs(arguments.files, arguments.output.as_deref(), settings.format);
    let mut report = Report::new(jobs.len(), arguments.json)?;

    let at_once = config.workers.compressions.max(1);
    let memory = Budget::new(config.workers.decode_memory);
    let work = Arc::new(Work { settings, limits: config.compress, max_bytes: config.fetch.max_bytes, memory });
    let (done, mut results) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    let mut waiting = jobs.into_iter().enumerate();
    loop {
        while running.len() < at_once
            && !stop.is_cancelled()
            && let Some((place, job)) = waiting.next()
        {
            let (work, done) = (work.clone(), done.clone());
            running.spawn(async move {
                let result = work.run(&job).await;
                // The receiver outlives all senders.
                let _ = done.send(Done { place, source: job.source, result });
            });
        }
        if running.join_next().await.is_none() {
            break;
        }
        while let Ok(one) = results.try_recv() {
            report.add(one);
        }
    }
    Ok(report.finish(stop.is_cancelled()))
}

/// What all files have in common.
struct Work {
    settings: Settings,
    limits: Limits,
    /// Of a source file.
    max_bytes: u64,
    memory: Budget,
}

/// A file that has its output.
struct Output {
    path: PathBuf,
    source_bytes: u64,
    output_bytes: u64,
    /// Without its bytes.
    compressed: compress::Compressed<'static>,
}

/// Why a file has no output: the word of the API and a sentence.
struct Failure {
    code: ImageErrorCode,
    message: String,
}

impl Failure {
    fn new(code: ImageErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The error in the words of someone who has files rather than addresses.
    fn of(error: &compress::Error) -> Self {
        let message = match error {
            compress::Error::HtmlPage => "It is a web page, not an image.".to_owned(),
            compress::Error::NotAnImage => "It is not an image.".to_owned(),
            other => other.to_string(),
        };
        Self { code: error.code().into(), message }
    }
}

impl Work {
    /// Brings one file to its end.
    async fn run(self: Arc<Self>, job: &Job) -> Result<Output, Failure> {
        let (source, folder) = (job.source.clone(), job.folder.clone());
        let max_bytes = self.max_bytes;
        let work = self.clone();
        let (bytes, needed) = blocking(move || {
            let bytes = read(&source, max_bytes)?;
            let needed = compress::memory_needed(&bytes, &work.settings, &work.limits);
            Ok((bytes, needed.map_err(|error| Failure::of(&error))?))
        })
        .await?;
        let _permit = self.memory.reserve(needed).await;
        let work = self.clone();
        let name = {
            let job = Job::clone(job);
            move |format| job.output(format)
        };
        blocking(move || {
            let compressed =
                compress::compress(&bytes, &work.settings, &work.limits).map_err(|error| Failure::of(&error))?;
            let path = name(compressed.output.format);
            write(&folder, &path, &compressed.bytes)
                .map_err(|error| Failure::new(ImageErrorCode::StorageFailure, format!("{error:#}")))?;
            let output_bytes = compressed.bytes.len() as u64;
            let compressed = compress::Compressed { bytes: Vec::new().into(), ..compressed };
            Ok(Output { path, source_bytes: bytes.len() as u64, output_bytes, compressed })
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Failure::new(ImageErrorCode::Internal, format!("Something went wrong inside Halftone ({error}).")))
    })
}

fn read(source: &Path, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::new(ImageErrorCode::StorageFailure, format!("It cannot be read: {error}."));
    let look = std::fs::metadata(source).map_err(unreadable)?;
    if !look.is_file() {
        return Err(Failure::new(ImageErrorCode::NotAnImage, "It is not a file."));
    }
    if look.len() > max_bytes {
        let message = format!("It has {} bytes; --max-image-bytes allows {max_bytes}.", look.len());
        return Err(Failure::new(ImageErrorCode::TooManyBytes, message));
    }
    std::fs::read(source).map_err(unreadable)
}

/// Writes beside the output's place and renames: a name in place has a whole file behind it.
fn write(folder: &Path, output: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", output.display());
    let mut file = beside(&folder.join("output")).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.persist(output).with_context(cannot)?;
    Ok(())
}
