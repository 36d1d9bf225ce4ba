//! Rows as they are stored, and the domain types that they become: one place per table.
//!
//! Text was checked before it was stored and is believed; what a column can hold but the domain cannot is reported as
//! [`StoreError::Corrupt`] with table, column and row. The rows of the plant are in `plant.rs` and `alerts.rs`.

mod alerts;
mod plant;
mod ranks;

pub(crate) use alerts::{AlertEntryRow, AlertRow, RuleRow};
pub(crate) use plant::{
    EquipmentRow, HeadRow, LiveEventRow, MaintenanceRow, MetricRow, ReadingRow, StoredLatest, equipment_id,
    latest_column, latest_from, numbers_column, tags_column,
};
pub(crate) use ranks::Ranked;

use crate::schema::{
    api_keys, audit_events, idempotency_keys, roles, sessions, sign_in_counters, signing_keys, users,
};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::access::{Origin, Permission, Permissions};
use domain::api_keys::ApiKey;
use domain::audit::chain::{Seal, StoredEvent};
use domain::audit::{Action, Event, NewEvent, Subject};
use domain::id::{ApiKeyId, EquipmentId, EventId, RoleId, SessionId, UserId, Version};
use domain::idempotency::{Claim, Remembered};
use domain::maintenance::Person;
use domain::ports::StoreError;
use domain::roles::Role;
use domain::sessions::{Session, SigningKey};
use domain::sign_in::Counter;
use domain::text::{Description, Email, Label, Phone, RoleName, Username};
use domain::time::Timestamp;
use domain::users::{PasswordHash, Standing, StoredPassword, User};
use std::fmt::Display;

/// A row of a table, for saying where something does not make sense.
pub(crate) struct Place<K> {
    pub(crate) table: &'static str,
    pub(crate) row: K,
}

impl<K: Display> Place<K> {
    /// The value of this column, if it makes sense.
    pub(crate) fn sound<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| StoreError::Corrupt { table: self.table, column, row: self.row.to_string() })
    }

    pub(crate) fn instant(&self, column: &'static str, micros: i64) -> Result<Timestamp, StoreError> {
        self.sound(column, Timestamp::from_micros(micros))
    }

    pub(crate) fn instant_if_any(
        &self,
        column: &'static str,
        micros: Option<i64>,
    ) -> Result<Option<Timestamp>, StoreError> {
        micros.map(|micros| self.instant(column, micros)).transpose()
    }
}

/// A person as a record remembers them.
fn person(
    place: &Place<i64>,
    column: &'static str,
    id: Option<i64>,
    name: String,
) -> Result<Person, StoreError> {
    let id = id.map(|id| place.sound(column, UserId::new(id))).transpose()?;
    Ok(Person { id, name })
}

/// The id of a user as another table refers to it; foreign keys hold, so only the number itself can be unsound.
pub(crate) fn user_id(table: &'static str, column: &'static str, id: i64) -> Result<UserId, StoreError> {
    Place { table, row: id }.sound(column, UserId::new(id))
}

pub(crate) fn permission(role: i64, name: &str) -> Result<Permission, StoreError> {
    let place = Place { table: "role_permissions", row: role };
    place.sound("permission", Permission::parse(name))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Sqlite))]
pub(crate) struct UserRow {
    id: i64,
    username: String,
    email: Option<String>,
    phone: Option<String>,
    password_hash: String,
    password_use: String,
    password_expires_at: Option<i64>,
    is_mentor: bool,
    is_active: bool,
    mentor_id: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
    last_login_at: Option<i64>,
}

/// What a password is good for, as columns.
pub(crate) fn standing_columns(standing: Standing) -> (&'static str, Option<i64>) {
    match standing {
        Standing::Lasting => ("lasting", None),
        Standing::OneTime { expires_at } => ("one_time", Some(expires_at.micros())),
        Standing::Spent => ("spent", None),
    }
}

fn standing(row: &UserRow, place: &Place<i64>) -> Result<Standing, StoreError> {
    let expires_at = place.instant_if_any("password_expires_at", row.password_expires_at)?;
    let standing = match (row.password_use.as_str(), expires_at) {
        ("lasting", None) => Some(Standing::Lasting),
        ("one_time", Some(expires_at)) => Some(Standing::OneTime { expires_at }),
        ("spent", None) => Some(Standing::Spent),
        _ => None,
    };
    place.sound("password_use", standing)
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let place = Place { table: "users", row: row.id };
        let mentor = row.mentor_id.map(|id| place.sound("mentor_id", UserId::new(id))).transpose()?;
        Ok(Self {
            id: place.sound("id", UserId::new(row.id))?,
            password: StoredPassword {
                standing: standing(&row, &place)?,
                hash: PasswordHash::restore(row.password_hash),
            },
            username: Username::restore(row.username),
            email: row.email.map(Email::restore),
            phone: row.phone.map(Phone::restore),
            is_mentor: row.is_mentor,
            is_active: row.is_active,
            mentor,
            version: place.sound("version", Version::new(row.version))?,
            created_at: place.instant("created_at", row.created_at)?,
            updated_at: place.instant("updated_at", row.updated_at)?,
            last_login_at: place.instant_if_any("last_login_at", row.last_login_at)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = roles, check_for_backend(Sqlite))]
pub(crate) struct RoleRow {
    pub(crate) id: i64,
    name: String,
    description: String,
    built_in: bool,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl RoleRow {
    /// The role, with its permissions from the table beside it.
    pub(crate) fn with(self, permissions: Permissions) -> Result<Role, StoreError> {
        let place = Place { table: "roles", row: self.id };
        Ok(Role {
            id: place.sound("id", RoleId::new(self.id))?,
            name: RoleName::restore(self.name),
            description: Description::restore(self.description),
            permissions,
            built_in: self.built_in,
            version: place.sound("version", Version::new(self.version))?,
            created_at: place.instant("created_at", self.created_at)?,
            updated_at: place.instant("updated_at", self.updated_at)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(Sqlite))]
pub(crate) struct SessionRow {
    id: i64,
    user_id: i64,
    generation: i64,
    rotated_at: i64,
    created_at: i64,
    last_used_at: i64,
    expires_at: i64,
    address: Option<String>,
    agent: Option<String>,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let place = Place { table: "sessions", row: row.id };
        Ok(Self {
            id: place.sound("id", SessionId::new(row.id))?,
            user: place.sound("user_id", UserId::new(row.user_id))?,
            generation: row.generation,
            rotated_at: place.instant("rotated_at", row.rotated_at)?,
            created_at: place.instant("created_at", row.created_at)?,
            last_used_at: place.instant("last_used_at", row.last_used_at)?,
            expires_at: place.instant("expires_at", row.expires_at)?,
            address: row.address,
            agent: row.agent,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(Sqlite))]
pub(crate) struct ApiKeyRow {
    pub(crate) id: i64,
    user_id: i64,
    name: String,
    hint: String,
    permissions: String,
    expires_at: Option<i64>,
    created_at: i64,
    last_used_at: Option<i64>,
    version: i64,
}

/// A set of permissions in one column.
pub(crate) fn permissions_column(permissions: Permissions) -> String {
    let names: Vec<_> = permissions.iter().map(Permission::name).collect();
    names.join(" ")
}

impl ApiKeyRow {
    /// The key, with its equipment from the table beside it.
    pub(crate) fn with(self, equipment: Vec<EquipmentId>) -> Result<ApiKey, StoreError> {
        let place = Place { table: "api_keys", row: self.id };
        let permissions =
            self.permissions.split_ascii_whitespace().map(Permission::parse).collect::<Option<Permissions>>();
        Ok(ApiKey {
            id: place.sound("id", ApiKeyId::new(self.id))?,
            user: place.sound("user_id", UserId::new(self.user_id))?,
            name: Label::restore(self.name),
            hint: self.hint,
            permissions: place.sound("permissions", permissions)?,
            equipment,
            expires_at: place.instant_if_any("expires_at", self.expires_at)?,
            created_at: place.instant("created_at", self.created_at)?,
            last_used_at: place.instant_if_any("last_used_at", self.last_used_at)?,
            version: place.sound("version", Version::new(self.version))?,
        })
    }
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sign_in_counters, check_for_backend(Sqlite))]
pub(crate) struct CounterRow {
    key: Vec<u8>,
    failures: i64,
    pending: i64,
    window_started_at: i64,
    last_at: i64,
}

impl CounterRow {
    pub(crate) fn new(key: &[u8; 32], counter: &Counter) -> Self {
        Self {
            key: key.to_vec(),
            failures: counter.failures.into(),
            pending: counter.pending.into(),
            window_started_at: counter.window_started_at.micros(),
            last_at: counter.last_at.micros(),
        }
    }
}

impl TryFrom<CounterRow> for Counter {
    type Error = StoreError;

    fn try_from(row: CounterRow) -> Result<Self, StoreError> {
        let place = Place { table: "sign_in_counters", row: hex(&row.key) };
        Ok(Self {
            failures: place.sound("failures", row.failures.try_into().ok())?,
            pending: place.sound("pending", row.pending.try_into().ok())?,
            window_started_at: place.instant("window_started_at", row.window_started_at)?,
            last_at: place.instant("last_at", row.last_at)?,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys, check_for_backend(Sqlite))]
pub(crate) struct RememberedRow {
    scope: Vec<u8>,
    fingerprint: Vec<u8>,
    answer: Vec<u8>,
    created_at: i64,
}

impl From<&Remembered> for RememberedRow {
    fn from(remembered: &Remembered) -> Self {
        Self {
            scope: remembered.claim.scope.to_vec(),
            fingerprint: remembered.claim.fingerprint.to_vec(),
            answer: remembered.answer.clone(),
            created_at: remembered.created_at.micros(),
        }
    }
}

impl TryFrom<RememberedRow> for Remembered {
    type Error = StoreError;

    fn try_from(row: RememberedRow) -> Result<Self, StoreError> {
        let place = Place { table: "idempotency_keys", row: hex(&row.scope) };
        Ok(Self {
            claim: Claim {
                scope: place.sound("scope", row.scope.try_into().ok())?,
                fingerprint: place.sound("fingerprint", row.fingerprint.try_into().ok())?,
            },
            answer: row.answer,
            created_at: place.instant("created_at", row.created_at)?,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys, check_for_backend(Sqlite))]
pub(crate) struct SigningKeyRow {
    id: String,
    private_key: Vec<u8>,
    public_key: Vec<u8>,
    created_at: i64,
}

impl From<&SigningKey> for SigningKeyRow {
    fn from(key: &SigningKey) -> Self {
        Self {
            id: key.id.clone(),
            private_key: key.private.clone(),
            public_key: key.public.clone(),
            created_at: key.created_at.micros(),
        }
    }
}

impl TryFrom<SigningKeyRow> for SigningKey {
    type Error = StoreError;

    fn try_from(row: SigningKeyRow) -> Result<Self, StoreError> {
        let place = Place { table: "signing_keys", row: &row.id };
        Ok(Self {
            created_at: place.instant("created_at", row.created_at)?,
            id: row.id,
            private: row.private_key,
            public: row.public_key,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events, check_for_backend(Sqlite))]
pub(crate) struct EventRow {
    id: i64,
    at: i64,
    actor_id: Option<i64>,
    actor_name: String,
    action: String,
    subject_kind: String,
    subject_id: Option<i64>,
    subject_label: String,
    address: Option<String>,
    agent: Option<String>,
    request_id: Option<String>,
    before: String,
    after: String,
}

impl EventRow {
    pub(crate) fn sealed(self, seal: Option<&[u8]>) -> StoredEvent {
        let id = self.id;
        let what = Event::try_from(self).ok().map(|event| event.what);
        StoredEvent { id, what, seal: seal.and_then(Seal::restore) }
    }
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let place = Place { table: "audit_events", row: row.id };
        let actor = row.actor_id.map(|id| place.sound("actor_id", UserId::new(id))).transpose()?;
        let address = row.address.map(|address| place.sound("address", address.parse().ok())).transpose()?;
        let what = NewEvent {
            at: place.instant("at", row.at)?,
            actor,
            actor_name: row.actor_name,
            action: place.sound("action", Action::parse(&row.action))?,
            subject: Subject { kind: row.subject_kind, id: row.subject_id, label: row.subject_label },
            origin: Origin { address, agent: row.agent, request_id: row.request_id },
            before: place.sound("before", crate::facts::from_json(&row.before))?,
            after: place.sound("after", crate::facts::from_json(&row.after))?,
        };
        let id = place.sound("id", EventId::new(row.id))?;
        Ok(Self { id, what })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
