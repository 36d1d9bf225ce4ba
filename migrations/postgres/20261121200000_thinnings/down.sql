DROP TABLE thinnings;
