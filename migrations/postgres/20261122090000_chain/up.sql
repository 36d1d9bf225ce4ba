-- The audit trail becomes a chain: each row is sealed together with the seal of the row before, and one row apart knows where the
-- chain ends. Rows take their ids from there, in the order of their commits and without gaps, so the column numbers itself no more:
-- an older server, which knows nothing of the chain, cannot write a row that is not in it.
--
-- Rows that are there already have no seal yet: crates/adapters-postgres/src/chain.rs gives them theirs, and then writes the
-- row that knows where the chain ends. Without it nothing can be appended.
ALTER TABLE audit_events
    ALTER id DROP IDENTITY,
    ADD COLUMN seal bytea,
    ADD CONSTRAINT audit_events_seal_length CHECK (octet_length(seal) = 65);

CREATE TABLE audit_head (
    id     boolean NOT NULL DEFAULT true CONSTRAINT audit_head_pkey PRIMARY KEY,
    events bigint  NOT NULL,
    newest bigint  NOT NULL,
    hash   bytea   NOT NULL,
    CONSTRAINT audit_head_one_row     CHECK (id),
    CONSTRAINT audit_head_counts      CHECK (events >= 0 AND newest >= events),
    CONSTRAINT audit_head_hash_length CHECK (octet_length(hash) = 32)
) WITH (fillfactor = 50);
INSERT INTO audit_head (events, newest, hash)
    SELECT 0, 0, decode(repeat('00', 32), 'hex') WHERE NOT EXISTS (SELECT FROM audit_events);
