//! Promises about who outside is told of alerts. What is delivered to them is in `deliveries`.

use crate::Database;
use crate::builders::{a_webhook, at, label, no_webhook, some_webhook};
use crate::database::assert_dangling;
use domain::id::{EquipmentId, Version};
use domain::page::{Direction, Order, PageRequest};
use domain::ports::Reference;
use domain::rules::Severity;
use domain::time::Span;
use domain::webhooks::{
    Event, FormerSecret, NewWebhook, Shape, Wants, Webhook, WebhookDetails, WebhookFilter, WebhookKey,
    WebhookQuery, WebhookUrl,
};

async fn insert(database: &Database, webhook: &NewWebhook) -> Webhook {
    database.within(async |unit| unit.webhooks().insert(webhook).await.unwrap()).await
}

async fn save(database: &Database, webhook: &Webhook) -> Webhook {
    database.within(async |unit| unit.webhooks().save(webhook).await.unwrap()).await
}

async fn list(database: &Database, query: WebhookQuery) -> Vec<String> {
    let page = database.reader().await.webhooks().list(&query).await.unwrap();
    page.items.into_iter().map(|webhook| webhook.details.name.to_string()).collect()
}

pub async fn every_field_of_a_new_webhook_round_trips_at_its_greatest_length(database: Database) {
    let equipment = (1..=1000).map(|number| EquipmentId::new(i64::MAX - 1000 + number).unwrap()).collect();
    let kinds = (0..1000).map(|number| label(&format!("{number:03} 🛠 ß"))).collect();
    let wants = Wants::parse(Event::ALL.to_vec(), Severity::Critical, equipment, kinds).unwrap();
    let details = WebhookDetails {
        name: label(&"🛎".repeat(100)),
        url: WebhookUrl::parse(&format!("https://example.com/{}", "x".repeat(2028))).unwrap(),
        shape: Shape::Alertmanager,
        wants,
        enabled: false,
    };
    let new = NewWebhook { details, secret: (0..=255).collect(), created_at: at(5) };
    let stored = insert(&database, &new).await;
    let expected = Webhook {
        id: stored.id,
        details: new.details,
        secret: new.secret,
        former_secret: None,
        disabled_because: None,
        version: Version::FIRST,
        created_at: at(5),
        updated_at: at(5),
    };
    assert_eq!(stored, expected);
    assert_eq!(database.webhook(stored.id).await, Some(expected.clone()));
    let locked = database.within(async |unit| unit.webhooks().lock(stored.id).await.unwrap()).await;
    assert_eq!(locked, Some(expected));
    for shape in Shape::ALL {
        let details = WebhookDetails { shape: *shape, ..some_webhook("shaped") };
        let stored = insert(&database, &NewWebhook { details, ..a_webhook("shaped") }).await;
        assert_eq!(database.webhook(stored.id).await.unwrap().details.shape, *shape);
    }
}

pub async fn an_unknown_webhook_is_not_found_anywhere(database: Database) {
    assert_eq!(database.webhook(no_webhook()).await, None);
    database
        .within(async |unit| {
            assert_eq!(unit.webhooks().lock(no_webhook()).await.unwrap(), None);
            assert!(!unit.webhooks().delete(no_webhook()).await.unwrap());
        })
        .await;
}

pub async fn saving_a_webhook_writes_every_field_and_raises_the_version(database: Database) {
    let stored = insert(&database, &a_webhook("before")).await;
    let other = insert(&database, &a_webhook("other")).await;
    let changed = Webhook {
        details: WebhookDetails { enabled: false, shape: Shape::Slack, ..some_webhook("after") },
        secret: vec![9],
        former_secret: Some(FormerSecret { sealed: vec![8], until: at(100) }),
        disabled_because: Some("gone".into()),
        // What the caller believes of these counts for nothing.
        version: Version::new(70).unwrap(),
        created_at: at(50),
        updated_at: at(7),
        ..stored.clone()
    };
    let saved = save(&database, &changed).await;
    let expected = Webhook { version: stored.version.next(), created_at: stored.created_at, ..changed };
    assert_eq!(saved, expected);
    assert_eq!(database.webhook(stored.id).await, Some(expected.clone()));
    let cleared = Webhook { former_secret: None, disabled_because: None, ..expected };
    let saved = save(&database, &cleared).await;
    assert_eq!(database.webhook(stored.id).await, Some(saved.clone()));
    assert_eq!((saved.former_secret, saved.disabled_because), (None, None));
    assert_eq!(database.webhook(other.id).await, Some(other));
}

pub async fn saving_a_webhook_that_is_gone_dangles(database: Database) {
    let stored = insert(&database, &a_webhook("gone")).await;
    assert!(database.within(async |unit| unit.webhooks().delete(stored.id).await.unwrap()).await);
    let refusal = database.refusal(async |unit| unit.webhooks().save(&stored).await).await;
    assert_dangling(refusal, Reference::Webhook);
}

pub async fn webhooks_are_filtered_ordered_and_cut_into_pages(database: Database) {
    for (name, shape, enabled, seconds) in
        [("b", Shape::Generic, true, 3), ("A", Shape::Slack, true, 1), ("c", Shape::Slack, false, 2)]
    {
        let details = WebhookDetails { shape, enabled, ..some_webhook(name) };
        let new = NewWebhook { details, created_at: at(seconds), ..a_webhook(name) };
        insert(&database, &new).await;
    }
    let filtered = |filter| WebhookQuery { filter, ..WebhookQuery::default() };
    assert_eq!(list(&database, WebhookQuery::default()).await, ["b", "A", "c"]);
    let filter = WebhookFilter { names: vec![label("a"), label("C")], ..WebhookFilter::default() };
    assert_eq!(list(&database, filtered(filter)).await, ["A", "c"]);
    let filter =
        WebhookFilter { shapes: vec![Shape::Slack], enabled: Some(true), ..WebhookFilter::default() };
    assert_eq!(list(&database, filtered(filter)).await, ["A"]);
    let created = Span { from: Some(at(2)), until: Some(at(3)) };
    assert_eq!(list(&database, filtered(WebhookFilter { created, ..WebhookFilter::default() })).await, ["c"]);
    let filter = WebhookFilter { search: Some("a".into()), ..WebhookFilter::default() };
    assert_eq!(list(&database, filtered(filter)).await, ["A"]);
    for (key, expected) in [
        (WebhookKey::Id, ["b", "A", "c"]),
        (WebhookKey::Name, ["A", "b", "c"]),
        (WebhookKey::CreatedAt, ["A", "c", "b"]),
        (WebhookKey::UpdatedAt, ["A", "c", "b"]),
    ] {
        let mut expected = expected.to_vec();
        for direction in [Direction::Ascending, Direction::Descending] {
            let order = vec![Order { key, direction }];
            assert_eq!(list(&database, WebhookQuery { order, ..WebhookQuery::default() }).await, expected);
            expected.reverse();
        }
    }
    let page = PageRequest::new(2, 2).unwrap();
    let page = WebhookQuery { page, ..WebhookQuery::default() };
    assert_eq!(database.reader().await.webhooks().list(&page).await.unwrap().total, 3);
    assert_eq!(list(&database, page).await, ["c"]);
}

pub async fn the_enabled_webhooks_come_by_id(database: Database) {
    let first = insert(&database, &a_webhook("z")).await;
    let off = WebhookDetails { enabled: false, ..some_webhook("off") };
    insert(&database, &NewWebhook { details: off, ..a_webhook("off") }).await;
    let second = insert(&database, &a_webhook("a")).await;
    assert_eq!(database.reader().await.webhooks().enabled().await.unwrap(), [first, second]);
}

pub async fn who_is_told_again_is_taken_once_for_each_time(database: Database) {
    let details = WebhookDetails { shape: Shape::Alertmanager, ..some_webhook("am") };
    let stored = insert(&database, &NewWebhook { details: details.clone(), ..a_webhook("am") }).await;
    let off = WebhookDetails { enabled: false, ..details };
    insert(&database, &NewWebhook { details: off, ..a_webhook("off") }).await;
    insert(&database, &a_webhook("generic")).await;
    let take = async |now, next| {
        database
            .within(async |unit| {
                unit.webhooks().take_repeats(Shape::Alertmanager, at(now), at(next)).await.unwrap()
            })
            .await
    };
    assert_eq!(take(0, 60).await, std::slice::from_ref(&stored));
    assert_eq!(take(59, 119).await, []);
    assert_eq!(take(60, 120).await, std::slice::from_ref(&stored));
    assert_eq!(database.webhook(stored.id).await, Some(stored), "that is no change of it");
}
