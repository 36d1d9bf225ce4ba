DROP TABLE audit_head;
ALTER TABLE audit_events DROP COLUMN seal;
