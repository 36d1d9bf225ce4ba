//! What operators are told of what is stored, without asking who they are: numbers, and nothing of any machine or person.

use super::App;
use crate::alerts::AlertStatus;
use crate::error::Error;
use crate::rules::Severity;

/// What is stored, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Alerts that are not resolved, of every severity and in every status that such an alert can have.
    pub unresolved_alerts: Vec<(Severity, AlertStatus, u64)>,
    /// Lines of the audit trail.
    pub audit_events: u64,
}

/// Counts what is stored, by means that stay cheap however much that is.
pub async fn look(app: &App) -> Result<Observed, Error> {
    let mut reader = app.store.reader().await?;
    let counted = reader.alerts().count_unresolved().await?;
    let audit_events = reader.trail().head().await?.events;
    let count = |severity, status| {
        let found = counted.iter().find(|(one, other, _)| (*one, *other) == (severity, status));
        (severity, status, found.map_or(0, |(_, _, count)| *count))
    };
    let unresolved = [AlertStatus::Open, AlertStatus::Acknowledged];
    let kinds = Severity::ALL.iter().flat_map(|severity| unresolved.map(|status| (*severity, status)));
    let unresolved_alerts = kinds.map(|(severity, status)| count(severity, status)).collect();
    Ok(Observed { unresolved_alerts, audit_events })
}
