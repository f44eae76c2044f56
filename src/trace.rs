//! The trace that work belongs to (W3C Trace Context), from the caller's header to the header of what is called for them.
//!
//! Without an exporter the caller's header is passed on as it came. With one (`telemetry`) each span continues it.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing::{Instrument as _, Span};

/// The header's name.
pub const HEADER: &str = "traceparent";

/// The value of a `traceparent` header of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: u128,
    /// The span of the one who sent it.
    pub span_id: u64,
    pub flags: u8,
}

/// What is wrong with a header does not matter: it is as if there were none.
#[derive(Debug, PartialEq, Eq)]
pub struct NotATrace;

impl FromStr for Trace {
    type Err = NotATrace;

    /// W3C Trace Context, 3.2. Of later versions only the part is read that this one has.
    fn from_str(text: &str) -> Result<Self, NotATrace> {
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        let [version, trace, span, flags, rest @ ..] = &parts[..] else { return Err(NotATrace) };
        let has_lengths = [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2];
        let is_known = *version != "ff" && (*version != "00" || rest.is_empty());
        if !has_lengths || !is_known || ![version, trace, span, flags].into_iter().all(|part| is_hex(part)) {
            return Err(NotATrace);
        }
        let trace = Self {
            trace_id: u128::from_str_radix(trace, 16).map_err(|_| NotATrace)?,
            span_id: u64::from_str_radix(span, 16).map_err(|_| NotATrace)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| NotATrace)?,
        };
        if trace.trace_id == 0 || trace.span_id == 0 { Err(NotATrace) } else { Ok(trace) }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Makes a span part of a trace and says how those called from it continue the trace; `None` when it is not exported.
pub type Join = fn(&Span, Option<Trace>) -> Option<Trace>;

static EXPORTER: OnceLock<Join> = OnceLock::new();

/// Exports spans from now on. The first call decides.
pub fn export(join: Join) {
    let _ = EXPORTER.set(join);
}

/// Whether spans are worth making for their own sake.
pub fn is_exported() -> bool {
    EXPORTER.get().is_some()
}

tokio::task_local! {
    static CURRENT: Option<Trace>;
}

/// The trace of the present task, to be passed on.
pub fn current() -> Option<Trace> {
    CURRENT.try_with(|trace| *trace).ok().flatten()
}

/// Runs `work` inside `span`, as part of the trace of `parent`.
pub async fn within<F: Future>(parent: Option<Trace>, span: Span, work: F) -> F::Output {
    let joined = EXPORTER.get().and_then(|join| join(&span, parent));
    CURRENT.scope(joined.or(parent), work.instrument(span)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_over_and_nothing_else() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (header, is_known) in [
            (format!("00-{trace}-1112131415161718-01"), true),
            (format!("cc-{trace}-1112131415161718-01-more"), true),
            (format!("00-{trace}-1112131415161718-01-more"), false),
            (format!("00-{trace}-1112131415161718-01-"), false),
            (format!("ff-{trace}-1112131415161718-01"), false),
            (format!("00-{}-1112131415161718-01", trace.to_uppercase()), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (format!("00-{}-1112131415161718-01", "0".repeat(32)), false),
            (format!("00-{trace}-1112131415161718"), false),
            (format!("00-{}-1112131415161718-01", "ä".repeat(16)), false),
            ("nonsense".to_owned(), false),
        ] {
            let read: Result<Trace, _> = header.parse();
            let written = read.map(|read| read.to_string());
            assert_eq!(written.ok(), is_known.then(|| format!("00-{trace}-1112131415161718-01")), "{header}");
        }
    }
}
