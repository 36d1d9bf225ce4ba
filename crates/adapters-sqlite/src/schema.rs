//! The tables as Diesel sees them. The truth about columns, constraints and indexes is in `migrations/sqlite/`.

use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

table! {
    users (id) {
        id -> BigInt,
        username -> Text,
        username_key -> Text,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        phone -> Nullable<Text>,
        phone_key -> Nullable<Text>,
        password_hash -> Text,
        password_use -> Text,
        password_expires_at -> Nullable<BigInt>,
        is_mentor -> Bool,
        is_active -> Bool,
        mentor_id -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        last_login_at -> Nullable<BigInt>,
    }
}

table! {
    roles (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        description -> Text,
        description_key -> Text,
        built_in -> Bool,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

table! {
    role_permissions (role_id, permission) {
        role_id -> BigInt,
        permission -> Text,
    }
}

table! {
    user_roles (user_id, role_id) {
        user_id -> BigInt,
        role_id -> BigInt,
    }
}

table! {
    sessions (id) {
        id -> BigInt,
        user_id -> BigInt,
        generation -> BigInt,
        rotated_at -> BigInt,
        created_at -> BigInt,
        last_used_at -> BigInt,
        expires_at -> BigInt,
        address -> Nullable<Text>,
        agent -> Nullable<Text>,
    }
}

table! {
    api_keys (id) {
        id -> BigInt,
        user_id -> BigInt,
        name -> Text,
        hint -> Text,
        digest -> Binary,
        permissions -> Text,
        expires_at -> Nullable<BigInt>,
        created_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
        version -> BigInt,
    }
}

table! {
    api_key_equipment (api_key_id, equipment_id) {
        api_key_id -> BigInt,
        equipment_id -> BigInt,
    }
}

table! {
    sign_in_counters (key) {
        key -> Binary,
        failures -> BigInt,
        pending -> BigInt,
        window_started_at -> BigInt,
        last_at -> BigInt,
    }
}

table! {
    idempotency_keys (scope) {
        scope -> Binary,
        fingerprint -> Binary,
        answer -> Binary,
        created_at -> BigInt,
    }
}

table! {
    signing_keys (id) {
        id -> Text,
        private_key -> Binary,
        public_key -> Binary,
        created_at -> BigInt,
    }
}

table! {
    audit_events (id) {
        id -> BigInt,
        at -> BigInt,
        actor_id -> Nullable<BigInt>,
        actor_name -> Text,
        action -> Text,
        subject_kind -> Text,
        subject_id -> Nullable<BigInt>,
        subject_label -> Text,
        address -> Nullable<Text>,
        agent -> Nullable<Text>,
        request_id -> Nullable<Text>,
        before -> Text,
        after -> Text,
        seal -> Nullable<Binary>,
    }
}

table! {
    audit_head (id) {
        id -> BigInt,
        events -> BigInt,
        newest -> BigInt,
        hash -> Binary,
    }
}

table! {
    equipment (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        kind -> Text,
        kind_key -> Text,
        model -> Nullable<Text>,
        model_key -> Nullable<Text>,
        manufacturer -> Nullable<Text>,
        manufacturer_key -> Nullable<Text>,
        serial_number -> Nullable<Text>,
        serial_number_key -> Nullable<Text>,
        installed_on -> Nullable<Text>,
        location -> Nullable<Text>,
        location_key -> Nullable<Text>,
        parent_id -> Nullable<BigInt>,
        status -> Integer,
        last_maintained_at -> Nullable<BigInt>,
        next_maintenance_on -> Nullable<Text>,
        hidden_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        attributes -> Text,
    }
}

table! {
    equipment_heads (equipment_id) {
        equipment_id -> BigInt,
        last_seen_at -> Nullable<BigInt>,
        latest -> Binary,
        rolled_until -> Nullable<BigInt>,
    }
}

table! {
    maintenance (id) {
        id -> BigInt,
        equipment_id -> BigInt,
        what -> Text,
        performed_at -> BigInt,
        by_id -> Nullable<BigInt>,
        by_name -> Text,
        next_due_on -> Nullable<Text>,
        created_at -> BigInt,
    }
}

table! {
    metrics (id) {
        id -> BigInt,
        name -> Text,
        unit -> Nullable<Text>,
        unit_key -> Nullable<Text>,
        description -> Nullable<Text>,
        description_key -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

table! {
    shapes (id) {
        id -> BigInt,
        metrics -> Text,
    }
}

table! {
    shape_metrics (metric_id, shape_id) {
        metric_id -> BigInt,
        shape_id -> BigInt,
    }
}

table! {
    readings (equipment_id, at) {
        equipment_id -> BigInt,
        at -> BigInt,
        received_at -> BigInt,
        shape_id -> BigInt,
        numbers -> Binary,
        tags -> Nullable<Text>,
    }
}

table! {
    packs (id) {
        id -> BigInt,
        equipment_id -> BigInt,
        first_at -> BigInt,
        last_at -> BigInt,
        count -> BigInt,
        outline -> Binary,
        body -> Binary,
    }
}

table! {
    rollups (equipment_id, grain, at) {
        equipment_id -> BigInt,
        grain -> Integer,
        at -> BigInt,
        body -> Binary,
    }
}

table! {
    rollups_due (equipment_id, at) {
        equipment_id -> BigInt,
        at -> BigInt,
    }
}

table! {
    thinnings (equipment_id) {
        equipment_id -> BigInt,
        decision -> Text,
        as_of -> BigInt,
        late_from -> Nullable<BigInt>,
    }
}

table! {
    alert_rules (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        equipment_id -> Nullable<BigInt>,
        kind -> Nullable<Text>,
        kind_key -> Nullable<Text>,
        metric -> Nullable<Text>,
        operator -> Nullable<Text>,
        threshold -> Nullable<Double>,
        threshold_high -> Nullable<Double>,
        clear_threshold -> Nullable<Double>,
        wait_us -> BigInt,
        severity -> Integer,
        enabled -> Bool,
        latch -> Bool,
        in_force_since -> BigInt,
        in_force_version -> BigInt,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

table! {
    rule_generation (id) {
        id -> BigInt,
        generation -> BigInt,
    }
}

table! {
    alerts (id) {
        id -> BigInt,
        equipment_id -> BigInt,
        rule_id -> Nullable<BigInt>,
        rule_version -> Nullable<BigInt>,
        metric -> Nullable<Text>,
        severity -> Integer,
        status -> Integer,
        description -> Text,
        description_key -> Text,
        began_at -> BigInt,
        at -> BigInt,
        value -> Nullable<Double>,
        last_seen_at -> BigInt,
        occurrences -> BigInt,
        note -> Nullable<Text>,
        note_key -> Nullable<Text>,
        acknowledged_at -> Nullable<BigInt>,
        acknowledged_by_id -> Nullable<BigInt>,
        acknowledged_by_name -> Nullable<Text>,
        resolved_at -> Nullable<BigInt>,
        resolved_by_id -> Nullable<BigInt>,
        resolved_by_name -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

table! {
    alert_entries (id) {
        id -> BigInt,
        alert_id -> BigInt,
        at -> BigInt,
        change -> Text,
        by_id -> Nullable<BigInt>,
        by_name -> Nullable<Text>,
        status -> Integer,
        note -> Nullable<Text>,
    }
}

table! {
    live_events (unit, number) {
        unit -> BigInt,
        number -> BigInt,
        written_at -> BigInt,
        equipment_id -> BigInt,
        at -> BigInt,
        shape_id -> Nullable<BigInt>,
        numbers -> Nullable<Binary>,
        alert_id -> Nullable<BigInt>,
        change -> Nullable<Text>,
    }
}

table! {
    live_marks (id) {
        id -> BigInt,
        newest_unit -> BigInt,
        newest_number -> BigInt,
        forgotten_unit -> BigInt,
        forgotten_number -> BigInt,
    }
}

table! {
    webhooks (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        url -> Text,
        shape -> Text,
        events -> Text,
        severity -> Integer,
        equipment -> Text,
        kinds -> Text,
        enabled -> Bool,
        secret -> Binary,
        former_secret -> Nullable<Binary>,
        former_until -> Nullable<BigInt>,
        disabled_because -> Nullable<Text>,
        repeated_until -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

table! {
    webhook_deliveries (id) {
        id -> BigInt,
        webhook_id -> BigInt,
        event -> Text,
        alert_id -> Nullable<BigInt>,
        message -> Text,
        notice -> Text,
        status -> Text,
        tries -> Integer,
        attempts -> Integer,
        next_try_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

table! {
    webhook_attempts (delivery_id, number) {
        delivery_id -> BigInt,
        number -> Integer,
        at -> BigInt,
        took_us -> BigInt,
        status -> Nullable<Integer>,
        error -> Nullable<Text>,
        answer -> Nullable<Text>,
    }
}

joinable!(role_permissions -> roles (role_id));
joinable!(user_roles -> roles (role_id));
joinable!(user_roles -> users (user_id));
joinable!(sessions -> users (user_id));
joinable!(api_keys -> users (user_id));
joinable!(equipment_heads -> equipment (equipment_id));
joinable!(readings -> equipment (equipment_id));
joinable!(packs -> equipment (equipment_id));
joinable!(rollups -> equipment (equipment_id));
joinable!(alerts -> equipment (equipment_id));
joinable!(shape_metrics -> metrics (metric_id));

allow_tables_to_appear_in_same_query!(users, roles, role_permissions, user_roles, sessions, api_keys);
allow_tables_to_appear_in_same_query!(
    equipment,
    equipment_heads,
    readings,
    packs,
    rollups,
    rollups_due,
    thinnings,
    alerts,
    live_events
);
allow_tables_to_appear_in_same_query!(metrics, shape_metrics);
allow_tables_to_appear_in_same_query!(webhooks, webhook_deliveries);
