-- A plant of 10,000 pieces with 1,000,000 readings, 20,000 alerts and 100 rules. Readings come a minute apart, those of all
-- pieces together, as they do in life.

INSERT INTO equipment (name, name_key, kind, kind_key, model, model_key, manufacturer, manufacturer_key, serial_number,
    serial_number_key, installed_on, location, parent_id, status, attributes, search_key, next_maintenance_on, hidden_at,
    created_at, updated_at)
SELECT 'Machine ' || n, 'machine ' || n, 'kind ' || n % 100, 'kind ' || n % 100, 'M' || n % 500, 'm' || n % 500,
    'Maker ' || n % 200, 'maker ' || n % 200, 'SN-' || n, 'sn-' || n, date '2000-01-01' + n,
    'plant-' || n % 10 || '/line-' || n % 100 || '/place-' || n, CASE WHEN n > 100 THEN n / 100 END, n % 6, '{}',
    concat_ws(E'\x01', 'machine ' || n, 'kind ' || n % 100, 'm' || n % 500, 'maker ' || n % 200, 'sn-' || n,
        'plant-' || n % 10 || '/line-' || n % 100 || '/place-' || n),
    date '2026-01-01' + n, CASE WHEN n % 1000 = 0 THEN timestamptz '2026-01-01' END,
    timestamptz '2020-01-01' + n * interval '1 hour', timestamptz '2021-01-01' + n * interval '1 hour'
FROM generate_series(1, 10000) AS n;

INSERT INTO metrics (name, created_at, updated_at) VALUES ('temperature', now(), now()), ('speed', now(), now());
INSERT INTO shapes (metrics) VALUES ('{1}'), ('{1,2}');

-- Filled as a table of its own first: its indexes are made in one go when it becomes a part of the readings.
DROP TABLE readings_past, readings_default;
CREATE TABLE readings_default (LIKE readings INCLUDING DEFAULTS);
INSERT INTO readings_default
SELECT piece, timestamptz '2026-01-01' + minute * interval '1 minute', now(), 1 + piece % 2,
    CASE WHEN piece % 2 = 0 THEN '{1.5}'::double precision[] ELSE '{1.5,2.5}' END, NULL
FROM generate_series(1, 100) AS minute, generate_series(1, 10000) AS piece;
ALTER TABLE readings_default ADD CONSTRAINT readings_default_pkey PRIMARY KEY (equipment_id, at);
ALTER TABLE readings ATTACH PARTITION readings_default DEFAULT;

INSERT INTO equipment_heads (equipment_id, kind, hidden, last_seen_at, shape_id, numbers)
SELECT id, kind, hidden_at IS NOT NULL, timestamptz '2026-01-01 01:40', 1, '{1.5}' FROM equipment;

INSERT INTO alert_rules (name, name_key, metric, operator, threshold, wait_us, severity, enabled, latch, in_force_since,
    created_at, updated_at)
SELECT 'Rule ' || n, 'rule ' || n, 'temperature', '>', 80, 0, n % 3, true, false, now(), now(), now()
FROM generate_series(1, 100) AS n;

INSERT INTO alerts (equipment_id, rule_id, rule_version, metric, severity, description, began_at, at, last_seen_at,
    occurrences, search_key, status, resolved_at, created_at, updated_at)
SELECT 1 + n % 10000, 1 + n / 10000 * 10 + n % 10, 1, 'metric_' || n % 300, n % 3, 'Fault ' || n,
    timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-01-01' + n * interval '1 minute',
    timestamptz '2026-01-01' + n * interval '1 minute', 1, 'fault ' || n, CASE WHEN n % 100 = 0 THEN n / 100 % 2 ELSE 2 END,
    CASE WHEN n % 100 <> 0 THEN timestamptz '2026-01-01' + n * interval '1 minute' END, now(), now()
FROM generate_series(1, 20000) AS n;

-- As the server does by itself before long.
ANALYZE;
