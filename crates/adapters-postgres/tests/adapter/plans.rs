//! A large plant: every question that is about a part of it is answered by way of an index, and no page costs more
//! statements than another.

use crate::observer::Observer;
use crate::overheard::Listener;
use crate::proxy::Proxy;
use crate::{at, open};
use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings};
use domain::alerts::{AlertFilter, AlertKey, AlertQuery, AlertStatus};
use domain::equipment::{EquipmentFilter, EquipmentKey, EquipmentQuery, Reach, Status};
use domain::id::{EquipmentId, RuleId};
use domain::page::{Direction, Order, PageRequest, Seek};
use domain::ports::{Repos, Store};
use domain::rules::Severity;
use domain::telemetry::{MetricName, ReadingFilter, ReadingId, ReadingQuery};
use domain::text::{Label, Location, SerialNumber};
use domain::time::{Date, Days, Span, Timestamp};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// Reading these from end to end takes too long.
const LARGE: [&str; 3] = ["equipment", "readings_default", "alerts"];

/// A large plant, a store on it whose words are overheard, and somebody who knows how the server understands them.
struct Plant {
    store: PostgresStore,
    listener: Listener,
    server: Client,
    _database: TestDatabase,
}

impl Plant {
    async fn built() -> Self {
        let database = TestDatabase::create().await;
        Observer::of(&database).await.run(include_str!("large_plant.sql")).await;
        let proxy = Proxy::before(&database).await;
        let patience = Duration::from_secs(20);
        let store = open(Settings {
            max_connections: 2,
            answer_timeout: patience,
            statement_timeout: patience,
            ..Settings::new(proxy.url() + "?sslmode=disable")
        });
        let (server, connection) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { store, listener: Listener::at(proxy), server, _database: database }
    }

    async fn reader(&self) -> Box<dyn Repos> {
        self.store.reader().await.unwrap()
    }

    /// How the server goes about what was asked since this was last called.
    async fn plans(&self) -> Vec<String> {
        let mut plans = Vec::new();
        for question in self.listener.questions() {
            plans.push(format!("{}\n{}", question.text, question.plan(&self.server).await));
        }
        plans
    }

    async fn goes_by_indexes(&self, what: &str) {
        for plan in self.plans().await {
            refuse_long_ways(what, &plan);
        }
    }

    /// As [`Plant::goes_by_indexes`] for readings. Which of many pieces are in the register may be looked up all at once.
    async fn finds_readings_by_indexes(&self, what: &str) {
        for plan in self.plans().await {
            refuse_reading_all(what, &plan, "readings_default");
        }
    }
}

fn refuse_long_ways(what: &str, plan: &str) {
    for table in LARGE {
        refuse_reading_all(what, plan, table);
    }
}

fn refuse_reading_all(what: &str, plan: &str, table: &str) {
    assert!(!plan.contains(&format!("Seq Scan on {table} ")), "{what} reads all of {table}:\n{plan}");
}

fn piece(number: i64) -> EquipmentId {
    EquipmentId::new(number).unwrap()
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn metric(text: &str) -> MetricName {
    MetricName::parse(text).unwrap()
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn hours(from: &str, until: &str) -> Span {
    Span { from: Some(instant(from)), until: Some(instant(until)) }
}

fn days(from: &str, until: &str) -> Days {
    Days { from: Some(Date::parse(from).unwrap()), until: Some(Date::parse(until).unwrap()) }
}

fn equipment_filters() -> Vec<(&'static str, EquipmentFilter)> {
    let location = |text: &str| Location::parse(text).unwrap();
    let all = EquipmentFilter::default;
    vec![
        ("name", EquipmentFilter { names: vec![label("Machine 7")], ..all() }),
        ("kind", EquipmentFilter { kinds: vec![label("KIND 7"), label("kind 8")], ..all() }),
        ("model", EquipmentFilter { models: vec![label("M7")], ..all() }),
        ("manufacturer", EquipmentFilter { manufacturers: vec![label("Maker 7")], ..all() }),
        (
            "serial number",
            EquipmentFilter { serial_numbers: vec![SerialNumber::parse("SN-7").unwrap()], ..all() },
        ),
        (
            "status and kind",
            EquipmentFilter { statuses: vec![Status::Fault], kinds: vec![label("kind 3")], ..all() },
        ),
        ("location", EquipmentFilter { locations: vec![location("plant-7/line-7/place-7")], ..all() }),
        (
            "under",
            EquipmentFilter { under: vec![location("plant-7/line-7"), location("plant-8/line-8")], ..all() },
        ),
        ("parent", EquipmentFilter { parents: vec![piece(7)], ..all() }),
        ("installed", EquipmentFilter { installed: days("2001-01-01", "2001-02-01"), ..all() }),
        ("due", EquipmentFilter { due: days("2026-02-01", "2026-03-01"), ..all() }),
        (
            "created",
            EquipmentFilter { created: hours("2020-01-05T00:00:00Z", "2020-01-06T00:00:00Z"), ..all() },
        ),
        (
            "updated",
            EquipmentFilter { updated: hours("2021-01-05T00:00:00Z", "2021-01-06T00:00:00Z"), ..all() },
        ),
        ("search", EquipmentFilter { search: Some("CHINE 4711".into()), ..all() }),
        ("hidden", EquipmentFilter { hidden: true, ..all() }),
        ("reach", EquipmentFilter { reach: Reach::Only(vec![piece(7), piece(8)]), ..all() }),
    ]
}

const EQUIPMENT_KEYS: [EquipmentKey; 12] = [
    EquipmentKey::Id,
    EquipmentKey::Name,
    EquipmentKey::Kind,
    EquipmentKey::Model,
    EquipmentKey::Manufacturer,
    EquipmentKey::SerialNumber,
    EquipmentKey::Status,
    EquipmentKey::Location,
    EquipmentKey::InstalledOn,
    EquipmentKey::NextMaintenanceOn,
    EquipmentKey::CreatedAt,
    EquipmentKey::UpdatedAt,
];

fn alert_filters() -> Vec<(&'static str, AlertFilter)> {
    let all = AlertFilter::default;
    vec![
        ("equipment", AlertFilter { equipment: vec![piece(7)], ..all() }),
        (
            "severity and status",
            AlertFilter { severities: vec![Severity::Info], statuses: vec![AlertStatus::Open], ..all() },
        ),
        ("status", AlertFilter { statuses: vec![AlertStatus::Acknowledged], ..all() }),
        ("rule", AlertFilter { rules: vec![RuleId::new(7).unwrap()], ..all() }),
        ("metric", AlertFilter { metrics: vec![metric("metric_7")], ..all() }),
        ("instant", AlertFilter { at: hours("2026-01-02T00:00:00Z", "2026-01-02T02:00:00Z"), ..all() }),
        ("search", AlertFilter { search: Some("ULT 4711".into()), ..all() }),
        ("reach", AlertFilter { reach: Reach::Only(vec![piece(7), piece(8)]), ..all() }),
    ]
}

const ALERT_KEYS: [AlertKey; 5] =
    [AlertKey::Id, AlertKey::At, AlertKey::LastSeenAt, AlertKey::Severity, AlertKey::Status];

fn reading_filters() -> Vec<(&'static str, ReadingFilter)> {
    let all = ReadingFilter::default;
    let many = (1..=1000).map(piece).collect();
    vec![
        ("everything", all()),
        ("one piece", ReadingFilter { equipment: vec![piece(7)], ..all() }),
        ("a few pieces", ReadingFilter { equipment: vec![piece(7), piece(8), piece(9)], ..all() }),
        ("many pieces", ReadingFilter { equipment: many, ..all() }),
        ("a minute", ReadingFilter { at: hours("2026-01-01T00:50:00Z", "2026-01-01T00:51:00Z"), ..all() }),
        ("a metric", ReadingFilter { metrics: vec![metric("speed")], ..all() }),
        (
            "a metric of a piece",
            ReadingFilter { equipment: vec![piece(7)], metrics: vec![metric("speed")], ..all() },
        ),
        ("lately received", ReadingFilter { equipment: vec![piece(7)], received_from: Some(at(0)), ..all() }),
    ]
}

const BOTH: [Direction; 2] = [Direction::Ascending, Direction::Descending];

async fn filters_of_equipment(plant: &Plant) {
    for (what, filter) in equipment_filters() {
        let query = EquipmentQuery { filter, ..Default::default() };
        let found = plant.reader().await.equipment().list(&query).await.unwrap();
        assert!(found.total > 0, "{what} finds nothing");
        plant.goes_by_indexes(&format!("equipment by {what}")).await;
    }
}

/// Of an ordering alone the page counts: how many there are of all is told by reading all.
async fn orderings_of_equipment(plant: &Plant) {
    for (key, direction) in EQUIPMENT_KEYS.into_iter().flat_map(|key| BOTH.map(|direction| (key, direction)))
    {
        let query = EquipmentQuery { order: vec![Order { key, direction }], ..Default::default() };
        plant.reader().await.equipment().list(&query).await.unwrap();
        let page = plant.plans().await.pop().unwrap();
        refuse_long_ways(&format!("equipment in the order of {key:?}, {direction:?}"), &page);
    }
}

async fn filters_of_alerts(plant: &Plant) {
    for (what, filter) in alert_filters() {
        let query = AlertQuery { filter, ..Default::default() };
        let found = plant.reader().await.alerts().list(&query).await.unwrap();
        assert!(found.total > 0, "{what} finds nothing");
        plant.goes_by_indexes(&format!("alerts by {what}")).await;
    }
}

async fn orderings_of_alerts(plant: &Plant) {
    for (key, direction) in ALERT_KEYS.into_iter().flat_map(|key| BOTH.map(|direction| (key, direction))) {
        let query = AlertQuery { order: vec![Order { key, direction }], ..Default::default() };
        plant.reader().await.alerts().list(&query).await.unwrap();
        let page = plant.plans().await.pop().unwrap();
        refuse_long_ways(&format!("alerts in the order of {key:?}, {direction:?}"), &page);
    }
}

async fn stretches_of_readings(plant: &Plant) {
    let mark = ReadingId { equipment: piece(7), at: instant("2026-01-01T00:50:00Z") };
    for (what, filter) in reading_filters() {
        for direction in BOTH {
            for seek in [Seek::Start, Seek::After(mark), Seek::Before(mark)] {
                let query = ReadingQuery { filter: filter.clone(), direction, seek, limit: 50 };
                plant.reader().await.readings().read(&query).await.unwrap();
                plant.finds_readings_by_indexes(&format!("{what}, {direction:?}, {seek:?}")).await;
            }
            let found =
                plant.reader().await.readings().scan(&filter, direction, Some(mark), 50).await.unwrap();
            assert!(!found.is_empty() || what == "a minute", "{what} finds nothing");
            plant.finds_readings_by_indexes(&format!("a scan of {what}, {direction:?}")).await;
        }
    }
}

async fn hot_paths(plant: &Plant) {
    let pieces: Vec<EquipmentId> = (1..=50).map(piece).collect();
    let ids: Vec<ReadingId> = pieces
        .iter()
        .map(|piece| ReadingId { equipment: *piece, at: instant("2026-01-01T00:50:00Z") })
        .collect();
    let since: Vec<_> = pieces.iter().map(|piece| (*piece, at(0))).collect();
    let mut reader = plant.reader().await;
    assert_eq!(reader.readings().heads(&pieces).await.unwrap().len(), 50);
    assert_eq!(reader.readings().find_all(&ids).await.unwrap().len(), 50);
    assert!(!reader.alerts().touching(&since).await.unwrap().is_empty());
    reader.alerts().last_resolved(RuleId::new(7).unwrap(), piece(7), at(9_999_999_999)).await.unwrap();
    plant.goes_by_indexes("what every batch asks").await;
    let before = instant("2026-01-01T00:02:00Z");
    assert!(!reader.readings().reporting_before(before, None, 10).await.unwrap().is_empty());
    plant.finds_readings_by_indexes("who has old readings").await;
}

async fn pages_of_any_size(plant: &Plant) {
    let sizes = [1, 1000].map(|size| PageRequest::new(1, size).unwrap());
    let (mut for_equipment, mut for_alerts, mut for_readings) = (Vec::new(), Vec::new(), Vec::new());
    for page in sizes {
        plant.reader().await.equipment().list(&EquipmentQuery { page, ..Default::default() }).await.unwrap();
        for_equipment.push(plant.listener.questions().len());
        plant.reader().await.alerts().list(&AlertQuery { page, ..Default::default() }).await.unwrap();
        for_alerts.push(plant.listener.questions().len());
        let filter = ReadingFilter { equipment: vec![piece(7)], ..Default::default() };
        plant
            .reader()
            .await
            .readings()
            .scan(&filter, Direction::Descending, None, page.size())
            .await
            .unwrap();
        for_readings.push(plant.listener.questions().len());
    }
    assert_eq!((for_equipment, for_alerts), (vec![2, 2], vec![2, 2]));
    // Those that are rows, and whether any are packed.
    assert_eq!(for_readings, [2, 2]);
}

/// One test, because the plant takes longer to build than everything else.
#[tokio::test]
async fn no_question_about_a_part_of_a_large_plant_reads_all_of_it() {
    let plant = Plant::built().await;
    filters_of_equipment(&plant).await;
    orderings_of_equipment(&plant).await;
    filters_of_alerts(&plant).await;
    orderings_of_alerts(&plant).await;
    stretches_of_readings(&plant).await;
    hot_paths(&plant).await;
    pages_of_any_size(&plant).await;
}
