//! Webhooks: who outside the house is told of alerts, in which shape, and what became of telling them.
//!
//! When a delivery is tried again is decided in [`schedule`]; the verbs are in [`crate::app::webhooks`] (the register) and
//! [`crate::app::deliveries`] (sending, and the log of it).

pub mod schedule;
mod url;

pub use url::WebhookUrl;

use crate::alerts::{Alert, AlertChange};
use crate::equipment::{Equipment, named};
use crate::error::{Flaw, Reason};
use crate::id::{AlertId, DeliveryId, EquipmentId, Version, WebhookId};
use crate::page::{Order, PageRequest};
use crate::rules::Severity;
use crate::text::{Label, Secret};
use crate::time::{Span, Timestamp};
use std::time::Duration;

/// What the secrets of webhooks begin with.
pub const PREFIX: &str = "whsec_";

/// For how long the secret before signs beside the new one.
pub const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The most pieces, and the most types, that one webhook can be narrowed to.
pub const MOST_NAMED: usize = 1000;

named! {
    /// In which shape a receiver wants to be told.
    Shape {
        /// Our own: a type, an instant and what there is to say.
        Generic = "generic",
        /// As an Alertmanager takes alerts at `/api/v2/alerts`.
        Alertmanager = "alertmanager",
        /// As chats take messages.
        Slack = "slack",
    }
}

impl Shape {
    /// Whether receivers keep only what is newest of an alert, and would take something older for the newer if it came later:
    /// then what is newest goes at once, and what it overtook never.
    pub const fn keeps_the_newest_alone(self) -> bool {
        matches!(self, Shape::Alertmanager)
    }
}

named! {
    /// What a receiver is told of.
    Event {
        /// An alert was raised.
        Opened = "alert.opened",
        /// Somebody looks after it.
        Acknowledged = "alert.acknowledged",
        /// It is over.
        Resolved = "alert.resolved",
        /// Somebody noted something about it.
        Noted = "alert.noted",
        /// Somebody corrected what it says.
        Edited = "alert.edited",
        /// Data that arrived late changed when it was raised or how it ended.
        Rejudged = "alert.rejudged",
        /// Data that arrived late showed that it should never have been raised.
        Withdrawn = "alert.withdrawn",
        /// Somebody deleted it.
        Deleted = "alert.deleted",
        /// Nothing happened: somebody tries whether the receiver is there.
        Test = "webhook.test",
    }
}

impl Event {
    /// What is told when nobody says: how alerts begin and how they end.
    pub const USUAL: [Event; 5] =
        [Event::Opened, Event::Acknowledged, Event::Resolved, Event::Withdrawn, Event::Deleted];

    /// Whether one can ask to be told of it.
    pub const fn can_be_asked_for(self) -> bool {
        !matches!(self, Event::Test)
    }
}

impl From<AlertChange> for Event {
    fn from(change: AlertChange) -> Self {
        match change {
            AlertChange::Raised => Event::Opened,
            AlertChange::Acknowledged => Event::Acknowledged,
            AlertChange::Resolved => Event::Resolved,
            AlertChange::Noted => Event::Noted,
            AlertChange::Edited => Event::Edited,
            AlertChange::Rejudged => Event::Rejudged,
            AlertChange::Withdrawn => Event::Withdrawn,
            AlertChange::Deleted => Event::Deleted,
        }
    }
}

/// What a webhook is told of. All of it must hold; where nothing is named, anything will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Which events, in the order of [`Event::ALL`], each once; at least one.
    pub events: Vec<Event>,
    /// How bad an alert is at least.
    pub least: Severity,
    /// On which equipment, by ascending id, each once.
    pub equipment: Vec<EquipmentId>,
    /// On which kinds of machines, compared folded.
    pub kinds: Vec<Label>,
}

impl Wants {
    /// These wants in good order, or what is wrong with them.
    pub fn parse(
        mut events: Vec<Event>,
        least: Severity,
        mut equipment: Vec<EquipmentId>,
        mut kinds: Vec<Label>,
    ) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let mut blame = |field: &str, code, message: String| flaws.push(Reason::new(code, message).at(field));
        if events.is_empty() {
            blame("events", "too_few", "must name at least one event".to_owned());
        }
        for (field, count) in [("equipment", equipment.len()), ("equipment_types", kinds.len())] {
            if count > MOST_NAMED {
                blame(field, "too_many", format!("must be at most {MOST_NAMED}"));
            }
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        events.sort_unstable();
        events.dedup();
        equipment.sort_unstable();
        equipment.dedup();
        kinds.sort_by_key(Label::key);
        kinds.dedup_by_key(|kind| kind.key());
        Ok(Self { events, least, equipment, kinds })
    }

    /// These wants in three texts, as storage keeps them: events, equipment, and kinds.
    pub fn written(&self) -> [String; 3] {
        let events: Vec<&str> = self.events.iter().map(|event| event.name()).collect();
        let equipment: Vec<String> = self.equipment.iter().map(ToString::to_string).collect();
        let kinds: Vec<&str> = self.kinds.iter().map(Label::as_str).collect();
        [events.join(" "), equipment.join(" "), kinds.join("\n")]
    }

    /// What [`Wants::written`] wrote; `None` when it did not.
    pub fn restore([events, equipment, kinds]: [&str; 3], least: Severity) -> Option<Self> {
        Some(Self {
            events: events.split_ascii_whitespace().map(Event::parse).collect::<Option<_>>()?,
            least,
            equipment: equipment.split_ascii_whitespace().map(EquipmentId::parse).collect::<Option<_>>()?,
            kinds: kinds.lines().map(|kind| Label::restore(kind.to_owned())).collect(),
        })
    }

    /// Whether such an event of this alert may be meant, going by the alert alone.
    pub fn may_mean(&self, event: Event, alert: &Alert) -> bool {
        let what = &alert.what;
        self.events.contains(&event)
            && what.severity >= self.least
            && (self.equipment.is_empty() || self.equipment.binary_search(&what.equipment).is_ok())
    }

    /// Whether alerts on this kind of machine are meant; nobody knows the kind of what is gone.
    pub fn means_kind(&self, kind: Option<&Label>) -> bool {
        let is = |kind: &Label| self.kinds.iter().any(|wanted| wanted.key() == kind.key());
        self.kinds.is_empty() || kind.is_some_and(is)
    }
}

/// What people write about a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookDetails {
    /// What it is called.
    pub name: Label,
    /// Where it goes.
    pub url: WebhookUrl,
    /// In which shape.
    pub shape: Shape,
    /// What it is told of.
    pub wants: Wants,
    /// Whether it is told anything at all.
    pub enabled: bool,
}

/// A webhook to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// What people write about it.
    pub details: WebhookDetails,
    /// The secret that it signs with, sealed.
    pub secret: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A secret that was replaced and signs for a while yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerSecret {
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// Until when.
    pub until: Timestamp,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// What people write about it.
    pub details: WebhookDetails,
    /// The secret that it signs with, sealed.
    pub secret: Vec<u8>,
    /// The one before.
    pub former_secret: Option<FormerSecret>,
    /// Why it was disabled by itself, if it was.
    pub disabled_because: Option<String>,
    /// How often it was written.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// The sealed secret that signs beside the newest one now, if there is one.
    pub fn former_secret(&self, now: Timestamp) -> Option<&[u8]> {
        let former = self.former_secret.as_ref().filter(|former| now < former.until);
        former.map(|former| former.sealed.as_slice())
    }

    /// Signs with this sealed secret from now on, and with the one before for a while yet. While a former one signs, that
    /// goes on until its time is over instead: it is what receivers have who did not hear of the one in between.
    #[must_use]
    pub fn rotated(self, sealed: Vec<u8>, now: Timestamp) -> Self {
        let in_force = self.former_secret.filter(|former| now < former.until);
        let replaced = FormerSecret { sealed: self.secret, until: now.after(OVERLAP) };
        Self { secret: sealed, former_secret: Some(in_force.unwrap_or(replaced)), updated_at: now, ..self }
    }
}

/// The secret of a webhook in the form that the Standard Webhooks ask for, from 32 random bytes as URL-safe base64.
pub fn secret_of(random: &str) -> Secret {
    let standard = random.chars().map(|letter| match letter {
        '-' => '+',
        '_' => '/',
        other => other,
    });
    Secret::new(format!("{PREFIX}{}=", standard.collect::<String>()))
}

/// Which webhooks a list is about. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookFilter {
    /// Names, compared folded.
    pub names: Vec<Label>,
    /// Shapes.
    pub shapes: Vec<Shape>,
    /// Whether they are told anything.
    pub enabled: Option<bool>,
    /// When made.
    pub created: Span,
    /// Text that occurs in the name, compared folded.
    pub search: Option<String>,
}

/// What webhooks can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the same name")]
pub enum WebhookKey {
    Id,
    Name,
    CreatedAt,
    UpdatedAt,
}

/// A question for a page of webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookQuery {
    /// Which webhooks.
    pub filter: WebhookFilter,
    /// In which order.
    pub order: Vec<Order<WebhookKey>>,
    /// Which page.
    pub page: PageRequest,
}

/// What there is to say to a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// To what.
    pub about: About,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// An alert, as it was then.
    Alert {
        /// The alert.
        alert: Box<Alert>,
        /// What it is on, unless that is gone.
        equipment: Option<Box<Equipment>>,
        /// What the rule that raised it is called, unless that is gone.
        rule: Option<Label>,
    },
    /// The webhook itself.
    Webhook {
        /// Which one.
        id: WebhookId,
        /// What it is called.
        name: Label,
    },
}

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// To whom.
    pub webhook: WebhookId,
    /// What happened.
    pub event: Event,
    /// To which alert, if to any.
    pub alert: Option<AlertId>,
    /// The name under which receivers know it again when it comes twice.
    pub message: String,
    /// What there is to say: the notice in words, which the courier puts into the shape of the webhook.
    pub notice: String,
    /// When it happened.
    pub created_at: Timestamp,
}

named! {
    /// How far a delivery has come.
    DeliveryStatus {
        /// It will be tried, perhaps again.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// It was tried often enough, or the receiver wants no more of them.
        Failed = "failed",
        /// There was something newer to say about the same alert, which made it pointless.
        Superseded = "superseded",
    }
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; what happened later has a larger one.
    pub id: DeliveryId,
    /// What it says.
    pub what: NewDelivery,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// How often it was tried, since somebody last asked for it.
    pub tries: u32,
    /// How often it was tried at all.
    pub attempts: u32,
    /// When it is tried next, while it is pending.
    pub next_try_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The how-manieth of its delivery, from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// The beginning of what the receiver said.
    pub answer: Option<String>,
}

/// How many tries of one delivery are remembered, the newest ones.
pub const ATTEMPTS_KEPT: u32 = 24;

/// A delivery, and how it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Its newest tries, oldest first.
    pub attempts: Vec<Attempt>,
}

/// A delivery that this server is to try now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The delivery. It is due again when the claim lapses, at its `next_try_at`.
    pub delivery: Delivery,
    /// Whether there is something newer for the same webhook about the same alert.
    pub has_successor: bool,
}

/// What became of a claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which one.
    pub id: DeliveryId,
    /// Until when it was claimed. Whoever lets that pass has lost the claim.
    pub claimed_until: Timestamp,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// When it is tried next, if it is.
    pub next_try_at: Option<Timestamp>,
    /// The try; none when it was not worth one.
    pub attempt: Option<Attempt>,
    /// When.
    pub at: Timestamp,
}

/// What waits to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries.
    pub count: u64,
    /// When the oldest of them happened.
    pub oldest_at: Option<Timestamp>,
}

/// Which deliveries of a webhook a list is about. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// What happened.
    pub events: Vec<Event>,
    /// How far come.
    pub statuses: Vec<DeliveryStatus>,
    /// About which alerts.
    pub alerts: Vec<AlertId>,
    /// When it happened.
    pub created: Span,
}

/// What deliveries can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the same name")]
pub enum DeliveryKey {
    Id,
    CreatedAt,
}

/// A question for a page of the deliveries of one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// Of which webhook.
    pub webhook: WebhookId,
    /// Which deliveries.
    pub filter: DeliveryFilter,
    /// In which order.
    pub order: Vec<Order<DeliveryKey>>,
    /// Which page.
    pub page: PageRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_standard_base64_of_the_random_bytes() {
        assert_eq!(secret_of("a-b_c").reveal(), "whsec_a+b/c=");
    }

    #[test]
    fn wants_are_put_in_order_and_say_what_is_wrong_with_them() {
        let id = |number| EquipmentId::new(number).unwrap();
        let kind = |name: &str| Label::parse(name).unwrap();
        let events = vec![Event::Resolved, Event::Opened, Event::Resolved];
        let kinds = vec![kind("Robot"), kind("press"), kind("robot")];
        let wants = Wants::parse(events, Severity::Info, vec![id(3), id(1), id(3)], kinds).unwrap();
        assert_eq!(wants.events, [Event::Opened, Event::Resolved]);
        assert_eq!(wants.equipment, [id(1), id(3)]);
        assert_eq!(wants.kinds, [kind("press"), kind("Robot")]);
        assert!(wants.means_kind(Some(&kind("ROBOT"))) && !wants.means_kind(Some(&kind("lathe"))));
        assert!(!wants.means_kind(None));
        let flaws = Wants::parse(vec![], Severity::Info, vec![id(1); 1001], vec![]).unwrap_err();
        assert_eq!(flaws.iter().map(|flaw| flaw.field.as_str()).collect::<Vec<_>>(), ["events", "equipment"]);
    }

    #[test]
    fn the_secret_that_was_replaced_first_signs_until_its_time_is_over() {
        let now = Timestamp::from_micros(0).unwrap();
        let wants = Wants::parse(Event::USUAL.into(), Severity::Info, vec![], vec![]).unwrap();
        let details = WebhookDetails {
            name: Label::parse("hook").unwrap(),
            url: WebhookUrl::parse("https://example.com/").unwrap(),
            shape: Shape::Generic,
            wants,
            enabled: true,
        };
        let id = WebhookId::new(1).unwrap();
        let webhook = Webhook {
            id,
            details,
            secret: vec![1],
            former_secret: None,
            disabled_because: None,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        let once = webhook.rotated(vec![2], now);
        assert_eq!((once.secret.as_slice(), once.former_secret(now)), ([2].as_slice(), Some([1].as_slice())));
        assert_eq!(once.former_secret(now.after(OVERLAP)), None);
        let twice = once.clone().rotated(vec![3], now.after(OVERLAP / 2));
        assert_eq!((twice.secret, twice.former_secret), (vec![3], once.former_secret.clone()));
        let later = once.rotated(vec![3], now.after(OVERLAP));
        assert_eq!(later.former_secret(now.after(OVERLAP)), Some([2].as_slice()));
    }
}
