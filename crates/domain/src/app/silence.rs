//! Watching for equipment that says nothing. Any server may do it at any time; they take turns.

use super::{App, judgement};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::ports::{StoreError, UnitOfWork};
use crate::rules::{Rule, silence};
use crate::telemetry::Head;
use crate::time::Timestamp;
use std::time::Duration;

/// How many alerts one unit of work raises at most.
const AT_ONCE: u32 = 200;

/// Raises the alerts that are due because nothing was heard; says how many.
pub async fn watch(app: &App) -> Result<u64, Error> {
    let mut tx = app.store.begin().await?;
    let rules = judgement::rules_in(&mut *tx, app).await?;
    let waiting: Vec<Rule> = rules.about_silence().cloned().collect();
    drop(tx);
    let mut raised = 0;
    let mut failed = None;
    for rule in waiting {
        match watch_one(app, &rule).await {
            Ok(more) => raised += more,
            // The other rules are none the worse for it.
            Err(error) => failed = Some(error),
        }
    }
    if raised > 0 {
        app.bell.ring();
    }
    failed.map_or(Ok(raised), Err)
}

async fn watch_one(app: &App, rule: &Rule) -> Result<u64, Error> {
    let (mut raised, mut after) = (0, None);
    loop {
        let now = app.clock.now();
        if silence::due_at(&rule.details, rule.in_force_since) > now {
            return Ok(raised);
        }
        let silent = silent(app, rule, now, after).await?;
        // Those that are given another while come first again the next time, and must not hide the others.
        after = silent.last().copied();
        raised += raise(app, rule, &silent, now).await?;
        if silent.len() < AT_ONCE as usize {
            return Ok(raised);
        }
    }
}

async fn silent(
    app: &App,
    rule: &Rule,
    now: Timestamp,
    after: Option<EquipmentId>,
) -> Result<Vec<EquipmentId>, StoreError> {
    let details = &rule.details;
    // Whose newest reading is exactly as old as the rule waits is due.
    let before = now.before(details.wait).after(Duration::from_micros(1));
    let metric = details.condition.metric();
    let mut reader = app.store.reader().await?;
    reader.readings().silent(rule.id, &details.target, metric, before, after, AT_ONCE).await
}

/// Raises the alert on those that are still silent now that nobody can store a reading of them.
async fn raise(app: &App, rule: &Rule, silent: &[EquipmentId], now: Timestamp) -> Result<u64, Error> {
    if silent.is_empty() {
        return Ok(0);
    }
    let mut tx = app.store.begin().await?;
    let rules = judgement::rules_in(&mut *tx, app).await?;
    if !rules.about_silence().any(|current| current.version == rule.version && current.id == rule.id) {
        return Ok(0);
    }
    let heads = tx.readings().lock_heads(silent).await?;
    let pieces: Vec<_> = heads.iter().map(|head| (head.equipment, now)).collect();
    let unresolved = tx.alerts().touching(&pieces).await?;
    let has_one = |equipment: EquipmentId| {
        unresolved.iter().any(|alert| {
            let by_it = alert.what.raised_by.is_some_and(|by| by.rule == rule.id);
            alert.what.equipment == equipment && by_it && alert.is_unresolved()
        })
    };
    let mut due = Vec::new();
    for head in heads.iter().filter(|head| !has_one(head.equipment)) {
        let since = owes_since_in(&mut *tx, rule, head, now).await?;
        due.extend(
            since
                .filter(|since| silence::due_at(&rule.details, *since) <= now)
                .map(|since| (head.equipment, since)),
        );
    }
    judgement::raise_silence_in(&mut *tx, app, rule, &due, now).await?;
    tx.commit().await?;
    Ok(due.len() as u64)
}

/// Since when the equipment owes a reading; nothing when it does not, being switched off or none of the rule's business. What
/// somebody wrote about it or resolved gives it another while.
async fn owes_since_in(
    tx: &mut dyn UnitOfWork,
    rule: &Rule,
    head: &Head,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let (id, details) = (head.equipment, &rule.details);
    let Some(equipment) = tx.equipment().find(id).await? else { return Ok(None) };
    let is_meant = details.target.covers(id, &equipment.details.kind);
    if !is_meant || !equipment.details.status.is_expected_to_report() {
        return Ok(None);
    }
    let seen = match details.condition.metric() {
        Some(metric) => head.latest(metric).map(|latest| latest.at),
        None => head.last_seen_at,
    };
    let resolved_at = tx.alerts().last_resolved(rule.id, id, now.after(Duration::from_micros(1))).await?;
    let since = silence::owes_since(seen, equipment.updated_at, rule.in_force_since);
    Ok(Some(since.max(resolved_at.unwrap_or(since))))
}
