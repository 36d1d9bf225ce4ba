-- As of when the values of a piece are gone that go before their readings do, and by which decision of the operator's.
CREATE TABLE thinnings (
    equipment_id bigint      NOT NULL CONSTRAINT thinnings_pkey PRIMARY KEY
                             CONSTRAINT thinnings_equipment_id_fkey REFERENCES equipment (id) ON DELETE CASCADE,
    decision     text        NOT NULL,
    as_of        timestamptz NOT NULL,
    late_from    timestamptz -- the oldest instant about which something was written since then that was old already
);
