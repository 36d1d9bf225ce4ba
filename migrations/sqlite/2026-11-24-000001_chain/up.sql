-- The audit trail becomes a chain: each row is sealed together with the seal of the row before, and one row apart knows where the
-- chain ends. Rows take their ids from there.
--
-- Rows that are there already have no seal yet: crates/adapters-sqlite/src/chain.rs gives them theirs, and then writes the row that
-- knows where the chain ends. Without it nothing can be appended.
ALTER TABLE audit_events ADD COLUMN seal BLOB CHECK (length(seal) = 65);

CREATE TABLE audit_head (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    events INTEGER NOT NULL CHECK (events >= 0),
    newest INTEGER NOT NULL CHECK (newest >= events),
    hash   BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO audit_head (id, events, newest, hash)
    SELECT 1, 0, 0, zeroblob(32) WHERE NOT EXISTS (SELECT 1 FROM audit_events);
