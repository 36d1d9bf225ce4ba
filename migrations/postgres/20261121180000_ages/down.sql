DROP TABLE rollups_due;
DROP TABLE rollups;
DROP TABLE packs;
ALTER TABLE equipment_heads DROP COLUMN packed_until, DROP COLUMN rolled_until;
