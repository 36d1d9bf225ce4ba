//! Trying a rule on history: the alerts that it would have raised, by the machine that judges live readings.
//!
//! History is long, so it is walked through in portions: between two of them nothing is held that somebody else could want.

use super::App;
use crate::access::Granted;
use crate::access::rights::{ViewData, ViewRules};
use crate::equipment::{Equipment, EquipmentFilter, EquipmentQuery};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::{Direction, PageRequest};
use crate::ports::Repos;
use crate::rules::judge::{Episode, Judge, State};
use crate::rules::{Condition, RuleDetails, Target, silence};
use crate::telemetry::{Reading, ReadingFilter, ReadingId, Sample};
use crate::time::{Span, Timestamp};
use std::time::Duration;
use std::vec;

/// The most alerts that a preview tells of.
pub const MOST_ALERTS: usize = 1_000;

/// The most readings that a preview looks at.
pub const MOST_READINGS: u64 = 2_000_000;

/// The most equipment that a preview looks at.
pub const MOST_PIECES: usize = 10_000;

/// For how long a preview looks. Whoever asks has an answer before the server gives it up.
pub const LONGEST: Duration = Duration::from_secs(8);

/// How many readings a portion is made of.
const AT_ONCE: u32 = 5_000;

/// How many looks at storage a portion takes at most: many machines have few readings each.
const LOOKS_AT_ONCE: usize = 50;

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
    /// Whether there was more to look at, or to tell, than a preview goes through. The last equipment that it tells of was
    /// judged as far as its readings were looked at, and what comes after it not at all.
    pub is_cut: bool,
}

/// Tries a rule on history, all at once. It need not be enabled.
pub async fn preview(
    app: &App,
    by: &Granted<ViewRules>,
    readings: &Granted<ViewData>,
    trial: Trial,
) -> Result<Preview, Error> {
    let mut walk = begin(app, by, readings, &trial).await?;
    while !walk.is_over() {
        walk.next(app).await?;
    }
    Ok(walk.finish())
}

/// Begins to try a rule on history, portion by portion.
pub async fn begin<'trial>(
    app: &App,
    by: &Granted<ViewRules>,
    readings: &Granted<ViewData>,
    trial: &'trial Trial,
) -> Result<Walk<'trial>, Error> {
    debug_assert_eq!(by.actor(), readings.actor());
    trial.rule.check()?;
    let now = app.clock.now();
    let until = trial.until.min(now);
    if until <= trial.from {
        return Err(Error::flaw(
            "to",
            "too_early",
            "must be later than from, which must not lie in the future",
        ));
    }
    let mut ahead = meant_in(&mut *app.store.reader().await?, by, &trial.rule).await?;
    let preview = Preview { alerts: Vec::new(), is_cut: ahead.len() > MOST_PIECES };
    ahead.truncate(MOST_PIECES);
    let ends_at = now.after(LONGEST);
    Ok(Walk { trial, until, ends_at, ahead: ahead.into_iter(), at_hand: None, looked_at: 0, preview })
}

/// A piece of equipment, and when it was registered.
type Meant = (EquipmentId, Timestamp);

/// The equipment that the rule is about and the caller may see; of more than a preview looks at, some.
async fn meant_in(
    reader: &mut dyn Repos,
    by: &Granted<ViewRules>,
    rule: &RuleDetails,
) -> Result<Vec<Meant>, Error> {
    let mut filter = EquipmentFilter { reach: by.actor().reach().clone(), ..EquipmentFilter::default() };
    match &rule.target {
        Target::All => {}
        Target::Kind(kind) => filter.kinds.push(kind.clone()),
        Target::Equipment(id) => {
            let found = reader.equipment().find(*id).await?;
            let found = super::equipment::in_register(found, by.actor())
                .map_err(|_| Error::flaw("equipment", "unknown", "must be equipment in the register"))?;
            return Ok(judged(rule, [found]).collect());
        }
    }
    let mut meant = Vec::new();
    let mut number = 1;
    loop {
        let page = PageRequest::new(number, PageRequest::MAX_SIZE).unwrap_or_default();
        let query = EquipmentQuery { filter: filter.clone(), order: Vec::new(), page };
        let found = reader.equipment().list(&query).await?;
        let is_last = found.items.len() < PageRequest::MAX_SIZE as usize;
        meant.extend(judged(rule, found.items));
        if is_last || meant.len() > MOST_PIECES {
            return Ok(meant);
        }
        number += 1;
    }
}

/// Of these the ones about which the rule has something to say: what is switched off may be silent.
fn judged(rule: &RuleDetails, pieces: impl IntoIterator<Item = Equipment>) -> impl Iterator<Item = Meant> {
    let waits = matches!(rule.condition, Condition::NoData(_));
    let is_judged = move |piece: &Equipment| !waits || piece.details.status.is_expected_to_report();
    pieces.into_iter().filter(is_judged).map(|piece| (piece.id, piece.created_at))
}

/// A walk through history: equipment after equipment, and of each reading after reading.
pub struct Walk<'trial> {
    trial: &'trial Trial,
    until: Timestamp,
    /// When it has taken long enough.
    ends_at: Timestamp,
    ahead: vec::IntoIter<Meant>,
    at_hand: Option<Look<'trial>>,
    looked_at: u64,
    preview: Preview,
}

/// A look at the past of one piece of equipment, which is not over.
struct Look<'trial> {
    equipment: EquipmentId,
    registered_at: Timestamp,
    /// The newest reading so far.
    newest: Option<ReadingId>,
    found: Found<'trial>,
}

/// What was found in the readings so far.
enum Found<'trial> {
    /// How a rule about values judges them.
    Values(Judge<'trial>),
    /// When there were some, for a rule about silence.
    Reports(Vec<Timestamp>),
}

impl Walk<'_> {
    /// Whether there is nothing left to look at.
    pub fn is_over(&self) -> bool {
        self.at_hand.is_none() && self.ahead.as_slice().is_empty()
    }

    /// What the walk showed.
    pub fn finish(self) -> Preview {
        self.preview
    }

    /// Looks at the next portion.
    pub async fn next(&mut self, app: &App) -> Result<(), Error> {
        let mut reader = app.store.reader().await?;
        let portion_ends = self.looked_at + u64::from(AT_ONCE);
        for _ in 0..LOOKS_AT_ONCE {
            if self.is_over() {
                break;
            }
            if self.looked_at >= MOST_READINGS || app.clock.now() >= self.ends_at {
                self.cut();
                break;
            }
            self.look(&mut *reader).await?;
            if self.looked_at >= portion_ends {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the next readings of the piece at hand, and after the last of them tells what the rule makes of it.
    async fn look(&mut self, reader: &mut dyn Repos) -> Result<(), Error> {
        let trial = self.trial;
        let next = || self.ahead.next().map(|meant| Look::at(meant, &trial.rule));
        let Some(mut look) = self.at_hand.take().or_else(next) else { return Ok(()) };
        let filter = ReadingFilter {
            equipment: vec![look.equipment],
            at: Span { from: Some(trial.from), until: Some(self.until) },
            metrics: trial.rule.condition.metric().cloned().into_iter().collect(),
            ..ReadingFilter::default()
        };
        let readings = reader.readings().scan(&filter, Direction::Ascending, look.newest, AT_ONCE).await?;
        self.looked_at += readings.len() as u64;
        look.take(&readings, &trial.rule);
        if readings.len() < AT_ONCE as usize {
            self.tell(look, self.until);
        } else {
            self.at_hand = Some(look);
        }
        Ok(())
    }

    /// Leaves the rest alone. Of the piece at hand nobody knows what came after the newest reading that was looked at.
    fn cut(&mut self) {
        self.preview.is_cut = true;
        self.ahead = Vec::new().into_iter();
        if let Some(look) = self.at_hand.take() {
            let newest = look.newest.map_or(self.trial.from, |newest| newest.at);
            self.tell(look, newest);
        }
    }

    /// Tells the alerts on a piece of which all was looked at before this instant.
    fn tell(&mut self, look: Look<'_>, until: Timestamp) {
        let equipment = look.equipment;
        let room = MOST_ALERTS.saturating_sub(self.preview.alerts.len());
        let episodes = look.episodes(self.trial, until);
        let has_more = episodes.len() > room;
        let told = episodes.into_iter().take(room).map(|episode| WouldBe { equipment, episode });
        self.preview.alerts.extend(told);
        if has_more {
            self.cut();
        }
    }
}

impl<'trial> Look<'trial> {
    fn at((equipment, registered_at): Meant, rule: &'trial RuleDetails) -> Self {
        let found = match &rule.condition {
            Condition::Threshold(threshold) => Found::Values(Judge::new(rule, threshold, State::Calm)),
            Condition::NoData(_) => Found::Reports(Vec::new()),
        };
        Self { equipment, registered_at, newest: None, found }
    }

    fn take(&mut self, readings: &[Reading], rule: &RuleDetails) {
        self.newest = readings.last().map(|reading| reading.id).or(self.newest);
        match &mut self.found {
            Found::Reports(seen) => seen.extend(readings.iter().map(|reading| reading.id.at)),
            Found::Values(judge) => {
                let Some(metric) = rule.condition.metric() else { return };
                for reading in readings {
                    if let Some(value) = reading.values.get(metric) {
                        judge.step(Sample { at: reading.id.at, value });
                    }
                }
            }
        }
    }

    /// What the rule makes of it.
    fn episodes(self, trial: &Trial, until: Timestamp) -> Vec<Episode> {
        let (equipment, registered_at) = (self.equipment, self.registered_at);
        match self.found {
            Found::Values(judge) => judge.episodes(),
            Found::Reports(seen) => silences(trial, (equipment, registered_at), until, &seen),
        }
    }
}

fn silences(
    trial: &Trial,
    (equipment, registered_at): Meant,
    until: Timestamp,
    seen: &[Timestamp],
) -> Vec<Episode> {
    let rule = &trial.rule;
    if rule.condition.metric().is_some() && seen.is_empty() && rule.target != Target::Equipment(equipment) {
        // What it never reports it does not owe.
        return Vec::new();
    }
    // What it reported before it was registered here, it reported all the same.
    let registered_at = seen.first().map_or(registered_at, |first| registered_at.min(*first));
    let silences = silence::silences(rule, trial.from.max(registered_at), until, seen);
    let episode = |(raised_at, ended_at): (Timestamp, Option<Timestamp>)| Episode {
        began_at: raised_at.before(rule.wait),
        raised_at,
        value: 0.0,
        last_seen_at: raised_at,
        occurrences: 1,
        ended_at,
    };
    silences.into_iter().map(episode).collect()
}
