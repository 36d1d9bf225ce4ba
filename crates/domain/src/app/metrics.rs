//! The catalogue of metrics: look up, and say what they are.

use super::App;
use crate::access::Granted;
use crate::access::rights::{ViewData, WriteData};
use crate::audit::{Action, NewEvent, Subject, metric_facts};
use crate::equipment::Reach;
use crate::error::{Denied, Error};
use crate::page::Page;
use crate::patch::{Patch, Precondition};
use crate::telemetry::{Metric, MetricName, MetricQuery};
use crate::text::{Description, Label};

/// A change of what is said about a metric. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct MetricChange {
    /// Another unit.
    pub unit: Patch<Label>,
    /// Another description.
    pub description: Patch<Description>,
}

/// A page of the catalogue.
pub async fn list(app: &App, _by: &Granted<ViewData>, query: &MetricQuery) -> Result<Page<Metric>, Error> {
    Ok(app.store.reader().await?.metrics().list(query).await?)
}

/// One metric.
pub async fn get(app: &App, _by: &Granted<ViewData>, name: &MetricName) -> Result<Metric, Error> {
    app.store.reader().await?.metrics().find(name).await?.ok_or(Error::NotFound("metric"))
}

/// Says what a metric is. Who says what is said already changes nothing.
pub async fn change(
    app: &App,
    by: Granted<WriteData>,
    name: &MetricName,
    change: MetricChange,
    precondition: Precondition,
) -> Result<Metric, Error> {
    if *by.actor().reach() != Reach::All {
        return Err(Denied::OutOfReach.into());
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let before = tx.metrics().lock(name).await?.ok_or(Error::NotFound("metric"))?;
    precondition.check(before.version)?;
    let after = Metric {
        unit: change.unit.apply(&before.unit),
        description: change.description.apply(&before.description),
        ..before.clone()
    };
    if after == before {
        tx.rollback().await;
        return Ok(before);
    }
    let after = tx.metrics().save(&Metric { updated_at: now, ..after }).await?;
    let event = NewEvent::new(now, by.actor(), Action::MetricUpdated, Subject::other("metric", None, name));
    tx.trail().record(&event.changing(metric_facts(&before), metric_facts(&after))).await?;
    tx.commit().await?;
    Ok(after)
}
