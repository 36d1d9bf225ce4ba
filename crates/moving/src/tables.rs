//! What moves.

use crate::{Column, Kind, Table};

macro_rules! tables {
    ($($table:ident { $($column:ident: $kind:ident,)* })*) => {
        /// All that moves, whatever is referred to before what refers to it.
        pub const TABLES: &[Table] = &[$(Table {
            name: stringify!($table),
            columns: &[$(Column { name: stringify!($column), kind: Kind::$kind }),*],
        }),*];
    };
}

tables! {
    users {
        id: Number, username: Text, username_key: Text, email: Text, email_key: Text, phone: Text, phone_key: Text,
        password_hash: Text, password_use: Text, password_expires_at: Instant, is_mentor: Flag, is_active: Flag,
        mentor_id: Number, version: Number, created_at: Instant, updated_at: Instant, last_login_at: Instant,
    }
    roles {
        id: Number, name: Text, name_key: Text, description: Text, description_key: Text, built_in: Flag, version: Number,
        created_at: Instant, updated_at: Instant,
    }
    role_permissions { role_id: Number, permission: Text, }
    user_roles { user_id: Number, role_id: Number, }
    sessions {
        id: Number, user_id: Number, generation: Number, rotated_at: Instant, created_at: Instant, last_used_at: Instant,
        expires_at: Instant, address: Text, agent: Text,
    }
    api_keys {
        id: Number, user_id: Number, name: Text, hint: Text, digest: Bytes, permissions: Texts, expires_at: Instant,
        created_at: Instant, last_used_at: Instant, version: Number,
    }
    api_key_equipment { api_key_id: Number, equipment_id: Number, }
    sign_in_counters {
        key: Bytes, failures: Number, pending: Number, window_started_at: Instant, last_at: Instant,
    }
    idempotency_keys { scope: Bytes, fingerprint: Bytes, answer: Bytes, created_at: Instant, }
    signing_keys { id: Text, private_key: Bytes, public_key: Bytes, created_at: Instant, }
    audit_events {
        id: Number, at: Instant, actor_id: Number, actor_name: Text, action: Text, subject_kind: Text, subject_id: Number,
        subject_label: Text, address: Text, agent: Text, request_id: Text, before: Json, after: Json, seal: Bytes,
    }
    audit_head { events: Number, newest: Number, hash: Bytes, }
    equipment {
        id: Number, name: Text, name_key: Text, kind: Text, kind_key: Text, model: Text, model_key: Text,
        manufacturer: Text, manufacturer_key: Text, serial_number: Text, serial_number_key: Text, installed_on: Day,
        location: Text, parent_id: Number, status: Number, last_maintained_at: Instant, next_maintenance_on: Day,
        hidden_at: Instant, version: Number, created_at: Instant, updated_at: Instant, attributes: Json,
    }
    maintenance {
        id: Number, equipment_id: Number, what: Text, performed_at: Instant, by_id: Number, by_name: Text,
        next_due_on: Day, created_at: Instant,
    }
    metrics {
        id: Number, name: Text, unit: Text, unit_key: Text, description: Text, description_key: Text, version: Number,
        created_at: Instant, updated_at: Instant,
    }
    shapes { id: Number, metrics: Numbers, }
    equipment_heads {
        equipment_id: Number, kind: Text, hidden: Flag, last_seen_at: Instant, older_metrics: Numbers,
        older_instants: Instants, older_numbers: Floats, rolled_until: Instant, packed_until: Instant,
    }
    readings {
        equipment_id: Number, at: Instant, received_at: Instant, shape_id: Number, numbers: Floats, tags: Json,
    }
    packs {
        id: Number, equipment_id: Number, first_at: Instant, last_at: Instant, count: Number, outline: Bytes, body: Bytes,
    }
    rollups { equipment_id: Number, grain: Number, at: Instant, body: Bytes, }
    rollups_due { equipment_id: Number, at: Instant, }
    thinnings { equipment_id: Number, decision: Text, as_of: Instant, late_from: Instant, }
    alert_rules {
        id: Number, name: Text, name_key: Text, equipment_id: Number, kind: Text, kind_key: Text, metric: Text,
        operator: Text, threshold: Float, threshold_high: Float, clear_threshold: Float, wait_us: Number,
        severity: Number, enabled: Flag, latch: Flag, in_force_since: Instant, in_force_version: Number, version: Number,
        created_at: Instant, updated_at: Instant,
    }
    alerts {
        id: Number, equipment_id: Number, rule_id: Number, rule_version: Number, metric: Text, severity: Number,
        description: Text, began_at: Instant, at: Instant, value: Float, last_seen_at: Instant, occurrences: Number,
        note: Text, status: Number, acknowledged_at: Instant, acknowledged_by_id: Number, acknowledged_by_name: Text,
        resolved_at: Instant, resolved_by_id: Number, resolved_by_name: Text, version: Number, created_at: Instant,
        updated_at: Instant,
    }
    alert_entries {
        id: Number, alert_id: Number, at: Instant, change: Text, by_id: Number, by_name: Text, status: Number,
        note: Text,
    }
    webhooks {
        id: Number, name: Text, name_key: Text, url: Text, shape: Text, events: Text, severity: Number, equipment: Text,
        kinds: Text, enabled: Flag, secret: Bytes, former_secret: Bytes, former_until: Instant, disabled_because: Text,
        repeated_until: Instant, version: Number, created_at: Instant, updated_at: Instant,
    }
    webhook_deliveries {
        id: Number, webhook_id: Number, event: Text, alert_id: Number, message: Text, notice: Text, status: Text,
        tries: Number, attempts: Number, next_try_at: Instant, finished_at: Instant, created_at: Instant,
    }
    webhook_attempts {
        delivery_id: Number, number: Number, at: Instant, took_us: Number, status: Number, error: Text, answer: Text,
    }
}
