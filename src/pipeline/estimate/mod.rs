//! Estimates what compressing the images of a CSV would save and cost: a sample is downloaded and compressed, and nothing is
//! stored.
//!
//! Downloads go through the same guard and gates as all others, and compressions share the cores and the memory of those that
//! are paid for.

mod figures;
mod place;
mod sample;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::{JoinSet, spawn_blocking};

use self::figures::{Tried, Tries};
use self::sample::Stratum;
use super::failure::{Failure, internal_error};
use crate::app::App;
use crate::db::ending::Error;
use crate::db::image::ImageErrorCode;
use crate::fetch;
use halftone_compress::{self as compress, Settings};
use halftone_sheet::{Hints, Report};

pub use self::figures::{Figure, Figures};
pub use self::place::{Entered, enter};

/// Images of a sample in hand at once.
const AT_ONCE: usize = 8;

/// What a caller wants to know of.
pub struct Wanted {
    /// The CSV, wherever its cursor stands.
    pub file: File,
    pub hints: Hints,
    pub settings: Settings,
    /// Images to try at most.
    pub sample: usize,
}

/// What is expected, by what was tried so far.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Images of the CSV.
    pub images: usize,
    /// Images of the sample, and how many of them were tried.
    pub sample: usize,
    pub sampled: usize,
    pub failed: usize,
    /// Images of the whole CSV that are expected to fail.
    pub failing: f64,
    pub figures: Figures,
    /// How long the whole CSV would take this process alone; `None` while nothing was tried.
    pub duration: Option<Duration>,
    /// How many images of the sample had which format.
    pub formats: BTreeMap<String, usize>,
    /// Why images of the sample failed; the most frequent cause first.
    pub failures: Vec<FailureGroup>,
}

/// Images of the sample that failed for the same reason at the same host.
#[derive(Debug, Clone)]
pub struct FailureGroup {
    pub code: ImageErrorCode,
    pub host: String,
    pub count: usize,
    /// Why the first of them failed, and its URL.
    pub message: String,
    pub url: String,
}

/// What becomes of a wish for an estimate.
pub enum Begun {
    Running(Box<Estimating>),
    /// The CSV could not be processed, for the reasons in the report.
    Rejected(Report),
}

/// A sample that is being tried. Dropped, it is given up.
pub struct Estimating {
    app: App,
    settings: Settings,
    strata: Vec<Progress>,
    waiting: VecDeque<(usize, String)>,
    sample: usize,
    running: JoinSet<(usize, String, anyhow::Result<Attempt>)>,
    formats: BTreeMap<String, usize>,
    failures: HashMap<(ImageErrorCode, String), FailureGroup>,
}

/// What is known of a stratum.
#[derive(Default)]
struct Progress {
    host: String,
    tries: Tries,
    failed: usize,
    /// Together, over what was tried.
    downloading: Duration,
    compressing: Duration,
}

/// How it went with one image.
struct Attempt {
    downloading: Duration,
    compressing: Duration,
    /// Its format, and the bytes of source and output.
    result: Result<(String, usize, usize), Error>,
}

/// Reads the CSV and begins to try its sample.
pub async fn begin(app: &App, wanted: Wanted) -> anyhow::Result<Begun> {
    let Wanted { file, hints, settings, sample } = wanted;
    let limits = app.config.sheet.clone();
    let read = spawn_blocking(move || sample::read(file, &limits, &hints, sample));
    let (report, strata) = read.await.context("read the CSV")??;
    if report.rejected {
        return Ok(Begun::Rejected(report));
    }
    Ok(Begun::Running(Box::new(Estimating::new(app.clone(), settings, strata))))
}

impl Estimating {
    fn new(app: App, settings: Settings, strata: Vec<Stratum>) -> Self {
        let sample = strata.iter().map(|stratum| stratum.urls.len()).sum();
        let mut waiting = Vec::with_capacity(sample);
        let mut known = Vec::with_capacity(strata.len());
        for (place, Stratum { host, images, urls }) in strata.into_iter().enumerate() {
            let count = urls.len();
            waiting.extend(urls.into_iter().enumerate().map(|(n, url)| ((n + 1) as f64 / count as f64, place, url)));
            known.push(Progress { host, tries: Tries { images, tried: Vec::new() }, ..Progress::default() });
        }
        // All strata make progress together, so that what is said early is about all of them.
        waiting.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
        let waiting = waiting.into_iter().map(|(_, place, url)| (place, url)).collect();
        Self {
            app,
            settings,
            strata: known,
            waiting,
            sample,
            running: JoinSet::new(),
            formats: BTreeMap::new(),
            failures: HashMap::new(),
        }
    }

    /// Waits for the next image. Returns false when there is none left.
    ///
    /// # Errors
    /// A fault of this process.
    pub async fn advance(&mut self) -> anyhow::Result<bool> {
        while self.running.len() < AT_ONCE
            && let Some((place, url)) = self.waiting.pop_front()
        {
            let (app, settings) = (self.app.clone(), self.settings.clone());
            self.running.spawn(async move {
                let attempt = attempt(&app, &url, settings).await;
                (place, url, attempt)
            });
        }
        let Some(ended) = self.running.join_next().await else { return Ok(false) };
        let (place, url, attempt) = ended.context("try an image of a sample")?;
        self.note(place, url, attempt?);
        Ok(true)
    }

    fn note(&mut self, place: usize, url: String, attempt: Attempt) {
        let stratum = &mut self.strata[place];
        stratum.downloading += attempt.downloading;
        stratum.compressing += attempt.compressing;
        let (input_bytes, output_bytes) = match attempt.result {
            Ok((format, input_bytes, output_bytes)) => {
                *self.formats.entry(format).or_default() += 1;
                (input_bytes as f64, output_bytes as f64)
            }
            Err(Error { error_code: code, error_message: message, .. }) => {
                stratum.failed += 1;
                let host = fetch::host_key(&url);
                let group = self.failures.entry((code, host.clone()));
                group.or_insert(FailureGroup { code, host, count: 0, message, url }).count += 1;
                (0.0, 0.0)
            }
        };
        stratum.tries.tried.push(Tried { input_bytes, output_bytes });
    }

    /// What is expected by now.
    pub fn estimate(&self) -> Estimate {
        let of_all = |of: fn(&Progress) -> f64| self.strata.iter().map(|stratum| stratum.of_all(of(stratum))).sum();
        let mut failures: Vec<FailureGroup> = self.failures.values().cloned().collect();
        failures.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.host.cmp(&other.host)));
        let sampled = self.strata.iter().map(|stratum| stratum.tries.tried.len()).sum();
        let tries: Vec<Tries> = self.strata.iter().map(|stratum| stratum.tries.clone()).collect();
        Estimate {
            images: tries.iter().map(|tries| tries.images).sum(),
            sample: self.sample,
            sampled,
            failed: self.strata.iter().map(|stratum| stratum.failed).sum(),
            failing: of_all(|stratum| stratum.failed as f64),
            figures: figures::figures(&tries),
            duration: (sampled > 0).then(|| self.duration()),
            formats: self.formats.clone(),
            failures,
        }
    }

    /// As long as the slowest of these takes: the cores, the places for downloads, and each host with its own.
    fn duration(&self) -> Duration {
        let workers = &self.app.config.workers;
        let of_all =
            |of: fn(&Progress) -> f64| -> f64 { self.strata.iter().map(|stratum| stratum.of_all(of(stratum))).sum() };
        let cores = of_all(|stratum| stratum.compressing.as_secs_f64()) / workers.compressions.max(1) as f64;
        let places = of_all(|stratum| stratum.downloading.as_secs_f64()) / workers.downloads as f64;
        let windows: HashMap<String, usize> = self.app.fetcher.windows().into_iter().collect();
        let mut hosts: HashMap<&str, f64> = HashMap::new();
        for stratum in self.strata.iter().filter(|stratum| !stratum.host.is_empty()) {
            *hosts.entry(&stratum.host).or_default() += stratum.of_all(stratum.downloading.as_secs_f64());
        }
        let of_host = |(host, seconds): (&str, f64)| {
            let window = windows.get(host).copied().unwrap_or_else(|| self.app.fetcher.first_window());
            seconds / window.max(1) as f64
        };
        let slowest = hosts.into_iter().map(of_host).fold(cores.max(places), f64::max);
        Duration::try_from_secs_f64(slowest).unwrap_or(Duration::MAX)
    }
}

impl Progress {
    /// What is so much for the images that were tried is this for all images of the stratum.
    fn of_all(&self, of_tried: f64) -> f64 {
        of_tried * self.tries.images as f64 / self.tries.tried.len().max(1) as f64
    }
}

/// Downloads and compresses an image.
///
/// # Errors
/// A fault of this process.
async fn attempt(app: &App, url: &str, settings: Settings) -> anyhow::Result<Attempt> {
    let began = Instant::now();
    let fetched = app.fetcher.get(url).await;
    let downloading = began.elapsed();
    let failed = |error: Error| Attempt { downloading, compressing: Duration::ZERO, result: Err(error) };
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(error) if error.is_own_fault() => return Err(error).context("download an image of a sample"),
        Err(error) => return Ok(failed(Failure::of_fetch(&error).error)),
    };
    let limits = app.config.compress;
    let (bytes, asked) = (fetched.bytes.clone(), settings.clone());
    let needed = match spawn_blocking(move || compress::memory_needed(&bytes, &asked, &limits)).await {
        Ok(Ok(needed)) => needed,
        Ok(Err(error)) => return Ok(failed(Failure::of_compress(&error).error)),
        Err(_) => return Ok(failed(internal_error())),
    };
    // In the order of all who want both, so that nobody waits for a core that waits for memory.
    let memory = app.decode_memory.reserve(needed).await;
    let core = app.cores.clone().acquire_owned().await?;
    let compressed = spawn_blocking(move || {
        let began = Instant::now();
        let compressed = compress::compress(&fetched.bytes, &settings, &limits);
        let sizes =
            compressed.map(|made| (made.source.format.name().to_owned(), fetched.bytes.len(), made.bytes.len()));
        drop((core, memory));
        (began.elapsed(), sizes)
    });
    Ok(match compressed.await {
        Ok((compressing, Ok(sizes))) => Attempt { downloading, compressing, result: Ok(sizes) },
        Ok((_, Err(error))) => failed(Failure::of_compress(&error).error),
        Err(_) => failed(internal_error()),
    })
}
