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
    }
}

joinable!(role_permissions -> roles (role_id));
joinable!(user_roles -> users (user_id));
joinable!(user_roles -> roles (role_id));
joinable!(sessions -> users (user_id));
joinable!(api_keys -> users (user_id));
joinable!(api_key_equipment -> api_keys (api_key_id));

allow_tables_to_appear_in_same_query!(
    users,
    roles,
    role_permissions,
    user_roles,
    sessions,
    api_keys,
    api_key_equipment,
);
