//! Trying a rule on history: the alerts that it would have raised, by the machine that judges live readings.

use super::App;
use crate::access::Granted;
use crate::access::rights::{ViewData, ViewRules};
use crate::equipment::{EquipmentFilter, EquipmentQuery};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::{Direction, PageRequest};
use crate::ports::Repos;
use crate::rules::judge::{Episode, Judge, State};
use crate::rules::{Condition, RuleDetails, Target, Threshold, silence};
use crate::telemetry::{MetricName, Reading, ReadingFilter, Sample};
use crate::time::{Span, Timestamp};

/// The most alerts that a preview tells of.
pub const MOST_ALERTS: usize = 1_000;

/// The most readings that a preview looks at.
pub const MOST_READINGS: u64 = 2_000_000;

const AT_ONCE: u32 = 5_000;

/// A rule, and the time to try it on.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The rule.
    pub rule: RuleDetails,
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after.
    pub until: Timestamp,
}

/// An alert that would have been raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WouldBe {
    /// On what.
    pub equipment: EquipmentId,
    /// When, why, and until when. For silence the value says nothing.
    pub episode: Episode,
}

/// What a trial showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// The alerts, by equipment and instant.
    pub alerts: Vec<WouldBe>,
    /// Whether there would have been more alerts, or more readings to look at, than a preview goes through.
    pub is_cut: bool,
}

/// Tries a rule on history. It need not be enabled.
pub async fn preview(
    app: &App,
    by: &Granted<ViewRules>,
    readings: &Granted<ViewData>,
    trial: Trial,
) -> Result<Preview, Error> {
    debug_assert_eq!(by.actor(), readings.actor());
    trial.rule.check()?;
    let until = trial.until.min(app.clock.now());
    if until <= trial.from {
        return Err(Error::flaw(
            "to",
            "too_early",
            "must be later than from, which must not lie in the future",
        ));
    }
    let mut reader = app.store.reader().await?;
    let mut walk = Walk { trial: &trial, until, looked_at: 0, preview: Preview::default() };
    for meant in meant_in(&mut *reader, by, &trial.rule.target).await? {
        walk.one(&mut *reader, meant).await?;
        if walk.preview.is_cut {
            break;
        }
    }
    Ok(walk.preview)
}

/// A piece of equipment, and when it was registered.
type Meant = (EquipmentId, Timestamp);

/// The equipment that the rule is about and the caller may see.
async fn meant_in(
    reader: &mut dyn Repos,
    by: &Granted<ViewRules>,
    target: &Target,
) -> Result<Vec<Meant>, Error> {
    let mut filter = EquipmentFilter { reach: by.actor().reach().clone(), ..EquipmentFilter::default() };
    match target {
        Target::All => {}
        Target::Kind(kind) => filter.kinds.push(kind.clone()),
        Target::Equipment(id) => {
            let found = reader.equipment().find(*id).await?;
            let found = super::equipment::in_register(found, by.actor())
                .map_err(|_| Error::flaw("equipment", "unknown", "must be equipment in the register"))?;
            return Ok(vec![(*id, found.created_at)]);
        }
    }
    let mut meant = Vec::new();
    let mut number = 1;
    loop {
        let page = PageRequest::new(number, PageRequest::MAX_SIZE).unwrap_or_default();
        let query = EquipmentQuery { filter: filter.clone(), order: Vec::new(), page };
        let found = reader.equipment().list(&query).await?;
        let is_last = found.items.len() < PageRequest::MAX_SIZE as usize;
        meant.extend(found.items.into_iter().map(|equipment| (equipment.id, equipment.created_at)));
        if is_last {
            return Ok(meant);
        }
        number += 1;
    }
}

struct Walk<'a> {
    trial: &'a Trial,
    until: Timestamp,
    looked_at: u64,
    preview: Preview,
}

impl Walk<'_> {
    async fn one(&mut self, reader: &mut dyn Repos, (equipment, registered_at): Meant) -> Result<(), Error> {
        let trial = self.trial;
        let episodes = match &trial.rule.condition {
            Condition::Threshold(threshold) => self.judged(reader, equipment, threshold).await?,
            Condition::NoData(metric) => {
                self.silences(reader, (equipment, registered_at), metric.as_ref()).await?
            }
        };
        for episode in episodes {
            if self.preview.alerts.len() >= MOST_ALERTS {
                self.preview.is_cut = true;
                break;
            }
            self.preview.alerts.push(WouldBe { equipment, episode });
        }
        Ok(())
    }

    async fn judged(
        &mut self,
        reader: &mut dyn Repos,
        equipment: EquipmentId,
        threshold: &Threshold,
    ) -> Result<Vec<Episode>, Error> {
        let mut judge = Judge::new(&self.trial.rule, threshold, State::Calm);
        self.each(reader, equipment, Some(&threshold.metric), |reading| {
            if let Some(value) = reading.values.get(&threshold.metric) {
                judge.step(Sample { at: reading.id.at, value });
            }
        })
        .await?;
        Ok(judge.episodes())
    }

    async fn silences(
        &mut self,
        reader: &mut dyn Repos,
        (equipment, registered_at): Meant,
        metric: Option<&MetricName>,
    ) -> Result<Vec<Episode>, Error> {
        let mut seen = Vec::new();
        self.each(reader, equipment, metric, |reading| seen.push(reading.id.at)).await?;
        let is_exact = self.trial.rule.target == Target::Equipment(equipment);
        if metric.is_some() && seen.is_empty() && !is_exact {
            // What it never reports it does not owe.
            return Ok(Vec::new());
        }
        // What it reported before it was registered here, it reported all the same.
        let registered_at = seen.first().map_or(registered_at, |first| registered_at.min(*first));
        let from = self.trial.from.max(registered_at);
        let silences = silence::silences(&self.trial.rule, from, self.until, &seen);
        let episode = |(raised_at, ended_at): (Timestamp, Option<Timestamp>)| Episode {
            began_at: raised_at.before(self.trial.rule.wait),
            raised_at,
            value: 0.0,
            last_seen_at: raised_at,
            occurrences: 1,
            ended_at,
        };
        Ok(silences.into_iter().map(episode).collect())
    }

    async fn each(
        &mut self,
        reader: &mut dyn Repos,
        equipment: EquipmentId,
        metric: Option<&MetricName>,
        mut look: impl FnMut(&Reading) + Send,
    ) -> Result<(), Error> {
        let filter = ReadingFilter {
            equipment: vec![equipment],
            at: Span { from: Some(self.trial.from), until: Some(self.until) },
            metrics: metric.cloned().into_iter().collect(),
            received_from: None,
        };
        let mut after = None;
        loop {
            let readings = reader.readings().scan(&filter, Direction::Ascending, after, AT_ONCE).await?;
            readings.iter().for_each(&mut look);
            self.looked_at += readings.len() as u64;
            after = readings.last().map(|reading| reading.id);
            if self.looked_at >= MOST_READINGS {
                self.preview.is_cut = true;
                return Ok(());
            }
            if readings.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }
}
