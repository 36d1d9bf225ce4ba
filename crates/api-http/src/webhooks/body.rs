//! How a webhook looks, and how somebody writes one.

use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::body::json::Json;
use crate::reply::{Created, Versioned};
use crate::values::{Field, listed};
use domain::access::{Actor, Permission};
use domain::app::webhooks::{FreshWebhook, WebhookChange};
use domain::error::{Flaw, Reason};
use domain::id::EquipmentId;
use domain::rules::Severity;
use domain::text::Label;
use domain::webhooks::{Event, Shape, Wants, Webhook, WebhookDetails};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// Somebody outside who is told of alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook, examples(json!({
    "id": 2, "name": "On-call", "url": "https://example.com/alerts", "shape": "generic",
    "events": ["alert.opened", "alert.acknowledged", "alert.resolved", "alert.withdrawn", "alert.deleted"],
    "min_severity": "warning", "equipment": [], "equipment_types": ["robot"], "enabled": true,
    "disabled_because": null, "former_secret_until": null, "version": 1,
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:30:00.000000Z"
})))]
pub struct WebhookBody {
    id: i64,
    name: String,
    /// Where deliveries go; for who may not change settings, only the origin.
    url: String,
    /// `generic`, `alertmanager` (for the address of its `/api/v2/alerts`) or `slack`.
    shape: &'static str,
    /// What it is told of.
    events: Vec<&'static str>,
    /// How bad an alert is at least.
    min_severity: &'static str,
    /// The equipment that it is told of; empty means all.
    equipment: Vec<i64>,
    /// The types of equipment that it is told of; empty means all.
    equipment_types: Vec<String>,
    /// Whether it is told anything. What waits while it is not, waits.
    enabled: bool,
    /// Why it was disabled by itself, if it was.
    #[schema(required)]
    disabled_because: Option<String>,
    /// Until when the secret before signs, too.
    #[schema(required, format = DateTime)]
    former_secret_until: Option<String>,
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// The secret that signs deliveries: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, examples("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"))]
    secret: Option<String>,
}

/// Whether this caller may see whole addresses.
pub fn may_see_urls(by: &Actor) -> bool {
    by.permissions().contains(Permission::SettingsWrite)
}

impl WebhookBody {
    /// The webhook, with its whole address or without.
    pub fn new(webhook: &Webhook, whole: bool) -> Self {
        let details = &webhook.details;
        let wants = &details.wants;
        let url = if whole { details.url.reveal().to_owned() } else { details.url.to_string() };
        Self {
            id: webhook.id.get(),
            name: details.name.to_string(),
            url,
            shape: details.shape.name(),
            events: wants.events.iter().map(|event| event.name()).collect(),
            min_severity: wants.least.name(),
            equipment: wants.equipment.iter().map(|id| id.get()).collect(),
            equipment_types: wants.kinds.iter().map(ToString::to_string).collect(),
            enabled: details.enabled,
            disabled_because: webhook.disabled_because.clone(),
            former_secret_until: webhook.former_secret.as_ref().map(|former| former.until.to_string()),
            version: webhook.version.get(),
            created_at: webhook.created_at.to_string(),
            updated_at: webhook.updated_at.to_string(),
            secret: None,
        }
    }

    /// The webhook with its version.
    pub fn versioned(webhook: &Webhook, whole: bool) -> Versioned<Self> {
        Versioned { version: webhook.version, body: Self::new(webhook, whole) }
    }

    fn fresh(fresh: &FreshWebhook) -> Self {
        Self { secret: Some(fresh.secret.reveal().to_owned()), ..Self::new(&fresh.webhook, true) }
    }

    /// The webhook as just made, with its secret.
    pub fn created(fresh: &FreshWebhook) -> Created<Self> {
        Created {
            location: format!("/api/webhooks/{}", fresh.webhook.id),
            version: Some(fresh.webhook.version),
            body: Self::fresh(fresh),
        }
    }

    /// The webhook with its new secret.
    pub fn rotated(fresh: &FreshWebhook) -> Versioned<Self> {
        Versioned { version: fresh.webhook.version, body: Self::fresh(fresh) }
    }
}

/// An event that one can ask to be told of.
struct Askable(Event);

impl Askable {
    fn all() -> impl Iterator<Item = Event> {
        Event::ALL.iter().copied().filter(|event| event.can_be_asked_for())
    }
}

impl Field for Askable {
    fn schema() -> RefOr<Schema> {
        listed(Self::all().map(Event::name)).into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let event = String::read(json, at, flaws)?;
        let known = Self::all().find(|known| known.name() == event);
        if known.is_none() {
            let names: Vec<&str> = Self::all().map(Event::name).collect();
            let message = format!("must be an event: one of {}", names.join(", "));
            flaws.push(Reason::new("unknown", message).at(at));
        }
        known.map(Self)
    }
}

fn events(asked: Vec<Askable>) -> Vec<Event> {
    asked.into_iter().map(|Askable(event)| event).collect()
}

/// A webhook as somebody wants it.
pub struct WebhookDraft(pub WebhookDetails);

impl FromBody for WebhookDraft {
    const NAME: &'static str = "NewWebhook";
    const ABOUT: &'static str = "A webhook as somebody wants it. Without `events` it is told how alerts begin and how they end; \
        without `equipment` and `equipment_types` of all equipment, with both only of what both mean.";
    const EXAMPLE: &'static str = r#"{"name": "On-call", "url": "https://example.com/alerts", "shape": "generic",
        "min_severity": "warning", "equipment_types": ["robot"]}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        read_details(fields).map(Self)
    }
}

/// Reads a webhook in full; what is absent has its default.
fn read_details(fields: &mut Fields<'_>) -> Option<WebhookDetails> {
    let name = fields.required("name");
    let url = fields.required("url");
    let shape = fields.optional("shape").unwrap_or(Shape::Generic);
    let asked = fields.optional("events").map_or_else(|| Event::USUAL.to_vec(), events);
    let least = fields.optional("min_severity").unwrap_or(Severity::Info);
    let equipment: Vec<EquipmentId> = fields.optional("equipment").unwrap_or_default();
    let kinds: Vec<Label> = fields.optional("equipment_types").unwrap_or_default();
    let enabled = fields.optional("enabled").unwrap_or(true);
    let wants =
        Wants::parse(asked, least, equipment, kinds).map_err(|flaws| fields.blame_together(flaws)).ok();
    Some(WebhookDetails { name: name?, url: url?, shape, wants: wants?, enabled })
}

/// The fields that a change cannot touch.
const READ_ONLY: [&str; 6] =
    ["id", "disabled_because", "former_secret_until", "version", "created_at", "updated_at"];

/// A webhook as it shall be.
pub struct WebhookPut(pub WebhookChange);

impl FromBody for WebhookPut {
    const NAME: &'static str = "WebhookPut";
    const ABOUT: &'static str =
        "The webhook as it shall be; what is absent has its default. Its secret stays as it is.";
    const EXAMPLE: &'static str = WebhookDraft::EXAMPLE;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        let WebhookDetails { name, url, shape, wants, enabled } = read_details(fields)?;
        Some(Self(WebhookChange {
            name: Some(name),
            url: Some(url),
            shape: Some(shape),
            events: Some(wants.events),
            least: Some(wants.least),
            equipment: Some(wants.equipment),
            kinds: Some(wants.kinds),
            enabled: Some(enabled),
        }))
    }
}

/// What shall be different about a webhook.
pub struct WebhookPatch(pub WebhookChange);

impl FromBody for WebhookPatch {
    const NAME: &'static str = "WebhookPatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays.";
    const EXAMPLE: &'static str = r#"{"min_severity": "critical", "equipment_types": []}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        Some(Self(WebhookChange {
            name: fields.changed("name"),
            url: fields.changed("url"),
            shape: fields.changed("shape"),
            events: fields.changed("events").map(events),
            least: fields.changed("min_severity"),
            equipment: fields.changed("equipment"),
            kinds: fields.changed("equipment_types"),
            enabled: fields.changed("enabled"),
        }))
    }
}
