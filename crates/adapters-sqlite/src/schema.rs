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
    }
}

joinable!(role_permissions -> roles (role_id));
joinable!(user_roles -> roles (role_id));
joinable!(user_roles -> users (user_id));
joinable!(sessions -> users (user_id));
joinable!(api_keys -> users (user_id));

allow_tables_to_appear_in_same_query!(users, roles, role_permissions, user_roles, sessions, api_keys);
