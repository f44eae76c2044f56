//! What compressing the images of a CSV would save and cost, before it is uploaded.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject, Upload};
use async_stream::try_stream;
use futures_util::Stream;

use super::csv::CsvColumnsInput;
use super::error::{bad_input, busy, forbidden, internal};
use super::failure::ImageErrorCode;
use super::format::ImageFormat;
use super::mutation::{csv_rejected, settings_error, uploaded};
use super::settings::{self, CompressionInput, OutputInput};
use super::viewer::caller;
use crate::app::App;
use crate::pipeline::estimate::{self, Begun, Entered, Figure, Wanted};

/// Images of a sample: at least as many as an interval needs, at most what is still quicker than the upload.
const SAMPLE: std::ops::RangeInclusive<i32> = 10..=500;

/// Input of `estimate`.
#[derive(InputObject)]
pub struct EstimateInput {
    /// The file.
    file: Upload,
    /// How images would be compressed. By default, at quality 50.
    compression: Option<CompressionInput>,
    /// Format, size and metadata of the outputs.
    output: Option<OutputInput>,
    /// What each column contains; by default it is detected by name, then by content.
    columns: Option<CsvColumnsInput>,
    /// Images to try, 10 to 500.
    #[graphql(default = 50)]
    sample: i32,
}

/// The images of the sample that have the same format.
#[derive(SimpleObject)]
pub struct EstimateFormat {
    /// The format.
    format: ImageFormat,
    /// Images of the sample.
    count: i32,
}

/// Images of the sample that failed for the same reason at the same host.
#[derive(SimpleObject)]
pub struct EstimateFailure {
    /// The cause they share.
    code: ImageErrorCode,
    /// The host they share.
    host: String,
    /// Images of the sample.
    count: i32,
    /// Whether trying again later may succeed with nothing else changed. The sample is tried once.
    retryable: bool,
    /// Why the first of them failed, in one sentence.
    message: String,
    /// The URL of the first of them.
    example_url: String,
}

pub struct Estimate(estimate::Estimate);

/// The expected result of compressing a CSV, judging by the images tried so far. For at least 90 % of catalogues the
/// true values are within the intervals. Savings from reuse are not included.
#[Object]
impl Estimate {
    /// Whether the whole sample has been tried; true only for the last estimate.
    async fn is_final(&self) -> bool {
        self.0.sampled == self.0.sample
    }

    /// Images of the sample that have been tried.
    async fn sampled(&self) -> i32 {
        int(self.0.sampled)
    }

    /// Images in the sample: as many as requested, or all images if there are fewer.
    async fn sample_size(&self) -> i32 {
        int(self.0.sample)
    }

    /// Distinct image URLs of the CSV.
    async fn images(&self) -> i32 {
        int(self.0.images)
    }

    /// Images of the sample that failed.
    async fn failed(&self) -> i32 {
        int(self.0.failed)
    }

    /// Images of the whole CSV that would fail.
    async fn failing(&self) -> i32 {
        int(self.0.failing.round() as usize)
    }

    /// Total bytes of all sources.
    async fn input_bytes(&self) -> f64 {
        whole(self.0.figures.input_bytes.value)
    }

    /// The lower end of its interval; null until enough images have been tried.
    async fn input_bytes_low(&self) -> Option<f64> {
        low(Some(self.0.figures.input_bytes)).map(f64::round)
    }

    /// The upper end of its interval.
    async fn input_bytes_high(&self) -> Option<f64> {
        high(Some(self.0.figures.input_bytes)).map(f64::round)
    }

    /// Total bytes of all outputs.
    async fn output_bytes(&self) -> f64 {
        whole(self.0.figures.output_bytes.value)
    }

    /// The lower end of its interval; null until enough images have been tried.
    async fn output_bytes_low(&self) -> Option<f64> {
        low(Some(self.0.figures.output_bytes)).map(f64::round)
    }

    /// The upper end of its interval.
    async fn output_bytes_high(&self) -> Option<f64> {
        high(Some(self.0.figures.output_bytes)).map(f64::round)
    }

    /// 1 − output ÷ input; null until an image has been compressed.
    async fn saved_ratio(&self) -> Option<f64> {
        self.0.figures.saved_ratio.map(|figure| figure.value)
    }

    /// The lower end of its interval; null until enough images have been tried.
    async fn saved_ratio_low(&self) -> Option<f64> {
        low(self.0.figures.saved_ratio)
    }

    /// The upper end of its interval.
    async fn saved_ratio_high(&self) -> Option<f64> {
        high(self.0.figures.saved_ratio)
    }

    /// How long this server would need for the whole CSV, at the speed of the sample and with no other work; null until an
    /// image has been tried.
    async fn seconds(&self) -> Option<f64> {
        self.0.duration.map(|duration| duration.as_secs_f64())
    }

    /// The formats of the sample's sources.
    async fn formats(&self) -> Vec<EstimateFormat> {
        let format = |(name, count): (&String, &usize)| {
            Some(EstimateFormat { format: ImageFormat::stored(name)?, count: int(*count) })
        };
        self.0.formats.iter().filter_map(format).collect()
    }

    /// Why images of the sample failed; the most frequent cause first.
    async fn failure_groups(&self) -> Vec<EstimateFailure> {
        let group = |group: &estimate::FailureGroup| EstimateFailure {
            code: group.code.into(),
            host: group.host.clone(),
            count: int(group.count),
            retryable: group.code.is_retryable(),
            message: group.message.clone(),
            example_url: group.url.clone(),
        };
        self.0.failures.iter().map(group).collect()
    }
}

/// A sum of nothing is −0, which no client expects.
fn whole(bytes: f64) -> f64 {
    bytes.round() + 0.0
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn low(figure: Option<Figure>) -> Option<f64> {
    Some(figure?.interval?.0)
}

fn high(figure: Option<Figure>) -> Option<f64> {
    Some(figure?.interval?.1)
}

/// Begins an estimate, and sends one at once and after each image of the sample.
pub(super) async fn run(
    ctx: &Context<'_>,
    input: EstimateInput,
) -> Result<impl Stream<Item = Result<Estimate>> + use<>> {
    let app = ctx.data_unchecked::<App>();
    let caller = caller(ctx);
    if !caller.may_write() {
        return Err(forbidden(
            "An estimate downloads and compresses images, which requires a key with the scope `write`.",
        ));
    }
    let file = uploaded(ctx, input.file)?.content;
    let settings = settings::read(input.compression, input.output).map_err(|problems| {
        let messages: Vec<String> = problems.into_iter().map(|problem| settings_error(problem).message).collect();
        bad_input(messages.join(" "))
    })?;
    if !SAMPLE.contains(&input.sample) {
        return Err(bad_input(format!("`sample` must be a number from {} to {}.", SAMPLE.start(), SAMPLE.end())));
    }
    let key = caller.key.as_ref().map(|key| key.id.as_str());
    let place = match estimate::enter(app, caller.tenant.id, key).await.map_err(internal)? {
        Entered::Free(place) => place,
        Entered::HasOne => {
            return Err(busy("You already have an estimate running. Wait until it ends, or end its subscription."));
        }
        Entered::Full => {
            return Err(busy("This server is already running as many estimates as it can. Try again in a minute."));
        }
    };
    let hints = input.columns.unwrap_or_default().into();
    let wanted = Wanted { file, hints, settings, sample: input.sample.unsigned_abs() as usize };
    let begun = {
        let _place = app.submissions.acquire().await?;
        estimate::begin(app, wanted).await.map_err(internal)?
    };
    let mut estimating = match begun {
        Begun::Running(estimating) => estimating,
        Begun::Rejected(report) => {
            return Err(bad_input(csv_rejected("The CSV would be rejected", &report, &[]).message));
        }
    };
    Ok(try_stream! {
        let _place = place;
        loop {
            yield Estimate(estimating.estimate());
            if !estimating.advance().await.map_err(internal)? {
                break;
            }
        }
    })
}
