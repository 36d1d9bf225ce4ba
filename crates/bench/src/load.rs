//! Drives a server over several connections at once and notes how long each answer took.
//!
//! The loop is open: requests are due at fixed instants, and how late an answer is counts from when its request was due,
//! so that a server that stalls cannot hide it by being asked less. A saturating run has everything due at once.

use crate::failure::{Outcome, failed};
use crate::http::{Answer, Connection};
use crate::statistics::percentile;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// When requests are due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as the connection is free.
    Saturating,
    /// So many a second, over all connections.
    PerSecond(f64),
}

/// What one connection sends.
#[derive(Debug)]
pub(crate) struct Lane {
    requests: Vec<Vec<u8>>,
    /// Whether it begins again at the end.
    is_round: bool,
    /// Nothing is sent that is due later than this.
    at_most: Option<Duration>,
}

impl Lane {
    /// Sends each request once.
    pub(crate) fn once(requests: Vec<Vec<u8>>) -> Self {
        Self { requests, is_round: false, at_most: None }
    }

    /// The same for no longer than this.
    pub(crate) fn for_at_most(self, time: Duration) -> Self {
        Self { at_most: Some(time), ..self }
    }

    /// Sends them over and over for some time, and so does each of several lanes, each beginning elsewhere.
    pub(crate) fn several_round(count: usize, requests: &[Vec<u8>], time: Duration) -> Vec<Self> {
        let lane = |number: usize| {
            let mut requests = requests.to_vec();
            let turns = number * requests.len() / count;
            requests.rotate_left(turns);
            Self { requests, is_round: true, at_most: Some(time) }
        };
        (0..count).map(lane).collect()
    }
}

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) elapsed: Duration,
    /// In microseconds, sorted.
    pub(crate) latencies: Vec<u64>,
    /// Requests that were answered that there are too many of them; their latencies are not among those.
    pub(crate) turned_away: usize,
    /// What the answers added up to.
    pub(crate) counted: u64,
}

impl Ran {
    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of answers did not exceed, in milliseconds.
    pub(crate) fn latency_ms(&self, share: f64) -> f64 {
        percentile(&self.latencies, share) as f64 / 1000.0
    }
}

/// What an answer counts for; a failure ends the run.
pub(crate) type Count = fn(&Answer<'_>) -> Outcome<u64>;

/// Sends all lanes at once, each over a connection of its own that was opened before.
pub(crate) async fn drive(address: SocketAddr, lanes: Vec<Lane>, pace: Pace, count: Count) -> Outcome<Ran> {
    let number = lanes.len() as f64;
    let mut ready = Vec::with_capacity(lanes.len());
    for lane in lanes {
        ready.push((Connection::open(address).await?, lane));
    }
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for (place, (connection, lane)) in ready.into_iter().enumerate() {
        let timetable = match pace {
            Pace::Saturating => None,
            Pace::PerSecond(rate) => Some(Timetable {
                first: begun + Duration::from_secs_f64(place as f64 / rate),
                step: Duration::from_secs_f64(number / rate),
            }),
        };
        running.spawn(run(connection, lane, begun, timetable, count));
    }
    let mut ran = Ran::default();
    while let Some(lane) = running.join_next().await {
        let lane = lane??;
        ran.latencies.extend(lane.latencies);
        ran.counted += lane.counted;
        ran.turned_away += lane.turned_away;
    }
    ran.elapsed = begun.elapsed();
    ran.latencies.sort_unstable();
    Ok(ran)
}

struct Timetable {
    first: Instant,
    step: Duration,
}

impl Timetable {
    fn due(&self, turn: u32) -> Instant {
        self.first + self.step * turn
    }
}

async fn run(
    mut connection: Connection,
    lane: Lane,
    begun: Instant,
    timetable: Option<Timetable>,
    count: Count,
) -> Outcome<Ran> {
    let mut ran = Ran::default();
    let mut turn: u32 = 0;
    loop {
        for request in &lane.requests {
            let due = timetable.as_ref().map_or_else(Instant::now, |timetable| timetable.due(turn));
            if lane.at_most.is_some_and(|length| due.duration_since(begun) >= length) {
                return Ok(ran);
            }
            if timetable.is_some() {
                tokio::time::sleep_until(due.into()).await;
            }
            let answer = connection.exchange(request).await?;
            ran.counted += count(&answer)?;
            if answer.is_turned_away() {
                ran.turned_away += 1;
            } else {
                ran.latencies.push(due.elapsed().as_micros() as u64);
            }
            turn += 1;
        }
        if !lane.is_round || lane.requests.is_empty() {
            return Ok(ran);
        }
    }
}

/// Any success counts for one.
pub(crate) fn one(answer: &Answer<'_>) -> Outcome<u64> {
    if (200..300).contains(&answer.status) { Ok(1) } else { Err(refused(answer)) }
}

/// A receipt counts for the readings that were stored.
pub(crate) fn accepted(answer: &Answer<'_>) -> Outcome<u64> {
    one(answer)?;
    let receipt: serde_json::Value = serde_json::from_slice(answer.body)?;
    receipt.get("accepted").and_then(serde_json::Value::as_u64).ok_or_else(|| refused(answer))
}

fn refused(answer: &Answer<'_>) -> crate::failure::Failure {
    failed(format!("the server answered {}: {}", answer.status, answer.excerpt()))
}
