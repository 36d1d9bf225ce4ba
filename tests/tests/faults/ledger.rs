//! What one writer sent and what was acknowledged of it, and how that is held against what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tests::plant::{Machine, floats, second};
use tests::{Client, Person, Value, json};

use crate::tell;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A reading.
    One,
    /// Readings that are stored as a whole or not at all.
    Array,
    /// Readings that are stored as they come.
    Lines,
    /// A new piece of equipment.
    Piece,
    /// A change of the writer's own machine.
    Change,
}

/// Something that is sent, maybe more than once.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// What it is.
    pub kind: Kind,
    /// Its first number. Each number is used once.
    pub first: i64,
    length: i64,
    acknowledged: bool,
}

impl Attempt {
    /// The numbers of its readings.
    pub(crate) fn numbers(&self) -> Range<i64> {
        self.first..self.first + self.length
    }

    fn is_of_readings(&self) -> bool {
        matches!(self.kind, Kind::One | Kind::Array | Kind::Lines)
    }
}

/// What one writer remembers.
pub(crate) struct Ledger {
    /// Its machine.
    pub machine: Machine,
    /// Its number.
    pub writer: usize,
    next: i64,
    attempts: Vec<Attempt>,
}

/// How much was counted.
#[derive(Default)]
struct Tally {
    sent: usize,
    acknowledged: usize,
    stored: usize,
    lost: usize,
    twice: usize,
    halves: usize,
    strange: usize,
}

impl Ledger {
    pub(crate) fn of(machine: Machine, writer: usize) -> Self {
        Self { machine, writer, next: 0, attempts: Vec::new() }
    }

    /// What a machine reports at this second.
    pub(crate) fn values(number: i64) -> Value {
        json!({"temperature": number as f64 + 0.25, "speed": number * 3, "pressure": -number})
    }

    /// The serial number of a piece.
    pub(crate) fn serial(writer: usize, number: i64) -> String {
        format!("W{writer}-{number}")
    }

    pub(crate) fn begin(&mut self, kind: Kind, length: i64) -> Attempt {
        let first = self.next;
        self.next += length;
        Attempt { kind, first, length, acknowledged: false }
    }

    pub(crate) fn end(&mut self, attempt: Attempt, acknowledged: bool) {
        self.attempts.push(Attempt { acknowledged, ..attempt });
    }
}

/// Fails unless everything that was acknowledged is stored once, as it was sent, and of what was not acknowledged all or
/// nothing.
pub(crate) async fn hold(ledgers: &[Ledger], by: &Person) {
    let mut tally = Tally::default();
    for ledger in ledgers {
        hold_readings(ledger, by, &mut tally).await;
        hold_change(ledger, by, &mut tally).await;
    }
    hold_pieces(ledgers, by, &mut tally).await;
    let Tally { sent, acknowledged, stored, lost, twice, halves, strange } = tally;
    tell(&format!(
        "  things: {sent} sent, {acknowledged} acknowledged, {stored} stored; \
         lost {lost}, twice {twice}, by halves {halves}, otherwise than sent {strange}"
    ));
    assert_eq!((lost, twice, halves, strange), (0, 0, 0, 0), "lost, twice, by halves, otherwise than sent");
    assert!(acknowledged > 0, "nothing was acknowledged, so nothing was shown");
}

async fn hold_readings(ledger: &Ledger, by: &Client, tally: &mut Tally) {
    let stored = readings_of(&ledger.machine, by).await;
    let mut known = BTreeSet::new();
    for attempt in ledger.attempts.iter().filter(|attempt| attempt.is_of_readings()) {
        let there = attempt.numbers().filter(|number| stored.contains_key(&second(*number))).count();
        let length = attempt.numbers().count();
        tally.sent += length;
        tally.stored += there;
        if attempt.acknowledged {
            tally.acknowledged += length;
            tally.lost += length - there;
        }
        tally.halves += usize::from(attempt.kind != Kind::Lines && there != 0 && there != length);
        for number in attempt.numbers() {
            let instant = second(number);
            let found = stored.get(&instant).map_or(&[][..], Vec::as_slice);
            tally.twice += found.len().saturating_sub(1);
            let as_sent = floats(&Ledger::values(number));
            tally.strange += found.iter().filter(|values| **values != as_sent).count();
            known.insert(instant);
        }
    }
    tally.strange += stored.keys().filter(|instant| !known.contains(*instant)).count();
    hold_what_follows(ledger, &stored, by, tally).await;
}

/// What is stored with a reading must be there with each, and no more often: the newest values, and what its alert counts.
async fn hold_what_follows(
    ledger: &Ledger,
    stored: &BTreeMap<String, Vec<Value>>,
    by: &Client,
    tally: &mut Tally,
) {
    let newest = by.get(&ledger.machine.its("latest")).await.expect(200);
    let newest: BTreeSet<String> =
        newest.column("timestamp").iter().map(|at| at.as_str().unwrap().to_owned()).collect();
    tally.halves += usize::from(newest != stored.keys().next_back().cloned().into_iter().collect());
    let alerts = by.alerts(&format!("equipment={}", ledger.machine.id)).await;
    let counted: u64 = alerts.iter().filter_map(|alert| alert["occurrences"].as_u64()).sum();
    tally.halves += usize::from(counted != stored.len() as u64);
}

/// The values at each instant, from an export.
async fn readings_of(machine: &Machine, by: &Client) -> BTreeMap<String, Vec<Value>> {
    let path = format!("/api/data/export?format=ndjson&equipment={}", machine.id);
    let exported = by.get(&path).await.expect(200);
    let mut readings = BTreeMap::<String, Vec<Value>>::new();
    for line in String::from_utf8(exported.bytes).unwrap().lines() {
        let reading: Value = serde_json::from_str(line).unwrap();
        let instant = reading["timestamp"].as_str().unwrap().to_owned();
        readings.entry(instant).or_default().push(floats(&reading["values"]));
    }
    readings
}

/// A machine says what it was last told, or what was sent afterwards and not acknowledged.
async fn hold_change(ledger: &Ledger, by: &Client, tally: &mut Tally) {
    let model = by.get(&ledger.machine.path()).await.expect(200)["model"].clone();
    let changes = || ledger.attempts.iter().filter(|attempt| attempt.kind == Kind::Change);
    let last = changes().filter(|attempt| attempt.acknowledged).map(|attempt| attempt.first).max();
    let model: Option<i64> = model.as_str().and_then(|model| model.parse().ok());
    tally.sent += changes().count();
    tally.acknowledged += changes().filter(|attempt| attempt.acknowledged).count();
    // Those that a later one replaced are stored in it.
    tally.stored += changes().filter(|attempt| Some(attempt.first) <= model).count();
    tally.lost += usize::from(model < last);
    tally.strange += usize::from(model.is_some_and(|model| !changes().any(|attempt| attempt.first == model)));
}

/// Each piece is registered once, and the trail tells of each once.
async fn hold_pieces(ledgers: &[Ledger], by: &Client, tally: &mut Tally) {
    let registered = pieces(by).await;
    let traced = traced(by).await;
    for ledger in ledgers {
        for attempt in ledger.attempts.iter().filter(|attempt| attempt.kind == Kind::Piece) {
            let serial = Ledger::serial(ledger.writer, attempt.first);
            let ids = registered.get(&serial).cloned().unwrap_or_default();
            tally.sent += 1;
            tally.stored += ids.len();
            tally.acknowledged += usize::from(attempt.acknowledged);
            tally.lost += usize::from(attempt.acknowledged && ids.is_empty());
            tally.twice += ids.len().saturating_sub(1);
            let untold = ids.iter().filter(|id| traced.get(*id) != Some(&1)).count();
            tally.halves += untold;
        }
    }
}

/// The ids behind each serial number.
async fn pieces(by: &Client) -> BTreeMap<String, Vec<i64>> {
    let mut pieces = BTreeMap::<String, Vec<i64>>::new();
    for piece in all(by, "/api/equipment?type=pump&page_size=1000").await {
        let serial = piece["serial_number"].as_str().unwrap_or_default().to_owned();
        pieces.entry(serial).or_default().push(piece["id"].as_i64().unwrap());
    }
    pieces
}

/// How often the trail tells that a piece was registered.
async fn traced(by: &Client) -> BTreeMap<i64, usize> {
    let mut traced = BTreeMap::new();
    for event in all(by, "/api/audit?action=equipment.created&page_size=1000").await {
        *traced.entry(event["subject"]["id"].as_i64().unwrap_or_default()).or_default() += 1;
    }
    traced
}

/// Everything that a list has.
async fn all(by: &Client, path: &str) -> Vec<Value> {
    let (mut results, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let page = by.get(&path).await.expect(200);
        results.extend(page["results"].as_array().unwrap().iter().cloned());
        next = page["next"].as_str().map(|url| url.find("/api/").map_or("", |at| &url[at..]).to_owned());
    }
    results
}
