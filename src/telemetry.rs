//! Logs: sentences with fields, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Logs what `filter` lets through, as text or as a JSON object a line. The first call in a process decides.
pub fn init(filter: &str, json: bool) {
    let registry = tracing_subscriber::registry().with(filtered(filter));
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
