-- People, what they may do, what they sign in with, and the trail of what they did.
--
-- Instants are microseconds since 1970-01-01T00:00:00Z. Columns named …_key hold the folded form in which names are
-- compared; they carry the uniqueness. AUTOINCREMENT, because an id that named one thing must never name another.

CREATE TABLE users (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    username            TEXT    NOT NULL,
    username_key        TEXT    NOT NULL UNIQUE,
    email               TEXT,
    email_key           TEXT    UNIQUE,
    phone               TEXT,
    phone_key           TEXT    UNIQUE,
    password_hash       TEXT    NOT NULL,
    password_use        TEXT    NOT NULL CHECK (password_use IN ('lasting', 'one_time', 'spent')),
    password_expires_at INTEGER,
    is_mentor           INTEGER NOT NULL CHECK (is_mentor IN (0, 1)),
    is_active           INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    mentor_id           INTEGER REFERENCES users (id) ON DELETE RESTRICT,
    version             INTEGER NOT NULL CHECK (version > 0),
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    last_login_at       INTEGER,
    CHECK (mentor_id <> id),
    CHECK ((email IS NULL) = (email_key IS NULL)),
    CHECK ((phone IS NULL) = (phone_key IS NULL)),
    CHECK ((password_use = 'one_time') = (password_expires_at IS NOT NULL))
) STRICT;
CREATE INDEX users_mentor_id ON users (mentor_id) WHERE mentor_id IS NOT NULL;
CREATE INDEX users_created_at ON users (created_at);

CREATE TABLE roles (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL,
    name_key        TEXT    NOT NULL UNIQUE,
    description     TEXT    NOT NULL,
    description_key TEXT    NOT NULL,
    built_in        INTEGER NOT NULL CHECK (built_in IN (0, 1)),
    version         INTEGER NOT NULL CHECK (version > 0),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE role_permissions (
    role_id    INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission TEXT    NOT NULL,
    PRIMARY KEY (role_id, permission)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_roles (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id INTEGER NOT NULL REFERENCES roles (id) ON DELETE RESTRICT,
    PRIMARY KEY (user_id, role_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_roles_role_id ON user_roles (role_id);

CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation   INTEGER NOT NULL CHECK (generation > 0),
    rotated_at   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    address      TEXT,
    agent        TEXT
) STRICT;
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    hint         TEXT    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    permissions  TEXT    NOT NULL, -- names, separated by blanks
    expires_at   INTEGER,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    version      INTEGER NOT NULL CHECK (version > 0),
    UNIQUE (user_id, name)
) STRICT;

-- Which equipment a key is limited to; no row means all of it.
CREATE TABLE api_key_equipment (
    api_key_id   INTEGER NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    equipment_id INTEGER NOT NULL,
    PRIMARY KEY (api_key_id, equipment_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sign_in_counters (
    key               BLOB    PRIMARY KEY NOT NULL CHECK (length(key) = 32),
    failures          INTEGER NOT NULL CHECK (failures >= 0),
    pending           INTEGER NOT NULL CHECK (pending >= 0),
    window_started_at INTEGER NOT NULL,
    last_at           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_counters_last_at ON sign_in_counters (last_at);

CREATE TABLE idempotency_keys (
    scope       BLOB    PRIMARY KEY NOT NULL CHECK (length(scope) = 32),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    answer      BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE signing_keys (
    id          TEXT    PRIMARY KEY NOT NULL,
    private_key BLOB    NOT NULL,
    public_key  BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- Refers to users and subjects by number only: the trail outlives them.
CREATE TABLE audit_events (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    actor_id      INTEGER,
    actor_name    TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    subject_kind  TEXT    NOT NULL,
    subject_id    INTEGER,
    subject_label TEXT    NOT NULL,
    address       TEXT,
    agent         TEXT,
    request_id    TEXT,
    "before"      TEXT    NOT NULL CHECK (json_type("before") = 'object'),
    "after"       TEXT    NOT NULL CHECK (json_type("after") = 'object')
) STRICT;
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_actor_id ON audit_events (actor_id, id);
CREATE INDEX audit_events_action ON audit_events (action, id);
CREATE INDEX audit_events_subject ON audit_events (subject_kind, subject_id, id);
