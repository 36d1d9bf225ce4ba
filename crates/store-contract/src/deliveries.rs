//! Promises about what is to be delivered to webhooks, and what became of it.

use crate::Database;
use crate::builders::{a_delivery, a_webhook, at, no_delivery, no_webhook, some_webhook};
use domain::id::{AlertId, DeliveryId, WebhookId};
use domain::page::{Direction, Order, PageRequest};
use domain::time::{Span, Timestamp};
use domain::webhooks::{
    ATTEMPTS_KEPT, Attempt, Backlog, Claimed, Delivery, DeliveryFilter, DeliveryKey, DeliveryQuery,
    DeliveryStatus, Event, LoggedDelivery, NewDelivery, NewWebhook, Settled, Shape, WebhookDetails,
};
use std::time::Duration;

async fn webhook(database: &Database) -> WebhookId {
    database.within(async |unit| unit.webhooks().insert(&a_webhook("hook")).await.unwrap()).await.id
}

async fn put(database: &Database, deliveries: &[NewDelivery]) -> Vec<DeliveryId> {
    database.within(async |unit| unit.deliveries().put(deliveries).await.unwrap()).await
}

async fn find(database: &Database, webhook: WebhookId, id: DeliveryId) -> Option<LoggedDelivery> {
    database.reader().await.deliveries().find(webhook, id).await.unwrap()
}

async fn claim(database: &Database, webhook: WebhookId, now: i64, until: i64, limit: u32) -> Vec<Claimed> {
    database
        .within(async |unit| unit.deliveries().claim(webhook, at(now), at(until), limit).await.unwrap())
        .await
}

async fn settle(database: &Database, settled: &Settled) -> bool {
    database.within(async |unit| unit.deliveries().settle(settled).await.unwrap()).await
}

fn ids(claimed: &[Claimed]) -> Vec<DeliveryId> {
    claimed.iter().map(|claimed| claimed.delivery.id).collect()
}

fn an_attempt(number: u32) -> Attempt {
    Attempt {
        number,
        at: at(i64::from(number)),
        took: Duration::from_micros(1_234_567),
        status: Some(503),
        error: Some("answered 503".into()),
        answer: Some("busy 🛠\n".into()),
    }
}

/// Deliveries about alerts of their own.
fn about_each(webhook: WebhookId, seconds: &[i64]) -> Vec<NewDelivery> {
    let about = |(alert, seconds): (i64, &i64)| NewDelivery {
        alert: AlertId::new(alert),
        ..a_delivery(webhook, *seconds)
    };
    (1..).zip(seconds).map(about).collect()
}

fn failed(claimed: &Claimed, next: Option<Timestamp>) -> Settled {
    let status = if next.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Failed };
    Settled {
        id: claimed.delivery.id,
        claimed_until: claimed.delivery.next_try_at.unwrap(),
        status,
        next_try_at: next,
        attempt: Some(an_attempt(claimed.delivery.attempts + 1)),
        at: at(9),
    }
}

pub async fn every_field_of_a_new_delivery_round_trips_and_is_due_at_once(database: Database) {
    let hook = webhook(&database).await;
    let full = NewDelivery {
        webhook: hook,
        event: Event::Rejudged,
        alert: AlertId::new(i64::MAX),
        message: "msg_".to_owned() + &"Az09-_".repeat(8),
        notice: format!("{{\"text\":\"{}\"}}", "🛠ß\\n".repeat(2000)),
        created_at: at(5),
    };
    let plain = NewDelivery { event: Event::Test, alert: None, ..full.clone() };
    let stored = put(&database, &[full.clone(), plain.clone()]).await;
    assert!(stored.is_sorted());
    for (id, what) in stored.iter().zip([full, plain]) {
        let delivery = Delivery {
            id: *id,
            next_try_at: Some(what.created_at),
            what,
            status: DeliveryStatus::Pending,
            tries: 0,
            attempts: 0,
            finished_at: None,
        };
        assert_eq!(find(&database, hook, *id).await, Some(LoggedDelivery { delivery, attempts: vec![] }));
    }
    for event in Event::ALL {
        let id = put(&database, &[NewDelivery { event: *event, ..a_delivery(hook, 1) }]).await[0];
        assert_eq!(find(&database, hook, id).await.unwrap().delivery.what.event, *event);
    }
}

pub async fn a_delivery_is_found_under_its_own_webhook_alone(database: Database) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let id = put(&database, &[a_delivery(hook, 1)]).await[0];
    assert!(find(&database, hook, id).await.is_some());
    assert_eq!(find(&database, other, id).await, None);
    assert_eq!(find(&database, hook, no_delivery()).await, None);
}

pub async fn what_is_for_webhooks_that_are_gone_is_left_out(database: Database) {
    let hook = webhook(&database).await;
    let stored = put(&database, &[a_delivery(no_webhook(), 1), a_delivery(hook, 2)]).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(find(&database, hook, stored[0]).await.unwrap().delivery.what.created_at, at(2));
    assert_eq!(put(&database, &[a_delivery(no_webhook(), 1)]).await, []);
    assert_eq!(put(&database, &[]).await, []);
}

pub async fn a_webhook_deleted_in_an_open_unit_stands_in_nobodys_way(database: Database) {
    let hook = webhook(&database).await;
    let mut deleting = database.begin().await;
    assert!(deleting.webhooks().delete(hook).await.unwrap());
    let mut telling = database.meanwhile(async move |mut unit| {
        let stored = unit.deliveries().put(&[a_delivery(hook, 1)]).await.unwrap();
        unit.commit().await.unwrap();
        stored
    });
    telling.waits().await;
    deleting.commit().await.unwrap();
    assert_eq!(telling.outcome().await, []);
}

pub async fn deliveries_are_unseen_until_their_cause_is_committed_and_gone_when_it_is_undone(
    database: Database,
) {
    let hook = webhook(&database).await;
    let mut unit = database.begin().await;
    unit.deliveries().put(&[a_delivery(hook, 1)]).await.unwrap();
    assert_eq!(database.reader().await.deliveries().due(at(9)).await.unwrap(), []);
    unit.rollback().await;
    assert_eq!(database.reader().await.deliveries().backlog().await.unwrap(), Backlog::default());
}

pub async fn a_deleted_webhook_takes_its_deliveries_along_and_nobody_elses(database: Database) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let stored = put(&database, &[a_delivery(hook, 1), a_delivery(other, 1)]).await;
    let claimed = claim(&database, hook, 1, 30, 9).await;
    assert!(settle(&database, &failed(&claimed[0], Some(at(40)))).await);
    assert!(database.within(async |unit| unit.webhooks().delete(hook).await.unwrap()).await);
    assert_eq!(find(&database, hook, stored[0]).await, None);
    assert!(find(&database, other, stored[1]).await.is_some());
}

pub async fn due_are_those_whose_time_has_come_and_whose_webhook_is_enabled(database: Database) {
    let hook = webhook(&database).await;
    let off = WebhookDetails { enabled: false, ..some_webhook("off") };
    let off = NewWebhook { details: off, ..a_webhook("off") };
    let off = database.within(async |unit| unit.webhooks().insert(&off).await.unwrap()).await.id;
    put(&database, &[a_delivery(off, 1), a_delivery(hook, 5)]).await;
    let due = async |now| database.reader().await.deliveries().due(at(now)).await.unwrap();
    assert_eq!(due(4).await, []);
    assert_eq!(due(5).await, [hook]);
    assert_eq!(claim(&database, off, 9, 30, 9).await, []);
    assert_eq!(claim(&database, hook, 4, 30, 9).await, []);
    assert_eq!(claim(&database, no_webhook(), 9, 30, 9).await, []);
}

pub async fn what_is_claimed_is_not_due_again_before_the_claim_lapses(database: Database) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let stored = put(&database, &about_each(hook, &[3, 1, 2])).await;
    put(&database, &[a_delivery(other, 1)]).await;
    let first = claim(&database, hook, 5, 35, 2).await;
    assert_eq!(ids(&first), stored[..2]);
    assert!(first.iter().all(|claimed| claimed.delivery.next_try_at == Some(at(35))));
    assert_eq!(ids(&claim(&database, hook, 6, 36, 9).await), stored[2..]);
    assert_eq!(claim(&database, hook, 34, 64, 9).await, []);
    assert_eq!(ids(&claim(&database, hook, 35, 65, 9).await), stored[..2]);
    assert_eq!(claim(&database, other, 5, 35, 9).await.len(), 1);
}

pub async fn of_units_that_claim_at_once_each_delivery_goes_to_one(database: Database) {
    let hook = webhook(&database).await;
    let stored = put(&database, &about_each(hook, &[1; 20])).await;
    let claiming: Vec<_> = (0..8)
        .map(|_| {
            database.meanwhile(async move |mut unit| {
                let claimed = unit.deliveries().claim(hook, at(2), at(30), 5).await.unwrap();
                unit.commit().await.unwrap();
                ids(&claimed)
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for unit in claiming {
        claimed.extend(unit.outcome().await);
    }
    claimed.extend(ids(&claim(&database, hook, 2, 30, 20).await));
    claimed.sort_unstable();
    assert_eq!(claimed, stored);
}

pub async fn what_is_newer_waits_for_what_is_older_about_the_same_alert_and_holds_up_no_other(
    database: Database,
) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let about = |webhook, alert| NewDelivery { alert: AlertId::new(alert), ..a_delivery(webhook, 1) };
    let none = NewDelivery { alert: None, ..a_delivery(hook, 1) };
    let stored = put(&database, &[about(hook, 1), none.clone()]).await;
    assert_eq!(ids(&claim(&database, hook, 1, 31, 1).await), stored[..1]);
    let later = put(&database, &[about(hook, 1), about(hook, 1), about(hook, 2), none]).await;
    put(&database, &[about(other, 1)]).await;
    assert_eq!(ids(&claim(&database, hook, 2, 32, 2).await), [stored[1], later[2]]);
    assert_eq!(ids(&claim(&database, hook, 2, 32, 9).await), later[3..]);
    assert_eq!(claim(&database, other, 2, 32, 9).await.len(), 1);
    let due = async |now| database.reader().await.deliveries().due(at(now)).await.unwrap();
    assert_eq!(due(3).await, [], "nothing could be claimed");
    let claimed = claim(&database, hook, 31, 61, 1).await;
    assert_eq!(ids(&claimed), stored[..1]);
    assert!(settle(&database, &failed(&claimed[0], None)).await);
    assert_eq!(due(31).await, [hook]);
    assert_eq!(ids(&claim(&database, hook, 31, 61, 2).await), later[..2], "they come along with each other");
}

pub async fn where_the_newest_is_kept_alone_it_does_not_wait_for_what_is_older(database: Database) {
    let details = WebhookDetails { shape: Shape::Alertmanager, ..some_webhook("manager") };
    let manager = NewWebhook { details, ..a_webhook("manager") };
    let manager = database.within(async |unit| unit.webhooks().insert(&manager).await.unwrap()).await.id;
    let older = put(&database, &[a_delivery(manager, 1)]).await;
    assert_eq!(ids(&claim(&database, manager, 1, 31, 9).await), older);
    let newer = put(&database, &[a_delivery(manager, 2)]).await;
    assert_eq!(database.reader().await.deliveries().due(at(2)).await.unwrap(), [manager]);
    assert_eq!(ids(&claim(&database, manager, 2, 32, 9).await), newer);
}

pub async fn a_claim_in_an_open_unit_holds_up_what_is_newer_about_the_same_alert(database: Database) {
    let hook = webhook(&database).await;
    let stored = put(&database, &[a_delivery(hook, 1), a_delivery(hook, 1)]).await;
    let mut claiming = database.begin().await;
    let first = claiming.deliveries().claim(hook, at(2), at(32), 1).await.unwrap();
    let meanwhile = database.meanwhile(async move |mut unit| {
        let claimed = unit.deliveries().claim(hook, at(2), at(32), 9).await.unwrap();
        unit.commit().await.unwrap();
        ids(&claimed)
    });
    meanwhile.has_a_moment().await;
    claiming.commit().await.unwrap();
    assert_eq!((ids(&first), meanwhile.outcome().await), (stored[..1].to_vec(), vec![]));
}

pub async fn a_claim_knows_of_something_newer_about_the_same_alert(database: Database) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let about = |webhook, alert| NewDelivery { alert: AlertId::new(alert), ..a_delivery(webhook, 1) };
    let none = NewDelivery { alert: None, ..a_delivery(hook, 1) };
    let new = [about(hook, 1), about(hook, 2), none.clone(), about(hook, 1), none, about(other, 2)];
    put(&database, &new).await;
    let claimed = claim(&database, hook, 2, 30, 9).await;
    let newer: Vec<bool> = claimed.iter().map(|claimed| claimed.has_successor).collect();
    assert_eq!(newer, [true, false, false, false, false]);
}

pub async fn what_failed_is_due_again_and_every_field_of_its_tries_round_trips(database: Database) {
    let hook = webhook(&database).await;
    let id = put(&database, &[a_delivery(hook, 1)]).await[0];
    let claimed = claim(&database, hook, 1, 31, 1).await;
    assert!(settle(&database, &failed(&claimed[0], Some(at(40)))).await);
    assert_eq!(claim(&database, hook, 39, 69, 1).await, []);
    let claimed = claim(&database, hook, 40, 70, 1).await;
    let silent = Attempt { status: None, error: None, answer: None, ..an_attempt(2) };
    let settled = Settled { attempt: Some(silent.clone()), ..failed(&claimed[0], None) };
    assert!(settle(&database, &settled).await);
    let LoggedDelivery { delivery, attempts } = find(&database, hook, id).await.unwrap();
    assert_eq!(attempts, [an_attempt(1), silent]);
    assert_eq!((delivery.tries, delivery.attempts), (2, 2));
    assert_eq!((delivery.status, delivery.next_try_at), (DeliveryStatus::Failed, None));
    assert_eq!(delivery.finished_at, Some(at(9)));
    assert_eq!(claim(&database, hook, 1_000_000, 1_000_030, 1).await, []);
}

pub async fn a_delivery_may_end_without_a_try(database: Database) {
    let hook = webhook(&database).await;
    let id = put(&database, &[a_delivery(hook, 1)]).await[0];
    let claimed = claim(&database, hook, 1, 31, 1).await;
    let settled = Settled { attempt: None, status: DeliveryStatus::Superseded, ..failed(&claimed[0], None) };
    assert!(settle(&database, &settled).await);
    let logged = find(&database, hook, id).await.unwrap();
    assert_eq!((logged.delivery.tries, logged.attempts), (0, vec![]));
    assert_eq!(logged.delivery.status, DeliveryStatus::Superseded);
}

pub async fn whoever_lost_a_claim_settles_nothing(database: Database) {
    let hook = webhook(&database).await;
    let id = put(&database, &[a_delivery(hook, 1)]).await[0];
    let slow = claim(&database, hook, 1, 31, 1).await;
    let quick = claim(&database, hook, 31, 61, 1).await;
    assert!(!settle(&database, &failed(&slow[0], None)).await);
    let delivered = Settled { status: DeliveryStatus::Delivered, ..failed(&quick[0], None) };
    assert!(settle(&database, &delivered).await);
    assert!(!settle(&database, &delivered).await, "once is enough");
    let logged = find(&database, hook, id).await.unwrap();
    assert_eq!((logged.delivery.status, logged.attempts.len()), (DeliveryStatus::Delivered, 1));
}

pub async fn only_the_newest_tries_are_remembered(database: Database) {
    let hook = webhook(&database).await;
    let id = put(&database, &[a_delivery(hook, 1)]).await[0];
    for round in 0..i64::from(ATTEMPTS_KEPT) + 3 {
        let now = 1 + round * 100;
        let claimed = claim(&database, hook, now, now + 30, 1).await;
        assert!(settle(&database, &failed(&claimed[0], Some(at(now + 100)))).await);
    }
    let logged = find(&database, hook, id).await.unwrap();
    let numbers: Vec<u32> = logged.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (4..=ATTEMPTS_KEPT + 3).collect::<Vec<_>>());
    assert_eq!(logged.delivery.attempts, ATTEMPTS_KEPT + 3);
}

pub async fn a_renewed_delivery_is_as_if_it_had_not_been_tried(database: Database) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let id = put(&database, &[a_delivery(hook, 1)]).await[0];
    let claimed = claim(&database, hook, 1, 31, 1).await;
    assert!(settle(&database, &failed(&claimed[0], None)).await);
    let renew = async |webhook, id| {
        database.within(async |unit| unit.deliveries().renew(webhook, id, at(50)).await.unwrap()).await
    };
    assert_eq!(renew(other, id).await, None);
    assert_eq!(renew(hook, no_delivery()).await, None);
    let renewed = renew(hook, id).await.unwrap();
    assert_eq!((renewed.status, renewed.tries, renewed.attempts), (DeliveryStatus::Pending, 0, 1));
    assert_eq!((renewed.next_try_at, renewed.finished_at), (Some(at(50)), None));
    assert_eq!(find(&database, hook, id).await.unwrap().delivery, renewed);
    assert_eq!(ids(&claim(&database, hook, 50, 80, 1).await), [id]);
}

pub async fn the_log_of_a_webhook_is_filtered_ordered_and_cut_into_pages(database: Database) {
    let (hook, other) = (webhook(&database).await, webhook(&database).await);
    let new = |event, alert, seconds| NewDelivery {
        event,
        alert: AlertId::new(alert),
        ..a_delivery(hook, seconds)
    };
    let new = [new(Event::Opened, 1, 3), new(Event::Resolved, 1, 1), new(Event::Opened, 2, 2)];
    let stored = put(&database, &new).await;
    put(&database, &[a_delivery(other, 1)]).await;
    let claimed = claim(&database, hook, 9, 39, 1).await;
    assert!(settle(&database, &failed(&claimed[0], Some(at(99)))).await);
    let all = DeliveryQuery {
        webhook: hook,
        filter: DeliveryFilter::default(),
        order: vec![],
        page: PageRequest::default(),
    };
    let listed = async |query: DeliveryQuery| -> Vec<usize> {
        let page = database.reader().await.deliveries().list(&query).await.unwrap();
        let place = |logged: &LoggedDelivery| stored.iter().position(|id| *id == logged.delivery.id).unwrap();
        page.items.iter().map(place).collect()
    };
    let filtered = |filter| DeliveryQuery { filter, ..all.clone() };
    assert_eq!(listed(all.clone()).await, [0, 1, 2]);
    let page = database.reader().await.deliveries().list(&all).await.unwrap();
    assert_eq!(page.items.iter().map(|logged| logged.attempts.len()).collect::<Vec<_>>(), [1, 0, 0]);
    let filter = DeliveryFilter { events: vec![Event::Opened], ..DeliveryFilter::default() };
    assert_eq!(listed(filtered(filter)).await, [0, 2]);
    let filter = DeliveryFilter { alerts: vec![AlertId::new(1).unwrap()], ..DeliveryFilter::default() };
    assert_eq!(listed(filtered(filter)).await, [0, 1]);
    let filter = DeliveryFilter { statuses: vec![DeliveryStatus::Failed], ..DeliveryFilter::default() };
    assert_eq!(listed(filtered(filter)).await, []);
    let created = Span { from: Some(at(2)), until: Some(at(3)) };
    assert_eq!(listed(filtered(DeliveryFilter { created, ..DeliveryFilter::default() })).await, [2]);
    let order = vec![Order { key: DeliveryKey::CreatedAt, direction: Direction::Descending }];
    assert_eq!(listed(DeliveryQuery { order, ..all.clone() }).await, [0, 2, 1]);
    let page = PageRequest::new(2, 2).unwrap();
    assert_eq!(listed(DeliveryQuery { page, ..all }).await, [2]);
}

pub async fn the_backlog_is_what_is_pending(database: Database) {
    let hook = webhook(&database).await;
    put(&database, &about_each(hook, &[3, 1, 2])).await;
    let backlog = async || database.reader().await.deliveries().backlog().await.unwrap();
    assert_eq!(backlog().await, Backlog { count: 3, oldest_at: Some(at(1)) });
    for claimed in claim(&database, hook, 9, 39, 2).await {
        assert!(settle(&database, &failed(&claimed, None)).await);
    }
    assert_eq!(backlog().await, Backlog { count: 1, oldest_at: Some(at(2)) });
}

pub async fn old_deliveries_are_forgotten_and_no_others(database: Database) {
    let hook = webhook(&database).await;
    let new: Vec<NewDelivery> = (1..=5).map(|seconds| a_delivery(hook, seconds)).collect();
    let stored = put(&database, &new).await;
    let forget = async |before, most| {
        database.within(async |unit| unit.deliveries().forget(at(before), most).await.unwrap()).await
    };
    assert_eq!(forget(4, 2).await, 2);
    assert_eq!(forget(4, 2).await, 1);
    assert_eq!(forget(4, 2).await, 0);
    let mut left = Vec::new();
    for id in stored {
        left.extend(find(&database, hook, id).await.map(|logged| logged.delivery.what.created_at));
    }
    assert_eq!(left, [at(4), at(5)]);
}
