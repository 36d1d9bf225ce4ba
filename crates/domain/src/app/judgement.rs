//! What readings set off: the rules that are in force judge them in the transaction that stores them, and alerts are
//! raised, counted and resolved there.
//!
//! Readings in order of time step the judgement on from where it stands. Anything else (late data, replaced or deleted
//! readings) has the stretch of time judged anew from storage, in `replay`; `outcome` makes the alerts agree. Nearly all
//! readings breach nothing: `compiled` keeps the rules so that `sieve` leaves those out for next to nothing.

mod compiled;
mod judged;
mod outcome;
mod replay;
mod sieve;

use super::App;
use crate::alerts::Alert;
use crate::alerts::reconcile::reconcile;
use crate::equipment::Equipment;
use crate::error::Error;
use crate::id::{EquipmentId, RuleId};
use crate::ports::UnitOfWork;
use crate::rules::judge::{Judge, State};
use crate::rules::{Class, Condition, Rule, RulesInForce, Threshold, silence};
use crate::telemetry::{Latest, MetricName, Reading, ReadingId, Sample};
use crate::text::Label;
use crate::time::Timestamp;
pub(super) use compiled::Compiled;
pub use judged::{Judged, JudgedSoFar};
pub(super) use outcome::Outcome;
use sieve::Sieve;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The rules as they were last read, kept between units of work.
#[derive(Default)]
pub(super) struct RuleBook(Mutex<Arc<Compiled>>);

/// A piece of equipment of which readings were stored, changed or deleted. Its head is held.
pub(super) struct Touched<'a> {
    /// Which piece.
    pub(super) equipment: EquipmentId,
    /// What kind of machine it is.
    pub(super) kind: Label,
    /// The instant of its newest reading before that.
    pub(super) last_seen_before: Option<Timestamp>,
    /// The newest value of each metric before that, ordered by metric.
    pub(super) latest_before: Arc<[Latest]>,
    /// The readings, ordered by instant; of a deleted one, what it was.
    pub(super) readings: Vec<&'a Reading>,
    /// What was stored before.
    pub(super) before: Before<'a>,
}

impl Touched<'_> {
    /// The newest value of this metric before.
    fn latest_before(&self, metric: &MetricName) -> Option<&Latest> {
        let place = self.latest_before.binary_search_by(|latest| latest.metric.cmp(metric)).ok()?;
        self.latest_before.get(place)
    }

    /// Whether the alert was not over yet when the first of the readings was taken.
    fn reaches(&self, alert: &Alert) -> bool {
        let first = self.readings.first().map(|reading| reading.id.at);
        alert.ended_at().is_none_or(|ended| first.is_some_and(|first| ended >= first))
    }
}

/// What was stored before under the identities of the readings that were touched.
#[derive(Clone, Copy)]
pub(super) enum Before<'a> {
    /// Whatever it was, it has to be judged anew.
    Unknown,
    /// These readings; nothing under any other identity.
    Known(&'a HashMap<ReadingId, Reading>),
}

/// What a touched reading is to the rules of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    New,
    Unchanged,
    Changed,
}

impl Before<'_> {
    /// Whether nothing was stored under the identities of any of these.
    fn knows_none_of(self, readings: &[&Reading]) -> bool {
        let Before::Known(before) = self else { return false };
        before.is_empty() || !readings.iter().any(|reading| before.contains_key(&reading.id))
    }

    fn novelty(self, reading: &Reading, metric: &MetricName) -> Novelty {
        let Before::Known(before) = self else { return Novelty::Changed };
        match before.get(&reading.id).and_then(|before| before.values.get(metric)) {
            None => Novelty::New,
            Some(value) if Some(value) == reading.values.get(metric) => Novelty::Unchanged,
            Some(_) => Novelty::Changed,
        }
    }
}

/// The rules in force, held as they are until the unit of work ends.
pub(super) async fn rules_in(tx: &mut dyn UnitOfWork, app: &App) -> Result<Arc<Compiled>, Error> {
    let known = app.rules.known();
    let newer = tx.rules().in_force(known.generation).await?;
    Ok(app.rules.renewed(known, newer))
}

impl RuleBook {
    /// The rules as they were read last.
    pub(super) fn known(&self) -> Arc<Compiled> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules in force, whether they are those that are known or newer ones.
    pub(super) fn renewed(&self, known: Arc<Compiled>, newer: Option<RulesInForce>) -> Arc<Compiled> {
        let Some(newer) = newer else { return known };
        let compiled = Arc::new(Compiled::new(newer));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&compiled);
        compiled
    }
}

/// Has the rules judge what was touched.
pub(super) async fn judge_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rules: &Compiled,
    touched: &[Touched<'_>],
    now: Timestamp,
) -> Result<(), Error> {
    let judged = touched.iter().filter_map(|touched| recent(touched, app));
    let from: Vec<(EquipmentId, Timestamp)> = judged
        .filter(|touched| rules.about(touched.equipment, &touched.kind).any())
        .filter_map(|touched| Some((touched.equipment, touched.readings.first()?.id.at)))
        .collect();
    if from.is_empty() {
        return Ok(());
    }
    let alerts = tx.alerts().touching(&from).await?;
    judge_cases_in(tx, app, cases(app, rules, touched, alerts), now).await
}

/// A piece of equipment on whose readings rules may have something to say.
pub(super) struct Case<'a> {
    touched: Touched<'a>,
    rules: Vec<&'a Rule>,
    /// Those that its readings touch.
    alerts: ByRule,
}

/// What is worth judging of what was touched. `alerts` are at least those that the readings touch.
pub(super) fn cases<'a>(
    app: &App,
    rules: &'a Compiled,
    touched: &[Touched<'a>],
    alerts: Vec<Alert>,
) -> Vec<Case<'a>> {
    let began = app.clock.now();
    let mut alerts = by_piece(alerts);
    let mut sieve = Sieve::default();
    let mut cases = Vec::new();
    for touched in touched.iter().filter_map(|touched| recent(touched, app)) {
        let mut alerts = alerts.remove(&touched.equipment).unwrap_or_default();
        alerts.retain(|_, of_rule| {
            of_rule.retain(|alert| touched.reaches(alert));
            !of_rule.is_empty()
        });
        let rules = sieve.worth_judging(rules, &touched, &alerts);
        if !rules.is_empty() {
            cases.push(Case { touched, rules, alerts });
        }
    }
    app.judged.looked_through(touched, &cases, app.clock.now().since(began));
    cases
}

/// Has the rules judge these.
pub(super) async fn judge_cases_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    cases: Vec<Case<'_>>,
    now: Timestamp,
) -> Result<(), Error> {
    if cases.is_empty() {
        return Ok(());
    }
    let began = app.clock.now();
    let mut outcome = Outcome::new(app, now);
    for Case { touched, rules, mut alerts } in cases {
        for rule in rules {
            let mut theirs = alerts.remove(&rule.id).unwrap_or_default();
            theirs.retain(|alert| alert.what.raised_by.is_some_and(|by| by.version >= rule.in_force_version));
            match &rule.details.condition {
                Condition::Threshold(threshold) => {
                    judge_values_in(tx, app, rule, threshold, &touched, theirs, &mut outcome).await?;
                }
                Condition::NoData(_) => break_silence(rule, &touched, theirs, &mut outcome),
            }
        }
    }
    outcome.store_in(tx, app).await?;
    app.judged.judged_for(app.clock.now().since(began));
    Ok(())
}

/// What is left of it when readings are left out that are too old to be judged.
fn recent<'a>(touched: &Touched<'a>, app: &App) -> Option<Touched<'a>> {
    let oldest = touched.last_seen_before.map_or(Timestamp::MIN, |last| last.before(app.policy.judged_back));
    let readings: Vec<_> =
        touched.readings.iter().copied().filter(|reading| reading.id.at >= oldest).collect();
    let (kind, latest_before) = (touched.kind.clone(), Arc::clone(&touched.latest_before));
    (!readings.is_empty()).then_some(Touched { readings, kind, latest_before, ..*touched })
}

/// Alerts of one piece of equipment, by rule.
type ByRule = HashMap<RuleId, Vec<Alert>>;

fn by_piece(alerts: Vec<Alert>) -> HashMap<EquipmentId, ByRule> {
    let mut sorted: HashMap<_, ByRule> = HashMap::new();
    for alert in alerts {
        if let Some(by) = alert.what.raised_by {
            sorted.entry(alert.what.equipment).or_default().entry(by.rule).or_default().push(alert);
        }
    }
    sorted
}

/// Judges the values of one metric by one rule. `alerts` are those of the rule on this piece that touch the time from the
/// first reading on.
async fn judge_values_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rule: &Rule,
    threshold: &Threshold,
    touched: &Touched<'_>,
    mut alerts: Vec<Alert>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let metric = &threshold.metric;
    let told = touched.readings.iter().filter_map(|reading| {
        let value = reading.values.get(metric)?;
        Some((Sample { at: reading.id.at, value }, touched.before.novelty(reading, metric)))
    });
    let samples =
        told.clone().filter(|(_, novelty)| *novelty != Novelty::Unchanged).map(|(sample, _)| sample);
    let are_new = !told.clone().any(|(_, novelty)| novelty == Novelty::Changed);
    // What nearly all readings come to: nothing is wrong and nothing was. It costs no memory.
    if are_new
        && alerts.is_empty()
        && !samples.clone().any(|sample| threshold.class(sample.value) == Class::Breach)
    {
        return Ok(());
    }
    let samples: Vec<Sample> = samples.collect();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Ok(()) };
    let newest_at = touched.latest_before(metric).map(|latest| latest.at);
    let looks_back = app.policy.judged_back.max(rule.details.wait * 2);
    let piece = replay::Piece { rule, threshold, equipment: touched.equipment, newest_at, looks_back };
    let in_order = are_new && touched.last_seen_before.is_none_or(|newest| first.at > newest);
    let plan = if in_order && alerts.iter().all(Alert::is_unresolved) {
        let state = match alerts.first() {
            Some(alert) => State::Raised(alert.episode()),
            None => piece.state_before_in(tx, first.at).await?,
        };
        let mut judge = Judge::new(&rule.details, threshold, state);
        for sample in &samples {
            judge.step(*sample);
        }
        reconcile(alerts, judge.episodes())
    } else if let [alert] = alerts.as_mut_slice()
        && are_new
        && only_counts(rule, threshold, alert, &samples)
    {
        let mut episode = alert.episode();
        for sample in samples.iter().filter(|sample| threshold.class(sample.value) == Class::Breach) {
            episode.occurrences += 1;
            episode.last_seen_at = episode.last_seen_at.max(sample.at);
        }
        reconcile(alerts, vec![episode])
    } else {
        piece.replay_in(tx, first.at, last.at, alerts).await?
    };
    outcome.follow_in(tx, rule, touched.equipment, plan).await
}

/// Whether late samples fall into an alert that was raised before them and ends after them, and none of them ends it: then
/// they only add to its count. Spares long alerts from being judged anew with each slightly late reading.
fn only_counts(rule: &Rule, threshold: &Threshold, alert: &Alert, samples: &[Sample]) -> bool {
    let ends = |sample: &Sample| !rule.details.latch && threshold.class(sample.value) == Class::Clear;
    let within = |sample: &Sample| {
        sample.at > alert.what.at && alert.ended_at().is_none_or(|ended| sample.at <= ended) && !ends(sample)
    };
    // Where a person ended it is not where the samples did.
    !alert.was_resolved_by_a_person() && samples.iter().all(within)
}

/// Fresh readings resolve an alert that was raised because there were none.
fn break_silence(rule: &Rule, touched: &Touched<'_>, alerts: Vec<Alert>, outcome: &mut Outcome) {
    let metric = rule.details.condition.metric();
    let speaks = |reading: &&&Reading| metric.is_none_or(|metric| reading.values.get(metric).is_some());
    let Some(newest) = touched.readings.iter().rfind(speaks) else { return };
    if rule.details.latch || !silence::is_broken_by(&rule.details, newest.id.at, outcome.now()) {
        return;
    }
    for alert in alerts {
        outcome.resolve(alert, None);
    }
}

/// Raises the alert of a rule about silence on each of these pieces.
pub(super) async fn raise_silence_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rule: &Rule,
    silent: &[(EquipmentId, Timestamp)],
    now: Timestamp,
) -> Result<(), Error> {
    let mut outcome = Outcome::new(app, now);
    for (equipment, since) in silent {
        outcome.raise_silence_in(tx, rule, *equipment, *since).await?;
    }
    outcome.store_in(tx, app).await
}

/// Ends alerts because they are not what their rules say any more, for this reason.
pub(super) async fn release_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    alerts: Vec<Alert>,
    reason: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let mut outcome = Outcome::new(app, now);
    for alert in alerts {
        outcome.resolve(alert, Some(reason));
    }
    outcome.store_in(tx, app).await
}

/// Ends the alerts on a piece of equipment whose rules are not about it any more, now that it is another kind of machine or
/// is not expected to report. Its head is held.
pub(super) async fn release_uncovered_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rules: &Compiled,
    equipment: &Equipment,
    now: Timestamp,
) -> Result<(), Error> {
    let (id, details) = (equipment.id, &equipment.details);
    let reports = details.status.is_expected_to_report();
    let applies = |rule: &Rule| {
        let waits = matches!(rule.details.condition, Condition::NoData(_));
        rule.details.target.covers(id, &details.kind) && (reports || !waits)
    };
    let applying: HashSet<RuleId> = rules.all().filter(|rule| applies(rule)).map(|rule| rule.id).collect();
    let mut alerts = tx.alerts().touching(&[(id, Timestamp::MAX)]).await?;
    alerts.retain(|alert| alert.what.raised_by.is_some_and(|by| !applying.contains(&by.rule)));
    release_in(tx, app, alerts, "the rule is not about this equipment any more", now).await
}
