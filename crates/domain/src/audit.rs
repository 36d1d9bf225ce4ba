//! The trail of who did what to what, when, from where, and what it was before and after. Written in the transaction of
//! its cause, as a chain that cannot be edited quietly (see [`chain`]); never holds a secret.

pub mod chain;
mod plant;

pub use plant::{
    alert_facts, equipment_facts, maintenance_facts, metric_facts, reading_facts, rule_facts, webhook_facts,
};

use crate::access::{Actor, Origin};
use crate::alerts::Alert;
use crate::api_keys::ApiKey;
use crate::equipment::Equipment;
use crate::id::{EventId, UserId};
use crate::maintenance::Person;
use crate::page::{Direction, Seek};
use crate::roles::Role;
use crate::rules::Rule;
use crate::time::{Span, Timestamp};
use crate::users::UserView;
use crate::webhooks::Webhook;

macro_rules! actions {
    ($($name:ident = $text:literal,)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Action { $($name,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$name),*];

            /// The name that clients see.
            pub const fn name(self) -> &'static str {
                match self { $(Action::$name => $text,)* }
            }

            /// The action of this name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Action::$name),)* _ => None }
            }
        }
    };
}

actions! {
    UserRegistered = "user.registered",
    UserCreated = "user.created",
    UserUpdated = "user.updated",
    UserDeleted = "user.deleted",
    PasswordChanged = "user.password_changed",
    PasswordReset = "user.password_reset",
    RolesChanged = "user.roles_changed",
    MentorChanged = "user.mentor_changed",
    MentorshipEnded = "user.mentorship_ended",
    RoleCreated = "role.created",
    RoleUpdated = "role.updated",
    RoleDeleted = "role.deleted",
    SignedIn = "session.started",
    SignInFailed = "session.refused",
    SignedOut = "session.ended",
    RefreshReused = "session.refresh_reused",
    ApiKeyCreated = "api_key.created",
    ApiKeyRevoked = "api_key.revoked",
    KeysRotated = "signing_keys.rotated",
    FlawAccepted = "audit.flaw_accepted",
    EquipmentCreated = "equipment.created",
    EquipmentUpdated = "equipment.updated",
    EquipmentHidden = "equipment.hidden",
    EquipmentRestored = "equipment.restored",
    EquipmentPurged = "equipment.purged",
    MaintenanceLogged = "maintenance.logged",
    MaintenanceRemoved = "maintenance.removed",
    ReadingReplaced = "reading.replaced",
    ReadingDeleted = "reading.deleted",
    MetricUpdated = "metric.updated",
    RuleCreated = "rule.created",
    RuleUpdated = "rule.updated",
    RuleDeleted = "rule.deleted",
    AlertCreated = "alert.created",
    AlertUpdated = "alert.updated",
    AlertAcknowledged = "alert.acknowledged",
    AlertResolved = "alert.resolved",
    AlertDeleted = "alert.deleted",
    WebhookCreated = "webhook.created",
    WebhookUpdated = "webhook.updated",
    WebhookDisabled = "webhook.disabled",
    WebhookSecretRotated = "webhook.secret_rotated",
    WebhookTested = "webhook.tested",
    WebhookDeleted = "webhook.deleted",
    DeliveryReplayed = "webhook.delivery_replayed",
}

/// A value before or after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Nothing.
    Null,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

impl From<bool> for Fact {
    fn from(flag: bool) -> Self {
        Fact::Flag(flag)
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Fact::Text(text)
    }
}

impl<T: ToString> From<Option<T>> for Fact {
    fn from(text: Option<T>) -> Self {
        text.map_or(Fact::Null, |text| Fact::Text(text.to_string()))
    }
}

/// Named values, in order.
pub type Facts = Vec<(String, Fact)>;

/// What was acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The kind of thing, such as `user`.
    pub kind: String,
    /// Its id, if it has one.
    pub id: Option<i64>,
    /// What it was called at the time.
    pub label: String,
}

/// Something that happened, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// The account that acted; none for the product itself and for strangers.
    pub actor: Option<UserId>,
    /// What the actor was called.
    pub actor_name: String,
    /// What was done.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// From where.
    pub origin: Origin,
    /// What it was before: only what changed, nothing for something new.
    pub before: Facts,
    /// What it is after: only what changed, nothing for something gone.
    pub after: Facts,
}

/// A line of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id: 1 more than that of the line before. What stood in the trail before it was a chain may have gaps.
    pub id: EventId,
    /// What it says.
    pub what: NewEvent,
}

impl NewEvent {
    /// The actor did something to a subject.
    pub fn new(at: Timestamp, by: &Actor, action: Action, subject: Subject) -> Self {
        let actor_name = Person::acting(by).name;
        let origin = by.origin().clone();
        Self {
            at,
            actor: by.user(),
            actor_name,
            action,
            subject,
            origin,
            before: Facts::new(),
            after: Facts::new(),
        }
    }

    /// Somebody whom we do not know did something.
    pub fn by_stranger(at: Timestamp, origin: &Origin, action: Action, subject: Subject) -> Self {
        let origin = origin.clone();
        let actor_name = "anonymous".to_owned();
        Self {
            at,
            actor: None,
            actor_name,
            action,
            subject,
            origin,
            before: Facts::new(),
            after: Facts::new(),
        }
    }

    /// With what was and what is, narrowed to the differences.
    #[must_use]
    pub fn changing(mut self, before: Facts, after: Facts) -> Self {
        let same = |fact: &(String, Fact), others: &Facts| others.contains(fact);
        self.before = before.iter().filter(|fact| !same(fact, &after)).cloned().collect();
        self.after = after.into_iter().filter(|fact| !same(fact, &before)).collect();
        self
    }
}

impl Subject {
    /// A user.
    pub fn user(id: UserId, label: impl ToString) -> Self {
        Self { kind: "user".into(), id: Some(id.get()), label: label.to_string() }
    }

    /// A role.
    pub fn role(role: &Role) -> Self {
        Self { kind: "role".into(), id: Some(role.id.get()), label: role.name.to_string() }
    }

    /// A piece of equipment.
    pub fn equipment(equipment: &Equipment) -> Self {
        Self::other("equipment", Some(equipment.id.get()), &equipment.details.name)
    }

    /// An alert rule.
    pub fn rule(rule: &Rule) -> Self {
        Self::other("alert_rule", Some(rule.id.get()), &rule.details.name)
    }

    /// An alert.
    pub fn alert(alert: &Alert) -> Self {
        Self::other("alert", Some(alert.id.get()), &alert.what.description)
    }

    /// A webhook.
    pub fn webhook(webhook: &Webhook) -> Self {
        Self::other("webhook", Some(webhook.id.get()), &webhook.details.name)
    }

    /// Anything else.
    pub fn other(kind: &str, id: Option<i64>, label: impl ToString) -> Self {
        Self { kind: kind.to_owned(), id, label: label.to_string() }
    }
}

fn fact(name: &str, value: impl Into<Fact>) -> (String, Fact) {
    (name.to_owned(), value.into())
}

/// What the trail says about a user. Passwords are never in it.
pub fn user_facts(view: &UserView) -> Facts {
    let user = &view.user;
    vec![
        fact("username", user.username.to_string()),
        fact("email", user.email.as_ref()),
        fact("phone", user.phone.as_ref()),
        fact("is_mentor", user.is_mentor),
        fact("is_active", user.is_active),
        fact("mentor", view.mentor.as_ref()),
        fact("roles", Fact::List(view.roles.iter().map(ToString::to_string).collect())),
    ]
}

/// What the trail says about a role.
pub fn role_facts(role: &Role) -> Facts {
    vec![
        fact("name", role.name.to_string()),
        fact("description", role.description.to_string()),
        fact(
            "permissions",
            Fact::List(role.permissions.iter().map(|permission| permission.to_string()).collect()),
        ),
    ]
}

/// What the trail says about an API key. Its secret is never in it, nor what it is known by. All equipment is `null`.
pub fn api_key_facts(key: &ApiKey) -> Facts {
    let limits: Vec<String> = key.equipment.iter().map(ToString::to_string).collect();
    vec![
        fact("name", key.name.to_string()),
        fact(
            "permissions",
            Fact::List(key.permissions.iter().map(|permission| permission.to_string()).collect()),
        ),
        fact("equipment", if limits.is_empty() { Fact::Null } else { Fact::List(limits) }),
        fact("expires_at", key.expires_at),
    ]
}

/// Which part of the trail is asked for. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Who acted.
    pub actors: Vec<UserId>,
    /// What was done.
    pub actions: Vec<Action>,
    /// The kinds of subjects.
    pub subject_kinds: Vec<String>,
    /// The ids of subjects.
    pub subject_ids: Vec<i64>,
    /// When.
    pub at: Span,
    /// Text that occurs in the actor's or the subject's name, compared without regard to ASCII case.
    pub search: Option<String>,
}

/// A question for a stretch of the trail, in order of the events' ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Which events.
    pub filter: EventFilter,
    /// Oldest or newest first.
    pub direction: Direction,
    /// From where.
    pub seek: Seek<EventId>,
    /// How many at most.
    pub limit: u32,
}
