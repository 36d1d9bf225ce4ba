DROP TABLE audit_head;
ALTER TABLE audit_events DROP COLUMN seal, ALTER id ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('audit_events', 'id'), coalesce(max(id), 0) + 1, false) FROM audit_events;
