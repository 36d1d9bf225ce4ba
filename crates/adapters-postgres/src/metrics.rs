//! The catalogue of what is measured: the `metrics` table. How metrics come into it is in `catalogue`.

use crate::functions::strpos;
use crate::link::Link;
use crate::lists::{Ordering, among, by, effective, page};
use crate::rows::{Row, stamp};
use crate::schema::metrics;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::page::{Order, Page};
use domain::ports::{Metrics, Reference, StoreError};
use domain::telemetry::{Metric, MetricKey, MetricName, MetricQuery};
use domain::text::{Description, Label, fold};

#[async_trait]
impl Metrics for Link {
    async fn find(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError> {
        let row = metrics::table.filter(metrics::name.eq(name.as_str())).select(MetricRow::as_select());
        self.one(row).await?.map(Metric::try_from).transpose()
    }

    async fn lock(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError> {
        let row = metrics::table
            .filter(metrics::name.eq(name.as_str()))
            .select(MetricRow::as_select())
            .for_no_key_update();
        self.one(row).await?.map(Metric::try_from).transpose()
    }

    async fn save(&mut self, metric: &Metric) -> Result<Metric, StoreError> {
        let row = diesel::update(metrics::table.filter(metrics::name.eq(metric.name.as_str())))
            .set((
                metrics::unit.eq(metric.unit.as_ref().map(Label::as_str)),
                metrics::unit_key.eq(metric.unit.as_ref().map(Label::key)),
                metrics::description.eq(metric.description.as_ref().map(Description::as_str)),
                metrics::description_key.eq(metric.description.as_ref().map(|text| fold(text.as_str()))),
                metrics::version.eq(metrics::version + 1),
                metrics::updated_at.eq(stamp(metric.updated_at)),
            ))
            .returning(MetricRow::as_returning());
        let row = self.one(row).await?.ok_or(StoreError::Dangling(Reference::Metric))?;
        Metric::try_from(row)
    }

    async fn list(&mut self, query: &MetricQuery) -> Result<Page<Metric>, StoreError> {
        let order = effective(&query.order, MetricKey::Name);
        page!(self, query.page, matching(query), order, MetricRow::as_select(), MetricRow => Metric::try_from)
    }
}

fn matching(query: &MetricQuery) -> metrics::BoxedQuery<'_, Pg> {
    let mut matching = metrics::table.into_boxed();
    among!(matching, metrics::name, query.names, MetricName::as_str);
    if let Some(text) = &query.search {
        let text = fold(text);
        let in_name = strpos(metrics::name.nullable(), text.clone()).gt(0);
        let in_unit = strpos(metrics::unit_key, text.clone()).gt(0);
        matching = matching.filter(in_name.or(in_unit).or(strpos(metrics::description_key, text).gt(0)));
    }
    matching
}

fn ordering(order: Order<MetricKey>) -> Ordering<metrics::table> {
    match order.key {
        MetricKey::Name => by!(metrics::name, order.direction),
        MetricKey::CreatedAt => by!(metrics::created_at, order.direction),
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = metrics, check_for_backend(Pg))]
struct MetricRow {
    name: String,
    unit: Option<String>,
    description: Option<String>,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

impl TryFrom<MetricRow> for Metric {
    type Error = StoreError;

    fn try_from(metric: MetricRow) -> Result<Self, StoreError> {
        let row = Row { table: "metrics", key: &metric.name };
        Ok(Self {
            name: MetricName::restore(&metric.name),
            version: row.version(metric.version)?,
            created_at: row.instant("created_at", metric.created_at)?,
            updated_at: row.instant("updated_at", metric.updated_at)?,
            unit: metric.unit.map(Label::restore),
            description: metric.description.map(Description::restore),
        })
    }
}
