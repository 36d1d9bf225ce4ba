//! The tables as Diesel sees them. The truth is in `migrations/postgres`; the contract's round trips notice a difference.

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
        password_expires_at -> Nullable<Timestamptz>,
        is_mentor -> Bool,
        is_active -> Bool,
        mentor_id -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        last_login_at -> Nullable<Timestamptz>,
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
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
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
        rotated_at -> Timestamptz,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        expires_at -> Timestamptz,
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
        digest -> Bytea,
        permissions -> Array<Text>,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
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
        key -> Bytea,
        failures -> BigInt,
        pending -> BigInt,
        window_started_at -> Timestamptz,
        last_at -> Timestamptz,
    }
}

table! {
    idempotency_keys (scope) {
        scope -> Bytea,
        fingerprint -> Bytea,
        answer -> Bytea,
        created_at -> Timestamptz,
    }
}

table! {
    signing_keys (id) {
        id -> Text,
        private_key -> Bytea,
        public_key -> Bytea,
        created_at -> Timestamptz,
    }
}

table! {
    audit_events (id) {
        id -> BigInt,
        at -> Timestamptz,
        actor_id -> Nullable<BigInt>,
        actor_name -> Text,
        action -> Text,
        subject_kind -> Text,
        subject_id -> Nullable<BigInt>,
        subject_label -> Text,
        address -> Nullable<Text>,
        agent -> Nullable<Text>,
        request_id -> Nullable<Text>,
        before -> Json,
        after -> Json,
        seal -> Nullable<Bytea>,
    }
}

table! {
    audit_head (id) {
        id -> Bool,
        events -> BigInt,
        newest -> BigInt,
        hash -> Bytea,
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
        installed_on -> Nullable<Date>,
        location -> Nullable<Text>,
        parent_id -> Nullable<BigInt>,
        status -> SmallInt,
        attributes -> Json,
        search_key -> Text,
        last_maintained_at -> Nullable<Timestamptz>,
        next_maintenance_on -> Nullable<Date>,
        hidden_at -> Nullable<Timestamptz>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    maintenance (id) {
        id -> BigInt,
        equipment_id -> BigInt,
        what -> Text,
        performed_at -> Timestamptz,
        by_id -> Nullable<BigInt>,
        by_name -> Text,
        next_due_on -> Nullable<Date>,
        created_at -> Timestamptz,
    }
}

table! {
    metrics (id) {
        id -> Integer,
        name -> Text,
        unit -> Nullable<Text>,
        unit_key -> Nullable<Text>,
        description -> Nullable<Text>,
        description_key -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    shapes (id) {
        id -> Integer,
        metrics -> Array<Integer>,
    }
}

table! {
    equipment_heads (equipment_id) {
        equipment_id -> BigInt,
        kind -> Text,
        hidden -> Bool,
        last_seen_at -> Nullable<Timestamptz>,
        shape_id -> Nullable<Integer>,
        numbers -> Nullable<Array<Double>>,
        older_metrics -> Nullable<Array<Integer>>,
        older_instants -> Nullable<Array<Timestamptz>>,
        older_numbers -> Nullable<Array<Double>>,
        rolled_until -> Nullable<Timestamptz>,
        packed_until -> Nullable<Timestamptz>,
    }
}

table! {
    readings (equipment_id, at) {
        equipment_id -> BigInt,
        at -> Timestamptz,
        received_at -> Timestamptz,
        shape_id -> Integer,
        numbers -> Array<Double>,
        tags -> Nullable<Json>,
    }
}

table! {
    packs (id) {
        id -> BigInt,
        equipment_id -> BigInt,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
        count -> Integer,
        outline -> Binary,
        body -> Binary,
    }
}

table! {
    rollups (equipment_id, grain, at) {
        equipment_id -> BigInt,
        grain -> SmallInt,
        at -> Timestamptz,
        body -> Binary,
    }
}

table! {
    rollups_due (equipment_id, at) {
        equipment_id -> BigInt,
        at -> Timestamptz,
    }
}

table! {
    thinnings (equipment_id) {
        equipment_id -> BigInt,
        decision -> Text,
        as_of -> Timestamptz,
        late_from -> Nullable<Timestamptz>,
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
        severity -> SmallInt,
        enabled -> Bool,
        latch -> Bool,
        in_force_since -> Timestamptz,
        in_force_version -> BigInt,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    alerts (id) {
        id -> BigInt,
        equipment_id -> BigInt,
        rule_id -> Nullable<BigInt>,
        rule_version -> Nullable<BigInt>,
        metric -> Nullable<Text>,
        severity -> SmallInt,
        description -> Text,
        began_at -> Timestamptz,
        at -> Timestamptz,
        value -> Nullable<Double>,
        last_seen_at -> Timestamptz,
        occurrences -> BigInt,
        note -> Nullable<Text>,
        search_key -> Text,
        status -> SmallInt,
        acknowledged_at -> Nullable<Timestamptz>,
        acknowledged_by_id -> Nullable<BigInt>,
        acknowledged_by_name -> Nullable<Text>,
        resolved_at -> Nullable<Timestamptz>,
        resolved_by_id -> Nullable<BigInt>,
        resolved_by_name -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    alert_entries (id) {
        id -> BigInt,
        alert_id -> BigInt,
        at -> Timestamptz,
        change -> Text,
        by_id -> Nullable<BigInt>,
        by_name -> Nullable<Text>,
        status -> SmallInt,
        note -> Nullable<Text>,
    }
}

table! {
    live_events (transaction, number) {
        transaction -> BigInt,
        number -> BigInt,
        at -> Timestamptz,
        count -> Integer,
        equipment -> Array<BigInt>,
        instants -> Array<Timestamptz>,
        shapes -> Array<Nullable<Integer>>,
        numbers -> Array<Double>,
        alerts -> Nullable<Array<Nullable<BigInt>>>,
        changes -> Nullable<Array<Nullable<Text>>>,
    }
}

table! {
    live_forgotten (id) {
        id -> Bool,
        transaction -> BigInt,
        number -> BigInt,
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
        severity -> SmallInt,
        equipment -> Text,
        kinds -> Text,
        enabled -> Bool,
        secret -> Binary,
        former_secret -> Nullable<Binary>,
        former_until -> Nullable<Timestamptz>,
        disabled_because -> Nullable<Text>,
        repeated_until -> Nullable<Timestamptz>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
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
        next_try_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

table! {
    webhook_attempts (delivery_id, number) {
        delivery_id -> BigInt,
        number -> Integer,
        at -> Timestamptz,
        took_us -> BigInt,
        status -> Nullable<Integer>,
        error -> Nullable<Text>,
        answer -> Nullable<Text>,
    }
}

joinable!(role_permissions -> roles (role_id));
joinable!(user_roles -> users (user_id));
joinable!(user_roles -> roles (role_id));
joinable!(sessions -> users (user_id));
joinable!(api_keys -> users (user_id));
joinable!(api_key_equipment -> api_keys (api_key_id));
joinable!(equipment_heads -> equipment (equipment_id));
joinable!(alerts -> equipment (equipment_id));

allow_tables_to_appear_in_same_query!(
    users,
    roles,
    role_permissions,
    user_roles,
    sessions,
    api_keys,
    api_key_equipment,
);

allow_tables_to_appear_in_same_query!(equipment, maintenance, equipment_heads, alerts,);
allow_tables_to_appear_in_same_query!(webhooks, webhook_deliveries);
