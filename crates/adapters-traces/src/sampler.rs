//! Which requests become spans, in the words of `OTEL_TRACES_SAMPLER`.

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingRule {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share of them.
    Ratio,
}

/// Which of them, and whether a client that has a say is heard.
#[derive(Clone, Debug)]
pub struct Sampling(Sampler);

impl Sampling {
    /// By this rule, of which `share` is the number; `parent_based` where a client that names a trace decides for it.
    pub fn new(rule: SamplingRule, share: f64, parent_based: bool) -> Self {
        let sampler = match rule {
            SamplingRule::AlwaysOn => Sampler::AlwaysOn,
            SamplingRule::AlwaysOff => Sampler::AlwaysOff,
            SamplingRule::Ratio => Sampler::TraceIdRatioBased(share),
        };
        Self(if parent_based { Sampler::ParentBased(Box::new(sampler)) } else { sampler })
    }
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.0.should_sample(parent_context, trace_id, name, span_kind, attributes, links)
    }
}
