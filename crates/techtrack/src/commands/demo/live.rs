//! The present of the demo plant: each machine reports every two seconds, something goes wrong every quarter of a minute
//! and is over soon, and now and then a machine says nothing for a while.

use super::generator::{Machine, Random, Trouble};
use super::history::sent;
use super::rules::SILENCE_WAIT;
use crate::commands::granted;
use crate::failure::with_causes;
use domain::access::rights::WriteData;
use domain::app::App;
use domain::app::ingest::{self, Sent};
use domain::error::Error;
use domain::id::EquipmentId;
use domain::telemetry::OnConflict;
use domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The time from one turn to the next.
const TURN: Duration = Duration::from_secs(1);

/// A machine reports each so many turns.
const REPORTS_EVERY: usize = 2;

/// Something goes wrong each so many turns, a few turns after the start.
const TROUBLE_EVERY: usize = 15;
const FIRST_TROUBLE: usize = 3;

/// For how long something is wrong. Long enough to break a limit for as long as its rule waits.
const TROUBLE_LASTS: Duration = Duration::from_secs(40);

/// A machine falls silent each so many turns.
const SILENCE_EVERY: usize = 150;
const FIRST_SILENCE: usize = 20;

/// For how long a machine is silent: long enough to be noticed.
const SILENCE_LASTS: Duration = SILENCE_WAIT.saturating_add(Duration::from_secs(20));

/// Lets the machines go on, until what is returned is dropped. All of them have reported once when it returns.
pub(super) async fn start(
    app: &Arc<App>,
    machines: Vec<(EquipmentId, Machine)>,
) -> Result<JoinSet<()>, Error> {
    let mut plant = Plant::new(Arc::clone(app), machines);
    let now = app.clock.now();
    let sent = plant.measure(now, |_| true);
    plant.send(sent).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(plant.go_on());
    Ok(tasks)
}

struct Plant {
    app: Arc<App>,
    machines: Vec<Member>,
    random: Random,
    turn: usize,
}

struct Member {
    id: EquipmentId,
    machine: Machine,
    silent_until: Timestamp,
}

impl Plant {
    fn new(app: Arc<App>, machines: Vec<(EquipmentId, Machine)>) -> Self {
        let member = |(id, machine)| Member { id, machine, silent_until: Timestamp::MIN };
        let machines = machines.into_iter().map(member).collect();
        let random = Random::new(app.clock.now().micros().unsigned_abs());
        Self { app, machines, random, turn: 0 }
    }

    async fn go_on(mut self) {
        loop {
            self.app.clock.wait(TURN).await;
            if let Err(error) = self.take_turn().await {
                tracing::warn!(cause = with_causes(&error), "the readings of a turn are lost");
            }
        }
    }

    async fn take_turn(&mut self) -> Result<(), Error> {
        self.turn += 1;
        let (turn, now) = (self.turn, self.app.clock.now());
        if turn % TROUBLE_EVERY == FIRST_TROUBLE {
            self.break_one(now);
        }
        if turn % SILENCE_EVERY == FIRST_SILENCE {
            self.silence_one(now);
        }
        let sent = self.measure(now, |place| place % REPORTS_EVERY == turn % REPORTS_EVERY);
        self.send(sent).await
    }

    /// What the machines in some places measure, without the silent ones.
    fn measure(&mut self, now: Timestamp, is_due: impl Fn(usize) -> bool) -> Vec<Sent> {
        let due = self.machines.iter_mut().enumerate().filter(|(place, _)| is_due(*place));
        let speaking = due.map(|(_, member)| member).filter(|member| member.silent_until <= now);
        speaking.filter_map(|member| Some(sent(member.id, now, member.machine.measure(now)?))).collect()
    }

    /// Readings of machines that somebody has removed meanwhile are refused, and the others are stored.
    async fn send(&self, sent: Vec<Sent>) -> Result<(), Error> {
        let by = granted::<WriteData>(super::DEMO)?;
        let sifted = ingest::sift(&self.app, &by, sent, OnConflict::Refuse).await?;
        tracing::debug!(stored = sifted.counts.accepted, refused = sifted.refused.len(), "machines reported");
        Ok(())
    }

    fn break_one(&mut self, now: Timestamp) {
        let Some(place) = self.place_of_a_well_one(now) else { return };
        let Some(Member { machine, .. }) = self.machines.get_mut(place) else { return };
        let fault = self.random.one_of(machine.kind().faults).copied();
        let until = now.after(TROUBLE_LASTS);
        fault.into_iter().for_each(|fault| machine.trouble(Trouble { fault, from: now, until }));
    }

    fn silence_one(&mut self, now: Timestamp) {
        let Some(place) = self.place_of_a_well_one(now) else { return };
        if let Some(member) = self.machines.get_mut(place) {
            member.silent_until = now.after(SILENCE_LASTS);
        }
    }

    /// A machine that speaks, and with which nothing is wrong.
    fn place_of_a_well_one(&mut self, now: Timestamp) -> Option<usize> {
        let is_well = |member: &Member| member.silent_until <= now && !member.machine.has_trouble_ahead(now);
        let well = self.machines.iter().enumerate().filter(|(_, member)| is_well(member));
        let places: Vec<usize> = well.map(|(place, _)| place).collect();
        self.random.one_of(&places).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::demo::history::Past;
    use crate::commands::demo::{found, history, plant};
    use domain::access::rights::ViewAlerts;
    use domain::alerts::{Alert, AlertQuery, AlertStatus};
    use domain::app::{alerts, silence};
    use domain::testing::{MemoryStore, World};

    async fn alerts_of(app: &App) -> Vec<Alert> {
        let by = granted::<ViewAlerts>("test").unwrap();
        alerts::list(app, &by, AlertQuery::default()).await.unwrap().items
    }

    #[tokio::test]
    async fn alerts_are_raised_and_end_within_two_minutes_and_silence_is_noticed() {
        let World { app, clock, .. } = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        found(&app).await.unwrap();
        let past = Past { loosely: Duration::ZERO, closely: Duration::from_secs(120) };
        let machines = history::load(&app, past).await.unwrap();
        let before = alerts_of(&app).await.len();
        let app = Arc::new(app);
        let mut plant = Plant::new(Arc::clone(&app), machines);
        for _ in 0..120 {
            clock.advance(TURN);
            plant.take_turn().await.unwrap();
            silence::watch(&app).await.unwrap();
        }
        let alerts = alerts_of(&app).await;
        let ended = alerts.iter().filter(|alert| alert.status == AlertStatus::Resolved);
        let (of_silence, of_limits): (Vec<_>, Vec<_>) = ended.partition(|alert| alert.what.value.is_none());
        assert!(before < alerts.len() && of_limits.len() >= 3, "{before} {of_limits:?}");
        assert_eq!(of_silence.len(), 1, "{of_silence:?}");
    }

    #[tokio::test]
    async fn every_machine_reports_in_two_turns() {
        let World { app, clock, .. } = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        found(&app).await.unwrap();
        let machines = plant::find(&app).await.unwrap();
        let machines: Vec<_> =
            machines.into_iter().map(|standing| (standing.id, Machine::new(standing.row.kind, 1))).collect();
        let app = Arc::new(app);
        let mut plant = Plant::new(Arc::clone(&app), machines);
        for _ in 0..REPORTS_EVERY {
            clock.advance(TURN);
            plant.take_turn().await.unwrap();
        }
        let all = plant::find(&app).await.unwrap();
        assert!(all.len() == plant::MACHINES.len() && all.iter().all(|standing| standing.has_reported));
    }
}
