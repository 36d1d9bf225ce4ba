//! Rules that raise alerts: the `alert_rules` table, and the sequence that counts their changes.

use crate::functions::strpos;
use crate::link::Link;
use crate::lists::{Ordering, among, by, effective, page, within};
use crate::rows::{Row, stamp};
use crate::schema::alert_rules;
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamptz};
use domain::equipment::Reach;
use domain::id::{EquipmentId, RuleId};
use domain::page::{Order, Page};
use domain::ports::{AlertRules, Reference, StoreError};
use domain::rules::{
    Condition, NewRule, Operator, Rule, RuleDetails, RuleFilter, RuleKey, RuleQuery, RulesInForce, Severity,
    Target, Threshold,
};
use domain::telemetry::MetricName;
use domain::text::{Label, fold};
use domain::time::Timestamp;
use std::time::Duration;

/// The advisory lock of whoever changes rules, and shared, of whoever judges by them: spells "rules".
const RULES: i64 = i64::from_be_bytes(*b"\0\0\0rules");

/// First the lock, then the number: CASE keeps the order. That it is the newest number, also for who waited, is due to the
/// sequence: a table would answer what it held when the statement began.
const GENERATION: &str = "\
    SELECT CASE WHEN pg_advisory_xact_lock_shared(?) IS NOT NULL THEN pg_sequence_last_value('rule_generation') END";

/// A unit of work that is rolled back leaves the number raised. That costs whoever judges a look at the same rules.
const NEW_GENERATION: &str = "SELECT nextval('rule_generation')";

/// The foreign key would take the rule off its alerts as well, and nobody would see that they changed.
const ORPHAN: &str =
    "UPDATE alerts SET rule_id = NULL, version = version + 1, updated_at = ? WHERE rule_id = ?";

/// Takes hold of the rules and asks which generation they are.
pub(crate) fn generation() -> Statement<'static, Nullable<BigInt>> {
    Statement::new(GENERATION).bind::<BigInt, _>(RULES)
}

/// The rules in force, which are held and are of this generation, unless they are known.
pub(crate) async fn in_force(
    link: &mut Link,
    known: Option<i64>,
    generation: Option<i64>,
) -> Result<Option<RulesInForce>, StoreError> {
    let generation =
        Row { table: "rule_generation", key: &"(the only one)" }.read("last_value", generation)?;
    if known == Some(generation) {
        return Ok(None);
    }
    let rules =
        alert_rules::table.filter(alert_rules::enabled).order(alert_rules::id).select(RuleRow::as_select());
    let rules = link.all(rules).await?.into_iter().map(Rule::try_from).collect::<Result<_, _>>()?;
    Ok(Some(RulesInForce { generation, rules }))
}

#[async_trait]
impl AlertRules for Link {
    async fn in_force(&mut self, known: Option<i64>) -> Result<Option<RulesInForce>, StoreError> {
        self.in_unit()?;
        let generation = self.the(generation()).await?;
        in_force(self, known, generation).await
    }

    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold(RULES).await?;
        let _generation: i64 = self.the(Statement::<BigInt>::new(NEW_GENERATION)).await?;
        Ok(())
    }

    async fn insert(&mut self, rule: &NewRule) -> Result<Rule, StoreError> {
        let created_at = stamp(rule.created_at);
        let row = diesel::insert_into(alert_rules::table)
            .values((
                RuleWrite::from(&rule.details),
                alert_rules::in_force_since.eq(created_at),
                alert_rules::created_at.eq(created_at),
                alert_rules::updated_at.eq(created_at),
            ))
            .returning(RuleRow::as_returning());
        Rule::try_from(self.the(row).await?)
    }

    async fn find(&mut self, id: RuleId) -> Result<Option<Rule>, StoreError> {
        let row = alert_rules::table.find(id.get()).select(RuleRow::as_select());
        self.one(row).await?.map(Rule::try_from).transpose()
    }

    async fn save(&mut self, rule: &Rule) -> Result<Rule, StoreError> {
        let in_force_since = stamp(rule.in_force_since);
        // What stands on the right is what was stored before.
        let in_force_version = diesel::dsl::case_when(
            alert_rules::in_force_since.eq(in_force_since),
            alert_rules::in_force_version,
        )
        .otherwise(alert_rules::version + 1);
        let row = diesel::update(alert_rules::table.find(rule.id.get()))
            .set((
                RuleWrite::from(&rule.details),
                alert_rules::in_force_since.eq(in_force_since),
                alert_rules::in_force_version.eq(in_force_version),
                alert_rules::version.eq(alert_rules::version + 1),
                alert_rules::updated_at.eq(stamp(rule.updated_at)),
            ))
            .returning(RuleRow::as_returning());
        let row = self.one(row).await?.ok_or(StoreError::Dangling(Reference::Rule))?;
        Rule::try_from(row)
    }

    async fn delete(&mut self, id: RuleId, at: Timestamp) -> Result<bool, StoreError> {
        // Whoever raises an alert by it holds its row. Waited for here, their alerts are among those that lose it.
        let held = alert_rules::table.find(id.get()).select(alert_rules::id).for_update();
        let held: Option<i64> = self.one(held).await?;
        if held.is_none() {
            return Ok(false);
        }
        let orphaned =
            Statement::<()>::new(ORPHAN).bind::<Timestamptz, _>(stamp(at)).bind::<BigInt, _>(id.get());
        self.run(orphaned).await?;
        Ok(self.run(diesel::delete(alert_rules::table.find(id.get()))).await? > 0)
    }

    async fn list(&mut self, query: &RuleQuery) -> Result<Page<Rule>, StoreError> {
        let order = effective(&query.order, RuleKey::Id);
        page!(self, query.page, matching(&query.filter), order, RuleRow::as_select(), RuleRow => Rule::try_from)
    }
}

fn matching(filter: &RuleFilter) -> alert_rules::BoxedQuery<'_, Pg> {
    let mut matching = alert_rules::table.into_boxed();
    among!(matching, alert_rules::name_key, filter.names, Label::key);
    among!(matching, alert_rules::equipment_id, filter.equipment, |piece| piece.get());
    among!(matching, alert_rules::kind_key, filter.kinds, Label::key);
    among!(matching, alert_rules::metric, filter.metrics, MetricName::as_str);
    among!(matching, alert_rules::severity, filter.severities, |severity| *severity as i16);
    within!(matching, alert_rules::created_at, filter.created, stamp);
    if let Reach::Only(pieces) = &filter.reach {
        let within = alert_rules::equipment_id.eq_any(pieces.iter().map(|piece| piece.get()));
        matching = matching.filter(alert_rules::equipment_id.is_null().or(within));
    }
    if let Some(enabled) = filter.enabled {
        matching = matching.filter(alert_rules::enabled.eq(enabled));
    }
    if let Some(text) = &filter.search {
        let text = fold(text);
        let in_name = strpos(alert_rules::name_key.nullable(), text.clone()).gt(0);
        matching = matching.filter(in_name.or(strpos(alert_rules::metric, text).gt(0)));
    }
    matching
}

fn ordering(order: Order<RuleKey>) -> Ordering<alert_rules::table> {
    match order.key {
        RuleKey::Id => by!(alert_rules::id, order.direction),
        RuleKey::Name => by!(alert_rules::name_key, order.direction),
        RuleKey::Severity => by!(alert_rules::severity, order.direction),
        RuleKey::CreatedAt => by!(alert_rules::created_at, order.direction),
        RuleKey::UpdatedAt => by!(alert_rules::updated_at, order.direction),
    }
}

/// What people write about a rule, as it is written.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = alert_rules, treat_none_as_default_value = false, treat_none_as_null = true)]
struct RuleWrite<'rule> {
    name: &'rule str,
    name_key: String,
    equipment_id: Option<i64>,
    kind: Option<&'rule str>,
    kind_key: Option<String>,
    metric: Option<&'rule str>,
    operator: Option<&'static str>,
    threshold: Option<f64>,
    threshold_high: Option<f64>,
    clear_threshold: Option<f64>,
    wait_us: i64,
    severity: i16,
    enabled: bool,
    latch: bool,
}

impl<'rule> From<&'rule RuleDetails> for RuleWrite<'rule> {
    fn from(rule: &'rule RuleDetails) -> Self {
        let (equipment, kind) = match &rule.target {
            Target::All => (None, None),
            Target::Kind(kind) => (None, Some(kind)),
            Target::Equipment(id) => (Some(id.get()), None),
        };
        let threshold = match &rule.condition {
            Condition::Threshold(threshold) => Some(threshold),
            Condition::NoData(_) => None,
        };
        Self {
            name: rule.name.as_str(),
            name_key: rule.name.key(),
            equipment_id: equipment,
            kind: kind.map(Label::as_str),
            kind_key: kind.map(Label::key),
            metric: rule.condition.metric().map(MetricName::as_str),
            operator: threshold.map(|threshold| threshold.operator.name()),
            threshold: threshold.map(|threshold| threshold.threshold),
            threshold_high: threshold.and_then(|threshold| threshold.threshold_high),
            clear_threshold: threshold.and_then(|threshold| threshold.clear_threshold),
            wait_us: i64::try_from(rule.wait.as_micros()).unwrap_or(i64::MAX),
            severity: rule.severity as i16,
            enabled: rule.enabled,
            latch: rule.latch,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = alert_rules, check_for_backend(Pg))]
struct RuleRow {
    id: i64,
    name: String,
    equipment_id: Option<i64>,
    kind: Option<String>,
    metric: Option<String>,
    operator: Option<String>,
    threshold: Option<f64>,
    threshold_high: Option<f64>,
    clear_threshold: Option<f64>,
    wait_us: i64,
    severity: i16,
    enabled: bool,
    latch: bool,
    in_force_since: PgTimestamp,
    in_force_version: i64,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

impl RuleRow {
    fn target(&self, row: &Row<'_>) -> Result<Target, StoreError> {
        match (self.equipment_id, &self.kind) {
            (Some(id), _) => row.read("equipment_id", EquipmentId::new(id)).map(Target::Equipment),
            (None, Some(kind)) => Ok(Target::Kind(Label::restore(kind.clone()))),
            (None, None) => Ok(Target::All),
        }
    }

    fn condition(&self, row: &Row<'_>) -> Result<Condition, StoreError> {
        let metric = self.metric.as_deref().map(MetricName::restore);
        let Some(operator) = &self.operator else { return Ok(Condition::NoData(metric)) };
        Ok(Condition::Threshold(Threshold {
            metric: row.read("metric", metric)?,
            operator: row.read("operator", Operator::parse(operator))?,
            threshold: row.read("threshold", self.threshold)?,
            threshold_high: self.threshold_high,
            clear_threshold: self.clear_threshold,
        }))
    }
}

impl TryFrom<RuleRow> for Rule {
    type Error = StoreError;

    fn try_from(rule: RuleRow) -> Result<Self, StoreError> {
        let row = Row { table: "alert_rules", key: &rule.id };
        let wait = u64::try_from(rule.wait_us).ok().map(Duration::from_micros);
        Ok(Self {
            id: row.read("id", RuleId::new(rule.id))?,
            details: RuleDetails {
                target: rule.target(&row)?,
                condition: rule.condition(&row)?,
                wait: row.read("wait_us", wait)?,
                severity: row.placed("severity", Severity::ALL, rule.severity)?,
                enabled: rule.enabled,
                latch: rule.latch,
                name: Label::restore(rule.name),
            },
            in_force_since: row.instant("in_force_since", rule.in_force_since)?,
            in_force_version: row.version(rule.in_force_version)?,
            version: row.version(rule.version)?,
            created_at: row.instant("created_at", rule.created_at)?,
            updated_at: row.instant("updated_at", rule.updated_at)?,
        })
    }
}
