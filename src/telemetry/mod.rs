//! Logs: sentences with fields, on standard error. And traces, for a collector.

#[cfg(feature = "otlp")]
mod otlp;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Logs what `filter` lets through, as text or as a JSON object a line, and sends spans to the collector at `otlp_endpoint`. The
/// first call in a process decides.
///
/// # Errors
/// The spans cannot be sent.
pub fn init(filter: &str, json: bool, otlp_endpoint: Option<&str>) -> anyhow::Result<()> {
    #[cfg(feature = "otlp")]
    let spans = otlp_endpoint.map(otlp::tracer).transpose()?;
    #[cfg(feature = "otlp")]
    let spans = spans.map(|tracer| tracing_opentelemetry::layer().with_tracer(tracer));
    #[cfg(not(feature = "otlp"))]
    let spans = None::<tracing_subscriber::layer::Identity>;
    #[cfg(not(feature = "otlp"))]
    anyhow::ensure!(
        otlp_endpoint.is_none(),
        "This program was built without the feature `otlp`, so it sends no traces. Unset OTEL_EXPORTER_OTLP_ENDPOINT."
    );
    let registry = tracing_subscriber::registry().with(filtered(filter)).with(spans);
    let writer = std::io::stderr;
    // Only a second call fails: the first one's choice stands.
    let _ = if json {
        registry.with(tracing_subscriber::fmt::layer().json().with_writer(writer)).try_init()
    } else {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_target(false)
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(writer),
            )
            .try_init()
    };
    Ok(())
}

/// Sends the spans that have not been sent yet. Not to be called inside the runtime.
pub fn flush() {
    #[cfg(feature = "otlp")]
    otlp::flush();
}

/// The filter. Unless it names them, oxipng, which has a line for every PNG, is silent, and tokio-postgres, whose debugging shows
/// the parameters of statements and so secrets, says only what matters.
fn filtered(filter: &str) -> EnvFilter {
    EnvFilter::try_new(format!("oxipng=off,tokio_postgres=info,{filter}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oxipng_is_silent_unless_it_is_named() {
        for (filter, ours, theirs) in
            [("info", true, false), ("debug", true, false), ("error", false, false), ("warn,oxipng=info", false, true)]
        {
            let subscriber = tracing_subscriber::registry().with(filtered(filter));
            tracing::subscriber::with_default(subscriber, || {
                assert_eq!(tracing::enabled!(target: "halftone::compress", tracing::Level::INFO), ours, "{filter}");
                assert_eq!(tracing::enabled!(target: "oxipng", tracing::Level::INFO), theirs, "{filter}");
                assert!(!tracing::enabled!(target: "tokio_postgres::query", tracing::Level::DEBUG), "{filter}");
            });
        }
    }
}
