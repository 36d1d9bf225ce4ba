//! Rules that raise alerts.

use crate::among::among;
use crate::errors::dangles;
use crate::lists::{any_of, cut_page, instr, restored, then_by, within};
use crate::rows::{Ranked, RuleRow};
use crate::schema::{alert_rules, alerts, rule_generation};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::equipment::Reach;
use domain::id::{EquipmentId, RuleId, Version};
use domain::page::{Order, Page, effective_order};
use domain::ports::{AlertRules, Reference, StoreError};
use domain::rules::{
    Condition, NewRule, Rule, RuleDetails, RuleFilter, RuleKey, RuleQuery, RulesInForce, Target,
};
use domain::telemetry::MetricName;
use domain::text::{Label, fold};
use domain::time::Timestamp;

#[async_trait]
impl AlertRules for Work {
    async fn in_force(&mut self, known: Option<i64>) -> Result<Option<RulesInForce>, StoreError> {
        self.hold()?;
        self.run(move |connection| in_force(connection, known)).await
    }

    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold()?;
        self.run(|connection| {
            diesel::update(rule_generation::table)
                .set(rule_generation::generation.eq(rule_generation::generation + 1))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn insert(&mut self, rule: &NewRule) -> Result<Rule, StoreError> {
        let rule = rule.clone();
        self.run(move |connection| insert(connection, &rule)).await
    }

    async fn find(&mut self, id: RuleId) -> Result<Option<Rule>, StoreError> {
        self.run(move |connection| {
            let row = alert_rules::table.find(id.get()).select(RuleRow::as_select());
            let row = row.first(connection).optional()?;
            Ok(row.map(Rule::try_from).transpose()?)
        })
        .await
    }

    async fn save(&mut self, rule: &Rule) -> Result<Rule, StoreError> {
        let rule = rule.clone();
        self.run(move |connection| save(connection, &rule)).await
    }

    async fn delete(&mut self, id: RuleId, at: Timestamp) -> Result<bool, StoreError> {
        self.run(move |connection| {
            orphan(connection, &[id.get()], at)?;
            Ok(diesel::delete(alert_rules::table.find(id.get())).execute(connection)? > 0)
        })
        .await
    }

    async fn list(&mut self, query: &RuleQuery) -> Result<Page<Rule>, StoreError> {
        let query = query.clone();
        self.run(move |connection| list(connection, &query)).await
    }
}

fn in_force(connection: &mut SqliteConnection, known: Option<i64>) -> Answer<Option<RulesInForce>> {
    let generation: i64 = rule_generation::table.select(rule_generation::generation).first(connection)?;
    if known == Some(generation) {
        return Ok(None);
    }
    let enabled = alert_rules::table.filter(alert_rules::enabled).order(alert_rules::id);
    let rules = restored(enabled.select(RuleRow::as_select()).load(connection)?)?;
    Ok(Some(RulesInForce { generation, rules }))
}

/// The columns that people's words about a rule are written to.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = alert_rules, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Columns<'a> {
    name: &'a str,
    name_key: String,
    equipment_id: Option<i64>,
    kind: Option<&'a str>,
    kind_key: Option<String>,
    metric: Option<&'a str>,
    operator: Option<&'static str>,
    threshold: Option<f64>,
    threshold_high: Option<f64>,
    clear_threshold: Option<f64>,
    wait_us: i64,
    severity: i32,
    enabled: bool,
    latch: bool,
}

impl<'a> From<&'a RuleDetails> for Columns<'a> {
    fn from(details: &'a RuleDetails) -> Self {
        let (piece, kind) = match &details.target {
            Target::All => (None, None),
            Target::Kind(kind) => (None, Some(kind)),
            Target::Equipment(piece) => (Some(piece.get()), None),
        };
        let threshold = match &details.condition {
            Condition::Threshold(threshold) => Some(threshold),
            Condition::NoData(_) => None,
        };
        Self {
            name: details.name.as_str(),
            name_key: details.name.key(),
            equipment_id: piece,
            kind: kind.map(Label::as_str),
            kind_key: kind.map(Label::key),
            metric: details.condition.metric().map(MetricName::as_str),
            operator: threshold.map(|threshold| threshold.operator.name()),
            threshold: threshold.map(|threshold| threshold.threshold),
            threshold_high: threshold.and_then(|threshold| threshold.threshold_high),
            clear_threshold: threshold.and_then(|threshold| threshold.clear_threshold),
            wait_us: i64::try_from(details.wait.as_micros()).unwrap_or(i64::MAX),
            severity: details.severity.rank(),
            enabled: details.enabled,
            latch: details.latch,
        }
    }
}

fn insert(connection: &mut SqliteConnection, rule: &NewRule) -> Answer<Rule> {
    let at = rule.created_at.micros();
    let row: RuleRow = diesel::insert_into(alert_rules::table)
        .values((
            Columns::from(&rule.details),
            alert_rules::in_force_since.eq(at),
            alert_rules::in_force_version.eq(Version::FIRST.get()),
            alert_rules::version.eq(Version::FIRST.get()),
            alert_rules::created_at.eq(at),
            alert_rules::updated_at.eq(at),
        ))
        .returning(RuleRow::as_returning())
        .get_result(connection)
        .map_err(dangles(Reference::Equipment))?;
    Ok(row.try_into()?)
}

fn save(connection: &mut SqliteConnection, rule: &Rule) -> Answer<Rule> {
    let since = rule.in_force_since.micros();
    let stored = || alert_rules::table.find(rule.id.get());
    let judges_anew = alert_rules::in_force_since.ne(since);
    diesel::update(stored().filter(judges_anew))
        .set(alert_rules::in_force_version.eq(alert_rules::version + 1))
        .execute(connection)?;
    let row: Option<RuleRow> = diesel::update(stored())
        .set((
            Columns::from(&rule.details),
            alert_rules::in_force_since.eq(since),
            alert_rules::version.eq(alert_rules::version + 1),
            alert_rules::updated_at.eq(rule.updated_at.micros()),
        ))
        .returning(RuleRow::as_returning())
        .get_result(connection)
        .optional()
        .map_err(dangles(Reference::Equipment))?;
    Ok(row.ok_or(StoreError::Dangling(Reference::Rule))?.try_into()?)
}

/// Takes rules off their alerts. The foreign key would do so as well, and nobody would see that the alerts changed.
pub(crate) fn orphan(connection: &mut SqliteConnection, rules: &[i64], at: Timestamp) -> QueryResult<()> {
    diesel::update(alerts::table.filter(alerts::rule_id.eq_any(rules)))
        .set((
            alerts::rule_id.eq(None::<i64>),
            alerts::version.eq(alerts::version + 1),
            alerts::updated_at.eq(at.micros()),
        ))
        .execute(connection)?;
    Ok(())
}

fn list(connection: &mut SqliteConnection, query: &RuleQuery) -> Answer<Page<Rule>> {
    let all = || matching(&query.filter);
    let (total, rows) = cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), RuleRow);
    Ok(Page { total, items: restored(rows)? })
}

type Boxed<'a> = alert_rules::BoxedQuery<'a, Sqlite>;

fn matching(filter: &RuleFilter) -> Boxed<'_> {
    let all = alert_rules::table.into_boxed();
    let all = match &filter.reach {
        Reach::All => all,
        Reach::Only(pieces) => {
            let within = among(alert_rules::equipment_id, pieces.iter().map(|piece| piece.get()));
            all.filter(alert_rules::equipment_id.is_null().or(within))
        }
    };
    let all = any_of!(all, alert_rules::name_key, filter.names, Label::key);
    let all = any_of!(all, alert_rules::equipment_id, filter.equipment, |piece: &EquipmentId| piece.get());
    let all = any_of!(all, alert_rules::kind_key, filter.kinds, Label::key);
    let all = any_of!(all, alert_rules::metric, filter.metrics, MetricName::as_str);
    let all = any_of!(all, alert_rules::severity, filter.severities, |severity| severity.rank());
    let mut all = within!(all, alert_rules::created_at, filter.created);
    if let Some(enabled) = filter.enabled {
        all = all.filter(alert_rules::enabled.eq(enabled));
    }
    let Some(text) = filter.search.as_deref().map(fold) else {
        return all;
    };
    let in_name = instr(alert_rules::name_key, text.clone()).gt(0);
    all.filter(in_name.or(instr(alert_rules::metric.assume_not_null(), text).gt(0)))
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<RuleKey>]) -> Boxed<'a> {
    effective_order(order, RuleKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        RuleKey::Id => then_by!(query, alert_rules::id, direction),
        RuleKey::Name => then_by!(query, alert_rules::name_key, direction),
        RuleKey::Severity => then_by!(query, alert_rules::severity, direction),
        RuleKey::CreatedAt => then_by!(query, alert_rules::created_at, direction),
        RuleKey::UpdatedAt => then_by!(query, alert_rules::updated_at, direction),
    })
}
