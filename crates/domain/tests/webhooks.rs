//! Telling others, over the store in memory: what is written down with its cause, and how it gets out.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use async_trait::async_trait;
use domain::access::rights::{HandleAlerts, ManageEquipment, ManageWebhooks, ViewWebhooks, WriteAlerts};
use domain::alerts::Alert;
use domain::app::alerts::AlertDraft;
use domain::app::delivering::{self, Carried};
use domain::app::webhooks::WebhookChange;
use domain::app::{alerts, deliveries, equipment, housekeeping, webhooks};
use domain::equipment::{Details, Equipment, EquipmentRef};
use domain::error::{Error, Reason};
use domain::idempotency::Once;
use domain::page::PageRequest;
use domain::patch::Precondition;
use domain::ports::{Clock, Courier, Parcel, Store};
use domain::rules::Severity;
use domain::testing::{MemoryStore, World};
use domain::text::{Description, Label, Secret};
use domain::webhooks::schedule::{Answer, Pauses};
use domain::webhooks::{
    Claimed, DeliveryFilter, DeliveryQuery, DeliveryStatus, Event, LoggedDelivery, Notice, Shape, Wants,
    Webhook, WebhookDetails, WebhookUrl,
};
use pollster::block_on;
use std::sync::Arc;
use std::time::Duration;

struct Plant {
    world: World,
    robot: Equipment,
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn details(shape: Shape) -> WebhookDetails {
    WebhookDetails {
        name: label("hook"),
        url: WebhookUrl::parse("https://example.com/x").unwrap(),
        shape,
        wants: Wants::parse(Event::USUAL.to_vec(), Severity::Warning, vec![], vec![]).unwrap(),
        enabled: true,
    }
}

impl Plant {
    async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::default())).await
    }

    async fn over(store: Arc<MemoryStore>) -> Self {
        let world = World::over(store).await.unwrap();
        let by = World::system::<ManageEquipment>().unwrap();
        let details = Details::new(label("Robot 1"), label("robot"));
        let robot = equipment::create(&world.app, by, details, Once::each_time()).await.unwrap();
        Self { world, robot }
    }

    async fn hook(&self, details: WebhookDetails) -> Webhook {
        let by = World::system::<ManageWebhooks>().unwrap();
        webhooks::create(&self.world.app, by, details, Once::each_time()).await.unwrap().webhook
    }

    async fn raise(&self, severity: Severity) -> Alert {
        let draft = AlertDraft {
            equipment: EquipmentRef::Id(self.robot.id),
            description: Description::parse("smokes").unwrap(),
            severity,
            at: None,
            metric: None,
            value: None,
            note: None,
        };
        let by = World::system::<WriteAlerts>().unwrap();
        alerts::create(&self.world.app, by, draft, Once::each_time()).await.unwrap()
    }

    async fn resolve(&self, alert: &Alert) {
        let by = World::system::<HandleAlerts>().unwrap();
        alerts::resolve(&self.world.app, by, alert.id, None, Once::each_time()).await.unwrap();
    }

    /// Has everything carried that is due.
    async fn carry(&self) -> Vec<Carried> {
        let mut carried = Vec::new();
        for id in delivering::due(&self.world.app).await.unwrap() {
            let Some(batch) = delivering::claim(&self.world.app, id, 16).await.unwrap() else { continue };
            for claimed in batch.lanes.iter().flatten() {
                carried.push(delivering::carry(&self.world.app, claimed).await.unwrap());
            }
        }
        carried
    }

    /// What is due to a webhook about one alert.
    async fn lane(&self, webhook: &Webhook) -> Vec<Claimed> {
        let batch = delivering::claim(&self.world.app, webhook.id, 16).await.unwrap().unwrap();
        assert_eq!(batch.lanes.len(), 1);
        batch.lanes.into_iter().next().unwrap()
    }

    async fn change(&self, webhook: &Webhook, change: WebhookChange) {
        let by = World::system::<ManageWebhooks>().unwrap();
        webhooks::change(&self.world.app, by, webhook.id, change, Precondition::None).await.unwrap();
    }

    async fn rotate_secret(&self, webhook: &Webhook) -> Secret {
        let by = World::system::<ManageWebhooks>().unwrap();
        let once = Once::each_time();
        webhooks::rotate_secret(&self.world.app, by, webhook.id, once).await.unwrap().secret
    }

    fn said(&self) -> Vec<String> {
        self.world.courier.carried().iter().flat_map(|parcel| parcel.notices.clone()).collect()
    }

    async fn log(&self, webhook: &Webhook) -> Vec<LoggedDelivery> {
        let query = DeliveryQuery {
            webhook: webhook.id,
            filter: DeliveryFilter::default(),
            order: vec![],
            page: PageRequest::default(),
        };
        let by = World::system::<ViewWebhooks>().unwrap();
        deliveries::list(&self.world.app, &by, &query).await.unwrap().items
    }

    async fn stored(&self, webhook: &Webhook) -> Webhook {
        let by = World::system::<ViewWebhooks>().unwrap();
        webhooks::get(&self.world.app, &by, webhook.id).await.unwrap()
    }
}

#[test]
fn what_happens_to_an_alert_is_told_to_whoever_wants_to_hear_of_it() {
    block_on(async {
        let plant = Plant::new().await;
        plant.raise(Severity::Critical).await;
        let hook = plant.hook(details(Shape::Generic)).await;
        let mut picky = details(Shape::Generic);
        picky.wants =
            Wants::parse(vec![Event::Opened], Severity::Info, vec![], vec![label("press")]).unwrap();
        let picky = plant.hook(picky).await;
        plant.raise(Severity::Info).await;
        let alert = plant.raise(Severity::Critical).await;
        plant.resolve(&alert).await;
        assert_eq!(plant.carry().await, [Carried::Ended, Carried::Ended]);
        let told = ["alert.opened critical on Robot 1 by ?", "alert.resolved critical on Robot 1 by ?"];
        assert_eq!(plant.said(), told);
        assert!(plant.log(&picky).await.is_empty());
        assert!(
            plant.log(&hook).await.iter().all(|logged| logged.delivery.status == DeliveryStatus::Delivered)
        );
        assert!(plant.carry().await.is_empty(), "once is enough");
    });
}

#[test]
fn what_fails_is_tried_again_later_and_given_up_in_the_end() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Warning).await;
        for _ in 0..8 {
            plant.world.courier.answer_next(500);
        }
        let began_at = plant.world.clock.now();
        for number in 1..=8 {
            let ended = if number == 8 { Carried::Ended } else { Carried::Again };
            assert_eq!(plant.carry().await, [ended], "{number}");
            let Some(next) = plant.log(&hook).await[0].delivery.next_try_at else { break };
            assert!(plant.carry().await.is_empty(), "not before its time");
            plant.world.clock.set(next);
        }
        let logged = &plant.log(&hook).await[0];
        assert_eq!((logged.delivery.status, logged.attempts.len()), (DeliveryStatus::Failed, 8));
        let hours = plant.world.clock.now().since(began_at).as_secs() / 3600;
        assert!((24..=27).contains(&hours), "{hours}");
        let told = plant.world.app.deliveries.told();
        assert_eq!((told.failed, told.given_up, told.delivered), (7, 1, 0));
        let by = World::system::<ManageWebhooks>().unwrap();
        let id = logged.delivery.id;
        deliveries::replay(&plant.world.app, by, hook.id, id, Once::each_time()).await.unwrap();
        assert_eq!(plant.carry().await, [Carried::Ended]);
        assert_eq!(plant.log(&hook).await[0].delivery.status, DeliveryStatus::Delivered);
        let messages: Vec<String> =
            plant.world.courier.carried().into_iter().map(|parcel| parcel.message).collect();
        assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
    });
}

#[test]
fn a_server_that_dies_after_claiming_leaves_the_delivery_to_others() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Warning).await;
        let lane = plant.lane(&hook).await;
        assert!(plant.carry().await.is_empty());
        plant.world.clock.advance(Duration::from_secs(30));
        assert_eq!(plant.carry().await, [Carried::Ended]);
        let late = delivering::carry(&plant.world.app, &lane[0]).await.unwrap();
        assert_eq!(late, Carried::Left, "the claim has lapsed");
        assert_eq!(plant.said().len(), 1);
    });
}

#[test]
fn that_an_alert_is_over_is_not_told_before_that_it_began() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        let alert = plant.raise(Severity::Warning).await;
        plant.resolve(&alert).await;
        let app = &plant.world.app;
        plant.world.courier.answer_next(500);
        let lane = plant.lane(&hook).await;
        assert_eq!(delivering::carry_lane(app, &lane, || true).await.unwrap(), Carried::Again);
        assert_eq!(plant.said().len(), 1, "what is newer stays");
        assert!(delivering::due(app).await.unwrap().is_empty(), "it waits for what is older");
        plant.world.clock.set(plant.log(&hook).await[0].delivery.next_try_at.unwrap());
        let lane = plant.lane(&hook).await;
        assert_eq!(delivering::carry_lane(app, &lane, || true).await.unwrap(), Carried::Ended);
        let [began, over] =
            ["alert.opened", "alert.resolved"].map(|event| format!("{event} warning on Robot 1 by ?"));
        assert_eq!(plant.said(), [began.clone(), began, over]);
    });
}

#[test]
fn what_was_given_up_holds_up_nothing() {
    block_on(async {
        let mut plant = Plant::new().await;
        plant.world.app.policy.webhooks.pauses = Pauses(vec![]);
        let hook = plant.hook(details(Shape::Generic)).await;
        let alert = plant.raise(Severity::Warning).await;
        plant.resolve(&alert).await;
        plant.world.courier.answer_next(500);
        let lane = plant.lane(&hook).await;
        let carried = delivering::carry_lane(&plant.world.app, &lane, || true).await.unwrap();
        assert_eq!((carried, plant.said().len()), (Carried::Ended, 2));
        let states: Vec<DeliveryStatus> =
            plant.log(&hook).await.iter().map(|logged| logged.delivery.status).collect();
        assert_eq!(states, [DeliveryStatus::Failed, DeliveryStatus::Delivered]);
    });
}

#[test]
fn a_server_that_stops_begins_nothing_and_leaves_the_rest_to_others_at_once() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Alertmanager)).await;
        let app = &plant.world.app;
        plant.raise(Severity::Warning).await;
        let lane = plant.lane(&hook).await;
        assert_eq!(delivering::carry_lane(app, &lane, || false).await.unwrap(), Carried::Left);
        assert_eq!(delivering::repeat(app, hook.id, || false).await.unwrap(), (0, None));
        assert!(plant.said().is_empty());
        assert_eq!(plant.carry().await, [Carried::Ended]);
        assert_eq!(app.deliveries.told().failed, 0, "nothing was tried in vain");
    });
}

#[test]
fn what_was_claimed_goes_where_the_webhook_points_by_then() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        let app = &plant.world.app;
        plant.raise(Severity::Warning).await;
        let lane = plant.lane(&hook).await;
        let url = WebhookUrl::parse("https://example.com/elsewhere").unwrap();
        plant.change(&hook, WebhookChange { url: Some(url.clone()), ..WebhookChange::default() }).await;
        let secret = plant.rotate_secret(&hook).await;
        assert_eq!(delivering::carry_lane(app, &lane, || true).await.unwrap(), Carried::Ended);
        let parcel = &plant.world.courier.carried()[0];
        assert_eq!((&parcel.url, &parcel.secrets[0]), (&url, &secret));
        plant.raise(Severity::Warning).await;
        let lane = plant.lane(&hook).await;
        plant.change(&hook, WebhookChange { enabled: Some(false), ..WebhookChange::default() }).await;
        assert_eq!(delivering::carry_lane(app, &lane, || true).await.unwrap(), Carried::Left);
        let by = World::system::<ManageWebhooks>().unwrap();
        webhooks::delete(app, by, hook.id, Precondition::None).await.unwrap();
        assert_eq!(delivering::carry_lane(app, &lane, || true).await.unwrap(), Carried::Left);
        assert_eq!(plant.said().len(), 1);
    });
}

/// Answers that it is gone, after the webhook was made to point elsewhere.
struct Moving(Arc<MemoryStore>);

#[async_trait]
impl Courier for Moving {
    fn word(&self, notice: &Notice) -> String {
        notice.event.to_string()
    }

    fn refuse(&self, _: &WebhookUrl) -> Result<(), Reason> {
        Ok(())
    }

    async fn deliver(&self, _: &Parcel) -> Answer {
        let mut tx = self.0.begin().await.unwrap();
        let mut hook = tx.webhooks().enabled().await.unwrap().remove(0);
        hook.details.url = WebhookUrl::parse("https://example.com/elsewhere").unwrap();
        tx.webhooks().save(&hook).await.unwrap();
        tx.commit().await.unwrap();
        Answer { status: Some(410), ..Answer::default() }
    }
}

#[test]
fn a_receiver_that_is_gone_from_where_the_webhook_pointed_before_is_tried_where_it_points_now() {
    block_on(async {
        let store = Arc::new(MemoryStore::default());
        let mut plant = Plant::over(Arc::clone(&store)).await;
        let hook = plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Warning).await;
        plant.world.app.courier = Arc::new(Moving(store));
        assert_eq!(plant.carry().await, [Carried::Again]);
        assert!(plant.stored(&hook).await.details.enabled);
        plant.world.app.courier = Arc::new(plant.world.courier.clone());
        assert_eq!(plant.carry().await, [Carried::Ended]);
        assert_eq!(plant.world.courier.carried()[0].url.reveal(), "https://example.com/elsewhere");
    });
}

#[test]
fn an_alertmanager_is_told_only_what_is_newest_of_an_alert() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Alertmanager)).await;
        let alert = plant.raise(Severity::Warning).await;
        plant.resolve(&alert).await;
        plant.carry().await;
        assert_eq!(plant.said(), ["alert.resolved warning on Robot 1 by ?"]);
        let states: Vec<DeliveryStatus> =
            plant.log(&hook).await.iter().map(|logged| logged.delivery.status).collect();
        assert_eq!(states, [DeliveryStatus::Superseded, DeliveryStatus::Delivered]);
    });
}

#[test]
fn what_is_unresolved_is_told_again_to_receivers_that_forget() {
    block_on(async {
        let plant = Plant::new().await;
        plant.hook(details(Shape::Alertmanager)).await;
        plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Info).await;
        let over = plant.raise(Severity::Critical).await;
        plant.resolve(&over).await;
        let open = plant.raise(Severity::Critical).await;
        let app = &plant.world.app;
        let due = delivering::due_repeats(app).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(delivering::repeat(app, due[0], || true).await.unwrap(), (1, None));
        assert_eq!(plant.said(), ["alert.opened critical on Robot 1 by ?"]);
        assert!(delivering::due_repeats(app).await.unwrap().is_empty());
        plant.world.clock.advance(Duration::from_secs(60));
        let due = delivering::due_repeats(app).await.unwrap();
        plant.world.courier.answer_next(502);
        let refused = delivering::repeat(app, due[0], || true).await.unwrap();
        assert_eq!(refused, (0, Some("answered 502".to_owned())));
        plant.resolve(&open).await;
        assert_eq!(delivering::repeat(app, due[0], || true).await.unwrap(), (0, None));
    });
}

#[test]
fn whoever_no_longer_forgets_or_listens_is_not_told_again() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Alertmanager)).await;
        plant.raise(Severity::Critical).await;
        let app = &plant.world.app;
        let due = delivering::due_repeats(app).await.unwrap();
        plant.change(&hook, WebhookChange { shape: Some(Shape::Slack), ..WebhookChange::default() }).await;
        assert_eq!(delivering::repeat(app, due[0], || true).await.unwrap(), (0, None));
        let off = WebhookChange {
            shape: Some(Shape::Alertmanager),
            enabled: Some(false),
            ..WebhookChange::default()
        };
        plant.change(&hook, off).await;
        assert_eq!(delivering::repeat(app, due[0], || true).await.unwrap(), (0, None));
        assert!(plant.said().is_empty());
    });
}

#[test]
fn a_receiver_that_is_gone_is_left_alone() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Warning).await;
        plant.world.courier.answer_next(410);
        plant.carry().await;
        let disabled = plant.stored(&hook).await;
        assert!(!disabled.details.enabled && disabled.disabled_because.unwrap().contains("410"));
        plant.raise(Severity::Warning).await;
        assert_eq!(plant.log(&hook).await.len(), 1);
        let app = &plant.world.app;
        let by = World::system::<ManageWebhooks>().unwrap();
        let refused = deliveries::test(app, by.clone(), hook.id, Once::each_time()).await;
        assert!(matches!(refused, Err(Error::IllegalTransition(_))));
        let change = WebhookChange { enabled: Some(true), ..WebhookChange::default() };
        let enabled = webhooks::change(app, by, hook.id, change, Precondition::None).await.unwrap();
        assert_eq!(enabled.disabled_because, None);
    });
}

#[test]
fn deliveries_are_signed_with_both_secrets_for_a_day_after_a_change() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        let fresh = plant.rotate_secret(&hook).await;
        plant.raise(Severity::Warning).await;
        plant.carry().await;
        plant.world.clock.advance(Duration::from_secs(24 * 60 * 60));
        plant.raise(Severity::Warning).await;
        plant.carry().await;
        let parcels = plant.world.courier.carried();
        assert_eq!(parcels[0].secrets.len(), 2);
        assert_eq!(parcels[0].secrets[0], fresh);
        assert_eq!(parcels[1].secrets, [fresh]);
    });
}

#[test]
fn after_another_seal_key_one_change_of_the_secret_is_enough() {
    block_on(async {
        let mut plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Warning).await;
        plant.world.app.policy.webhooks.seal_key = Secret::new("another");
        assert_eq!(plant.carry().await, [Carried::Unanswered]);
        assert!(plant.said().is_empty());
        let fresh = plant.rotate_secret(&hook).await;
        plant.world.clock.set(plant.log(&hook).await[0].delivery.next_try_at.unwrap());
        assert_eq!(plant.carry().await, [Carried::Ended]);
        let fresher = plant.rotate_secret(&hook).await;
        plant.raise(Severity::Warning).await;
        assert_eq!(plant.carry().await, [Carried::Ended]);
        let parcels = plant.world.courier.carried();
        assert_eq!(parcels[0].secrets, std::slice::from_ref(&fresh));
        assert_eq!(parcels[1].secrets, [fresher, fresh], "what opens no more is not kept");
    });
}

#[test]
fn what_is_forbidden_or_unknown_is_refused() {
    block_on(async {
        let plant = Plant::new().await;
        let app = &plant.world.app;
        let by = World::system::<ManageWebhooks>().unwrap();
        let url = WebhookUrl::parse("https://forbidden.example/").unwrap();
        let refused = webhooks::create(
            app,
            by.clone(),
            WebhookDetails { url, ..details(Shape::Generic) },
            Once::each_time(),
        );
        assert_eq!(refused.await.unwrap_err().flaws()[0].field, "url");
        for _ in 0..webhooks::MOST {
            plant.hook(details(Shape::Generic)).await;
        }
        let refused = webhooks::create(app, by, details(Shape::Generic), Once::each_time()).await;
        assert_eq!(
            refused.unwrap_err().flaws(),
            [Reason::new("too_many", "must be at most 100").at("webhooks")]
        );
    });
}

#[test]
fn deliveries_are_forgotten_when_they_are_old() {
    block_on(async {
        let plant = Plant::new().await;
        let hook = plant.hook(details(Shape::Generic)).await;
        plant.raise(Severity::Warning).await;
        plant.carry().await;
        plant.world.clock.advance(Duration::from_secs(14 * 24 * 60 * 60));
        assert_eq!(housekeeping::sweep(&plant.world.app).await.unwrap().deliveries, 0);
        plant.world.clock.advance(Duration::from_secs(1));
        assert_eq!(housekeeping::sweep(&plant.world.app).await.unwrap().deliveries, 1);
        assert!(plant.log(&hook).await.is_empty());
    });
}
