-- The plant: equipment, what was done to it, what it measured, what raises alerts, which were raised, what happens now.
--
-- As in the migration before: constraints that a request can run into carry the names that
-- crates/adapters-postgres/src/errors.rs knows, and columns called …_key hold the form in which text is compared.
-- Indexes on what can be absent begin with what is absent, which counts as smallest.

-- status: its place among operational, idle, maintenance, fault, offline, decommissioned.
-- attributes: json, not jsonb, so that they are answered as they were sent.
-- search_key: all that a search looks through, in the form in which text is compared, joined by a character that none of
-- it may contain.
CREATE TABLE equipment (
    id                  bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT equipment_pkey PRIMARY KEY,
    name                text        NOT NULL,
    name_key            text        COLLATE "C" NOT NULL,
    kind                text        NOT NULL,
    kind_key            text        COLLATE "C" NOT NULL,
    model               text,
    model_key           text        COLLATE "C",
    manufacturer        text,
    manufacturer_key    text        COLLATE "C",
    serial_number       text,
    serial_number_key   text        COLLATE "C" CONSTRAINT equipment_serial_number_key_key UNIQUE,
    installed_on        date,
    location            text        COLLATE "C",
    parent_id           bigint      CONSTRAINT equipment_parent_id_fkey REFERENCES equipment (id),
    status              smallint    NOT NULL,
    attributes          json        NOT NULL,
    search_key          text        COLLATE "C" NOT NULL,
    last_maintained_at  timestamptz,
    next_maintenance_on date,
    hidden_at           timestamptz,
    version             bigint      NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT equipment_name_length            CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT equipment_kind_length            CHECK (char_length(kind) BETWEEN 1 AND 256),
    CONSTRAINT equipment_model_length           CHECK (char_length(model) BETWEEN 1 AND 256),
    CONSTRAINT equipment_model_with_key         CHECK ((model IS NULL) = (model_key IS NULL)),
    CONSTRAINT equipment_manufacturer_length    CHECK (char_length(manufacturer) BETWEEN 1 AND 256),
    CONSTRAINT equipment_manufacturer_with_key  CHECK ((manufacturer IS NULL) = (manufacturer_key IS NULL)),
    CONSTRAINT equipment_serial_number_length   CHECK (char_length(serial_number) BETWEEN 1 AND 256),
    CONSTRAINT equipment_serial_number_with_key CHECK ((serial_number IS NULL) = (serial_number_key IS NULL)),
    CONSTRAINT equipment_location_length        CHECK (char_length(location) BETWEEN 1 AND 256),
    CONSTRAINT equipment_not_part_of_itself     CHECK (parent_id <> id),
    CONSTRAINT equipment_status                 CHECK (status BETWEEN 0 AND 5),
    CONSTRAINT equipment_attributes             CHECK (json_typeof(attributes) = 'object'),
    CONSTRAINT equipment_version_positive       CHECK (version >= 1)
);
-- Each serves a filter and an ordering. What is hidden is asked for seldom, and by this alone.
CREATE INDEX equipment_name_idx                ON equipment (name_key, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_kind_idx                ON equipment (kind_key, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_model_idx               ON equipment (model_key NULLS FIRST, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_manufacturer_idx        ON equipment (manufacturer_key NULLS FIRST, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_serial_number_idx       ON equipment (serial_number_key NULLS FIRST, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_status_idx              ON equipment (status, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_location_idx            ON equipment (location NULLS FIRST, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_installed_on_idx        ON equipment (installed_on NULLS FIRST, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_next_maintenance_on_idx ON equipment (next_maintenance_on NULLS FIRST, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_created_at_idx          ON equipment (created_at, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_updated_at_idx          ON equipment (updated_at, id) WHERE hidden_at IS NULL;
CREATE INDEX equipment_parent_id_idx           ON equipment (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX equipment_hidden_idx              ON equipment (id) WHERE hidden_at IS NOT NULL;

CREATE TABLE maintenance (
    id           bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT maintenance_pkey PRIMARY KEY,
    equipment_id bigint      NOT NULL CONSTRAINT maintenance_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    what         text        NOT NULL,
    performed_at timestamptz NOT NULL,
    by_id        bigint      CONSTRAINT maintenance_by_id_fkey REFERENCES users (id) ON DELETE SET NULL,
    by_name      text        NOT NULL,
    next_due_on  date,
    created_at   timestamptz NOT NULL,
    CONSTRAINT maintenance_what_length CHECK (char_length(what) <= 4096)
);
CREATE INDEX maintenance_equipment_idx ON maintenance (equipment_id, performed_at, id);
CREATE INDEX maintenance_by_id_idx ON maintenance (by_id) WHERE by_id IS NOT NULL;

CREATE TABLE metrics (
    id              integer     GENERATED ALWAYS AS IDENTITY CONSTRAINT metrics_pkey PRIMARY KEY,
    name            text        COLLATE "C" NOT NULL CONSTRAINT metrics_name_key UNIQUE,
    unit            text,
    unit_key        text        COLLATE "C",
    description     text,
    description_key text        COLLATE "C",
    version         bigint      NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT metrics_name_length          CHECK (char_length(name) BETWEEN 1 AND 64),
    CONSTRAINT metrics_unit_length          CHECK (char_length(unit) BETWEEN 1 AND 256),
    CONSTRAINT metrics_unit_with_key        CHECK ((unit IS NULL) = (unit_key IS NULL)),
    CONSTRAINT metrics_description_length   CHECK (char_length(description) <= 4096),
    CONSTRAINT metrics_description_with_key CHECK ((description IS NULL) = (description_key IS NULL)),
    CONSTRAINT metrics_version_positive     CHECK (version >= 1)
);

-- Sets of metrics that were reported together. Machines send the same set over and over, so readings name it by number.
-- metrics: their ids, in the order of their names.
CREATE TABLE shapes (
    id      integer   GENERATED ALWAYS AS IDENTITY CONSTRAINT shapes_pkey PRIMARY KEY,
    metrics integer[] NOT NULL CONSTRAINT shapes_metrics_key UNIQUE
);
CREATE INDEX shapes_metrics_idx ON shapes USING gin (metrics);

-- The newest of each piece of equipment, one row each. Whoever holds the row is alone with its readings.
-- Written with every batch, so it is small: the newest reading (shape_id and numbers) and, apart, the metrics that are not
-- in it. No index but the key and room in every page, so that a write stays within its page.
-- kind, hidden: as the register says. Here, so that whoever waited for the row reads what they are now in one statement.
CREATE TABLE equipment_heads (
    equipment_id   bigint             CONSTRAINT equipment_heads_pkey PRIMARY KEY
                                      CONSTRAINT equipment_heads_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    kind           text               NOT NULL,
    hidden         boolean            NOT NULL DEFAULT false,
    last_seen_at   timestamptz,
    shape_id       integer,
    numbers        double precision[],
    older_metrics  integer[],
    older_instants timestamptz[],
    older_numbers  double precision[],
    CONSTRAINT equipment_heads_newest
        CHECK ((shape_id IS NULL) = (numbers IS NULL) AND (shape_id IS NULL OR last_seen_at IS NOT NULL)),
    CONSTRAINT equipment_heads_older
        CHECK (cardinality(older_metrics) IS NOT DISTINCT FROM cardinality(older_instants)
               AND cardinality(older_metrics) IS NOT DISTINCT FROM cardinality(older_numbers))
) WITH (fillfactor = 70);

-- One row a reading, found by its identity. Insertion is what counts: a further index would cost more than the row, and a
-- foreign key, which is checked row by row, as much as all the rest. That there is equipment for every reading the heads
-- see to: who stores a reading has hold of its equipment's head, and equipment goes only after its head and with no reading
-- left. In order of time alone readings are found by the BRIN index, which costs next to nothing.
-- All from before this week is one partition; crates/adapters-postgres/src/weeks.rs makes one for each week from then on.
CREATE TABLE readings (
    equipment_id bigint             NOT NULL,
    at           timestamptz        NOT NULL,
    received_at  timestamptz        NOT NULL,
    shape_id     integer            NOT NULL,
    numbers      double precision[] NOT NULL,
    tags         json,
    CONSTRAINT readings_pkey PRIMARY KEY (equipment_id, at)
) PARTITION BY RANGE (at);
CREATE INDEX readings_at_idx ON readings USING brin (at) WITH (pages_per_range = 128, autosummarize = on);
CREATE TABLE readings_default PARTITION OF readings DEFAULT;
DO $$ BEGIN
    EXECUTE format('CREATE TABLE readings_past PARTITION OF readings FOR VALUES FROM (MINVALUE) TO (%L)',
        date_trunc('week', now(), 'UTC'));
END $$;

-- severity: its place among info, warning, critical. What it is about: one piece, one kind, or all there is.
CREATE TABLE alert_rules (
    id               bigint           GENERATED ALWAYS AS IDENTITY CONSTRAINT alert_rules_pkey PRIMARY KEY,
    name             text             NOT NULL,
    name_key         text             COLLATE "C" NOT NULL,
    equipment_id     bigint           CONSTRAINT alert_rules_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    kind             text,
    kind_key         text             COLLATE "C",
    metric           text             COLLATE "C",
    operator         text,
    threshold        double precision,
    threshold_high   double precision,
    clear_threshold  double precision,
    wait_us          bigint           NOT NULL,
    severity         smallint         NOT NULL,
    enabled          boolean          NOT NULL,
    latch            boolean          NOT NULL,
    in_force_since   timestamptz      NOT NULL,
    in_force_version bigint           NOT NULL DEFAULT 1,
    version          bigint           NOT NULL DEFAULT 1,
    created_at       timestamptz      NOT NULL,
    updated_at       timestamptz      NOT NULL,
    CONSTRAINT alert_rules_name_length      CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT alert_rules_one_target       CHECK (equipment_id IS NULL OR kind IS NULL),
    CONSTRAINT alert_rules_kind_with_key    CHECK ((kind IS NULL) = (kind_key IS NULL)),
    CONSTRAINT alert_rules_threshold        CHECK ((operator IS NULL) = (threshold IS NULL)
                                                   AND (operator IS NULL OR metric IS NOT NULL)
                                                   AND (operator IS NOT NULL OR coalesce(threshold_high, clear_threshold) IS NULL)),
    CONSTRAINT alert_rules_wait             CHECK (wait_us >= 0),
    CONSTRAINT alert_rules_severity         CHECK (severity BETWEEN 0 AND 2),
    CONSTRAINT alert_rules_version_positive CHECK (version >= 1 AND in_force_version BETWEEN 1 AND version)
);
CREATE INDEX alert_rules_equipment_id_idx ON alert_rules (equipment_id) WHERE equipment_id IS NOT NULL;

-- Counts the changes of rules. A sequence, because whoever waited for the rules must see the newest number, not the one
-- of when it began to wait.
CREATE SEQUENCE rule_generation;
SELECT nextval('rule_generation');

-- severity: as of rules. status: its place among open, acknowledged, resolved. search_key: as of equipment.
CREATE TABLE alerts (
    id                   bigint           GENERATED ALWAYS AS IDENTITY CONSTRAINT alerts_pkey PRIMARY KEY,
    equipment_id         bigint           NOT NULL CONSTRAINT alerts_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    rule_id              bigint           CONSTRAINT alerts_rule_id_fkey REFERENCES alert_rules (id) ON DELETE SET NULL,
    rule_version         bigint,
    metric               text             COLLATE "C",
    severity             smallint         NOT NULL,
    description          text             NOT NULL,
    began_at             timestamptz      NOT NULL,
    at                   timestamptz      NOT NULL,
    value                double precision,
    last_seen_at         timestamptz      NOT NULL,
    occurrences          bigint           NOT NULL,
    note                 text,
    search_key           text             COLLATE "C" NOT NULL,
    status               smallint         NOT NULL,
    acknowledged_at      timestamptz,
    acknowledged_by_id   bigint           CONSTRAINT alerts_acknowledged_by_id_fkey REFERENCES users (id) ON DELETE SET NULL,
    acknowledged_by_name text,
    resolved_at          timestamptz,
    resolved_by_id       bigint           CONSTRAINT alerts_resolved_by_id_fkey REFERENCES users (id) ON DELETE SET NULL,
    resolved_by_name     text,
    version              bigint           NOT NULL DEFAULT 1,
    created_at           timestamptz      NOT NULL,
    updated_at           timestamptz      NOT NULL,
    CONSTRAINT alerts_rule_with_version  CHECK (rule_id IS NULL OR rule_version IS NOT NULL),
    CONSTRAINT alerts_severity           CHECK (severity BETWEEN 0 AND 2),
    CONSTRAINT alerts_status             CHECK (status BETWEEN 0 AND 2),
    CONSTRAINT alerts_resolved           CHECK ((status = 2) = (resolved_at IS NOT NULL)),
    CONSTRAINT alerts_occurrences        CHECK (occurrences >= 0),
    CONSTRAINT alerts_description_length CHECK (char_length(description) <= 4096),
    CONSTRAINT alerts_note_length        CHECK (char_length(note) <= 4096),
    CONSTRAINT alerts_version_positive   CHECK (version >= 1)
);
CREATE UNIQUE INDEX alerts_unresolved_key ON alerts (rule_id, equipment_id) WHERE status <> 2;
CREATE INDEX alerts_equipment_idx ON alerts (equipment_id, at);
CREATE INDEX alerts_rule_idx ON alerts (rule_id, at) WHERE rule_id IS NOT NULL;
CREATE INDEX alerts_metric_idx ON alerts (metric, at);
CREATE INDEX alerts_at_idx ON alerts (at, id);
CREATE INDEX alerts_last_seen_at_idx ON alerts (last_seen_at, id);
-- Of few values, so that putting equals in order would mean reading most alerts: one index for each way.
CREATE INDEX alerts_severity_idx ON alerts (severity, id);
CREATE INDEX alerts_severity_down_idx ON alerts (severity DESC, id);
CREATE INDEX alerts_status_idx ON alerts (status, id);
CREATE INDEX alerts_status_down_idx ON alerts (status DESC, id);
-- By when they end: what is not resolved ends never.
CREATE INDEX alerts_end_idx ON alerts (equipment_id, coalesce(resolved_at, 'infinity')) WHERE rule_id IS NOT NULL;
CREATE INDEX alerts_acknowledged_by_id_idx ON alerts (acknowledged_by_id) WHERE acknowledged_by_id IS NOT NULL;
CREATE INDEX alerts_resolved_by_id_idx ON alerts (resolved_by_id) WHERE resolved_by_id IS NOT NULL;

CREATE TABLE alert_entries (
    id       bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT alert_entries_pkey PRIMARY KEY,
    alert_id bigint      NOT NULL CONSTRAINT alert_entries_alert_id_fkey REFERENCES alerts (id) ON DELETE CASCADE,
    at       timestamptz NOT NULL,
    change   text        NOT NULL,
    by_id    bigint      CONSTRAINT alert_entries_by_id_fkey REFERENCES users (id) ON DELETE SET NULL,
    by_name  text,
    status   smallint    NOT NULL,
    note     text,
    CONSTRAINT alert_entries_status      CHECK (status BETWEEN 0 AND 2),
    CONSTRAINT alert_entries_note_length CHECK (char_length(note) <= 4096)
);
CREATE INDEX alert_entries_alert_id_idx ON alert_entries (alert_id, id);
CREATE INDEX alert_entries_by_id_idx ON alert_entries (by_id) WHERE by_id IS NOT NULL;

-- A window of some minutes: no foreign keys, which would cost more than the rows. A row is all that a transaction announced
-- at once, event by event: about values (a shape, and as many of the numbers as it has metrics) or about an alert (alerts and
-- changes, absent when none of the events is). transaction: who wrote it, by which readers know what all of them can see.
-- number: that of the last event among all of the transaction, counted from 1. count: how many there are.
CREATE TABLE live_events (
    transaction bigint             NOT NULL,
    number      bigint             NOT NULL,
    at          timestamptz        NOT NULL,
    count       integer            NOT NULL,
    equipment   bigint[]           NOT NULL,
    instants    timestamptz[]      NOT NULL,
    shapes      integer[]          NOT NULL,
    numbers     double precision[] NOT NULL,
    alerts      bigint[],
    changes     text[],
    CONSTRAINT live_events_pkey PRIMARY KEY (transaction, number),
    CONSTRAINT live_events_lengths CHECK (count > 0
        AND cardinality(equipment) = count AND cardinality(instants) = count AND cardinality(shapes) = count
        AND coalesce(cardinality(alerts), count) = count
        AND cardinality(changes) IS NOT DISTINCT FROM cardinality(alerts))
);
-- Whoever writes them waits, and nobody keeps them: not worth being packed.
ALTER TABLE live_events
    ALTER equipment SET STORAGE EXTERNAL, ALTER instants SET STORAGE EXTERNAL, ALTER shapes SET STORAGE EXTERNAL,
    ALTER numbers SET STORAGE EXTERNAL, ALTER alerts SET STORAGE EXTERNAL, ALTER changes SET STORAGE EXTERNAL;
CREATE INDEX live_events_at_idx ON live_events (at);

-- How far the events reach that are not kept any more: one row, as soon as there are any.
CREATE TABLE live_forgotten (
    id          boolean NOT NULL DEFAULT true CONSTRAINT live_forgotten_pkey PRIMARY KEY,
    transaction bigint  NOT NULL,
    number      bigint  NOT NULL,
    CONSTRAINT live_forgotten_one_row CHECK (id)
);

-- Searches find their way by trigrams. Where the extension cannot be had they read the whole table, which for a register of
-- some thousand pieces is quick enough.
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    -- What waits to be sorted in is looked through by every search: not more than a little may wait.
    CREATE INDEX equipment_search_idx ON equipment USING gin (search_key gin_trgm_ops) WITH (gin_pending_list_limit = 256);
    CREATE INDEX alerts_search_idx ON alerts USING gin (search_key gin_trgm_ops) WITH (gin_pending_list_limit = 256);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'searches of equipment and alerts stay without an index: %', SQLERRM;
END $$;
