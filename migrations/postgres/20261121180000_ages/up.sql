-- rolled_until: up to where the readings of the piece were looked at to make rollups.
-- packed_until: no pack of the piece reaches beyond, so that whoever writes newer readings need not look for any.
ALTER TABLE equipment_heads ADD COLUMN rolled_until timestamptz, ADD COLUMN packed_until timestamptz;

-- Stretches of readings of one piece that are old, in little room: the outline says which readings there are, the body what
-- they say. Packs of a piece never overlap, and no row of readings lies within the time of a pack of its piece.
CREATE TABLE packs (
    id           bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT packs_pkey PRIMARY KEY,
    equipment_id bigint      NOT NULL CONSTRAINT packs_equipment_id_fkey REFERENCES equipment (id),
    first_at     timestamptz NOT NULL,
    last_at      timestamptz NOT NULL,
    count        integer     NOT NULL,
    outline      bytea       NOT NULL,
    body         bytea       NOT NULL,
    CONSTRAINT packs_first_at_key UNIQUE (equipment_id, first_at),
    CONSTRAINT packs_last_at_key  UNIQUE (equipment_id, last_at),
    CONSTRAINT packs_span         CHECK (first_at <= last_at),
    CONSTRAINT packs_count        CHECK (count > 0)
);

-- What a piece did within an hour, minute by minute (grain 0), or within a day, by the hour (1) or as a whole (2).
CREATE TABLE rollups (
    equipment_id bigint      NOT NULL CONSTRAINT rollups_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    grain        smallint    NOT NULL,
    at           timestamptz NOT NULL,
    body         bytea       NOT NULL,
    CONSTRAINT rollups_pkey  PRIMARY KEY (equipment_id, grain, at),
    CONSTRAINT rollups_grain CHECK (grain BETWEEN 0 AND 2)
);
-- By which the oldest are found when they are kept no longer.
CREATE INDEX rollups_at_idx ON rollups USING brin (at) WITH (pages_per_range = 16, autosummarize = on);

-- Hours of which the rollups became untrue.
CREATE TABLE rollups_due (
    equipment_id bigint      NOT NULL CONSTRAINT rollups_due_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    at           timestamptz NOT NULL,
    CONSTRAINT rollups_due_pkey PRIMARY KEY (equipment_id, at)
);

-- These bytes are packed already.
ALTER TABLE packs ALTER outline SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL;
ALTER TABLE rollups ALTER body SET STORAGE EXTERNAL;
