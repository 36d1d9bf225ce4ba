-- Who outside is told of alerts. What a webhook is told of the database never looks into, so it is plain text: events and ids of
-- equipment with blanks between them, types of equipment one a line. Secrets are sealed.
CREATE TABLE webhooks (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL,
    name_key         TEXT    NOT NULL,
    url              TEXT    NOT NULL,
    shape            TEXT    NOT NULL,
    events           TEXT    NOT NULL CHECK (events <> ''),
    severity         INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3), -- info, warning, critical
    equipment        TEXT    NOT NULL,
    kinds            TEXT    NOT NULL,
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    secret           BLOB    NOT NULL,
    former_secret    BLOB,
    former_until     INTEGER,
    disabled_because TEXT,
    repeated_until   INTEGER, -- when receivers that forget are told again what is still true
    version          INTEGER NOT NULL CHECK (version > 0),
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    CHECK ((former_secret IS NULL) = (former_until IS NULL))
) STRICT;

-- What is to be delivered, written in the transaction of its cause, and what became of it. next_try_at: when it is due, or due
-- again should who claimed it not come back; nothing when it is over.
CREATE TABLE webhook_deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event       TEXT    NOT NULL,
    alert_id    INTEGER, -- no reference: what is said of an alert outlives it
    message     TEXT    NOT NULL,
    notice      TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'superseded')),
    tries       INTEGER NOT NULL CHECK (tries >= 0),
    attempts    INTEGER NOT NULL CHECK (attempts >= tries),
    next_try_at INTEGER,
    finished_at INTEGER,
    created_at  INTEGER NOT NULL,
    CHECK ((status = 'pending') = (next_try_at IS NOT NULL)),
    CHECK ((status = 'pending') = (finished_at IS NULL))
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX webhook_deliveries_webhook_id ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_alert ON webhook_deliveries (alert_id, webhook_id, id) WHERE alert_id IS NOT NULL;
CREATE INDEX webhook_deliveries_created_at ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
    delivery_id INTEGER NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL CHECK (number > 0),
    at          INTEGER NOT NULL,
    took_us     INTEGER NOT NULL CHECK (took_us >= 0),
    status      INTEGER,
    error       TEXT,
    answer      TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
