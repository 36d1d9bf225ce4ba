//! Rules that raise alerts: make, look up, change, delete them.

use super::known::RULES;
use super::{App, judgement};
use crate::access::rights::{ManageRules, ViewRules};
use crate::access::{Actor, Granted};
use crate::audit::{Action, NewEvent, Subject, rule_facts};
use crate::equipment::Reach;
use crate::error::{Denied, Error};
use crate::id::RuleId;
use crate::idempotency::Once;
use crate::page::Page;
use crate::patch::Precondition;
use crate::ports::{Repos, UnitOfWork};
use crate::rules::written::{ConditionPatch, TargetPatch};
use crate::rules::{NewRule, Rule, RuleDetails, RuleQuery, Severity, Target};
use crate::text::Label;
use crate::time::Timestamp;
use std::time::Duration;

/// A change of a rule, field by field as clients know them. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct RuleChange {
    /// Another name.
    pub name: Option<Label>,
    /// Other equipment.
    pub target: TargetPatch,
    /// Something else to look for.
    pub condition: ConditionPatch,
    /// Another time to wait.
    pub wait: Option<Duration>,
    /// Another severity.
    pub severity: Option<Severity>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Whether alerts stay.
    pub latch: Option<bool>,
}

/// The change after which the rule says exactly this.
impl From<RuleDetails> for RuleChange {
    fn from(wanted: RuleDetails) -> Self {
        Self {
            name: Some(wanted.name),
            target: (&wanted.target).into(),
            condition: (&wanted.condition).into(),
            wait: Some(wanted.wait),
            severity: Some(wanted.severity),
            enabled: Some(wanted.enabled),
            latch: Some(wanted.latch),
        }
    }
}

impl RuleChange {
    /// What is written after the change.
    fn apply(self, details: &RuleDetails) -> Result<RuleDetails, Error> {
        let target = self.target.apply(&details.target);
        let condition = self.condition.apply(&details.condition);
        let (target, condition) = match (target, condition) {
            (Ok(target), Ok(condition)) => (target, condition),
            (target, condition) => {
                let flaws = target.err().into_iter().chain(condition.err().into_iter().flatten());
                return Err(Error::Invalid(flaws.collect()));
            }
        };
        Ok(RuleDetails {
            name: self.name.unwrap_or_else(|| details.name.clone()),
            target,
            condition,
            wait: self.wait.unwrap_or(details.wait),
            severity: self.severity.unwrap_or(details.severity),
            enabled: self.enabled.unwrap_or(details.enabled),
            latch: self.latch.unwrap_or(details.latch),
        })
    }
}

/// A page of the rules that the caller may see.
pub async fn list(app: &App, by: &Granted<ViewRules>, mut query: RuleQuery) -> Result<Page<Rule>, Error> {
    query.filter.reach = by.actor().reach().clone();
    Ok(app.store.reader().await?.rules().list(&query).await?)
}

/// One rule.
pub async fn get(app: &App, by: &Granted<ViewRules>, id: RuleId) -> Result<Rule, Error> {
    let rule = find_in(&mut *app.store.reader().await?, id).await?;
    let is_visible = rule.details.target.is_within(by.actor().reach());
    if is_visible { Ok(rule) } else { Err(Error::NotFound("alert rule")) }
}

/// Makes a rule. It judges the readings that arrive from now on.
pub async fn create(
    app: &App,
    by: Granted<ManageRules>,
    details: RuleDetails,
    once: Once<'_, Rule>,
) -> Result<Rule, Error> {
    refuse_limited(by.actor())?;
    details.check()?;
    let mut tx = app.store.begin().await?;
    tx.rules().lock().await?;
    refuse_unknown_in(&mut *tx, &details.target).await?;
    // Read while the rules are held: whatever is received from now on is judged by it.
    let now = app.clock.now();
    let rule = tx.rules().insert(&NewRule { details, created_at: now }).await?;
    let event = NewEvent::new(now, by.actor(), Action::RuleCreated, Subject::rule(&rule));
    tx.trail().record(&event.changing(Vec::new(), rule_facts(&rule))).await?;
    once.remember_in(&mut *tx, &rule, now).await?;
    app.commit_changing(RULES, tx).await?;
    Ok(rule)
}

/// Changes a rule. When it judges differently afterwards, its unresolved alerts are over: they were raised by what it said
/// before. Who says what it says already changes nothing.
pub async fn change(
    app: &App,
    by: Granted<ManageRules>,
    id: RuleId,
    change: RuleChange,
    precondition: Precondition,
) -> Result<Rule, Error> {
    refuse_limited(by.actor())?;
    let mut tx = app.store.begin().await?;
    tx.rules().lock().await?;
    let now = app.clock.now();
    let before = find_in(&mut *tx, id).await?;
    precondition.check(before.version)?;
    let details = change.apply(&before.details)?;
    details.check()?;
    if details.target != before.details.target {
        refuse_unknown_in(&mut *tx, &details.target).await?;
    }
    if details == before.details {
        tx.rollback().await;
        return Ok(before);
    }
    let mut after = Rule { details, updated_at: now, ..before.clone() };
    if !after.details.judges_like(&before.details) {
        after.in_force_since = now;
        release_alerts_in(&mut *tx, app, id, now).await?;
    }
    let after = tx.rules().save(&after).await?;
    let event = NewEvent::new(now, by.actor(), Action::RuleUpdated, Subject::rule(&after));
    tx.trail().record(&event.changing(rule_facts(&before), rule_facts(&after))).await?;
    app.commit_changing(RULES, tx).await?;
    app.bell.ring();
    Ok(after)
}

/// Deletes a rule. Its alerts stay, and are over.
pub async fn delete(
    app: &App,
    by: Granted<ManageRules>,
    id: RuleId,
    precondition: Precondition,
) -> Result<(), Error> {
    refuse_limited(by.actor())?;
    let mut tx = app.store.begin().await?;
    tx.rules().lock().await?;
    let now = app.clock.now();
    let rule = find_in(&mut *tx, id).await?;
    precondition.check(rule.version)?;
    release_alerts_in(&mut *tx, app, id, now).await?;
    tx.rules().delete(id, now).await?;
    let event = NewEvent::new(now, by.actor(), Action::RuleDeleted, Subject::rule(&rule));
    tx.trail().record(&event.changing(rule_facts(&rule), Vec::new())).await?;
    app.commit_changing(RULES, tx).await?;
    app.bell.ring();
    Ok(())
}

async fn release_alerts_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rule: RuleId,
    now: Timestamp,
) -> Result<(), Error> {
    let unresolved = tx.alerts().lock_unresolved_of(rule).await?;
    judgement::release_in(tx, app, unresolved, "the rule changed", now).await
}

async fn find_in<R: Repos + ?Sized>(repos: &mut R, id: RuleId) -> Result<Rule, Error> {
    repos.rules().find(id).await?.ok_or(Error::NotFound("alert rule"))
}

async fn refuse_unknown_in<R: Repos + ?Sized>(repos: &mut R, target: &Target) -> Result<(), Error> {
    let Target::Equipment(id) = target else { return Ok(()) };
    let found = repos.equipment().find(*id).await?.filter(|equipment| equipment.hidden_at.is_none());
    let unknown = || Error::flaw("equipment", "unknown", "must be equipment in the register");
    found.map(drop).ok_or_else(unknown)
}

/// Rules concern the whole plant, so whoever is limited to some of it leaves them alone.
fn refuse_limited(by: &Actor) -> Result<(), Error> {
    if *by.reach() == Reach::All { Ok(()) } else { Err(Denied::OutOfReach.into()) }
}
