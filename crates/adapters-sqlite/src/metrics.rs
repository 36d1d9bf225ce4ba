//! The catalogue of what is measured, as people see it. Under which numbers it is stored is in `catalogue.rs`.

use crate::lists::{any_of, cut_page, instr, restored, then_by};
use crate::rows::MetricRow;
use crate::schema::metrics;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::page::{Order, Page, effective_order};
use domain::ports::{Metrics, Reference, StoreError};
use domain::telemetry::{Metric, MetricKey, MetricName, MetricQuery};
use domain::text::{Description, Label, fold};

#[async_trait]
impl Metrics for Work {
    async fn find(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError> {
        let name = name.clone();
        self.run(move |connection| find(connection, &name)).await
    }

    async fn lock(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError> {
        self.hold()?;
        Metrics::find(self, name).await
    }

    async fn save(&mut self, metric: &Metric) -> Result<Metric, StoreError> {
        let metric = metric.clone();
        self.run(move |connection| save(connection, &metric)).await
    }

    async fn list(&mut self, query: &MetricQuery) -> Result<Page<Metric>, StoreError> {
        let query = query.clone();
        self.run(move |connection| list(connection, &query)).await
    }
}

fn find(connection: &mut SqliteConnection, name: &MetricName) -> Answer<Option<Metric>> {
    let query = metrics::table.filter(metrics::name.eq(name.as_str())).select(MetricRow::as_select());
    let row = query.first(connection).optional()?;
    Ok(row.map(Metric::try_from).transpose()?)
}

fn save(connection: &mut SqliteConnection, metric: &Metric) -> Answer<Metric> {
    let row: Option<MetricRow> =
        diesel::update(metrics::table.filter(metrics::name.eq(metric.name.as_str())))
            .set((
                metrics::unit.eq(metric.unit.as_ref().map(Label::as_str)),
                metrics::unit_key.eq(metric.unit.as_ref().map(Label::key)),
                metrics::description.eq(metric.description.as_ref().map(Description::as_str)),
                metrics::description_key.eq(metric.description.as_ref().map(|text| fold(text.as_str()))),
                metrics::version.eq(metrics::version + 1),
                metrics::updated_at.eq(metric.updated_at.micros()),
            ))
            .returning(MetricRow::as_returning())
            .get_result(connection)
            .optional()?;
    Ok(row.ok_or(StoreError::Dangling(Reference::Metric))?.try_into()?)
}

fn list(connection: &mut SqliteConnection, query: &MetricQuery) -> Answer<Page<Metric>> {
    let all = || matching(query);
    let (total, rows) = cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), MetricRow);
    Ok(Page { total, items: restored(rows)? })
}

type Boxed<'a> = metrics::BoxedQuery<'a, Sqlite>;

fn matching(query: &MetricQuery) -> Boxed<'_> {
    let matching = any_of!(metrics::table.into_boxed(), metrics::name, query.names, MetricName::as_str);
    let Some(text) = query.search.as_deref().map(fold) else {
        return matching;
    };
    let in_name = instr(metrics::name, text.clone()).gt(0);
    let in_unit = instr(metrics::unit_key.assume_not_null(), text.clone()).gt(0);
    matching.filter(in_name.or(in_unit).or(instr(metrics::description_key.assume_not_null(), text).gt(0)))
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<MetricKey>]) -> Boxed<'a> {
    effective_order(order, MetricKey::Name).iter().fold(query, |query, Order { key, direction }| match key {
        MetricKey::Name => then_by!(query, metrics::name, direction),
        MetricKey::CreatedAt => then_by!(query, metrics::created_at, direction),
    })
}
