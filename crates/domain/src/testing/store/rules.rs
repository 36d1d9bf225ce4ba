//! Rules that raise alerts.

use super::lists::{any, page};
use super::{Tables, Unit};
use crate::id::{RuleId, Version};
use crate::page::Page;
use crate::ports::{AlertRules, Reference, StoreError};
use crate::rules::{NewRule, Rule, RuleDetails, RuleFilter, RuleKey, RuleQuery, RulesInForce, Target};
use crate::text::fold;
use crate::time::Timestamp;
use async_trait::async_trait;
use std::cmp::Ordering;

#[async_trait]
impl AlertRules for Unit {
    async fn in_force(&mut self, known: Option<i64>) -> Result<Option<RulesInForce>, StoreError> {
        let tables = self.hold()?;
        let generation = tables.generation_of_rules;
        let enabled = tables.rules.values().filter(|rule| rule.details.enabled);
        let news = (known != Some(generation)).then(|| enabled.cloned().collect());
        Ok(news.map(|rules| RulesInForce { generation, rules }))
    }

    async fn lock(&mut self) -> Result<(), StoreError> {
        self.change(|tables| {
            tables.generation_of_rules += 1;
            Ok(())
        })
    }

    async fn insert(&mut self, rule: &NewRule) -> Result<Rule, StoreError> {
        self.change(|tables| {
            tables.refuse_target(&rule.details)?;
            let rule = Rule {
                id: tables.next_id(RuleId::new)?,
                details: rule.details.clone(),
                in_force_since: rule.created_at,
                in_force_version: Version::FIRST,
                version: Version::FIRST,
                created_at: rule.created_at,
                updated_at: rule.created_at,
            };
            tables.rules.insert(rule.id, rule.clone());
            Ok(rule)
        })
    }

    async fn find(&mut self, id: RuleId) -> Result<Option<Rule>, StoreError> {
        Ok(self.tables()?.rules.get(&id).cloned())
    }

    async fn save(&mut self, rule: &Rule) -> Result<Rule, StoreError> {
        self.change(|tables| {
            let stored = tables.rule(rule.id)?;
            tables.refuse_target(&rule.details)?;
            let version = stored.version.next();
            let same_force = rule.in_force_since == stored.in_force_since;
            let rule = Rule {
                in_force_version: if same_force { stored.in_force_version } else { version },
                version,
                created_at: stored.created_at,
                ..rule.clone()
            };
            tables.rules.insert(rule.id, rule.clone());
            Ok(rule)
        })
    }

    async fn delete(&mut self, id: RuleId, at: Timestamp) -> Result<bool, StoreError> {
        self.change(|tables| Ok(tables.delete_rule(id, at)))
    }

    async fn list(&mut self, query: &RuleQuery) -> Result<Page<Rule>, StoreError> {
        let rules = self.tables()?.rules.values();
        let matching = rules.filter(|rule| matches(rule, &query.filter));
        Ok(page(matching.cloned().collect(), &query.order, compare, query.page))
    }
}

impl Tables {
    pub(super) fn rule(&self, id: RuleId) -> Result<&Rule, StoreError> {
        self.rules.get(&id).ok_or(StoreError::Dangling(Reference::Rule))
    }

    fn refuse_target(&self, details: &RuleDetails) -> Result<(), StoreError> {
        match details.target {
            Target::Equipment(id) => self.piece(id).map(drop),
            Target::All | Target::Kind(_) => Ok(()),
        }
    }

    /// Removes the rule, and its name from the alerts that it raised.
    pub(super) fn delete_rule(&mut self, id: RuleId, at: Timestamp) -> bool {
        for alert in self.alerts.values_mut() {
            if alert.what.raised_by.take_if(|raised_by| raised_by.rule == id).is_some() {
                alert.version = alert.version.next();
                alert.updated_at = at;
            }
        }
        self.rules.remove(&id).is_some()
    }
}

fn matches(rule: &Rule, filter: &RuleFilter) -> bool {
    let RuleDetails { name, target, condition, .. } = &rule.details;
    let is_for_kind = |wanted: &str| matches!(target, Target::Kind(kind) if kind.key() == wanted);
    target.is_within(&filter.reach)
        && any(&filter.names, |wanted| wanted.key() == name.key())
        && any(&filter.equipment, |wanted| *target == Target::Equipment(*wanted))
        && any(&filter.kinds, |wanted| is_for_kind(&wanted.key()))
        && any(&filter.metrics, |wanted| condition.metric() == Some(wanted))
        && any(&filter.severities, |wanted| rule.details.severity == *wanted)
        && filter.enabled.is_none_or(|wanted| rule.details.enabled == wanted)
        && filter.created.contains(rule.created_at)
        && filter.search.as_ref().is_none_or(|text| occurs(text, &rule.details))
}

fn occurs(text: &str, details: &RuleDetails) -> bool {
    let text = fold(text);
    let in_metric = details.condition.metric().is_some_and(|metric| metric.as_str().contains(&text));
    in_metric || details.name.key().contains(&text)
}

fn compare(key: RuleKey, one: &Rule, other: &Rule) -> Ordering {
    match key {
        RuleKey::Id => one.id.cmp(&other.id),
        RuleKey::Name => one.details.name.key().cmp(&other.details.name.key()),
        RuleKey::Severity => one.details.severity.cmp(&other.details.severity),
        RuleKey::CreatedAt => one.created_at.cmp(&other.created_at),
        RuleKey::UpdatedAt => one.updated_at.cmp(&other.updated_at),
    }
}
