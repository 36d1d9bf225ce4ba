-- Up to where readings of the piece were looked at to make rollups.
ALTER TABLE equipment_heads ADD COLUMN rolled_until INTEGER;

-- Stretches of readings of one piece that are old, in little room. Packs of a piece never overlap, and no row of readings lies
-- within the time of a pack of its piece.
CREATE TABLE packs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    equipment_id INTEGER NOT NULL REFERENCES equipment (id) ON DELETE RESTRICT,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL CHECK (last_at >= first_at),
    count        INTEGER NOT NULL CHECK (count > 0),
    outline      BLOB    NOT NULL, -- which readings there are
    body         BLOB    NOT NULL  -- what they say
) STRICT;
CREATE UNIQUE INDEX packs_first_at ON packs (equipment_id, first_at);
CREATE UNIQUE INDEX packs_last_at  ON packs (equipment_id, last_at);
-- Whether any reaches as far as what is written, which it hardly ever does.
CREATE INDEX packs_newest ON packs (last_at);

-- What a piece did within an hour, minute by minute (grain 0), or within a day, by the hour (1) or as a whole (2).
CREATE TABLE rollups (
    equipment_id INTEGER NOT NULL REFERENCES equipment (id) ON DELETE CASCADE,
    grain        INTEGER NOT NULL CHECK (grain BETWEEN 0 AND 2),
    at           INTEGER NOT NULL,
    body         BLOB    NOT NULL,
    PRIMARY KEY (equipment_id, grain, at)
) STRICT;
-- By which the oldest are found when they are kept no longer.
CREATE INDEX rollups_at ON rollups (grain, at);

-- Hours of which the rollups became untrue.
CREATE TABLE rollups_due (
    equipment_id INTEGER NOT NULL REFERENCES equipment (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL,
    PRIMARY KEY (equipment_id, at)
) STRICT, WITHOUT ROWID;
