//! The past of the demo plant: a week of readings with a fault now and then, and what people did about the alerts.

use super::generator::{Machine, Random, Trouble};
use super::kinds::{COOLANT_LOST, Fault, METRICS};
use super::people;
use super::plant::{self, Row, Standing};
use crate::commands::granted;
use crate::terminal;
use domain::access::rights::{ViewAlerts, WriteData};
use domain::alerts::{Alert, AlertFilter, AlertKey, AlertQuery, AlertStatus};
use domain::app::ingest::{self, Sent};
use domain::app::metrics::{self, MetricChange};
use domain::app::{App, alerts};
use domain::equipment::EquipmentRef;
use domain::error::Error;
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::page::{Direction, Order, PageRequest};
use domain::patch::{Patch, Precondition};
use domain::telemetry::{MOST_AT_ONCE, MetricName, OnConflict, Tags, Values};
use domain::text::{Description, Label};
use domain::time::Timestamp;
use std::time::Duration;

/// How far back readings go, and how close they stand: five minutes apart at first, then one minute until now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// For how long they stand five minutes apart.
    pub loosely: Duration,
    /// For how long they stand one minute apart.
    pub closely: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Past {
    /// A week.
    pub(super) const WEEK: Past = Past { loosely: Duration::from_secs(6 * DAY.as_secs()), closely: DAY };

    /// The instants of readings, oldest first; whole minutes, the last one not after `now`.
    fn instants(self, now: Timestamp) -> Vec<Timestamp> {
        let minute = now.before(Duration::from_micros(now.micros().rem_euclid(60_000_000).unsigned_abs()));
        let every = |step: Duration, until: Timestamp, span: Duration| {
            let count = (span.as_secs() / step.as_secs()) as u32;
            (0..count).rev().map(move |steps| until.before(step * steps))
        };
        let loosely = every(5 * MINUTE, minute.before(self.closely), self.loosely);
        loosely.chain(every(MINUTE, minute, self.closely)).collect()
    }
}

/// A fault that the demo wants to have happened, some of them not over yet: minutes ago, and for how many.
struct Story {
    serial_number: &'static str,
    /// Which one; else what happens to such machines now and then.
    fault: Option<&'static Fault>,
    ago: u32,
    lasted: u32,
}

const STORIES: [Story; 5] = [
    Story { serial_number: "TH-250K-0402", fault: Some(&COOLANT_LOST), ago: 26 * 60, lasted: 30 },
    Story { serial_number: "TH-250K-0318", fault: Some(&COOLANT_LOST), ago: 5 * 60, lasted: 25 },
    Story { serial_number: "TH-250K-0341", fault: Some(&COOLANT_LOST), ago: 95, lasted: 15 },
    Story { serial_number: "K5-19-0073", fault: None, ago: 12, lasted: 14 },
    Story { serial_number: "NR6-105562", fault: None, ago: 9, lasted: 12 },
];

/// The machines at work, each ready to go on measuring. Those that have reported nothing yet get a past first.
pub(super) async fn load(app: &App, past: Past) -> Result<Vec<(EquipmentId, Machine)>, Error> {
    let (now, standing) = (app.clock.now(), plant::find(app).await?);
    let instants = past.instants(now);
    let new = standing.iter().filter(|machine| !machine.has_reported).count();
    let progress = terminal::progress(new, "a week of readings");
    let mut at_work = Vec::with_capacity(standing.len());
    for Standing { id, row, has_reported } in standing {
        let machine = if has_reported {
            Machine::new(row.kind, seed(row) ^ now.seconds().unsigned_abs())
        } else {
            let mut machine = Machine::new(row.kind, seed(row));
            troubles(row, &instants, now).into_iter().for_each(|trouble| machine.trouble(trouble));
            store(app, id, &mut machine, &instants).await?;
            progress.inc(1);
            machine
        };
        at_work.push((id, machine));
    }
    progress.finish_and_clear();
    if new > 0 {
        tracing::info!(readings = new * instants.len(), "the past was put in");
        describe_metrics(app).await?;
        handle_alerts(app).await?;
    }
    Ok(at_work)
}

async fn store(
    app: &App,
    id: EquipmentId,
    machine: &mut Machine,
    instants: &[Timestamp],
) -> Result<(), Error> {
    for instants in instants.chunks(MOST_AT_ONCE) {
        let sent = instants.iter().filter_map(|at| Some(sent(id, *at, machine.measure(*at)?))).collect();
        let by = granted::<WriteData>(super::DEMO)?;
        ingest::all(app, by, sent, OnConflict::Refuse, Once::each_time()).await?;
    }
    Ok(())
}

/// A reading as a machine sends it.
pub(super) fn sent(id: EquipmentId, at: Timestamp, values: Values) -> Sent {
    Sent { equipment: EquipmentRef::Id(id), at: Some(at), values, tags: Tags::new() }
}

fn seed(row: &Row) -> u64 {
    row.serial_number.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
}

/// What went wrong with a machine: its stories, and something every few days.
fn troubles(row: &Row, instants: &[Timestamp], now: Timestamp) -> Vec<Trouble> {
    let mut random = Random::new(seed(row));
    let usual = |random: &mut Random| random.one_of(row.kind.faults).copied();
    let mut troubles = Vec::new();
    for story in STORIES.iter().filter(|story| story.serial_number == row.serial_number) {
        let from = now.before(MINUTE * story.ago);
        let fault = story.fault.or_else(|| usual(&mut random));
        troubles.extend(fault.map(|fault| Trouble { fault, from, until: from.after(MINUTE * story.lasted) }));
    }
    let Some(first) = instants.first() else { return troubles };
    // The last hour is left to the stories.
    let hours = (now.since(*first).as_secs() / 3600).saturating_sub(1);
    for day in 0..hours / 24 {
        if random.below(3) == 0 {
            let from = first.after(DAY * day as u32 + MINUTE * random.below(22 * 60) as u32);
            let until = from.after(MINUTE * (20 + random.below(50) as u32));
            troubles.extend(usual(&mut random).map(|fault| Trouble { fault, from, until }));
        }
    }
    troubles
}

/// Says what the metrics are. Readings have made them known.
async fn describe_metrics(app: &App) -> Result<(), Error> {
    for (name, unit, about) in METRICS {
        let change = MetricChange {
            unit: Patch::Set(Label::restore((*unit).to_owned())),
            description: Patch::Set(Description::restore((*about).to_owned())),
        };
        let (by, name) = (granted::<WriteData>(super::DEMO)?, MetricName::restore(name));
        match metrics::change(app, by, &name, change, Precondition::None).await {
            // Nobody who measures it is left.
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The oldest alert that is left is over, somebody looks after every second one of the others, and nobody after the rest.
async fn handle_alerts(app: &App) -> Result<(), Error> {
    let note = |text: &str| Some(Description::restore(text.to_owned()));
    let technician = people::acting(app, people::TECHNICIAN).await?;
    let operator = people::acting(app, people::OPERATOR).await?;
    for (index, alert) in open_alerts(app).await?.iter().enumerate() {
        if index == 0 {
            let note = note("A valve was closed. Opened it, flushed the circuit, checked the flow.");
            alerts::resolve(app, technician.grant()?, alert.id, note, Once::each_time()).await?;
        } else if index % 2 == 1 {
            let note = note("On my way.");
            alerts::acknowledge(app, operator.grant()?, alert.id, note, Once::each_time()).await?;
        }
    }
    Ok(())
}

async fn open_alerts(app: &App) -> Result<Vec<Alert>, Error> {
    let filter = AlertFilter { statuses: vec![AlertStatus::Open], ..AlertFilter::default() };
    let order = vec![Order { key: AlertKey::At, direction: Direction::Ascending }];
    let query = AlertQuery { filter, order, page: PageRequest::default() };
    Ok(alerts::list(app, &granted::<ViewAlerts>(super::DEMO)?, query).await?.items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_ends_now_and_stands_closer_in_its_last_day() {
        let now = Timestamp::parse("2026-05-11T07:30:42.5Z").unwrap();
        let instants = Past::WEEK.instants(now);
        assert_eq!(instants.len(), 6 * 288 + 1440);
        assert!(instants.is_sorted_by(|one, next| one < next));
        let gaps: Vec<u64> = instants.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
        assert!(gaps[..1727].iter().all(|gap| *gap == 300) && gaps[1728..].iter().all(|gap| *gap == 60));
        assert_eq!(instants.last().unwrap().to_string(), "2026-05-11T07:30:00.000000Z");
        assert!(now.since(instants[0]) >= 7 * DAY - 6 * MINUTE);
    }

    #[test]
    fn some_machines_were_in_trouble_and_none_for_the_whole_week() {
        let now = Timestamp::parse("2026-05-11T07:30:00Z").unwrap();
        let instants = Past::WEEK.instants(now);
        let counts: Vec<usize> =
            plant::MACHINES.iter().map(|row| troubles(row, &instants, now).len()).collect();
        assert!((24..=100).contains(&counts.iter().sum::<usize>()), "{counts:?}");
        assert!(counts.iter().all(|count| *count <= 8), "{counts:?}");
    }
}
