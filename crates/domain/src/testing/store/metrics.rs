//! The catalogue of what is measured.

use super::Unit;
use super::lists::{any, page};
use crate::page::Page;
use crate::ports::{Metrics, Reference, StoreError};
use crate::telemetry::{Metric, MetricKey, MetricName, MetricQuery};
use crate::text::{Label, fold};
use async_trait::async_trait;
use std::cmp::Ordering;

#[async_trait]
impl Metrics for Unit {
    async fn find(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError> {
        Ok(self.tables()?.metrics.get(name).cloned())
    }

    async fn lock(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError> {
        Ok(self.hold()?.metrics.get(name).cloned())
    }

    async fn save(&mut self, metric: &Metric) -> Result<Metric, StoreError> {
        self.change(|tables| {
            let dangling = StoreError::Dangling(Reference::Metric);
            let stored = tables.metrics.get_mut(&metric.name).ok_or(dangling)?;
            *stored =
                Metric { version: stored.version.next(), created_at: stored.created_at, ..metric.clone() };
            Ok(stored.clone())
        })
    }

    async fn list(&mut self, query: &MetricQuery) -> Result<Page<Metric>, StoreError> {
        let metrics = self.tables()?.metrics.values();
        let matching = metrics.filter(|metric| {
            any(&query.names, |wanted| metric.name == *wanted)
                && query.search.as_ref().is_none_or(|text| occurs(text, metric))
        });
        Ok(page(matching.cloned().collect(), &query.order, compare, query.page))
    }
}

fn occurs(text: &str, metric: &Metric) -> bool {
    let text = fold(text);
    metric.name.as_str().contains(&text)
        || metric.unit.as_ref().map(Label::key).is_some_and(|unit| unit.contains(&text))
        || metric.description.as_ref().is_some_and(|about| fold(about.as_str()).contains(&text))
}

fn compare(key: MetricKey, one: &Metric, other: &Metric) -> Ordering {
    match key {
        MetricKey::Name => one.name.cmp(&other.name),
        MetricKey::CreatedAt => one.created_at.cmp(&other.created_at),
    }
}
