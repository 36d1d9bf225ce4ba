//! What is sent: six kinds of requests, each over connections of its own.

use crate::failure::Outcome;
use crate::load::Lane;
use crate::payload::{self, instant};
use crate::plan::{BEGINNING, Split, Timeline};
use crate::sensors::Row;
use crate::server::Server;
use crate::workshop::Plant;
use std::time::Duration;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Reads,
    Lists,
    Series,
    Singles,
    Bulk,
    Alerts,
}

impl Class {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reads => "one thing: equipment, its newest values",
            Self::Lists => "lists: equipment, readings, alerts",
            Self::Series => "series: a metric over time",
            Self::Singles => "one reading",
            Self::Bulk => "500 readings, NDJSON",
            Self::Alerts => "alerts: raise, acknowledge, resolve",
        }
    }

    /// How many connections have nothing else to do; 256 together.
    pub(super) fn connections(self) -> usize {
        match self {
            Self::Reads => 72,
            Self::Lists => 40,
            Self::Series => 16,
            Self::Singles => 96,
            Self::Bulk => 8,
            Self::Alerts => 24,
        }
    }

    /// Requests a second over all of them, when all is asked that is to be.
    fn full_rate(self) -> f64 {
        match self {
            Self::Reads => 600.0,
            Self::Lists => 200.0,
            Self::Series => 40.0,
            Self::Singles => 480.0,
            Self::Bulk => 8.0,
            Self::Alerts => 40.0,
        }
    }

    /// Requests a second over all of them.
    pub(super) fn rate(self, run: Run) -> f64 {
        self.full_rate() * run.share
    }

    fn requests(self, run: Run) -> usize {
        (self.rate(run) * run.span.as_secs_f64()) as usize
    }
}

/// How long it lasts, and what share of all that could be asked is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) span: Duration,
    share: f64,
}

impl Run {
    /// A minute of everything.
    pub(super) const FULL: Self = Self { span: Duration::from_secs(60), share: 1.0 };

    /// Something for a moment, which any machine can do.
    pub(super) const QUICK: Self = Self { span: Duration::from_secs(4), share: 0.25 };
}

/// Readings in one request of the bulk.
const BATCH: usize = 500;

/// Readings that each machine has before it begins, so that there is something to be read.
const HISTORY: usize = 100;

/// Machines whose readings come one by one: five for each connection.
const SINGLE_MACHINES: usize = 480;

/// All that is sent in one run.
pub(super) struct Traffic {
    pub(super) lanes: Vec<(Class, Vec<Lane>)>,
    /// The readings in it.
    pub(super) sent: Vec<Row>,
}

impl Traffic {
    /// Gives the plant some history, and writes down all requests of this run.
    pub(super) async fn prepare(plant: &mut Plant, run: Run) -> Outcome<Self> {
        let history = plant.next(HISTORY * plant.timeline.equipment.len(), 1).whole;
        plant.server.store(&history).await?;
        let all = Timeline::of(plant.timeline.equipment.clone());
        let mut by_one = std::mem::replace(&mut plant.timeline, all);
        let by_many = by_one.split_off(SINGLE_MACHINES);
        let (singles, single_rows) = singles(&plant.server, by_one, run);
        let (bulk, bulk_rows) = bulk(&plant.server, by_many, run);
        let lanes = vec![
            (Class::Reads, round(Class::Reads, &reads(plant), run)),
            (Class::Lists, round(Class::Lists, &lists(plant), run)),
            (Class::Series, round(Class::Series, &series(plant), run)),
            (Class::Singles, singles),
            (Class::Bulk, bulk),
            (Class::Alerts, alerts(plant, run).await?),
        ];
        Ok(Self { lanes, sent: single_rows.into_iter().chain(bulk_rows).collect() })
    }
}

fn round(class: Class, requests: &[Vec<u8>], run: Run) -> Vec<Lane> {
    Lane::several_round(class.connections(), requests, run.span)
}

fn reads(plant: &Plant) -> Vec<Vec<u8>> {
    let of_machine = |id: &i64| {
        let one = plant.server.get(&format!("/api/equipment/{id}"));
        [one, plant.server.get(&format!("/api/equipment/{id}/latest"))]
    };
    plant.timeline.equipment.iter().flat_map(of_machine).collect()
}

fn lists(plant: &Plant) -> Vec<Vec<u8>> {
    let page = |page: usize| {
        let machine = plant.timeline.equipment.get(page * 7).copied().unwrap_or_default();
        let equipment = plant.server.get(&format!("/api/equipment/?page_size=100&page={page}"));
        let readings = plant.server.get(&format!("/api/equipment/{machine}/data/?page_size=50"));
        [equipment, readings, plant.server.get("/api/alerts/?status=open&page_size=50")]
    };
    (1..=10).flat_map(page).collect()
}

fn series(plant: &Plant) -> Vec<Vec<u8>> {
    let (from, to) = (instant(BEGINNING), instant(BEGINNING + 3600 * 1_000_000));
    let of_machine = |id: &i64| {
        let question =
            format!("equipment={id}&metric=temperature&from={from}&to={to}&interval=10s&agg=avg,max");
        plant.server.get(&format!("/api/series?{question}"))
    };
    plant.timeline.equipment.iter().step_by(5).map(of_machine).collect()
}

fn singles(server: &Server, mut machines: Timeline, run: Run) -> (Vec<Lane>, Vec<Row>) {
    let Split { lanes, whole: _ } = machines.next(Class::Singles.requests(run), Class::Singles.connections());
    let request = |row: &Row| server.request("POST", "/api/data", "application/json", &payload::single(row));
    let requests = lanes.iter().map(|rows| Lane::once(rows.iter().map(request).collect())).collect();
    (requests, lanes.into_iter().flatten().collect())
}

fn bulk(server: &Server, mut machines: Timeline, run: Run) -> (Vec<Lane>, Vec<Row>) {
    let Split { lanes, whole: _ } =
        machines.next(Class::Bulk.requests(run) * BATCH, Class::Bulk.connections());
    let request = |rows: &[Row]| {
        server.request("POST", "/api/data/bulk", "application/x-ndjson", &payload::ndjson(rows))
    };
    let requests = lanes.iter().map(|rows| Lane::once(rows.chunks(BATCH).map(request).collect())).collect();
    (requests, lanes.into_iter().flatten().collect())
}

/// Each connection acknowledges and resolves alerts that were raised before, and raises others.
async fn alerts(plant: &Plant, run: Run) -> Outcome<Vec<Lane>> {
    let class = Class::Alerts;
    let raised = plant.server.raise_alerts(class.requests(run) / 3, &plant.timeline.equipment).await?;
    let share = raised.len().div_ceil(class.connections()).max(1);
    let lane = |alerts: &[i64]| {
        let of_alert = |id: &i64| {
            let note = br#"{"note":"seen to"}"#;
            let step = |what: &str| format!("/api/alerts/{id}/{what}");
            [
                plant.server.request("POST", &step("acknowledge"), "application/json", note),
                plant.server.request("POST", &step("resolve"), "application/json", note),
                plant.server.raise_alert(plant.timeline.equipment.first().copied().unwrap_or_default()),
            ]
        };
        Lane::once(alerts.iter().flat_map(of_alert).collect())
    };
    Ok(raised.chunks(share).map(lane).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Class; 6] =
        [Class::Reads, Class::Lists, Class::Series, Class::Singles, Class::Bulk, Class::Alerts];

    #[test]
    fn there_are_two_hundred_and_fifty_six_connections() {
        assert_eq!(ALL.iter().map(|class| class.connections()).sum::<usize>(), 256);
    }

    /// HAProxy and servers close connections on which nothing comes for five seconds.
    #[test]
    fn every_connection_says_something_within_a_few_seconds() {
        assert!(ALL.iter().all(|class| class.connections() as f64 / class.rate(Run::QUICK) <= 4.0));
    }
}
