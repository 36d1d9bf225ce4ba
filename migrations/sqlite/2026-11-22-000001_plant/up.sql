-- The plant: which equipment there is, what it measured, which rules judge that, what needs a person, what happens now.
--
-- Instants are microseconds since 1970-01-01T00:00:00Z, days are YYYY-MM-DD. Columns named …_key hold the folded form in
-- which texts are compared. States and severities are numbers, in whose order they are listed. An index of a table with
-- an id ends in the id by itself, so what orders a list needs one column. Numbers that were measured are kept to the last
-- bit: a column declared REAL would lose the sign of zero, which ANY keeps.

CREATE TABLE equipment (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT    NOT NULL,
    name_key            TEXT    NOT NULL,
    kind                TEXT    NOT NULL,
    kind_key            TEXT    NOT NULL,
    model               TEXT,
    model_key           TEXT,
    manufacturer        TEXT,
    manufacturer_key    TEXT,
    serial_number       TEXT,
    serial_number_key   TEXT    UNIQUE,
    installed_on        TEXT    CHECK (length(installed_on) = 10),
    location            TEXT,
    location_key        TEXT,
    parent_id           INTEGER REFERENCES equipment (id) ON DELETE RESTRICT,
    status              INTEGER NOT NULL CHECK (status BETWEEN 1 AND 6), -- operational, idle, maintenance, fault, offline, decommissioned
    last_maintained_at  INTEGER,
    next_maintenance_on TEXT    CHECK (length(next_maintenance_on) = 10),
    hidden_at           INTEGER,
    version             INTEGER NOT NULL CHECK (version > 0),
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    attributes          TEXT    NOT NULL CHECK (json_type(attributes) = 'object'),
    CHECK (parent_id <> id),
    CHECK ((model IS NULL) = (model_key IS NULL)),
    CHECK ((manufacturer IS NULL) = (manufacturer_key IS NULL)),
    CHECK ((serial_number IS NULL) = (serial_number_key IS NULL)),
    CHECK ((location IS NULL) = (location_key IS NULL))
) STRICT;
CREATE INDEX equipment_name ON equipment (name_key);
CREATE INDEX equipment_kind ON equipment (kind_key);
CREATE INDEX equipment_model ON equipment (model_key);
CREATE INDEX equipment_manufacturer ON equipment (manufacturer_key);
CREATE INDEX equipment_installed_on ON equipment (installed_on);
CREATE INDEX equipment_location ON equipment (location);
CREATE INDEX equipment_parent_id ON equipment (parent_id);
CREATE INDEX equipment_status ON equipment (status);
CREATE INDEX equipment_next_maintenance_on ON equipment (next_maintenance_on);
CREATE INDEX equipment_created_at ON equipment (created_at);
CREATE INDEX equipment_updated_at ON equipment (updated_at);
-- Only of what is hidden, which is little: of the rest it would be preferred to the order that a list asks for.
CREATE INDEX equipment_hidden ON equipment (id) WHERE hidden_at IS NOT NULL;

-- The front of what is known of each piece: it moves with every reading, so it is no part of the wide row.
CREATE TABLE equipment_heads (
    equipment_id INTEGER PRIMARY KEY REFERENCES equipment (id) ON DELETE CASCADE,
    last_seen_at INTEGER,
    latest       BLOB    NOT NULL CHECK (length(latest) % 24 = 0) -- metric, instant, number: 8 bytes each, little endian
) STRICT;

CREATE TABLE maintenance (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    equipment_id INTEGER NOT NULL REFERENCES equipment (id) ON DELETE CASCADE,
    what         TEXT    NOT NULL,
    performed_at INTEGER NOT NULL,
    by_id        INTEGER REFERENCES users (id) ON DELETE SET NULL,
    by_name      TEXT    NOT NULL,
    next_due_on  TEXT    CHECK (length(next_due_on) = 10),
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX maintenance_equipment_id ON maintenance (equipment_id, performed_at);
CREATE INDEX maintenance_by_id ON maintenance (by_id) WHERE by_id IS NOT NULL;

CREATE TABLE metrics (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    unit            TEXT,
    unit_key        TEXT,
    description     TEXT,
    description_key TEXT,
    version         INTEGER NOT NULL CHECK (version > 0),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    CHECK ((unit IS NULL) = (unit_key IS NULL)),
    CHECK ((description IS NULL) = (description_key IS NULL))
) STRICT;
CREATE INDEX metrics_created_at ON metrics (created_at);

-- Which metrics come together. Few shapes are sent over and over, so a reading names one instead of its metrics.
CREATE TABLE shapes (
    id      INTEGER PRIMARY KEY,
    metrics TEXT    NOT NULL UNIQUE -- ids of metrics in the order of their names, separated by blanks
) STRICT;

CREATE TABLE shape_metrics (
    metric_id INTEGER NOT NULL REFERENCES metrics (id) ON DELETE RESTRICT,
    shape_id  INTEGER NOT NULL REFERENCES shapes (id) ON DELETE RESTRICT,
    PRIMARY KEY (metric_id, shape_id)
) STRICT, WITHOUT ROWID;

-- Nothing removes a shape, so readings name theirs without a constraint that every one of them would pay for.
CREATE TABLE readings (
    equipment_id INTEGER NOT NULL REFERENCES equipment (id) ON DELETE RESTRICT,
    at           INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    shape_id     INTEGER NOT NULL,
    numbers      BLOB    NOT NULL, -- 8 bytes each, little endian, in the order of the shape
    tags         TEXT    CHECK (json_type(tags) = 'object'),
    PRIMARY KEY (equipment_id, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX readings_at ON readings (at, equipment_id);

CREATE TABLE alert_rules (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL,
    name_key         TEXT    NOT NULL,
    equipment_id     INTEGER REFERENCES equipment (id) ON DELETE CASCADE,
    kind             TEXT,
    kind_key         TEXT,
    metric           TEXT,
    operator         TEXT    CHECK (operator IN ('>', '>=', '<', '<=', 'outside')), -- none: it waits for silence
    threshold        ANY     CHECK (typeof(threshold) IN ('real', 'null')),
    threshold_high   ANY     CHECK (typeof(threshold_high) IN ('real', 'null')),
    clear_threshold  ANY     CHECK (typeof(clear_threshold) IN ('real', 'null')),
    wait_us          INTEGER NOT NULL CHECK (wait_us >= 0),
    severity         INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3), -- info, warning, critical
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    latch            INTEGER NOT NULL CHECK (latch IN (0, 1)),
    in_force_since   INTEGER NOT NULL,
    in_force_version INTEGER NOT NULL CHECK (in_force_version > 0),
    version          INTEGER NOT NULL CHECK (version > 0),
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    CHECK (equipment_id IS NULL OR kind IS NULL),
    CHECK ((kind IS NULL) = (kind_key IS NULL)),
    CHECK ((operator IS NULL) = (threshold IS NULL)),
    CHECK (operator IS NULL OR metric IS NOT NULL),
    CHECK (operator IS NOT NULL OR (threshold_high IS NULL AND clear_threshold IS NULL))
) STRICT;
CREATE INDEX alert_rules_name ON alert_rules (name_key);
CREATE INDEX alert_rules_equipment_id ON alert_rules (equipment_id) WHERE equipment_id IS NOT NULL;
CREATE INDEX alert_rules_kind ON alert_rules (kind_key) WHERE kind_key IS NOT NULL;
CREATE INDEX alert_rules_metric ON alert_rules (metric) WHERE metric IS NOT NULL;
CREATE INDEX alert_rules_severity ON alert_rules (severity);
CREATE INDEX alert_rules_created_at ON alert_rules (created_at);
CREATE INDEX alert_rules_updated_at ON alert_rules (updated_at);

-- One row: any change of any rule makes a new generation of them.
CREATE TABLE rule_generation (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO rule_generation (id, generation) VALUES (1, 0);

CREATE TABLE alerts (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    equipment_id         INTEGER NOT NULL REFERENCES equipment (id) ON DELETE CASCADE,
    rule_id              INTEGER REFERENCES alert_rules (id) ON DELETE SET NULL,
    rule_version         INTEGER CHECK (rule_version > 0), -- outlives its rule, and then means nothing
    metric               TEXT,
    severity             INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3), -- info, warning, critical
    status               INTEGER NOT NULL CHECK (status BETWEEN 1 AND 3), -- open, acknowledged, resolved
    description          TEXT    NOT NULL,
    description_key      TEXT    NOT NULL,
    began_at             INTEGER NOT NULL,
    at                   INTEGER NOT NULL,
    value                ANY     CHECK (typeof(value) IN ('real', 'null')),
    last_seen_at         INTEGER NOT NULL,
    occurrences          INTEGER NOT NULL CHECK (occurrences >= 0),
    note                 TEXT,
    note_key             TEXT,
    acknowledged_at      INTEGER,
    acknowledged_by_id   INTEGER REFERENCES users (id) ON DELETE SET NULL,
    acknowledged_by_name TEXT,
    resolved_at          INTEGER,
    resolved_by_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    resolved_by_name     TEXT,
    version              INTEGER NOT NULL CHECK (version > 0),
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    CHECK (rule_id IS NULL OR rule_version IS NOT NULL),
    CHECK ((status = 3) = (resolved_at IS NOT NULL)),
    CHECK ((note IS NULL) = (note_key IS NULL)),
    CHECK (acknowledged_by_id IS NULL OR acknowledged_by_name IS NOT NULL),
    CHECK (acknowledged_by_name IS NULL OR acknowledged_at IS NOT NULL),
    CHECK (resolved_by_id IS NULL OR resolved_by_name IS NOT NULL),
    CHECK (resolved_by_name IS NULL OR resolved_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX alerts_unresolved ON alerts (rule_id, equipment_id) WHERE resolved_at IS NULL;
CREATE INDEX alerts_rule_id ON alerts (rule_id, equipment_id, resolved_at);
-- Which alerts of a piece last until some instant; those that are not over last for ever.
CREATE INDEX alerts_over_at ON alerts (equipment_id, coalesce(resolved_at, 9223372036854775807)) WHERE rule_id IS NOT NULL;
-- Those that end in the equipment tell how many alerts match without looking at one.
CREATE INDEX alerts_equipment_id ON alerts (equipment_id, at);
CREATE INDEX alerts_at ON alerts (at, equipment_id);
CREATE INDEX alerts_last_seen_at ON alerts (last_seen_at);
CREATE INDEX alerts_severity ON alerts (severity, at, equipment_id);
CREATE INDEX alerts_status ON alerts (status, at, equipment_id);
CREATE INDEX alerts_metric ON alerts (metric, at, equipment_id) WHERE metric IS NOT NULL;
CREATE INDEX alerts_acknowledged_by_id ON alerts (acknowledged_by_id) WHERE acknowledged_by_id IS NOT NULL;
CREATE INDEX alerts_resolved_by_id ON alerts (resolved_by_id) WHERE resolved_by_id IS NOT NULL;

CREATE TABLE alert_entries (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    at       INTEGER NOT NULL,
    change   TEXT    NOT NULL,
    by_id    INTEGER REFERENCES users (id) ON DELETE SET NULL,
    by_name  TEXT,
    status   INTEGER NOT NULL CHECK (status BETWEEN 1 AND 3), -- open, acknowledged, resolved
    note     TEXT,
    CHECK (by_id IS NULL OR by_name IS NOT NULL)
) STRICT;
CREATE INDEX alert_entries_alert_id ON alert_entries (alert_id);
CREATE INDEX alert_entries_by_id ON alert_entries (by_id) WHERE by_id IS NOT NULL;

-- What was announced lately. Alerts are named by number only: an event outlives the alert that it is about. Equipment
-- too, as no other removal than a purge has to look for its events; an index would cost every one of them.
CREATE TABLE live_events (
    unit         INTEGER NOT NULL, -- of work: one that is committed later has a larger number
    number       INTEGER NOT NULL,
    written_at   INTEGER NOT NULL,
    equipment_id INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    shape_id     INTEGER,
    numbers      BLOB,
    alert_id     INTEGER,
    change       TEXT,
    PRIMARY KEY (unit, number),
    CHECK ((shape_id IS NULL) = (numbers IS NULL)),
    CHECK ((alert_id IS NULL) = (change IS NULL)),
    CHECK ((shape_id IS NULL) <> (alert_id IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX live_events_written_at ON live_events (written_at);

-- One row: the newest event that ever was, and the newest that was forgotten.
CREATE TABLE live_marks (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    newest_unit      INTEGER NOT NULL,
    newest_number    INTEGER NOT NULL, -- 0: there never was one
    forgotten_unit   INTEGER NOT NULL,
    forgotten_number INTEGER NOT NULL  -- 0: none
) STRICT;
INSERT INTO live_marks (id, newest_unit, newest_number, forgotten_unit, forgotten_number) VALUES (1, 0, 0, 0, 0);
