//! Where spans go: to a collector that speaks OTLP (protobuf over HTTP), as OpenTelemetry's variables name it.
//!
//! - [`Collector`] says which, and what is told of this installation; [`Pipeline`] is the way there. It holds so many spans and
//!   no more, waits for nobody, and counts what it lost.
//! - `queue` takes spans as they end and sends them on in batches.
//! - [`TracedStore`] adds a span for each unit of work and each reader below the request that they are for.
//!
//! What becomes a span of a request is decided in `api-http`. Why this is not the processor of OpenTelemetry's own library is
//! written in `docs/adr/0019-traces.md`.

mod queue;
mod sampler;
mod store;

pub use sampler::{Sampling, SamplingRule};
pub use store::TracedStore;

use opentelemetry::KeyValue;
use opentelemetry::global::BoxedTracer;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::{Resource, trace};
use queue::Queue;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Under which name spans say who made them.
const SCOPE: &str = "techtrack";

/// Which collector, and what it is told.
pub struct Collector {
    /// Where the collector is, without `/v1/traces`.
    pub endpoint: String,
    /// Headers that it wants, such as its password.
    pub headers: Vec<(String, String)>,
    /// How long it may take over a batch.
    pub patience: Duration,
    /// The name of this service.
    pub service: String,
    /// The version of this service.
    pub version: &'static str,
    /// What else tells this installation from others.
    pub attributes: Vec<(String, String)>,
    /// Which requests become spans.
    pub sampling: Sampling,
}

/// Says nothing of headers, which hold secrets.
impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why there is no way to the collector. That it is away is none.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Its address, or a header, makes no sense.
    #[error("traces cannot be sent to {endpoint}")]
    Settings {
        /// The address.
        endpoint: String,
        /// What is wrong with it.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// There is nothing to send with.
    #[error("there is no client for HTTP")]
    Client(#[from] reqwest::Error),
}

/// What became of spans so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector took them.
    pub exported: u64,
    /// More ended than were sent on.
    pub overflowed: u64,
    /// The collector was away, or did not want them.
    pub refused: u64,
}

/// The way to a collector. Handles on one and the same.
#[derive(Clone)]
pub struct Pipeline {
    provider: trace::SdkTracerProvider,
    queue: Queue,
}

impl Pipeline {
    /// Opens it, on the current runtime. Says nothing to the collector before there is a span.
    pub fn open(collector: Collector) -> Result<Self, PipelineError> {
        let endpoint = format!("{}/v1/traces", collector.endpoint.trim_end_matches('/'));
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(collector.patience)
            .build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(&endpoint)
            .with_timeout(collector.patience)
            .with_headers(collector.headers.into_iter().collect::<HashMap<_, _>>())
            .build()
            .map_err(|source| PipelineError::Settings { endpoint, source })?;
        let pair = |(key, value): (String, String)| KeyValue::new(key, value);
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", collector.service))
            .with_attribute(KeyValue::new("service.version", collector.version))
            .with_attributes(collector.attributes.into_iter().map(pair))
            .build();
        let queue = Queue::start(exporter, collector.patience, &resource);
        let provider = trace::SdkTracerProvider::builder()
            .with_span_processor(queue.clone())
            .with_sampler(collector.sampling)
            .with_resource(resource)
            .build();
        Ok(Self { provider, queue })
    }

    /// What makes spans.
    pub fn tracer(&self) -> BoxedTracer {
        BoxedTracer::new(Box::new(self.provider.tracer(SCOPE)))
    }

    /// What finds the span that a request belongs below: W3C's `traceparent`.
    pub fn propagator(&self) -> Box<dyn TextMapPropagator + Send + Sync> {
        Box::new(TraceContextPropagator::new())
    }

    /// What became of spans so far.
    pub fn counts(&self) -> SpanCounts {
        self.queue.counts()
    }

    /// Sends what is left, for as long as that may take.
    pub async fn finish(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.queue.flush()).await.is_err() {
            tracing::warn!("the last spans were not sent: the collector took too long");
        }
    }
}
