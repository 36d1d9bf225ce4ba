//! What becomes of alerts when late data changes the judgement.
//!
//! A judgement of a stretch of time says which episodes there were. The alerts that stand for the episodes of an earlier
//! judgement are matched with them, so that whatever order readings arrive in, the alerts in the end are the same.

use super::Alert;
use crate::rules::judge::Episode;

/// What must be done so that the alerts stand for the episodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Alerts that now stand for a different episode than before, with that episode.
    pub changed: Vec<(Alert, Episode)>,
    /// Alerts that stand for nothing any more.
    pub withdrawn: Vec<Alert>,
    /// Episodes without an alert.
    pub raised: Vec<Episode>,
}

/// Matches alerts with episodes, both ordered by when they were raised: first those raised at the same instant, then the
/// rest in order. An alert that a person ended stands for the episode which ended then, or stays as it was left.
pub fn reconcile(alerts: Vec<Alert>, episodes: Vec<Episode>) -> Plan {
    let mut plan = Plan::default();
    let mut unmatched = Vec::new();
    let mut rest = episodes;
    for alert in alerts {
        match rest.iter().position(|episode| episode.raised_at == alert.what.at) {
            Some(index) => plan.note(alert, rest.remove(index)),
            None => unmatched.push(alert),
        }
    }
    let (ended, open): (Vec<_>, Vec<_>) = unmatched.into_iter().partition(Alert::was_resolved_by_a_person);
    for alert in ended {
        if let Some(index) = rest.iter().position(|episode| episode.ended_at == alert.ended_at()) {
            plan.note(alert, rest.remove(index));
        }
    }
    let mut rest = rest.into_iter();
    for alert in open {
        match rest.next() {
            Some(episode) => plan.note(alert, episode),
            None => plan.withdrawn.push(alert),
        }
    }
    plan.raised = rest.collect();
    plan
}

impl Plan {
    fn note(&mut self, alert: Alert, episode: Episode) {
        // Where a person ended it stays, wherever the readings would have.
        let ended_at = if alert.was_resolved_by_a_person() { alert.ended_at() } else { episode.ended_at };
        let episode = Episode { ended_at, ..episode };
        if alert.episode() != episode {
            self.changed.push((alert, episode));
        }
    }
}
