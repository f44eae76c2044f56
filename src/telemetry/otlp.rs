//! Spans for an OpenTelemetry collector, over OTLP/HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::trace::{self, Trace};

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// A collector says whether it took the spans, and nothing else.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What makes spans and sends them to the collector at `endpoint`. Must be called inside the runtime.
pub fn tracer(endpoint: &str) -> anyhow::Result<SdkTracer> {
    // Only the first provider of a process can be installed; if one is there already, it is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("build the client for traces")?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Sender { http, runtime: Handle::current() })
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(TIMEOUT)
        .build()
        .context("build the exporter of traces")?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name("halftone").with_attribute(version).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("halftone");
    let _ = PROVIDER.set(provider);
    trace::export(join);
    Ok(tracer)
}

/// Sends what has not been sent yet. Blocks, so the runtime has to run on another thread.
pub fn flush() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
    {
        tracing::warn!("cannot send the last traces: {error}");
    }
}

fn join(span: &Span, parent: Option<Trace>) -> Option<Trace> {
    if let Some(parent) = parent {
        let context = SpanContext::new(
            TraceId::from(parent.trace_id),
            SpanId::from(parent.span_id),
            TraceFlags::new(parent.flags),
            true,
            TraceState::default(),
        );
        // It fails for a span that nobody records.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    own.is_valid().then(|| Trace {
        trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(own.span_id().to_bytes()),
        flags: own.trace_flags().to_u8(),
    })
}

/// The exporter works on a thread of its own, where the client would find no runtime.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let mut answer = http.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                    return Err("the collector's answer is too long".into());
                }
                body.extend_from_slice(&chunk);
            }
            Ok::<_, HttpError>(response.body(body.into())?)
        });
        sending.await?
    }
}
