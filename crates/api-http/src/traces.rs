//! Traces: each request as a span of OpenTelemetry, below the span that the client tells of. Nothing here is done where traces
//! are off.
//!
//! A span says which route was taken, how it ended, and the request's id. It never holds a query, a header or a body: they may
//! hold secrets. Where spans go is not decided here; see the crate `adapters-traces`.

use crate::metrics::{UNKNOWN_METHOD, known_method};
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use opentelemetry::global::BoxedTracer;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use std::sync::Arc;

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// The collector took them.
    pub exported: u64,
    /// More came than were sent on.
    pub overflowed: u64,
    /// The collector was away, or did not want them.
    pub refused: u64,
}

/// So much is kept of what a client says: many spans are held where their collector is slow.
const LONGEST_TEXT: usize = 1024;

/// Makes spans of requests.
#[derive(Clone)]
pub struct Traces(Arc<Maker>);

struct Maker {
    tracer: BoxedTracer,
    propagator: Box<dyn TextMapPropagator + Send + Sync>,
    spans: Box<dyn Fn() -> Spans + Send + Sync>,
}

impl Traces {
    /// Spans from this tracer, below what this propagator finds in the request. `spans` tells what became of them.
    pub fn new(
        tracer: BoxedTracer,
        propagator: Box<dyn TextMapPropagator + Send + Sync>,
        spans: impl Fn() -> Spans + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Maker { tracer, propagator, spans: Box::new(spans) }))
    }

    /// What became of spans so far.
    pub(crate) fn spans(&self) -> Spans {
        (self.0.spans)()
    }

    /// Begins the span of a request.
    pub(crate) fn begin(&self, request: &ServiceRequest, request_id: &str) -> Trace {
        let above = self.0.propagator.extract_with_context(&Context::new(), &Headers(request.headers()));
        let method = name_of(request.method());
        let attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.path", cut(request.path(), LONGEST_TEXT).to_owned()),
            KeyValue::new("techtrack.request_id", request_id.to_owned()),
        ];
        let span = self.0.tracer.span_builder(method).with_kind(SpanKind::Server).with_attributes(attributes);
        Trace(above.with_span(self.0.tracer.build_with_context(span, &above)))
    }
}

/// The span of a request. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Trace(Context);

impl Trace {
    /// The trace that it is part of, as the log tells it.
    pub(crate) fn id(&self) -> TraceId {
        self.0.span().span_context().trace_id()
    }

    /// The same work, below this span.
    pub(crate) fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.with_context(self.0.clone())
    }

    /// Notes how the request was answered.
    pub(crate) fn answered(&self, method: &Method, route: Option<&str>, status: StatusCode) {
        let span = self.0.span();
        // Both slash forms of a path are one route.
        if let Some(route) = route.map(|route| route.trim_end_matches('/')) {
            span.update_name(format!("{} {route}", name_of(method)));
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Work that goes on by itself may still hold the span.
        self.0.span().end();
    }
}

/// The same work, below the span that is being worked on here, if there is one. For work that goes on in a task of its own.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let here = Context::map_current(|here| here.has_active_span().then(|| here.clone()));
    async move {
        match here {
            Some(here) => work.with_context(here).await,
            None => work.await,
        }
    }
}

/// The method, as OpenTelemetry calls those that anybody may invent.
fn name_of(method: &Method) -> &'static str {
    match known_method(method) {
        UNKNOWN_METHOD => "_OTHER",
        known => known,
    }
}

/// The beginning of a text.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok().filter(|value| value.len() <= LONGEST_TEXT)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
