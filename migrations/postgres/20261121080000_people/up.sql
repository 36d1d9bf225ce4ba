-- People, what they may do, how they prove who they are, and the trail of what they did.
--
-- Constraints that a request can run into carry the names that crates/adapters-postgres/src/errors.rs knows.
-- Columns called …_key hold the form in which text is compared; COLLATE "C" makes their order that of the bytes,
-- whatever the database's language.

CREATE TABLE users (
    id                  bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT users_pkey PRIMARY KEY,
    username            text        NOT NULL,
    username_key        text        COLLATE "C" NOT NULL CONSTRAINT users_username_key_key UNIQUE,
    email               text,
    email_key           text        COLLATE "C" CONSTRAINT users_email_key_key UNIQUE,
    phone               text        COLLATE "C",
    phone_key           text        COLLATE "C" CONSTRAINT users_phone_key_key UNIQUE,
    password_hash       text        NOT NULL,
    password_use        text        NOT NULL,
    password_expires_at timestamptz,
    is_mentor           boolean     NOT NULL,
    is_active           boolean     NOT NULL,
    mentor_id           bigint      CONSTRAINT users_mentor_id_fkey REFERENCES users (id) ON DELETE RESTRICT,
    version             bigint      NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    last_login_at       timestamptz,
    CONSTRAINT users_username_length    CHECK (char_length(username) BETWEEN 1 AND 256),
    CONSTRAINT users_email_length       CHECK (char_length(email) BETWEEN 1 AND 1024),
    CONSTRAINT users_email_with_key     CHECK ((email IS NULL) = (email_key IS NULL)),
    CONSTRAINT users_phone_length       CHECK (char_length(phone) BETWEEN 1 AND 64),
    CONSTRAINT users_phone_with_key     CHECK ((phone IS NULL) = (phone_key IS NULL)),
    CONSTRAINT users_password_length    CHECK (char_length(password_hash) BETWEEN 1 AND 4096),
    CONSTRAINT users_password_use       CHECK (password_use IN ('lasting', 'one_time', 'spent')),
    CONSTRAINT users_password_expiry    CHECK ((password_use = 'one_time') = (password_expires_at IS NOT NULL)),
    CONSTRAINT users_mentor_not_oneself CHECK (mentor_id <> id),
    CONSTRAINT users_version_positive   CHECK (version >= 1)
);
CREATE INDEX users_mentor_id_idx ON users (mentor_id) WHERE mentor_id IS NOT NULL;

CREATE TABLE roles (
    id              bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT roles_pkey PRIMARY KEY,
    name            text        NOT NULL,
    name_key        text        COLLATE "C" NOT NULL CONSTRAINT roles_name_key_key UNIQUE,
    description     text        NOT NULL,
    description_key text        COLLATE "C" NOT NULL,
    built_in        boolean     NOT NULL,
    version         bigint      NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT roles_name_length        CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT roles_description_length CHECK (char_length(description) <= 4096),
    CONSTRAINT roles_version_positive   CHECK (version >= 1)
);

CREATE TABLE role_permissions (
    role_id    bigint NOT NULL CONSTRAINT role_permissions_role_id_fkey REFERENCES roles (id) ON DELETE CASCADE,
    permission text   COLLATE "C" NOT NULL,
    CONSTRAINT role_permissions_pkey PRIMARY KEY (role_id, permission),
    CONSTRAINT role_permissions_permission_length CHECK (char_length(permission) BETWEEN 1 AND 256)
);
CREATE INDEX role_permissions_permission_idx ON role_permissions (permission);

CREATE TABLE user_roles (
    user_id bigint NOT NULL CONSTRAINT user_roles_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    role_id bigint NOT NULL CONSTRAINT user_roles_role_id_fkey REFERENCES roles (id) ON DELETE RESTRICT,
    CONSTRAINT user_roles_pkey PRIMARY KEY (user_id, role_id)
);
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id);

CREATE TABLE sessions (
    id           bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id      bigint      NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    generation   bigint      NOT NULL DEFAULT 1,
    rotated_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    address      text,
    agent        text,
    CONSTRAINT sessions_generation_positive CHECK (generation >= 1)
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

CREATE TABLE api_keys (
    id           bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT api_keys_pkey PRIMARY KEY,
    user_id      bigint      NOT NULL CONSTRAINT api_keys_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    name         text        COLLATE "C" NOT NULL,
    hint         text        NOT NULL,
    digest       bytea       NOT NULL CONSTRAINT api_keys_digest_key UNIQUE,
    permissions  text[]      NOT NULL,
    expires_at   timestamptz,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    version      bigint      NOT NULL DEFAULT 1,
    CONSTRAINT api_keys_user_id_name_key UNIQUE (user_id, name),
    CONSTRAINT api_keys_name_length      CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT api_keys_digest_length    CHECK (octet_length(digest) = 32),
    CONSTRAINT api_keys_version_positive CHECK (version >= 1)
);

-- What a key is limited to. The ids refer to equipment, which has its own storage.
CREATE TABLE api_key_equipment (
    api_key_id   bigint NOT NULL CONSTRAINT api_key_equipment_api_key_id_fkey REFERENCES api_keys (id) ON DELETE CASCADE,
    equipment_id bigint NOT NULL,
    CONSTRAINT api_key_equipment_pkey PRIMARY KEY (api_key_id, equipment_id)
);

CREATE TABLE sign_in_counters (
    key               bytea       CONSTRAINT sign_in_counters_pkey PRIMARY KEY,
    failures          bigint      NOT NULL,
    pending           bigint      NOT NULL,
    window_started_at timestamptz NOT NULL,
    last_at           timestamptz NOT NULL,
    CONSTRAINT sign_in_counters_key_length CHECK (octet_length(key) = 32),
    CONSTRAINT sign_in_counters_counts     CHECK (failures >= 0 AND pending >= 0)
);
CREATE INDEX sign_in_counters_last_at_idx ON sign_in_counters (last_at);

CREATE TABLE idempotency_keys (
    scope       bytea       CONSTRAINT idempotency_keys_pkey PRIMARY KEY,
    fingerprint bytea       NOT NULL,
    answer      bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_lengths CHECK (octet_length(scope) = 32 AND octet_length(fingerprint) = 32)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

CREATE TABLE signing_keys (
    id          text        COLLATE "C" CONSTRAINT signing_keys_pkey PRIMARY KEY,
    private_key bytea       NOT NULL,
    public_key  bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT signing_keys_id_length CHECK (char_length(id) BETWEEN 1 AND 256)
);

-- The trail outlives what it tells of: no foreign keys. Facts are json, not jsonb, which would lose their order.
CREATE TABLE audit_events (
    id            bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_events_pkey PRIMARY KEY,
    at            timestamptz NOT NULL,
    actor_id      bigint,
    actor_name    text        COLLATE "C" NOT NULL,
    action        text        COLLATE "C" NOT NULL,
    subject_kind  text        COLLATE "C" NOT NULL,
    subject_id    bigint,
    subject_label text        COLLATE "C" NOT NULL,
    address       text,
    agent         text,
    request_id    text,
    before        json        NOT NULL,
    after         json        NOT NULL,
    CONSTRAINT audit_events_facts CHECK (json_typeof(before) = 'object' AND json_typeof(after) = 'object')
);
CREATE INDEX audit_events_actor_idx ON audit_events (actor_id, id);
CREATE INDEX audit_events_action_idx ON audit_events (action, id);
CREATE INDEX audit_events_subject_idx ON audit_events (subject_kind, subject_id, id);
CREATE INDEX audit_events_at_idx ON audit_events (at);
