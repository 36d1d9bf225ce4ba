//! Judging a stretch of time from what is stored.

use crate::alerts::Alert;
use crate::alerts::reconcile::{Plan, reconcile};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::Direction;
use crate::ports::UnitOfWork;
use crate::rules::judge::{Judge, State};
use crate::rules::{Class, Rule, Threshold};
use crate::telemetry::{Reading, ReadingFilter, ReadingId, Sample};
use crate::time::{Span, Timestamp};
use std::time::Duration;

/// How many readings are held at once.
const AT_ONCE: u32 = 2_000;

const MICROSECOND: Duration = Duration::from_micros(1);

/// One rule about one metric of one piece of equipment.
pub(super) struct Piece<'a> {
    pub(super) rule: &'a Rule,
    pub(super) threshold: &'a Threshold,
    pub(super) equipment: EquipmentId,
    /// When the metric was reported last before the readings that are judged now.
    pub(super) newest_at: Option<Timestamp>,
    /// How much older than what is judged a sample may be to matter, where it has to be searched for.
    pub(super) looks_back: Duration,
}

impl Piece<'_> {
    /// Where the judgement stands just before an instant that no alert of the rule covers. All that matters is how long a
    /// breach has been waiting by then: had it waited long enough, an alert would cover the instant.
    pub(super) async fn state_before_in(
        &self,
        tx: &mut dyn UnitOfWork,
        before: Timestamp,
    ) -> Result<State, Error> {
        let wait = self.rule.details.wait;
        let newest = if wait.is_zero() { None } else { self.newest_before_in(tx, before).await? };
        let Some(newest) = newest.filter(|newest| self.threshold.class(newest.value) == Class::Breach) else {
            return Ok(State::Calm);
        };
        let waiting = newest.at.before(wait).after(MICROSECOND);
        let alerts = self.alerts_in(tx, waiting).await?;
        let ended = alerts.iter().filter_map(Alert::ended_at).filter(|ended| *ended < before).max();
        let from = ended.map_or(waiting, |ended| waiting.max(ended.after(MICROSECOND)));
        let mut judge = Judge::new(&self.rule.details, self.threshold, State::Calm);
        // Beyond the newest there is nothing to find, however many readings without the metric lie there.
        let filter = self.filter(Span { from: Some(from), until: Some(newest.at.after(MICROSECOND)) });
        let mut after = None;
        loop {
            let readings = tx.readings().scan(&filter, Direction::Ascending, after, AT_ONCE).await?;
            for sample in readings.iter().filter_map(|reading| self.sample(reading)) {
                judge.step(sample);
            }
            after = readings.last().map(|reading| reading.id);
            if readings.len() < AT_ONCE as usize {
                return Ok(*judge.state());
            }
        }
    }

    /// The newest sample before this instant that the rule judges. Usually that is the newest there is, of which is known when it
    /// was. Before what comes late it has to be searched for; and where it arrived before the rule, older ones are looked for as
    /// far back as the rule waits. A machine's whole past is never searched.
    async fn newest_before_in(
        &self,
        tx: &mut dyn UnitOfWork,
        before: Timestamp,
    ) -> Result<Option<Sample>, Error> {
        let Some(newest_at) = self.newest_at else { return Ok(None) };
        let span = if newest_at < before {
            Span { from: Some(newest_at), until: Some(newest_at.after(MICROSECOND)) }
        } else {
            Span { from: Some(before.before(self.looks_back)), until: Some(before) }
        };
        let judged = self.filter(span);
        let any = ReadingFilter { received_from: None, ..judged.clone() };
        let newest = tx.readings().scan(&any, Direction::Descending, None, 1).await?;
        let Some(newest) = newest.first() else { return Ok(None) };
        if newest.received_at >= self.rule.in_force_since {
            return Ok(self.sample(newest));
        }
        let recent = Span { from: Some(before.before(self.rule.details.wait * 2)), until: Some(before) };
        let recent = ReadingFilter { at: recent, ..judged };
        let newest = tx.readings().scan(&recent, Direction::Descending, None, 1).await?;
        Ok(newest.first().and_then(|reading| self.sample(reading)))
    }

    /// The alerts that the rule, as it judges now, raised on this piece and that touch the time from `from` on.
    async fn alerts_in(&self, tx: &mut dyn UnitOfWork, from: Timestamp) -> Result<Vec<Alert>, Error> {
        let mut alerts = tx.alerts().touching(&[(self.equipment, from)]).await?;
        alerts.retain(|alert| {
            alert
                .what
                .raised_by
                .is_some_and(|by| by.rule == self.rule.id && by.version >= self.rule.in_force_version)
        });
        Ok(alerts)
    }

    /// Judges anew what readings of `first` to `last` may have changed. `alerts` are those of the rule that touch the time
    /// from `first` on.
    ///
    /// A good value after `last`, where there was no alert before either, is where the judgement is again what it was:
    /// everything later stays as it is.
    pub(super) async fn replay_in(
        &self,
        tx: &mut dyn UnitOfWork,
        first: Timestamp,
        last: Timestamp,
        mut alerts: Vec<Alert>,
    ) -> Result<Plan, Error> {
        let mut from = first;
        // What began earlier is judged anew from there; that may touch alerts that had ended by `first`.
        while let Some(earlier) = alerts.iter().map(|alert| alert.what.began_at).filter(|at| *at < from).min()
        {
            from = earlier;
            alerts = self.alerts_in(tx, from).await?;
        }
        let covered = alerts.iter().any(|alert| alert.what.began_at == from);
        let state = if covered { State::Calm } else { self.state_before_in(tx, from).await? };
        let mut judge = Judge::new(&self.rule.details, self.threshold, state);
        let mut ends = Ends::of(&alerts);
        let filter = self.filter(Span { from: Some(from), until: None });
        let mut after: Option<ReadingId> = None;
        'walk: loop {
            let readings = tx.readings().scan(&filter, Direction::Ascending, after, AT_ONCE).await?;
            for sample in readings.iter().filter_map(|reading| self.sample(reading)) {
                ends.put_before(&mut judge, Some(sample.at));
                let calm = judge.step(sample);
                if calm && sample.at > last && !alerts.iter().any(|alert| covers(alert, sample.at)) {
                    alerts.retain(|alert| alert.what.at <= sample.at);
                    break 'walk;
                }
            }
            after = readings.last().map(|reading| reading.id);
            if readings.len() < AT_ONCE as usize {
                ends.put_before(&mut judge, None);
                break 'walk;
            }
        }
        Ok(reconcile(alerts, judge.episodes()))
    }

    fn filter(&self, at: Span) -> ReadingFilter {
        ReadingFilter {
            equipment: vec![self.equipment],
            at,
            metrics: vec![self.threshold.metric.clone()],
            received_from: Some(self.rule.in_force_since),
            ..ReadingFilter::default()
        }
    }

    fn sample(&self, reading: &Reading) -> Option<Sample> {
        reading.values.get(&self.threshold.metric).map(|value| Sample { at: reading.id.at, value })
    }
}

/// Whether the alert was there at this instant.
fn covers(alert: &Alert, at: Timestamp) -> bool {
    alert.what.at <= at && alert.ended_at().is_none_or(|ended| ended > at)
}

/// The instants at which people ended alerts: a judgement made anew must not undo them.
struct Ends(Vec<Timestamp>);

impl Ends {
    fn of(alerts: &[Alert]) -> Self {
        let by_people = alerts.iter().filter(|alert| alert.was_resolved_by_a_person());
        let mut ends: Vec<Timestamp> = by_people.filter_map(Alert::ended_at).collect();
        ends.sort_unstable_by(|one, other| other.cmp(one));
        Self(ends)
    }

    /// Has the judge take note of those before this instant; of all that are left when there is none.
    fn put_before(&mut self, judge: &mut Judge<'_>, at: Option<Timestamp>) {
        while let Some(end) = self.0.last().copied().filter(|end| at.is_none_or(|at| *end < at)) {
            judge.end(end);
            self.0.pop();
        }
    }
}
