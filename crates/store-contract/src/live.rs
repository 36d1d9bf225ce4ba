//! Promises about what happens right now: watchers see every event once, in an order that never runs backwards.

use crate::Database;
use crate::builders::{a_reading_of, an_alert, at, extreme_values, news_of, news_of_alert, no_alert};
use domain::alerts::{Alert, AlertChange, NewAlert};
use domain::id::EquipmentId;
use domain::live::{LiveEvent, Mark, NewLiveEvent};
use domain::telemetry::Reading;
use domain::time::Timestamp;

async fn after(database: &Database, mark: Option<Mark>, limit: u32) -> Option<Vec<LiveEvent>> {
    database.reader().await.live().after(mark, limit).await.unwrap()
}

async fn newest(database: &Database) -> Option<Mark> {
    database.reader().await.live().newest().await.unwrap()
}

async fn announce_at(database: &Database, equipment: EquipmentId, seconds: &[i64]) {
    for second in seconds {
        let event = news_of(equipment, *second);
        database.within(async |unit| unit.live().announce(&[event], at(*second)).await.unwrap()).await;
    }
}

async fn forget(database: &Database, before: Timestamp) -> u64 {
    forget_some(database, before, 100).await
}

async fn forget_some(database: &Database, before: Timestamp, most: u32) -> u64 {
    database.within(async |unit| unit.live().forget(before, most).await.unwrap()).await
}

/// The seconds that events tell of.
fn seconds(events: &[LiveEvent]) -> Vec<i64> {
    let second = |event: &LiveEvent| match &event.what {
        NewLiveEvent::Values { values, .. } => values.numbers()[0] as i64,
        NewLiveEvent::Alert { .. } => panic!("{event:?}"),
    };
    events.iter().map(second).collect()
}

fn marks(events: &[LiveEvent]) -> Vec<Mark> {
    events.iter().map(|event| event.mark).collect()
}

/// Somebody who watches: asks for what is new after all that was seen.
#[derive(Default)]
struct Watcher {
    seen: Vec<LiveEvent>,
}

impl Watcher {
    fn mark(&self) -> Option<Mark> {
        self.seen.last().map(|event| event.mark)
    }

    /// Takes note of what can be seen now, and that it stands after all that was seen before.
    async fn look(&mut self, database: &Database) {
        let new = after(database, self.mark(), 10_000).await.unwrap();
        let in_order = self.mark().into_iter().chain(marks(&new)).is_sorted_by(|one, next| one < next);
        assert!(in_order, "{:?} after {:?}", marks(&new), self.mark());
        self.seen.extend(new);
    }

    async fn look_until(&mut self, database: &Database, count: usize) {
        database.seen(count).await;
        self.look(database).await;
        assert_eq!(self.seen.len(), count);
    }
}

pub async fn where_nothing_ever_happened_nothing_is_seen(database: Database) {
    assert_eq!(newest(&database).await, None);
    assert_eq!(after(&database, None, 10).await, Some(Vec::new()));
    assert_eq!(forget(&database, Timestamp::MAX).await, 0);
    assert_eq!(newest(&database).await, None);
    assert_eq!(after(&database, None, 10).await, Some(Vec::new()));
}

pub async fn every_field_of_an_event_is_seen_as_it_was_announced(database: Database) {
    let press = database.piece("press").await;
    let alert = database.raise(&an_alert(press)).await;
    let mut events = Vec::new();
    for instant in [Timestamp::MIN, Timestamp::from_micros(-1).unwrap(), Timestamp::MAX] {
        let Reading { values, .. } = a_reading_of(press, 0, extreme_values());
        events.push(NewLiveEvent::Values { equipment: press, at: instant, values });
        for change in AlertChange::ALL {
            events.push(NewLiveEvent::Alert {
                equipment: press,
                alert: alert.id,
                change: *change,
                at: instant,
            });
        }
    }
    database.announce(&events).await;
    let seen = database.seen(events.len()).await;
    let bits = |event: &NewLiveEvent| match event {
        NewLiveEvent::Values { values, .. } => crate::builders::bits(values),
        NewLiveEvent::Alert { .. } => Vec::new(),
    };
    for (seen, announced) in seen.iter().zip(&events) {
        assert_eq!(&seen.what, announced);
        assert_eq!(bits(&seen.what), bits(announced));
    }
}

pub async fn an_event_shows_its_alert_as_it_is_now(database: Database) {
    let press = database.piece("press").await;
    let alert = database.raise(&an_alert(press)).await;
    let gone = database.raise(&an_alert(press)).await;
    let events = [
        news_of(press, 1),
        news_of_alert(press, alert.id, AlertChange::Raised),
        news_of_alert(press, gone.id, AlertChange::Raised),
        news_of_alert(press, no_alert(), AlertChange::Withdrawn),
    ];
    database.announce(&events).await;
    let what = NewAlert { occurrences: 7, ..alert.what.clone() };
    let changed = Alert { what, updated_at: at(9), ..alert };
    database.save_alerts(std::slice::from_ref(&changed)).await;
    assert!(database.within(async |unit| unit.alerts().delete(gone.id).await.unwrap()).await);
    let shown: Vec<_> = database.seen(4).await.into_iter().map(|event| event.alert).collect();
    let expected = Alert { version: changed.version.next(), ..changed };
    assert_eq!(shown, [None, Some(expected), None, None]);
}

pub async fn events_are_unseen_until_their_unit_is_committed(database: Database) {
    let press = database.piece("press").await;
    let mut unit = database.begin().await;
    unit.live().announce(&[news_of(press, 1)], at(0)).await.unwrap();
    assert_eq!((newest(&database).await, after(&database, None, 10).await), (None, Some(Vec::new())));
    unit.commit().await.unwrap();
    let events = database.seen(1).await;
    assert_eq!(newest(&database).await, Some(events[0].mark));
}

pub async fn events_of_a_unit_that_was_undone_are_never_seen(database: Database) {
    let press = database.piece("press").await;
    let mut rolled_back = database.begin().await;
    rolled_back.live().announce(&[news_of(press, 1)], at(0)).await.unwrap();
    rolled_back.rollback().await;
    let mut dropped = database.begin().await;
    dropped.live().announce(&[news_of(press, 2)], at(0)).await.unwrap();
    drop(dropped);
    database.announce(&[news_of(press, 3)]).await;
    assert_eq!(seconds(&database.seen(1).await), [3]);
}

pub async fn events_stand_in_the_order_in_which_they_were_announced(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    database.announce(&[news_of(robot, 9), news_of(press, 1), news_of(robot, 5)]).await;
    database
        .within(async |unit| {
            unit.live().announce(&[news_of(press, 8)], at(0)).await.unwrap();
            unit.live().announce(&[news_of(press, 2), news_of(press, 3)], at(0)).await.unwrap();
            unit.live().announce(&[], at(0)).await.unwrap();
        })
        .await;
    database.announce(&[news_of(press, 0)]).await;
    let events = database.seen(7).await;
    assert_eq!(seconds(&events), [9, 1, 5, 8, 2, 3, 0]);
    assert!(marks(&events).is_sorted_by(|one, next| one < next), "{events:?}");
    assert_eq!(newest(&database).await, events.last().map(|event| event.mark));
}

pub async fn events_are_seen_after_a_mark_and_no_more_than_asked_for(database: Database) {
    let press = database.piece("press").await;
    let events: Vec<NewLiveEvent> = (0..10).map(|second| news_of(press, second)).collect();
    database.announce(&events[..6]).await;
    database.announce(&events[6..]).await;
    let all = database.seen(10).await;
    for limit in [1, 3, 10, 11] {
        let mut met: Vec<LiveEvent> = Vec::new();
        loop {
            let part = after(&database, met.last().map(|event| event.mark), limit).await.unwrap();
            assert!(part.len() <= limit as usize);
            if part.is_empty() {
                break;
            }
            met.extend(part);
        }
        assert_eq!(met, all, "{limit}");
    }
    assert_eq!(after(&database, newest(&database).await, 10).await, Some(Vec::new()));
}

pub async fn events_of_hidden_equipment_are_left_out_and_take_no_place(database: Database) {
    let [press, hidden] = [database.piece("press").await, database.piece("hidden").await];
    let alert = database.raise(&an_alert(hidden)).await.id;
    database.announce(&[news_of(hidden, 1), news_of(hidden, 2), news_of(press, 3)]).await;
    database.announce(&[news_of_alert(hidden, alert, AlertChange::Raised), news_of(press, 5)]).await;
    database.seen(5).await;
    database.hide(hidden).await;
    let first = after(&database, None, 1).await.unwrap();
    assert_eq!(seconds(&first), [3]);
    let second = after(&database, Some(first[0].mark), 1).await.unwrap();
    assert_eq!(seconds(&second), [5]);
    assert_eq!(seconds(&database.seen(2).await), [3, 5]);
}

pub async fn a_unit_begun_earlier_and_committed_later_puts_nothing_before_a_mark_that_was_seen(
    database: Database,
) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    database.announce(&[news_of(press, 0)]).await;
    let mut watcher = Watcher::default();
    watcher.look_until(&database, 1).await;

    let mut first = database.begin().await;
    first.live().announce(&[news_of(press, 1)], at(0)).await.unwrap();
    let second = database.meanwhile(async move |mut unit| {
        unit.live().announce(&[news_of(robot, 2)], at(0)).await.unwrap();
        unit.commit().await.unwrap();
    });
    second.has_a_moment().await;
    watcher.look(&database).await;
    let known = newest(&database).await;
    assert!(known >= watcher.mark());
    first.live().announce(&[news_of(press, 3)], at(0)).await.unwrap();
    watcher.look(&database).await;
    first.commit().await.unwrap();
    watcher.look(&database).await;
    second.outcome().await;

    watcher.look_until(&database, 4).await;
    let mut told = seconds(&watcher.seen);
    told.sort_unstable();
    assert_eq!(told, [0, 1, 2, 3]);
    // Who had asked for the newest mark alone missed nothing that was seen since.
    let since: Vec<LiveEvent> = watcher.seen.into_iter().filter(|event| Some(event.mark) > known).collect();
    assert_eq!(after(&database, known, 10).await, Some(since));
}

pub async fn a_watcher_of_many_units_at_once_sees_every_event_once_and_in_order(database: Database) {
    let press = database.piece("press").await;
    let announcing: Vec<_> = (0..20)
        .map(|number| {
            database.meanwhile(async move |mut unit| {
                for part in 0..3 {
                    unit.live().announce(&[news_of(press, number * 3 + part)], at(0)).await.unwrap();
                    tokio::task::yield_now().await;
                }
                unit.commit().await.unwrap();
            })
        })
        .collect();
    let mut watcher = Watcher::default();
    while watcher.seen.len() < 60 {
        watcher.look(&database).await;
        tokio::task::yield_now().await;
    }
    for unit in announcing {
        unit.outcome().await;
    }
    let mut told = seconds(&watcher.seen);
    for of_one_unit in told.chunks(3) {
        assert!(of_one_unit.is_sorted(), "{told:?}");
    }
    told.sort_unstable();
    assert_eq!(told, (0..60).collect::<Vec<_>>());
}

pub async fn ten_thousand_events_are_announced_and_seen_at_once(database: Database) {
    let press = database.piece("press").await;
    let events: Vec<NewLiveEvent> = (0..10_000).map(|second| news_of(press, second)).collect();
    database.announce(&events).await;
    assert!(seconds(&database.seen(10_000).await).into_iter().eq(0..10_000));
}

pub async fn events_written_before_an_instant_are_forgotten_and_no_others(database: Database) {
    let press = database.piece("press").await;
    announce_at(&database, press, &[1, 2, 3, 4]).await;
    let events = database.seen(4).await;
    assert_eq!(forget(&database, at(1)).await, 0);
    assert_eq!(after(&database, None, 10).await.as_ref(), Some(&events));

    assert_eq!(forget(&database, at(3)).await, 2);
    // Who has seen the newest forgotten one missed nothing; who has not might have.
    assert_eq!(after(&database, None, 10).await, None);
    assert_eq!(after(&database, Some(events[0].mark), 10).await, None);
    assert_eq!(after(&database, Some(Mark::default()), 10).await, None);
    assert_eq!(after(&database, Some(events[1].mark), 10).await.as_deref(), Some(&events[2..]));
    assert_eq!(after(&database, Some(events[2].mark), 10).await.as_deref(), Some(&events[3..]));
    assert_eq!(forget(&database, at(3)).await, 0);
    assert_eq!(after(&database, Some(events[1].mark), 10).await.as_deref(), Some(&events[2..]));
}

pub async fn events_are_forgotten_some_at_a_time(database: Database) {
    let press = database.piece("press").await;
    announce_at(&database, press, &[1, 2, 3, 4]).await;
    let events = database.seen(4).await;
    assert_eq!(forget_some(&database, at(4), 2).await, 2);
    assert_eq!(after(&database, Some(events[1].mark), 10).await.as_deref(), Some(&events[2..]));
    assert_eq!(forget_some(&database, at(4), 2).await, 1);
    assert_eq!(forget_some(&database, at(4), 2).await, 0);
    assert_eq!(after(&database, Some(events[1].mark), 10).await, None);
    assert_eq!(after(&database, Some(events[2].mark), 10).await.as_deref(), Some(&events[3..]));
}

pub async fn the_newest_mark_is_known_after_all_events_were_forgotten(database: Database) {
    let press = database.piece("press").await;
    announce_at(&database, press, &[1, 2]).await;
    let events = database.seen(2).await;
    let last = events[1].mark;
    for _ in 0..2 {
        assert_eq!(newest(&database).await, Some(last));
        assert_eq!(after(&database, newest(&database).await, 10).await, Some(Vec::new()));
        forget(&database, Timestamp::MAX).await;
    }
    assert_eq!(after(&database, Some(events[0].mark), 10).await, None);

    database.announce(&[news_of(press, 3)]).await;
    let mut watcher = Watcher { seen: events };
    while watcher.seen.len() < 3 {
        watcher.look(&database).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(newest(&database).await, watcher.mark());
    assert!(watcher.mark() > Some(last));
}

pub async fn what_was_forgotten_of_hidden_equipment_was_missed_by_nobody_less(database: Database) {
    let [press, hidden] = [database.piece("press").await, database.piece("hidden").await];
    announce_at(&database, hidden, &[1]).await;
    announce_at(&database, press, &[2]).await;
    let events = database.seen(2).await;
    database.hide(hidden).await;
    assert_eq!(forget(&database, at(2)).await, 1);
    assert_eq!(after(&database, Some(events[0].mark), 10).await.as_deref(), Some(&events[1..]));
}

pub async fn a_forgetting_that_is_undone_forgets_nothing(database: Database) {
    let press = database.piece("press").await;
    announce_at(&database, press, &[1, 2]).await;
    let events = database.seen(2).await;
    let mut undone = database.begin().await;
    assert_eq!(undone.live().forget(at(2), 9).await.unwrap(), 1);
    undone.rollback().await;
    assert_eq!(after(&database, None, 10).await, Some(events));
}
