//! `halftone run FILE --estimate`: what compressing its images would save and cost, without storing anything.

use std::fs::File;
use std::process::ExitCode;
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::print::counted;
use super::run::print_report;
use crate::app::App;
use crate::pipeline::estimate::{Begun, Estimate, Figure, Wanted, begin};
use halftone_compress::Settings;
use halftone_sheet::Hints;

/// Images that are tried.
const SAMPLE: usize = 50;

/// Tries a sample and says what came of it. Exit code 1 when the CSV would be rejected or it was told to stop.
pub async fn estimate(
    app: &App,
    file: File,
    hints: Hints,
    settings: Settings,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let mut estimating = match begin(app, Wanted { file, hints, settings, sample: SAMPLE }).await? {
        Begun::Running(estimating) => estimating,
        Begun::Rejected(report) => {
            print_report(&report);
            return Ok(ExitCode::FAILURE);
        }
    };
    let bar = ProgressBar::new(estimating.estimate().sample as u64);
    bar.set_style(ProgressStyle::with_template("{bar:32} {pos}/{len} sample images  {elapsed}")?);
    loop {
        let Some(advanced) = stop.run_until_cancelled(estimating.advance()).await else {
            bar.abandon();
            return Ok(ExitCode::FAILURE);
        };
        if !advanced? {
            break;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&estimating.estimate());
    Ok(ExitCode::SUCCESS)
}

fn print(estimate: &Estimate) {
    let figures = &estimate.figures;
    let images = counted(estimate.images as u64, "image");
    say!("{images}, about {} in all, would become {}.", bytes(figures.input_bytes), bytes(figures.output_bytes));
    if let Some(saved) = figures.saved_ratio {
        let percent = |ratio: f64| format!("{:.0} %", 100.0 * ratio);
        let interval = saved.interval.map(|(low, high)| format!(" ({:.0} to {})", 100.0 * low, percent(high)));
        say!("{} would be saved{}.", percent(saved.value), interval.unwrap_or_default());
    }
    if let Some(duration) = estimate.duration {
        let seconds = Duration::from_secs(duration.as_secs().max(1));
        say!("It would take about {} on this machine.", humantime::format_duration(seconds));
    }
    let formats: Vec<String> = estimate.formats.iter().map(|(format, count)| format!("{count} {format}")).collect();
    let sampled = counted(estimate.sampled as u64, "image");
    say!(
        "Based on a sample of {sampled}: {}.",
        if formats.is_empty() { "none is usable".to_owned() } else { formats.join(", ") }
    );
    if estimate.failed > 0 {
        say!("{} of them failed, so about {:.0} of all images would fail:", estimate.failed, estimate.failing);
    }
    for group in &estimate.failures {
        say!("{} × {} ({}): {} For example {}", group.count, group.code, group.host, group.message, group.url);
    }
}

fn bytes(figure: Figure) -> String {
    let size = |bytes: f64| ByteSize(bytes.round() as u64).to_string();
    match figure.interval {
        Some((low, high)) if low < high => format!("{} ({} to {})", size(figure.value), size(low), size(high)),
        _ => size(figure.value),
    }
}
