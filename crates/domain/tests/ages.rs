//! What becomes of readings as they grow old: rolled up, packed, forgotten, and no answer the worse for it.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use async_trait::async_trait;
use domain::access::rights::{ManageEquipment, ViewData, WriteData};
use domain::app::ingest::{self, Sent};
use domain::app::{RollupsKept, equipment, readings, retention, rollups, series};
use domain::equipment::{Details, EquipmentRef};
use domain::error::Error;
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::ports::Clock;
use domain::telemetry::rollup::{Fold, Grain};
use domain::telemetry::series::{Bucket, Interval, SeriesAnswer, SeriesQuery};
use domain::telemetry::{MOST_AT_ONCE, MetricName, OnConflict, ReadingId, Sample, Tags, Values};
use domain::testing::{FrozenClock, MemoryStore, World};
use domain::text::Label;
use domain::time::Timestamp;
use pollster::block_on;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 86_400;

/// A plant with one furnace, whose past is long.
struct Plant {
    world: World,
    furnace: EquipmentId,
    /// The beginning of a day some days ago.
    start: Timestamp,
}

fn metric() -> MetricName {
    MetricName::parse("temperature").unwrap()
}

impl Plant {
    async fn new() -> Self {
        let world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        let label = |text: &str| Label::parse(text).unwrap();
        let details = Details::new(label("Furnace"), label("furnace"));
        let by = World::system::<ManageEquipment>().unwrap();
        let furnace = equipment::create(&world.app, by, details, Once::each_time()).await.unwrap().id;
        let start = Grain::Day.start_of(world.clock.now().before(Duration::from_secs(4 * 86_400)));
        Self { world, furnace, start }
    }

    fn at(&self, second: i64) -> Timestamp {
        Timestamp::from_micros(self.start.micros() + second * 1_000_000).unwrap()
    }

    async fn send(&self, samples: impl IntoIterator<Item = (i64, f64)>) {
        let sent = |(second, value)| Sent {
            equipment: EquipmentRef::Id(self.furnace),
            at: Some(self.at(second)),
            values: Values::of(vec![(metric(), value)]).unwrap(),
            tags: Tags::new(),
        };
        let sent: Vec<Sent> = samples.into_iter().map(sent).collect();
        for part in sent.chunks(MOST_AT_ONCE) {
            let by = World::system::<WriteData>().unwrap();
            let once = Once::each_time();
            ingest::all(&self.world.app, by, part.to_vec(), OnConflict::Replace, once).await.unwrap();
        }
    }

    async fn delete(&self, second: i64) {
        let id = ReadingId { equipment: self.furnace, at: self.at(second) };
        readings::delete(&self.world.app, World::system::<WriteData>().unwrap(), id, Precondition::None)
            .await
            .unwrap();
    }

    async fn series(&self, interval: u64, from: i64, until: i64) -> SeriesAnswer {
        let query = SeriesQuery {
            equipment: vec![self.furnace],
            metrics: vec![metric()],
            from: self.at(from),
            until: self.at(until),
            interval: Interval::Fixed(Duration::from_secs(interval)),
            max_points: 100_000,
        };
        series::fold(&self.world.app, &World::system::<ViewData>().unwrap(), &query).await.unwrap()
    }

    async fn buckets(&self, interval: u64, from: i64, until: i64) -> Vec<Bucket> {
        let answer = self.series(interval, from, until).await;
        assert!(!answer.is_cut);
        answer.series.into_iter().flat_map(|series| series.buckets).collect()
    }

    /// What the series must be, folded from the values themselves.
    fn folded(&self, values: &BTreeMap<i64, f64>, interval: u64, from: i64, until: i64) -> Vec<Bucket> {
        let mut fold = Fold::new(Duration::from_secs(interval));
        let within = values.range(from..until.max(from));
        within.for_each(|(second, value)| fold.sample(Sample { at: self.at(*second), value: *value }));
        fold.finish()
    }

    async fn digests(&self, grain: Grain) -> usize {
        let mut reader = self.world.app.store.reader().await.unwrap();
        let span = (Timestamp::MIN, Timestamp::MAX);
        reader.rollups().find(self.furnace, grain, span, &[], u32::MAX).await.unwrap().len()
    }

    async fn counts(&self) -> [usize; 3] {
        [self.digests(Grain::Minute).await, self.digests(Grain::Hour).await, self.digests(Grain::Day).await]
    }
}

/// A value every ten seconds.
fn dense(seconds: std::ops::Range<i64>) -> BTreeMap<i64, f64> {
    seconds.step_by(10).map(|second| (second, (second as f64 * 0.01).sin() * 20.0 + 70.0)).collect()
}

#[test]
fn what_has_settled_is_rolled_up_by_minutes_hours_and_days() {
    block_on(async {
        let plant = Plant::new().await;
        let values = dense(0..2 * DAY + 3 * 3600);
        plant.send(values.clone()).await;
        assert_eq!(plant.counts().await, [0, 0, 0]);
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 1);
        // More may come of the hour of the newest reading, and of its day.
        assert_eq!(plant.counts().await, [50, 2, 2]);
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 0, "there is nothing more to do");
        for interval in [60, 3600, 86_400] {
            let expected = plant.folded(&values, interval, 0, 3 * DAY);
            assert_eq!(plant.buckets(interval, 0, 3 * DAY).await, expected, "{interval}");
        }
    });
}

#[test]
fn an_hour_is_rolled_up_some_minutes_after_its_end_once_there_are_newer_readings() {
    block_on(async {
        let plant = Plant::new().await;
        let now = plant.world.clock.now();
        let this_hour = (Grain::Hour.start_of(now).micros() - plant.start.micros()) / 1_000_000;
        plant.world.clock.advance(Duration::from_secs(3600) - now.since(Grain::Hour.start_of(now)));
        plant.send(dense(this_hour..this_hour + 3600)).await;
        plant.world.clock.advance(Duration::from_secs(299));
        plant.send([(this_hour + 3600, 1.0)]).await;
        rollups::roll(&plant.world.app).await.unwrap();
        assert_eq!(plant.digests(Grain::Minute).await, 0);
        plant.world.clock.advance(Duration::from_secs(1));
        rollups::roll(&plant.world.app).await.unwrap();
        assert_eq!(plant.digests(Grain::Minute).await, 1);
        plant.world.clock.advance(Duration::from_secs(100_000));
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 0);
        plant.send([(this_hour + 90_000, 1.0)]).await;
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 1);
    });
}

#[test]
fn what_is_written_late_makes_its_hour_untrue_until_that_is_rolled_up_anew() {
    block_on(async {
        let plant = Plant::new().await;
        let mut values = dense(0..DAY + 3600);
        plant.send(values.clone()).await;
        rollups::roll(&plant.world.app).await.unwrap();
        let whole = plant.counts().await;
        values.insert(7205, 1000.0);
        plant.send([(7205, 1000.0)]).await;
        assert_eq!(plant.counts().await, [whole[0] - 1, whole[1] - 1, whole[2] - 1]);
        assert_eq!(plant.buckets(86_400, 0, DAY).await, plant.folded(&values, 86_400, 0, DAY));
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 1);
        assert_eq!(plant.counts().await, whole);
        assert_eq!(plant.buckets(86_400, 0, DAY).await, plant.folded(&values, 86_400, 0, DAY));
        plant.delete(7205).await;
        values.remove(&7205);
        assert_eq!(plant.buckets(3600, 0, DAY).await, plant.folded(&values, 3600, 0, DAY));
        rollups::roll(&plant.world.app).await.unwrap();
        assert_eq!(plant.counts().await, whole);
        assert_eq!(plant.buckets(3600, 0, DAY).await, plant.folded(&values, 3600, 0, DAY));
    });
}

#[test]
fn rollups_outlive_the_readings_that_they_were_made_of() {
    block_on(async {
        let mut plant = Plant::new().await;
        let values = dense(0..3 * DAY);
        plant.send(values.clone()).await;
        let now = plant.world.clock.now();
        let kept = u64::try_from((now.micros() - plant.at(2 * DAY).micros()) / 1_000_000).unwrap();
        plant.world.app.policy.readings_kept.otherwise = Some(Duration::from_secs(kept));
        retention::forget(&plant.world.app).await.unwrap();
        assert_eq!(plant.buckets(3600, 0, 3 * DAY).await, plant.folded(&values, 3600, 0, 3 * DAY));
        // A second alone was told by readings.
        assert_eq!(plant.buckets(1, 0, 3 * DAY).await, plant.folded(&values, 1, 2 * DAY, 3 * DAY));
        // What comes now for a time of which readings are not kept leaves what is known of that time alone.
        plant.send([(5, -1000.0)]).await;
        rollups::roll(&plant.world.app).await.unwrap();
        assert_eq!(plant.buckets(86_400, 0, DAY).await, plant.folded(&values, 86_400, 0, DAY));
    });
}

#[test]
fn hours_and_days_of_who_reports_seldom_outlive_the_readings_as_well() {
    block_on(async {
        let mut plant = Plant::new().await;
        let values: BTreeMap<i64, f64> = [(60, 1.0), (7300, 2.0), (DAY + 5, 3.0)].into();
        plant.send(values.clone()).await;
        plant.send([(3 * DAY, 9.0)]).await;
        let now = plant.world.clock.now();
        let kept = u64::try_from((now.micros() - plant.at(2 * DAY).micros()) / 1_000_000).unwrap();
        plant.world.app.policy.readings_kept.otherwise = Some(Duration::from_secs(kept));
        assert_eq!(retention::forget(&plant.world.app).await.unwrap(), 3);
        for interval in [3600, 86_400] {
            let expected = plant.folded(&values, interval, 0, 2 * DAY);
            assert_eq!(plant.buckets(interval, 0, 2 * DAY).await, expected, "{interval}");
        }
    });
}

#[test]
fn rollups_go_when_they_are_older_than_they_are_kept() {
    block_on(async {
        let mut plant = Plant::new().await;
        plant.send(dense(0..2 * DAY)).await;
        plant.send([(3 * DAY, 1.0)]).await;
        rollups::roll(&plant.world.app).await.unwrap();
        assert_eq!(retention::forget_rollups(&plant.world.app).await.unwrap(), 0);
        let since = |second| {
            let micros = plant.world.clock.now().micros() - plant.at(second).micros();
            Some(Duration::from_micros(u64::try_from(micros).unwrap()))
        };
        let kept = RollupsKept { minutes: since(DAY + 3600), hours: since(DAY) };
        plant.world.app.policy.rollups_kept = kept;
        assert_eq!(retention::forget_rollups(&plant.world.app).await.unwrap(), 25 + 1);
        assert_eq!(plant.counts().await, [23, 1, 2]);
    });
}

#[test]
fn a_series_that_is_cut_has_as_many_points_as_asked_for_whatever_it_is_folded_from() {
    block_on(async {
        let plant = Plant::new().await;
        plant.send(dense(0..DAY)).await;
        let query = |max_points| SeriesQuery {
            equipment: vec![plant.furnace],
            metrics: vec![metric()],
            from: plant.at(0),
            until: plant.at(DAY),
            interval: Interval::Fixed(Duration::from_secs(300)),
            max_points,
        };
        let by = World::system::<ViewData>().unwrap();
        let before = series::fold(&plant.world.app, &by, &query(7)).await.unwrap();
        assert!(before.is_cut);
        assert_eq!(before.series[0].buckets, plant.folded(&dense(0..7 * 300), 300, 0, DAY));
        rollups::roll(&plant.world.app).await.unwrap();
        assert_eq!(series::fold(&plant.world.app, &by, &query(7)).await.unwrap(), before);
        let whole = series::fold(&plant.world.app, &by, &query(288)).await.unwrap();
        assert_eq!((whole.is_cut, whole.series[0].buckets.len()), (false, 288));
    });
}

impl Plant {
    /// Has readings kept for as long as it is since this second.
    fn keep_since(&mut self, second: i64) {
        let micros = self.world.clock.now().micros() - self.at(second).micros();
        let kept = Duration::from_micros(u64::try_from(micros).unwrap());
        self.world.app.policy.readings_kept.otherwise = Some(kept);
    }

    async fn forget_before(&mut self, second: i64) {
        self.keep_since(second);
        retention::forget(&self.world.app).await.unwrap();
    }

    async fn is_true_in_hours_and_days(&self, values: &BTreeMap<i64, f64>) {
        for interval in [3600, 86_400] {
            let expected = self.folded(values, interval, 0, 3 * DAY);
            assert_eq!(self.buckets(interval, 0, 3 * DAY).await, expected, "{interval}");
        }
    }
}

#[test]
fn readings_go_by_whole_days() {
    block_on(async {
        let mut plant = Plant::new().await;
        let values = dense(0..2 * DAY + 3600);
        plant.send(values.clone()).await;
        plant.forget_before(DAY + 12 * 3600).await;
        assert_eq!(plant.buckets(1, 0, 3 * DAY).await, plant.folded(&values, 1, DAY, 3 * DAY));
    });
}

#[test]
fn what_comes_late_for_the_day_that_goes_next_counts_until_shortly_before_it_goes() {
    block_on(async {
        let mut plant = Plant::new().await;
        let mut values = dense(0..2 * DAY + 3600);
        plant.send(values.clone()).await;
        plant.forget_before(DAY + 12 * 3600).await;
        rollups::roll(&plant.world.app).await.unwrap();
        let late = [(DAY + 7, 1000.0), (DAY + 13 * 3600 + 5, -1000.0)];
        plant.send(late).await;
        values.extend(late);
        rollups::roll(&plant.world.app).await.unwrap();
        plant.is_true_in_hours_and_days(&values).await;
        plant.forget_before(2 * DAY - 1800).await;
        plant.send([(DAY + 8, 2000.0)]).await;
        rollups::roll(&plant.world.app).await.unwrap();
        plant.is_true_in_hours_and_days(&values).await;
        plant.forget_before(2 * DAY).await;
        rollups::roll(&plant.world.app).await.unwrap();
        plant.is_true_in_hours_and_days(&values).await;
    });
}

#[test]
fn the_last_day_of_a_machine_that_stopped_outlives_its_readings() {
    block_on(async {
        let mut plant = Plant::new().await;
        let values = dense(0..10 * 3600 + 1800);
        plant.send(values.clone()).await;
        rollups::roll(&plant.world.app).await.unwrap();
        for second in [10 * 3600 + 60, 11 * 3600, 15 * 3600, DAY + 60] {
            plant.forget_before(second).await;
            plant.is_true_in_hours_and_days(&values).await;
        }
        assert!(plant.buckets(1, 0, DAY).await.is_empty(), "all readings are gone");
        assert_eq!(plant.counts().await[1..], [1, 1]);
    });
}

#[test]
fn hidden_equipment_that_comes_back_after_its_readings_went_has_lost_no_rollups() {
    block_on(async {
        let mut plant = Plant::new().await;
        let mut values = dense(0..DAY + 3600);
        plant.send(values.clone()).await;
        rollups::roll(&plant.world.app).await.unwrap();
        values.insert(7205, 1000.0);
        plant.send([(7205, 1000.0)]).await;
        let by = || World::system::<ManageEquipment>().unwrap();
        equipment::hide(&plant.world.app, by(), plant.furnace, Precondition::None).await.unwrap();
        plant.forget_before(3 * DAY).await;
        equipment::restore(&plant.world.app, by(), plant.furnace, Once::each_time()).await.unwrap();
        rollups::roll(&plant.world.app).await.unwrap();
        assert!(plant.buckets(1, 0, 2 * DAY).await.is_empty(), "all readings are gone");
        plant.is_true_in_hours_and_days(&values).await;
    });
}

/// A clock that moves on by a minute with every look.
struct Hurried(Arc<FrozenClock>);

#[async_trait]
impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        let now = self.0.now();
        self.0.advance(Duration::from_secs(60));
        now
    }

    async fn wait(&self, span: Duration) {
        self.0.wait(span).await;
    }
}

#[test]
fn a_long_past_is_rolled_up_by_and_by_and_nothing_of_it_goes_before() {
    block_on(async {
        let mut plant = Plant::new().await;
        let values = dense(0..3 * DAY);
        plant.send(values.clone()).await;
        plant.keep_since(2 * DAY);
        plant.world.app.clock = Arc::new(Hurried(Arc::clone(&plant.world.clock)));
        let too_early = retention::forget(&plant.world.app).await.unwrap_err();
        assert!(matches!(too_early, Error::Busy(..)), "{too_early:?}");
        assert_eq!(plant.buckets(1, 0, 3 * DAY).await, plant.folded(&values, 1, 0, 3 * DAY));
        assert!(plant.digests(Grain::Day).await > 0, "some of it was rolled up");
        while retention::forget(&plant.world.app).await.is_err() {}
        plant.is_true_in_hours_and_days(&values).await;
        assert_eq!(plant.buckets(1, 0, 3 * DAY).await, plant.folded(&values, 1, 2 * DAY, 3 * DAY));
    });
}

#[test]
fn whoever_wants_all_of_a_long_past_rolled_up_gets_it_at_once() {
    block_on(async {
        let mut plant = Plant::new().await;
        let values = dense(0..3 * DAY);
        plant.send(values.clone()).await;
        plant.world.app.clock = Arc::new(Hurried(Arc::clone(&plant.world.clock)));
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 1);
        assert_eq!(rollups::roll_all(&plant.world.app).await.unwrap(), 1, "some of it was left");
        assert_eq!(rollups::roll(&plant.world.app).await.unwrap(), 0);
    });
}

#[test]
fn a_metric_whose_newest_value_is_deleted_is_known_from_the_one_before_however_old_that_is() {
    block_on(async {
        let mut plant = Plant::new().await;
        plant.world.app.policy.judged_back = Duration::from_secs(3600);
        plant.send([(60, 1.0), (3600, 2.0), (3 * DAY, 3.0)]).await;
        rollups::roll(&plant.world.app).await.unwrap();
        plant.delete(3 * DAY).await;
        let mut reader = plant.world.app.store.reader().await.unwrap();
        let head = reader.readings().heads(&[plant.furnace]).await.unwrap().pop().unwrap();
        let latest: Vec<(Timestamp, f64)> =
            head.latest.iter().map(|latest| (latest.at, latest.value)).collect();
        assert_eq!(latest, [(plant.at(3600), 2.0)]);
    });
}

#[test]
fn a_metric_whose_newest_value_is_deleted_is_known_from_the_day_before_a_pause_that_is_not_rolled_up_yet() {
    block_on(async {
        let mut plant = Plant::new().await;
        plant.world.app.policy.judged_back = Duration::from_secs(3600);
        plant.send([(60, 1.0), (7200, 2.0)]).await;
        rollups::roll(&plant.world.app).await.unwrap();
        plant.send([(3 * DAY, 3.0)]).await;
        plant.delete(3 * DAY).await;
        let mut reader = plant.world.app.store.reader().await.unwrap();
        let head = reader.readings().heads(&[plant.furnace]).await.unwrap().pop().unwrap();
        let latest: Vec<(Timestamp, f64)> =
            head.latest.iter().map(|latest| (latest.at, latest.value)).collect();
        assert_eq!(latest, [(plant.at(7200), 2.0)]);
    });
}

#[derive(Clone, Debug)]
enum Deed {
    Write(i64, i16),
    WriteMany(i64, u8),
    Delete(prop::sample::Index),
    Roll,
    Pack,
    Wait(u32),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let second = 0..3 * DAY;
    let deed = prop_oneof![
        3 => (second.clone(), any::<i16>()).prop_map(|(second, value)| Deed::Write(second, value)),
        3 => (second, 5..200_u8).prop_map(|(second, count)| Deed::WriteMany(second, count)),
        2 => any::<prop::sample::Index>().prop_map(Deed::Delete),
        3 => Just(Deed::Roll),
        1 => Just(Deed::Pack),
        1 => (0..100_000_u32).prop_map(Deed::Wait),
    ];
    prop::collection::vec(deed, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_series_is_true_to_the_readings_whatever_was_written_rolled_up_and_packed_in_whatever_order(
        deeds in deeds(),
        asked in prop::collection::vec((prop::sample::select(vec![7_u64, 60, 300, 3600, 10_800, 86_400]), 0..3 * DAY, 0..3 * DAY), 1..5),
    ) {
        block_on(async {
            let mut plant = Plant::new().await;
            plant.world.app.policy.packed_after = Some(Duration::ZERO);
            let mut values = BTreeMap::new();
            for deed in deeds {
                match deed {
                    Deed::Write(second, value) => {
                        values.insert(second, f64::from(value) / 10.0);
                        plant.send([(second, f64::from(value) / 10.0)]).await;
                    }
                    Deed::WriteMany(second, count) => {
                        let many = dense(second..second + i64::from(count) * 10);
                        values.extend(many.clone());
                        plant.send(many).await;
                    }
                    Deed::Delete(which) => {
                        if !values.is_empty() {
                            let second = *values.keys().nth(which.index(values.len())).unwrap();
                            values.remove(&second);
                            plant.delete(second).await;
                        }
                    }
                    Deed::Roll => drop(rollups::roll(&plant.world.app).await.unwrap()),
                    Deed::Pack => drop(retention::pack(&plant.world.app).await.unwrap()),
                    Deed::Wait(seconds) => plant.world.clock.advance(Duration::from_secs(seconds.into())),
                }
            }
            for (interval, from, until) in asked {
                if from < until {
                    let expected = plant.folded(&values, interval, from, until);
                    prop_assert_eq!(plant.buckets(interval, from, until).await, expected, "{} from {} to {}", interval, from, until);
                }
            }
            Ok(())
        })?;
    }
}
