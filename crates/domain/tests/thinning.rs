//! Metrics that are kept shorter or longer than others: their values go by themselves, and nothing else does.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use domain::access::rights::{ManageEquipment, ViewData, WriteData};
use domain::app::ingest::{self, Sent};
use domain::app::{equipment, retention, series, thinning};
use domain::equipment::{Details, EquipmentRef};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::ports::Clock;
use domain::telemetry::kept::{Class, Kept, MetricPattern};
use domain::telemetry::rollup::Grain;
use domain::telemetry::series::{Interval, SeriesQuery};
use domain::telemetry::{Head, MetricName, OnConflict, Reading, ReadingFilter, Tags, Values};
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use domain::time::Timestamp;
use pollster::block_on;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A plant with one furnace, whose vibration is kept for ten days, and whose energy for a hundred.
struct Plant {
    world: World,
    furnace: EquipmentId,
}

fn metric(name: &str) -> MetricName {
    MetricName::parse(name).unwrap()
}

fn class(metrics: &str, days: u32) -> Class {
    Class { metrics: MetricPattern::parse(metrics).unwrap(), kept: DAY * days }
}

impl Plant {
    async fn keeping(otherwise: Option<u32>) -> Self {
        let mut world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        world.app.policy.readings_kept = Kept {
            otherwise: otherwise.map(|days| DAY * days),
            classes: vec![class("vibration.*", 10), class("energy", 100)],
        };
        let label = |text: &str| Label::parse(text).unwrap();
        let details = Details::new(label("Furnace"), label("furnace"));
        let by = World::system::<ManageEquipment>().unwrap();
        let furnace = equipment::create(&world.app, by, details, Once::each_time()).await.unwrap().id;
        Self { world, furnace }
    }

    /// The middle of the day so many days ago.
    fn ago(&self, days: u32) -> Timestamp {
        Grain::Day.start_of(self.world.clock.now()).before(DAY * days).after(HOUR * 12)
    }

    async fn send(&self, at: Timestamp, names: &[&str]) {
        let values = names.iter().map(|name| (metric(name), 1.5)).collect();
        let sent = Sent {
            equipment: EquipmentRef::Id(self.furnace),
            at: Some(at),
            values: Values::of(values).unwrap(),
            tags: Tags::new(),
        };
        let by = World::system::<WriteData>().unwrap();
        ingest::one(&self.world.app, by, sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
    }

    async fn readings(&self) -> Vec<Reading> {
        let mut reader = self.world.app.store.reader().await.unwrap();
        let filter = ReadingFilter::default();
        let ascending = domain::page::Direction::Ascending;
        reader.readings().scan(&filter, ascending, None, 10_000).await.unwrap()
    }

    async fn head(&self) -> Head {
        let mut reader = self.world.app.store.reader().await.unwrap();
        reader.readings().heads(&[self.furnace]).await.unwrap().pop().unwrap()
    }

    /// How many days ago readings lie, the oldest first, and of which metrics.
    async fn stored(&self) -> Vec<(u64, String)> {
        let midnight = Grain::Day.start_of(self.world.clock.now());
        let told = |reading: &Reading| {
            let names: Vec<&str> = reading.values.iter().map(|(metric, _)| metric.as_str()).collect();
            let days = midnight.since(Grain::Day.start_of(reading.id.at)).as_secs() / DAY.as_secs();
            (days, names.join(" "))
        };
        self.readings().await.iter().map(told).collect()
    }

    async fn days_with(&self, name: &str) -> usize {
        let query = SeriesQuery {
            equipment: vec![self.furnace],
            metrics: vec![metric(name)],
            from: self.ago(300),
            until: self.world.clock.now(),
            interval: Interval::Fixed(DAY),
            max_points: 1000,
        };
        let by = World::system::<ViewData>().unwrap();
        let answer = series::fold(&self.world.app, &by, &query).await.unwrap();
        answer.series[0].buckets.len()
    }

    async fn thin(&self) -> u64 {
        thinning::thin(&self.world.app).await.unwrap()
    }
}

fn told(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(days, names)| (*days, (*names).to_owned())).collect()
}

#[test]
fn values_go_when_they_are_older_than_their_metric_is_kept_and_the_others_stay() {
    block_on(async {
        let plant = Plant::keeping(None).await;
        for days in [120, 90, 12, 9, 1] {
            plant.send(plant.ago(days), &["speed", "vibration.x", "energy"]).await;
        }
        plant.send(plant.ago(50), &["vibration.x", "vibration.y"]).await;
        assert_eq!(plant.thin().await, 5, "vibration of four readings and energy of one");
        let whole = "energy speed vibration.x";
        let left = [(120, "speed"), (90, "energy speed"), (12, "energy speed"), (9, whole), (1, whole)];
        assert_eq!(plant.stored().await, told(&left));
        assert_eq!(plant.thin().await, 0, "there is nothing more to do");
    });
}

#[test]
fn a_metric_may_be_kept_longer_than_the_rest() {
    block_on(async {
        let plant = Plant::keeping(Some(30)).await;
        for days in [120, 90, 31, 20, 1] {
            plant.send(plant.ago(days), &["speed", "energy"]).await;
        }
        let tended = retention::tend(&plant.world.app).await.unwrap();
        assert_eq!((tended.removed, tended.thinned), (1, 2));
        let both = "energy speed";
        assert_eq!(plant.stored().await, told(&[(90, "energy"), (31, "energy"), (20, both), (1, both)]));
    });
}

#[test]
fn each_day_another_day_goes() {
    block_on(async {
        let plant = Plant::keeping(None).await;
        for days in [11, 10, 9] {
            plant.send(plant.ago(days), &["speed", "vibration.x"]).await;
        }
        assert_eq!(plant.thin().await, 1);
        plant.world.clock.advance(DAY);
        assert_eq!(plant.thin().await, 1);
        assert_eq!(plant.thin().await, 0);
        assert_eq!(plant.days_with("speed").await, 3);
        let whole = "speed vibration.x";
        assert_eq!(plant.stored().await, told(&[(12, "speed"), (11, "speed"), (10, whole)]));
    });
}

#[test]
fn what_is_written_late_goes_as_well() {
    block_on(async {
        let plant = Plant::keeping(None).await;
        plant.send(plant.ago(1), &["speed"]).await;
        assert_eq!(plant.thin().await, 0);
        plant.send(plant.ago(200), &["vibration.x", "speed"]).await;
        plant.send(plant.ago(150), &["vibration.x"]).await;
        assert_eq!(plant.thin().await, 2);
        assert_eq!(plant.stored().await, told(&[(200, "speed"), (1, "speed")]));
    });
}

#[test]
fn another_decision_has_the_whole_past_looked_at_again() {
    block_on(async {
        let mut plant = Plant::keeping(None).await;
        plant.send(plant.ago(60), &["speed", "energy"]).await;
        assert_eq!(plant.thin().await, 0);
        plant.world.app.policy.readings_kept.classes = vec![class("energy", 59)];
        assert_eq!(plant.thin().await, 1);
        assert_eq!(plant.stored().await, told(&[(60, "speed")]));
    });
}

#[test]
fn what_was_written_while_another_decision_held_goes_once_the_first_one_holds_again() {
    block_on(async {
        let mut plant = Plant::keeping(None).await;
        plant.send(plant.ago(60), &["speed", "vibration.x"]).await;
        assert_eq!(plant.thin().await, 1);
        let classes = std::mem::take(&mut plant.world.app.policy.readings_kept.classes);
        plant.send(plant.ago(50), &["speed", "vibration.x"]).await;
        assert_eq!(plant.thin().await, 0, "all is kept for ever meanwhile");
        plant.world.app.policy.readings_kept.classes = classes;
        assert_eq!(plant.thin().await, 1);
        assert_eq!(plant.stored().await, told(&[(60, "speed"), (50, "speed")]));
    });
}

#[test]
fn rollups_and_newest_values_outlive_what_goes_early() {
    block_on(async {
        let plant = Plant::keeping(None).await;
        for days in [40, 30, 20] {
            plant.send(plant.ago(days), &["speed", "vibration.x"]).await;
        }
        let before = plant.head().await;
        assert_eq!(plant.thin().await, 3);
        assert_eq!(plant.days_with("vibration.x").await, 3);
        assert_eq!(plant.head().await.latest, before.latest);
        // Anew is nothing made of what is left of that time.
        plant.send(plant.ago(30).after(HOUR), &["speed"]).await;
        retention::tend(&plant.world.app).await.unwrap();
        assert_eq!(plant.days_with("vibration.x").await, 3);
    });
}

#[test]
fn more_readings_than_one_unit_of_work_takes_go_all_the_same() {
    block_on(async {
        let plant = Plant::keeping(None).await;
        let sent = |second: u32| Sent {
            equipment: EquipmentRef::Id(plant.furnace),
            at: Some(plant.ago(20).after(Duration::from_secs(second.into()))),
            values: Values::of(vec![(metric("speed"), 1.0), (metric("vibration.x"), 2.0)]).unwrap(),
            tags: Tags::new(),
        };
        let sent: Vec<Sent> = (0..5000).map(sent).collect();
        let by = World::system::<WriteData>().unwrap();
        ingest::all(&plant.world.app, by, sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
        assert_eq!(plant.thin().await, 5000);
        let left = plant.readings().await;
        assert!(left.len() == 5000 && left.iter().all(|reading| reading.values.numbers() == [1.0]));
    });
}
