-- As of when the values of a piece are gone that go before their readings do, and by which decision of the operator's.
CREATE TABLE thinnings (
    equipment_id INTEGER PRIMARY KEY REFERENCES equipment (id) ON DELETE CASCADE,
    decision     TEXT    NOT NULL,
    as_of        INTEGER NOT NULL,
    late_from    INTEGER -- the oldest instant about which something was written since then that was old already
) STRICT;
