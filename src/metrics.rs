//! Figures of this process for Prometheus. Names follow its conventions: a unit at the end, `_total` for what only grows.

use std::time::Duration;

use anyhow::Context as _;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
};

/// From a cache's answer to the longest an image may take.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// A step of an image's way.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    Fetch,
    Compress,
    Store,
    /// Until its result is durable.
    Settle,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Compress => "compress",
            Self::Store => "store",
            Self::Settle => "settle",
        }
    }
}

/// What this process has done so far.
pub struct Metrics {
    registry: Registry,
    image_attempts: IntCounterVec,
    image_stages: HistogramVec,
    source_bytes: IntCounter,
    output_bytes: IntCounter,
    webhook_attempts: IntCounterVec,
    http_requests: HistogramVec,
    graphql_operations: HistogramVec,
}

impl Metrics {
    pub fn new() -> anyhow::Result<Self> {
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let seconds = |name, help, labels: &[&str]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)
        };
        let metrics = Self {
            image_attempts: counter(
                "halftone_image_attempts_total",
                "Attempts at images whose result was recorded, by result and error code.",
                &["result", "code"],
            )?,
            image_stages: seconds(
                "halftone_image_stage_duration_seconds",
                "How long images took to be fetched, compressed, stored and recorded.",
                &["stage"],
            )?,
            source_bytes: IntCounter::new(
                "halftone_image_source_bytes_total",
                "Bytes of the sources of images that succeeded.",
            )?,
            output_bytes: IntCounter::new(
                "halftone_image_output_bytes_total",
                "Bytes of the outputs of images that succeeded.",
            )?,
            webhook_attempts: counter(
                "halftone_webhook_attempts_total",
                "Attempts at webhooks, by the status in which they left the delivery.",
                &["status"],
            )?,
            http_requests: seconds(
                "halftone_http_request_duration_seconds",
                "How long HTTP requests took to be answered, up to the first byte of the body.",
                &["route", "method", "status"],
            )?,
            graphql_operations: seconds(
                "halftone_graphql_operation_duration_seconds",
                "How long queries and mutations ran, by the first field they asked for.",
                &["kind", "field", "outcome"],
            )?,
            registry,
        };
        let parts: [Box<dyn Collector>; 7] = [
            Box::new(metrics.image_attempts.clone()),
            Box::new(metrics.image_stages.clone()),
            Box::new(metrics.source_bytes.clone()),
            Box::new(metrics.output_bytes.clone()),
            Box::new(metrics.webhook_attempts.clone()),
            Box::new(metrics.http_requests.clone()),
            Box::new(metrics.graphql_operations.clone()),
        ];
        for part in parts {
            metrics.registry.register(part)?;
        }
        Ok(metrics)
    }

    /// The result of an attempt at an image was recorded; `code` is empty unless it failed.
    pub fn image_attempt(&self, result: &str, code: &str) {
        self.image_attempts.with_label_values(&[result, code]).inc();
    }

    /// An image of `source` bytes became one of `output` bytes.
    pub fn image_bytes(&self, source: i64, output: i64) {
        self.source_bytes.inc_by(source.unsigned_abs());
        self.output_bytes.inc_by(output.unsigned_abs());
    }

    /// An image has passed a stage.
    pub fn image_stage(&self, stage: Stage, took: Duration) {
        self.image_stages.with_label_values(&[stage.word()]).observe(took.as_secs_f64());
    }

    /// An attempt at a webhook has left its delivery in this status.
    pub fn webhook_attempt(&self, status: &str) {
        self.webhook_attempts.with_label_values(&[status]).inc();
    }

    /// A request was answered. `route` is one of the server's own, so that there are few.
    pub fn http_request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let status = status.to_string();
        self.http_requests.with_label_values(&[route, method, &status]).observe(took.as_secs_f64());
    }

    /// A GraphQL operation was executed. `field` is one of the schema's, so that there are few.
    pub fn graphql_operation(&self, kind: &str, field: &str, is_good: bool, took: Duration) {
        let outcome = if is_good { "success" } else { "error" };
        self.graphql_operations.with_label_values(&[kind, field, outcome]).observe(took.as_secs_f64());
    }

    /// Everything as text, with the values of `now`.
    pub fn text(&self, now: &Now) -> anyhow::Result<String> {
        let families = [self.registry.gather(), now.0.gather()].concat();
        TextEncoder::new().encode_to_string(&families).context("write the metrics")
    }
}

/// Values that are read when somebody asks.
pub struct Now(Registry);

impl Default for Now {
    fn default() -> Self {
        Self(Registry::new())
    }
}

impl Now {
    /// Adds a gauge with a value for each combination of labels.
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str], values: &[(&[&str], f64)]) -> anyhow::Result<()> {
        let gauge = prometheus::GaugeVec::new(Opts::new(name, help), labels)?;
        for (labels, value) in values {
            gauge.with_label_values(labels).set(*value);
        }
        Ok(self.0.register(Box::new(gauge))?)
    }
}
