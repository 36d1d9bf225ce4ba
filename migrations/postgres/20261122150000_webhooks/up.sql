-- Who outside is told of alerts. What a webhook is told of the database never looks into, so it is plain text: events and ids of
-- equipment with blanks between them, types of equipment one a line. severity: as of rules. Secrets are sealed.
CREATE TABLE webhooks (
    id               bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT webhooks_pkey PRIMARY KEY,
    name             text        NOT NULL,
    name_key         text        COLLATE "C" NOT NULL,
    url              text        NOT NULL,
    shape            text        NOT NULL,
    events           text        NOT NULL,
    severity         smallint    NOT NULL,
    equipment        text        NOT NULL,
    kinds            text        NOT NULL,
    enabled          boolean     NOT NULL,
    secret           bytea       NOT NULL,
    former_secret    bytea,
    former_until     timestamptz,
    disabled_because text,
    repeated_until   timestamptz, -- when receivers that forget are told again what is still true
    version          bigint      NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT webhooks_name_length      CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT webhooks_url_length       CHECK (char_length(url) BETWEEN 1 AND 2048),
    CONSTRAINT webhooks_events           CHECK (events <> ''),
    CONSTRAINT webhooks_severity         CHECK (severity BETWEEN 0 AND 2),
    CONSTRAINT webhooks_former           CHECK ((former_secret IS NULL) = (former_until IS NULL)),
    CONSTRAINT webhooks_version_positive CHECK (version >= 1)
);

-- What is to be delivered, written in the transaction of its cause, and what became of it. next_try_at: when it is due, or due
-- again should who claimed it not come back; nothing when it is over.
CREATE TABLE webhook_deliveries (
    id          bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT webhook_deliveries_pkey PRIMARY KEY,
    webhook_id  bigint      NOT NULL CONSTRAINT webhook_deliveries_webhook_id_fkey REFERENCES webhooks (id) ON DELETE CASCADE,
    event       text        COLLATE "C" NOT NULL,
    alert_id    bigint, -- no reference: what is said of an alert outlives it
    message     text        NOT NULL,
    notice      text        NOT NULL,
    status      text        COLLATE "C" NOT NULL,
    tries       integer     NOT NULL DEFAULT 0,
    attempts    integer     NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    finished_at timestamptz,
    created_at  timestamptz NOT NULL,
    CONSTRAINT webhook_deliveries_status CHECK (status IN ('pending', 'delivered', 'failed', 'superseded')),
    CONSTRAINT webhook_deliveries_end    CHECK ((status = 'pending') = (next_try_at IS NOT NULL)
                                                AND (status = 'pending') = (finished_at IS NULL)),
    CONSTRAINT webhook_deliveries_tries  CHECK (tries >= 0 AND attempts >= tries)
);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (webhook_id, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX webhook_deliveries_webhook_id_idx ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_alert_idx ON webhook_deliveries (alert_id, webhook_id, id) WHERE alert_id IS NOT NULL;
CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
    delivery_id bigint      NOT NULL CONSTRAINT webhook_attempts_delivery_id_fkey REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number      integer     NOT NULL,
    at          timestamptz NOT NULL,
    took_us     bigint      NOT NULL,
    status      integer,
    error       text,
    answer      text,
    CONSTRAINT webhook_attempts_pkey   PRIMARY KEY (delivery_id, number),
    CONSTRAINT webhook_attempts_number CHECK (number >= 1 AND took_us >= 0)
);

-- Servers remember who listens. That somebody was told again changes nothing of it.
CREATE TRIGGER tell_of_change AFTER INSERT OR DELETE OR TRUNCATE
    OR UPDATE OF name, url, shape, events, severity, equipment, kinds, enabled, secret, former_secret, version ON webhooks
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('webhooks');
