-- SPDX-License-Identifier: MIT
-- Rebuilds the database without its free pages, verifies it, and empties it.

PRAGMA integrity_check;
SELECT 'free pages', (SELECT freelist_count FROM pragma_freelist_count) > 0;
VACUUM;
SELECT 'free pages', (SELECT freelist_count FROM pragma_freelist_count) > 0;
PRAGMA integrity_check;
REINDEX;
ANALYZE;
SELECT tbl, idx IS NULL OR stat <> '' FROM sqlite_stat1 WHERE tbl = 'line';
SELECT count(*), sum(quantity), sum(amount) FROM sale;
DROP VIEW sale;
DROP TABLE line;
DROP TABLE purchase;
DROP TABLE history;
DELETE FROM customer;
VACUUM;
SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name;
PRAGMA integrity_check;
